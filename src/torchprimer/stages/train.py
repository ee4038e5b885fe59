"""Trains one experiment: models/E/ (weights and record), metrics/E/train.json and history.csv, an MLflow run."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from torchprimer import models, paths
from torchprimer.atomic import atomic_write, remove
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import SplitArrays, load_meta, load_split
from torchprimer.params import Experiment, Params
from torchprimer.tasks import get_task
from torchprimer.tracking import Tracker
from torchprimer.training import Row, TrainResult, launch
from torchprimer.training.device import seed_everything, select_device, select_precision
from torchprimer.training.distributed import local_device
from torchprimer.training.initialization import initialize
from torchprimer.training.transfer import freeze, load_initial_weights


def run(params: Params, name: str, tracker: Tracker | None) -> None:
    """`tracker`: None in processes that only help the first one (torchrun)."""
    experiment = params.resolve(name)
    if not tracker and experiment.loop != "supervised":
        return  # the other loops are for one process
    uses_numpy = experiment.loop in ("grid_search", "gradient_descent")
    device = torch.device("cpu") if uses_numpy else local_device(select_device(params.device))
    prepared = paths.prepared(experiment.dataset)
    start = paths.model(experiment.init_from)
    meta = load_meta(prepared)
    seed_everything(params.seed)
    model = models.build(experiment, meta)
    precision = torch.float64 if uses_numpy else select_precision(params.precision, device, model)
    record = models.Record(
        experiment=name,
        params=experiment,
        run=models.RunSettings(
            seed=params.seed,
            limit=params.limit,
            device=str(device),
            precision=str(precision).removeprefix("torch."),
            processes=launch.count(),
        ),
        data=meta,
        data_digest=hashlib.sha256((prepared / "meta.json").read_bytes()).hexdigest(),
        init_from_digest=digest_of(start),
        versions={package: metadata.version(package) for package in ("torch", "numpy")},
    )
    record = record.model_copy(update={"fingerprint": fingerprint(record)})

    initialize(model, getattr(experiment, "initialization", "default"))
    report = load_initial_weights(model, experiment.init_from, start)
    if experiment.init_from != "scratch" and tracker:
        print(f"{name}: starts from {experiment.init_from}: {report}")
    freeze(model, getattr(experiment, "freeze", []))
    checkpoint = paths.checkpoint(name, record.fingerprint)
    if checkpoint.is_file() and tracker:
        print(f"{name}: resumes an interrupted training from its last completed epoch")
    task = get_task(experiment.task)
    train_split, validation_split = (task.targets(load_split(prepared, part)) for part in ("train", "validation"))
    run_id = tracker.begin(record.model_dump(mode="json")) if tracker else ""
    outcome = import_module(f"torchprimer.training.loops.{experiment.loop}").train(
        model,
        train_split,
        validation_split,
        experiment,
        device=device,
        precision=precision,
        on_epoch=_Listeners(tracker, run_id if os.environ.get("TORCHPRIMER_TENSORBOARD") == "1" else None, name)
        if tracker
        else _ignore,
        checkpoint=checkpoint,
        title=name,
        watch=watcher(experiment, meta, train_split),
    )
    if not tracker:
        return
    scores = summary(outcome, model)
    with atomic_write(paths.model(name)) as folder:
        folder.mkdir()
        models.save(outcome.weights, record, folder)
        for key, array in outcome.extras.items():
            np.save(folder / f"{key}.npy", array)
    with atomic_write(paths.metrics(name) / "history.csv") as file:
        pd.DataFrame(outcome.history).to_csv(file, index=False)
    with atomic_write(paths.metrics(name) / "train.json") as file:
        file.write_text(json.dumps(scores, indent=1) + "\n", "utf-8")
    tracker.send("training", name)
    tracker.finish()  # if MLflow fails, the stage does, and the next one goes on from the checkpoint
    remove(checkpoint)
    best = ", ".join(
        f"{key.removesuffix('_best').replace('_', ' ')} {value:.4f}"
        for key, value in scores.items()
        if key.endswith("_best")
    )
    print(
        f"{name}: {best or 'trained'} after epoch {scores['best_epoch']} of {scores['epochs']}, "
        f"{scores['seconds']:.0f} s on {device} in {record.run.precision}"
    )


def watcher(experiment: Experiment, meta: Meta, training: SplitArrays) -> Callable[[nn.Module], Row] | None:
    """What to note down of a model after each epoch: the line's weight and bias, the string that it spells."""
    if experiment.model == "rnn":
        from torchprimer.models.rnn import greedy_decode

        return lambda model: {"text": greedy_decode(model, training.inputs, meta.classes)}
    if experiment.model == "linear" and meta.shape == [1] and len(meta.classes) <= 2:
        from torchprimer.models.linear import linear_layer

        return lambda model: {name: value.item() for name, value in linear_layer(model).named_parameters()}
    return None


def fingerprint(record: models.Record) -> str:
    """SHA-256 of all that decides the weights: params, data, and the code that dvc.yaml names as their dependencies."""
    from ruamel.yaml import YAML

    digest = hashlib.sha256()
    inputs = record.model_dump(mode="json", include={"experiment", "params", "run", "data_digest", "init_from_digest"})
    digest.update(json.dumps(inputs, sort_keys=True).encode())
    stages = YAML(typ="safe").load((paths.project() / "dvc.yaml").read_text("utf-8"))["stages"]
    for dependency in stages["train"]["do"]["deps"]:
        if dependency.startswith("src/"):
            place = re.sub(r"\$\{item\.(\w+)\}", lambda found: str(getattr(record.params, found[1])), dependency)
            code = paths.project() / place
            for file in sorted(code.rglob("*.py")) if code.is_dir() else [code]:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def digest_of(start: Path) -> str:
    """SHA-256 of all files of the model that a training starts from, or of the one file."""
    digest = hashlib.sha256()
    for file in [start] if start.is_file() else sorted(path for path in start.rglob("*") if path.is_file()):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def summary(outcome: TrainResult, model: nn.Module) -> dict[str, float]:
    """train.json: the best epoch and its scores, the last epoch's, seconds of all epochs, trained parameters.

    Of a search, whose rows are candidates, the last one means nothing and is left out.
    """
    best, last = outcome.history[outcome.best_epoch - 1], outcome.history[-1]
    numbers = {
        key: value for key, value in last.items() if isinstance(value, int | float) and key not in ("epoch", "lr")
    }
    del numbers["epoch_seconds"]
    return {
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch,
        **{f"{key}_best": best[key] for key in numbers if key.startswith(("validation_", "weight", "bias"))},
        **({f"{key}_final": value for key, value in numbers.items()} if "lr" in last else {}),
        "seconds": round(sum(float(row["epoch_seconds"]) for row in outcome.history), 1),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def _ignore(_row: Row) -> None:
    """What the other processes do with an epoch."""


class _Listeners:
    """Who hears of each epoch: MLflow, and TensorBoard if asked for."""

    def __init__(self, tracker: Tracker, tensorboard_run: str | None, name: str) -> None:
        self.tracker, self.writer = tracker, None
        if tensorboard_run:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(paths.tensorboard(name, tensorboard_run))

    def __call__(self, row: Row) -> None:
        self.tracker.send("epoch", row)
        if self.writer:
            for key, value in row.items():
                if isinstance(value, str):
                    self.writer.add_text(key, value, int(row["epoch"]))
                else:
                    self.writer.add_scalar(key, value, int(row["epoch"]))
            self.writer.flush()
