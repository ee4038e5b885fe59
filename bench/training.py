"""An epoch of `mnist_mlp` and `mnist_cnn` against a tutorial's; the training loop against its bare steps."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import cast
from unittest import mock

import pandas as pd
import torch
from torch import nn

from bench.data import prepared, raw
from bench.measure import Options, Result, compare, take_turns
from bench.reference import bare
from bench.reference import mnist as tutorial
from torchprimer import models, params
from torchprimer.datasets.storage import SAMPLES_FILE, load_meta, load_split
from torchprimer.errors import UserError
from torchprimer.loops.supervised import train
from torchprimer.params.experiments import Experiment, Supervised
from torchprimer.tracking import Tracker
from torchprimer.training import EpochMetrics, TrainResult
from torchprimer.training.device import make_reproducible

CPU = torch.device("cpu")
LOOP_EPOCHS = 2


def epoch(name: str) -> Callable[[Options], Result]:
    """The line of one experiment: seconds of an epoch, training and validation, of the same model."""

    def line(options: Options) -> Result:
        experiment = _experiment(name, options.epochs)
        folder = prepared("mnist", options)
        rows = pd.read_csv(folder / SAMPLES_FILE, dtype=str)
        batch_size, lr, momentum = experiment.batch_size or len(rows), experiment.lr, experiment.momentum or 0.0

        def ours() -> tuple[float, float]:
            with _deterministic():
                model = models.build(cast(Experiment, experiment), load_meta(folder))
                result = _train(model, experiment, options, lambda _: None)
            return min(result.epoch_seconds), float(result.history[-1]["validation_accuracy"])

        def reference() -> tuple[float, float]:
            torch.manual_seed(0)
            model = tutorial.MODELS[name]()
            _require_equal_size(model, models.build(cast(Experiment, experiment), load_meta(folder)), name)
            loaders = tutorial.loaders(raw("mnist", options), options.temporary / "tutorial", rows, batch_size)
            epochs = tutorial.train(model, *loaders, epochs=options.epochs, lr=lr, momentum=momentum)
            return min(seconds for seconds, _ in epochs), epochs[-1][1]

        sides = take_turns(ours, reference, options.repeat)
        accuracy, expected = (max(accuracy for _, accuracy in side) for side in sides)
        our_seconds, reference_seconds = (min(seconds for seconds, _ in side) for side in sides)
        return compare(
            name,
            our_seconds,
            reference_seconds,
            at_least=2.0,
            note=f"validation accuracy {accuracy:.4f}, reference {expected:.4f}, in epoch {options.epochs}",
            fair=accuracy > expected - 0.01,
        )

    return line


def loop(options: Options) -> Result:
    """`train` as in a pipeline (history, checkpoint, MLflow, progress bar) against its steps and validations.

    The smallest model is the hardest case: the overhead of a step is the same for every model.
    """
    experiment = _experiment("mnist_mlp", LOOP_EPOCHS)
    folder = prepared("mnist", options)
    data = load_meta(folder)
    record = models.Record(
        experiment="mnist_mlp",
        params=cast(Experiment, experiment),
        run=models.RunSettings(seed=0, limit=None, device="cpu", precision="float32", processes=1, threads=1),
        data=data,
        data_digest="bench",
        init_from_digest="bench",
        versions={},
        fingerprint="bench",
    )
    store = {"DVC_ROOT": str(options.temporary)}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))}

    def ours() -> float:
        with (
            _deterministic(),
            mock.patch.dict(os.environ, inherited | store, clear=True),
            Tracker() as tracker,
        ):
            tracker.begin(record)
            model = models.build(cast(Experiment, experiment), data)
            with contextlib.redirect_stderr(Terminal()):
                started = time.perf_counter()
                _train(model, experiment, options, tracker.log_epoch)
            return time.perf_counter() - started

    def reference() -> float:
        with _deterministic():
            model = models.build(cast(Experiment, experiment), data)
            training, validation = load_split(folder, "train"), load_split(folder, "validation")
            started = time.perf_counter()
            bare.train(model, training, validation, experiment)
            return time.perf_counter() - started

    our_seconds, reference_seconds = take_turns(
        ours, reference, 3 * options.repeat
    )  # a difference of 5 % needs many short turns
    note = f"{LOOP_EPOCHS} epochs of mnist_mlp; at most 5 % slower than its bare steps"
    return compare("loop", median(our_seconds), median(reference_seconds), at_least=1 / 1.05, note=note)


class Terminal(io.StringIO):
    """A stream that a progress bar takes for a terminal."""

    def isatty(self) -> bool:
        return True


def _experiment(name: str, epochs: int) -> Supervised:
    experiment = params.load().experiments[name]
    assert isinstance(experiment, Supervised)
    return experiment.model_copy(update={"epochs": epochs, "early_stopping": None})


def _train(
    model: nn.Module, experiment: Supervised, options: Options, on_epoch: Callable[[EpochMetrics], None]
) -> TrainResult:
    folder = prepared("mnist", options)
    checkpoint = options.temporary / "checkpoint.pt"
    checkpoint.unlink(missing_ok=True)
    train_split, validation_split = load_split(folder, "train"), load_split(folder, "validation")
    return train(
        model, train_split, validation_split, experiment,
        device=CPU, precision=torch.float32, on_epoch=on_epoch, checkpoint=checkpoint, title="bench",
    )  # fmt: skip


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Seeded and deterministic as in the stage `train`; afterwards with PyTorch's defaults."""
    make_reproducible(0, threads=1)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _require_equal_size(reference: nn.Module, model: nn.Module, name: str) -> None:
    counts = [sum(parameter.numel() for parameter in model.parameters()) for model in (reference, model)]
    if counts[0] != counts[1]:
        raise UserError(f"{name} has {counts[1]:,} parameters in params.yaml, {counts[0]:,} in bench/reference")
