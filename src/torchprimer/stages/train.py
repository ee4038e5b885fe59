"""Trains one experiment: models/E/ (weights and record), metrics/E/train.json and history.csv, an MLflow run.

Nothing in this file decides the weights, so dvc.yaml does not name it: it reads, calls training/, writes and logs.
"""

import os
import sys
import time

import numpy as np
import pandas as pd

from torchprimer import models, paths
from torchprimer.atomic import atomic_write, write_json
from torchprimer.datasets.storage import load_split
from torchprimer.loops import get_loop
from torchprimer.params import Params
from torchprimer.tracking import Tracker
from torchprimer.training import EpochMetrics, TrainResult
from torchprimer.training.checkpoint import in_use, prune
from torchprimer.training.setup import set_up

TENSORBOARD_ENV = "TORCHPRIMER_TENSORBOARD"
PRINT_SECONDS = 2  # between two lines of epochs, where there is no terminal for a progress bar

PRINTED = (  # what a line of an epoch tells, if the experiment has it
    "validation_accuracy", "validation_r2", "validation_loss", "generator_loss", "discriminator_loss", "train_loss",
)  # fmt: skip


def run(params: Params, name: str, tracker: Tracker | None) -> None:
    """`tracker`: None in the processes of torchrun that only compute their shard, all but rank 0."""
    experiment = params.resolve(name)
    if not tracker and not experiment.distributed:
        return
    prepared = paths.prepared(experiment.dataset)
    train_split, validation_split = load_split(prepared, "train"), load_split(prepared, "validation")
    setup = set_up(params, name, prepared, paths.model(experiment.init_from), paths.project())
    probe = getattr(models.get_family(experiment.model), "epoch_probe", None)
    checkpoint = paths.checkpoint(name, setup.record.fingerprint)
    if tracker:
        if experiment.init_from != "scratch":
            print(f"{name}: starts from {experiment.init_from}: {setup.transfer}")
        if checkpoint.is_file():
            print(f"{name}: resumes an interrupted training from its last completed epoch")
        tracker.begin(setup.record)
    with in_use(checkpoint):
        result: TrainResult = get_loop(experiment.loop).train(
            setup.model, train_split, validation_split, experiment, device=setup.device, precision=setup.precision,
            on_epoch=EpochLogger(tracker, name, getattr(experiment, "epochs", None)), checkpoint=checkpoint, title=name,
            epoch_probe=probe and (lambda model: probe(model, setup.record.data, train_split)),
        )  # fmt: skip
    if not tracker:
        return
    scores, seconds = result.summary(setup.model), round(sum(result.epoch_seconds), 1)
    with atomic_write(paths.model(name)) as folder:
        folder.mkdir()
        models.save(result.weights, setup.record, folder)
        for key, array in result.artifacts.items():
            np.save(folder / f"{key}.npy", array)
    with atomic_write(paths.metrics(name) / "history.csv") as file:
        pd.DataFrame(result.history).to_csv(file, index=False)
    # durations differ between runs: no output of DVC
    timing = {"fingerprint": setup.record.fingerprint, "seconds": seconds, "epoch_seconds": result.epoch_seconds}
    write_json(paths.metrics(name) / "timing.json", timing)
    write_json(paths.metrics(name) / "train.json", scores)
    tracker.log("training", name)
    tracker.finish()
    prune(checkpoint)
    best = {key.removesuffix("_best"): value for key, value in scores.items() if key.endswith("_best")}
    text = ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in best.items())
    print(
        f"{name}: {text or 'trained'} after epoch {scores['best_epoch']} of {scores['epochs']}, "
        f"{seconds:.0f} s on {setup.device} in {setup.record.run.precision}"
    )


class EpochLogger:
    """Sends the metrics of each epoch to MLflow, and to TensorBoard with TORCHPRIMER_TENSORBOARD=1.

    Without a terminal it prints them, too. `epochs`: how many there will be at most; None: not known.
    """

    def __init__(self, tracker: Tracker | None, name: str, epochs: int | None) -> None:
        self.tracker, self.writer = tracker, None
        self.name, self.of = name, f" of {epochs}" if epochs else ""
        self.print_at = time.monotonic() + PRINT_SECONDS if tracker and not sys.stderr.isatty() else float("inf")
        if tracker and os.environ.get(TENSORBOARD_ENV) == "1":
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(paths.tensorboard(name, time.strftime("%Y%m%d-%H%M%S")))

    def __call__(self, row: EpochMetrics) -> None:
        if self.tracker:
            self.tracker.log_epoch(row)
        if self.writer:
            for key, value in row.items():
                add = self.writer.add_text if isinstance(value, str) else self.writer.add_scalar
                add(key, value, int(row["epoch"]))
            self.writer.flush()
        if time.monotonic() > self.print_at:
            self.print_at = time.monotonic() + PRINT_SECONDS
            values = [f"{key.replace('_', ' ')} {row[key]:.4f}" for key in PRINTED if key in row]
            print(", ".join([f"{self.name}: epoch {row['epoch']}{self.of}", *values]), flush=True)
