"""Cross-validates an experiment and the baseline of its dataset: metrics/E/folds.json, folds.csv.

Stratified k-fold cross-validation (Stone 1974; Kohavi 1995) on training and validation rows, without the test rows. The
score of a fold is that of the last epoch: an epoch chosen on the fold would score too high. Equal rows share a fold.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from torchprimer import models, paths
from torchprimer.atomic import atomic_write, write_json
from torchprimer.datasets.storage import SplitArrays, load_samples
from torchprimer.datasets.tabular import duplicate_groups, read_table
from torchprimer.datasets.tabular_preprocessing import fit, transform, transform_target
from torchprimer.errors import UserError
from torchprimer.loops.supervised import train
from torchprimer.params import Experiment, Params, Tabular
from torchprimer.params.experiments import Supervised
from torchprimer.tasks.baselines import fit_baselines
from torchprimer.tracking import Tracker
from torchprimer.training.device import make_reproducible, select_device, select_precision
from torchprimer.training.initialization import initialize


def run(params: Params, name: str, tracker: Tracker) -> None:
    from sklearn.model_selection import StratifiedKFold

    experiment, folds = params.resolve(name), params.crossvalidate[name].folds
    dataset = params.datasets[experiment.dataset]
    assert isinstance(dataset, Tabular)  # params/ allows nothing else here
    prepared = paths.prepared(experiment.dataset)
    samples = load_samples(prepared).query("split != 'test'")
    table = read_table(paths.raw(dataset.raw)).loc[samples["id"]]
    content = duplicate_groups(table, dataset)
    labels = samples["label"].to_numpy()[np.unique(content, return_index=True)[1]]  # of one row of each content
    smallest = np.unique(labels, return_counts=True)[1].min()
    if smallest < folds:
        raise UserError(
            f"crossvalidate.{name}.folds: {folds} folds need as many rows of each class, and one class has {smallest}"
        )
    rows = []
    parts = StratifiedKFold(folds, shuffle=True, random_state=params.seed).split(labels, labels)
    for number, (_, fold_groups) in enumerate(parts, 1):
        make_reproducible(params.seed, params.threads)
        is_held_out = np.isin(content, fold_groups)
        rows.append({"fold": number} | _fold(experiment, dataset, table[~is_held_out], table[is_held_out], params))
    scores = pd.DataFrame(rows)
    summary = {
        f"{key}_{statistic}": float(value)
        for key in ("accuracy", "loss", "baseline_accuracy")
        for statistic, value in (("mean", scores[key].mean()), ("std", scores[key].std()))
    }
    low, high = difference_interval((scores["accuracy"] - scores["baseline_accuracy"]).to_numpy())
    summary |= {"difference_low": low, "difference_high": high, "folds": folds}
    # the fingerprint of the training: `sync` does not log folds of an earlier one
    scores["fingerprint"] = models.load_record(paths.model(name)).fingerprint
    with atomic_write(paths.metrics(name) / "folds.csv") as file:
        scores.to_csv(file, index=False)
    write_json(paths.metrics(name) / "folds.json", summary)
    tracker.log("folds", name)
    print(f"{name}: accuracy {summary['accuracy_mean']:.4f} ± {summary['accuracy_std']:.4f} over {folds} folds")


def difference_interval(differences: npt.NDArray[np.float64]) -> tuple[float, float]:
    """95% confidence interval of the mean difference between two models on the same k folds, shape (k,).

    The corrected t interval (Nadeau, Bengio 2003): the training rows of the folds overlap, so the variance of the mean
    is estimated as (1/k + 1/(k-1)) times that of the differences, not as 1/k times.
    """
    from scipy.stats import t  # type: ignore[import-untyped]

    k = len(differences)
    margin = t.ppf(0.975, k - 1) * differences.std(ddof=1) * math.sqrt(1 / k + 1 / (k - 1))
    return float(differences.mean() - margin), float(differences.mean() + margin)


def _fold(
    experiment: Experiment, dataset: Tabular, training: pd.DataFrame, held_out: pd.DataFrame, params: Params
) -> dict[str, float]:
    """Scores on `held_out` after the last epoch; preprocessing, model and baseline are fitted to `training` only."""
    data = fit(training, dataset)
    train_split, validation_split = (
        SplitArrays(torch.from_numpy(transform(data, table)), torch.from_numpy(transform_target(data, table)))
        for table in (training, held_out)
    )
    device = select_device(params.device)
    model = models.build(experiment, data)
    assert isinstance(experiment, Supervised)  # as above
    initialize(model, experiment.initialization)
    result = train(
        model, train_split, validation_split, experiment.model_copy(update={"early_stopping": None}), device=device,
        precision=select_precision(params.precision, device, model), on_epoch=lambda row: None,
    )  # fmt: skip
    scores = {key: float(result.history[-1][f"validation_{key}"]) for key in ("loss", "accuracy")}
    baseline = fit_baselines(train_split, validation_split, data, dataset.baseline, params.seed)[dataset.baseline]
    return scores | {"baseline_accuracy": baseline["accuracy"]}
