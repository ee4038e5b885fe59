"""Trains an experiment once more on each fold of its training and validation rows: metrics/E/folds.json, folds.csv.

Stratified k-fold cross-validation (Stone 1974; Kohavi 1995). The test rows stay out of it. The score of a fold is that
of the last epoch: to choose the epoch by the fold would flatter it. Equal rows go into the same fold.
"""

import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import torch

from torchprimer import models, paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.storage import SAMPLES_FILE, SplitArrays
from torchprimer.datasets.tabular import duplicate_groups, read_table
from torchprimer.datasets.tabular_preprocessing import fit, transform, transform_target
from torchprimer.errors import UserError
from torchprimer.params import Experiment, Params, Tabular
from torchprimer.params.experiments import Supervised
from torchprimer.tracking import Tracker
from torchprimer.training.device import seed_everything, select_device, select_precision
from torchprimer.training.initialization import initialize
from torchprimer.training.loops.supervised import train


def run(params: Params, name: str, tracker: Tracker) -> None:
    from sklearn.model_selection import StratifiedKFold

    experiment, folds = params.resolve(name), params.crossvalidate[name].folds
    dataset = params.datasets[experiment.dataset]
    assert isinstance(dataset, Tabular)  # params/ allows nothing else here
    prepared = paths.prepared(experiment.dataset)
    samples = pd.read_csv(prepared / SAMPLES_FILE, dtype=str, keep_default_na=False).query("split != 'test'")
    table = read_table(paths.raw(dataset.raw)).loc[samples["id"]]
    content = duplicate_groups(table, dataset)
    labels = samples["label"].to_numpy()[np.unique(content, return_index=True)[1]]  # of one row of each content
    smallest = min(Counter(labels).values())
    if smallest < folds:
        raise UserError(
            f"crossvalidate.{name}.folds: {folds} folds need as many rows of each class, and one class has {smallest}"
        )
    rows = []
    parts = StratifiedKFold(folds, shuffle=True, random_state=params.seed).split(labels, labels)
    for number, (_, held) in enumerate(parts, 1):
        seed_everything(params.seed)
        is_held = np.isin(content, held)
        scores = _fold(experiment, dataset, table[~is_held], table[is_held], params)
        rows.append({"fold": number, "loss": scores["validation_loss"], "accuracy": scores["validation_accuracy"]})
    # which training they belong to: `sync` logs no folds of an earlier one
    found = pd.DataFrame(rows).assign(fingerprint=models.load_record(paths.model(name)).fingerprint)
    summary = {
        f"{key}_{what}": float(value)
        for key in ("accuracy", "loss")
        for what, value in (("mean", found[key].mean()), ("std", found[key].std()))
    }
    with atomic_write(paths.metrics(name) / "folds.csv") as file:
        found.to_csv(file, index=False)
    with atomic_write(paths.metrics(name) / "folds.json") as file:
        file.write_text(json.dumps(summary | {"folds": folds}, indent=1) + "\n", "utf-8")
    tracker.send("folds", name)
    print(f"{name}: accuracy {summary['accuracy_mean']:.4f} ± {summary['accuracy_std']:.4f} over {folds} folds")


def _fold(
    experiment: Experiment,
    dataset: Tabular,
    training: pd.DataFrame,
    held_out: pd.DataFrame,
    params: Params,
) -> dict[str, Any]:
    """The last row of the history of a training on `training`; what is fitted to data is fitted to these rows."""
    data = fit(training, dataset)
    learn, held = (
        SplitArrays(torch.from_numpy(transform(data, table)), torch.from_numpy(transform_target(data, table)))
        for table in (training, held_out)
    )
    device = select_device(params.device)
    model = models.build(experiment, data)
    assert isinstance(experiment, Supervised)  # params/ allows nothing else here
    initialize(model, experiment.initialization)
    outcome = train(
        model, learn, held, experiment.model_copy(update={"early_stopping": None}), device=device,
        precision=select_precision(params.precision, device, model), on_epoch=lambda row: None,
    )  # fmt: skip
    return outcome.history[-1]
