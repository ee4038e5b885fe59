"""The supervised loop and what belongs to it, on real digits: numbers against independent ones, resuming, repeating."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.clone import PROJECT
from tests.objects import load_experiment, make_meta, make_record
from torchprimer import models, paths
from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.loops.supervised import (
    best_epoch,
    build_optimizer,
    build_scheduler,
    score,
    stopped_early,
    train,
)
from torchprimer.loops.supervised.augmentation import augment
from torchprimer.params.experiments import Supervised
from torchprimer.tasks import get_task
from torchprimer.training import EpochMetrics
from torchprimer.training.checkpoint import Checkpoint
from torchprimer.training.device import make_reproducible, select_device, select_precision
from torchprimer.training.fingerprint import fingerprint

CPU = torch.device("cpu")
DIGITS = make_meta(kind="images", shape=[1, 28, 28], classes=list("0123456789"), mean=[0.1307], std=[0.3081])
SCHEDULERS: list[dict[str, Any] | None] = [
    None,
    {"name": "StepLR", "step_size": 2, "gamma": 0.1},
    {"name": "MultiStepLR", "milestones": [1, 3], "gamma": 0.5},
    {"name": "ExponentialLR", "gamma": 0.9},
    {"name": "ReduceLROnPlateau", "factor": 0.5, "patience": 0},
    {"name": "OneCycleLR"},
    {"name": "CosineAnnealingLR"},
]


@pytest.fixture(scope="module")
def digits(real_raw: Any) -> tuple[SplitArrays, SplitArrays]:
    """600 training and 300 validation digits."""
    folder = real_raw("mnist")
    images = np.fromfile(folder / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / "train-labels-idx1-ubyte", np.uint8)[8:].astype(np.int64)
    cut = [
        SplitArrays(torch.from_numpy(images[a:b].copy()), torch.from_numpy(labels[a:b]))
        for a, b in ((0, 600), (600, 900))
    ]
    return cut[0], cut[1]


def settings(name: str = "mnist_mlp", **changes: Any) -> Supervised:
    experiment = load_experiment(name, **({"epochs": 3} | changes))
    assert isinstance(experiment, Supervised)
    return experiment


def fit(
    digits: tuple[SplitArrays, SplitArrays],
    experiment: Supervised,
    checkpoint: Path | None = None,
    on_epoch: Any = lambda row: None,
) -> tuple[dict[str, torch.Tensor], list[EpochMetrics], nn.Module]:
    make_reproducible(0, threads=1)
    model = models.build(experiment, DIGITS)
    outcome = train(
        model, *digits, experiment, device=CPU, precision=torch.float32, on_epoch=on_epoch, checkpoint=checkpoint
    )
    return outcome.weights, outcome.history, model


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_one_step_of_sgd_is_the_formula(digits: tuple[SplitArrays, SplitArrays]) -> None:
    """A single full batch: weights minus lr times the gradient of the mean cross-entropy, computed by hand."""
    training = SplitArrays(digits[0].inputs[:50], digits[0].targets[:50])
    experiment = settings(hidden=[], batch_size=50, epochs=1, momentum=0.0, lr=0.1)
    make_reproducible(0, threads=1)
    start = models.build(experiment, DIGITS).state_dict()
    weights, _, _ = fit((training, digits[1]), experiment)
    x = ((training.inputs.double().flatten(1) / 255 - 0.1307) / 0.3081).numpy()
    w, b = start["net.1.weight"].double().numpy(), start["net.1.bias"].double().numpy()
    z = x @ w.T + b
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    error = (p - np.eye(10)[training.targets.numpy()]) / 50
    np.testing.assert_allclose(weights["net.1.weight"], w - 0.1 * error.T @ x, atol=1e-6)
    np.testing.assert_allclose(weights["net.1.bias"], b - 0.1 * error.sum(0), atol=1e-6)


def test_history_is_what_happened(digits: tuple[SplitArrays, SplitArrays]) -> None:
    heard: list[EpochMetrics] = []
    weights, history, model = fit(digits, settings(lr=0.1), on_epoch=heard.append)
    assert heard == history
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[2]["train_loss"] < history[0]["train_loss"]
    objective = get_task("classification").objective(settings())
    loss, accuracy = score(model, digits[1], objective, CPU, torch.float32).values()
    assert (loss, accuracy) == (history[-1]["validation_loss"], history[-1]["validation_accuracy"])
    with torch.no_grad():
        logits = model(digits[1].inputs)
    assert accuracy == (logits.argmax(1) == digits[1].targets).double().mean().item()
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, digits[1].targets).item(), rel=1e-5)
    model.load_state_dict(weights)
    best = history[best_epoch(history, "accuracy") - 1]
    assert score(model, digits[1], objective, CPU, torch.float32)["accuracy"] == best["validation_accuracy"]


def test_every_sample_is_seen_once_an_epoch() -> None:
    """257 samples in batches of at most 64: no sample left out or seen twice, and no batch of a single one."""
    seen: list[torch.Tensor] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(1, 10)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(inputs.flatten())
            return self.line(inputs.float())

    numbers = torch.arange(257).unsqueeze(1)
    data = SplitArrays(numbers, torch.zeros(257, dtype=torch.int64))
    train(
        Spy(), data, data, settings(epochs=1, lr=1e-6),
        device=CPU, precision=torch.float32, on_epoch=lambda row: None,
    )  # fmt: skip
    assert torch.equal(torch.cat(seen).sort().values, numbers.flatten())
    assert {len(batch) for batch in seen} <= {51, 52}
    assert not torch.equal(torch.cat(seen), numbers.flatten())


def test_an_autoencoder_reconstructs_the_augmented_images(digits: tuple[SplitArrays, SplitArrays]) -> None:
    """A model that returns its input has no loss, however the input was flipped and moved."""

    class Echo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float() / 255 + 0 * self.weight

    augmentation = {"horizontal_flip": True, "max_translate": 3}
    result = train(
        Echo(), *digits, settings("mnist_autoencoder", epochs=1, augment=augmentation),
        device=CPU, precision=torch.float32, on_epoch=lambda row: None,
    )  # fmt: skip
    assert (result.history[0]["train_loss"], result.history[0]["validation_loss"]) == (0, 0)


def test_durations_are_no_part_of_the_history(digits: tuple[SplitArrays, SplitArrays]) -> None:
    """The history of a repeated training is the same file, to the byte."""
    experiment, model = settings(hidden=[]), models.build(settings(hidden=[]), DIGITS)
    model[1].requires_grad_(False)[1].bias.requires_grad_(True)
    result = train(model, *digits, experiment, device=CPU, precision=torch.float32, on_epoch=lambda row: None)
    assert len(result.epoch_seconds) == len(result.history) == 3
    assert min(result.epoch_seconds) > 0
    content = result.summary(model)
    assert not [key for key in [*result.history[0], *content] if "seconds" in key]
    assert (content["parameters"], content["trainable_parameters"]) == (7850, 10)


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn"])
def test_same_seed_same_weights(digits: tuple[SplitArrays, SplitArrays], name: str) -> None:
    experiment = settings(
        name, epochs=2, dropout=0.2, batch_norm=True, augment={"horizontal_flip": True, "max_translate": 2}
    )
    first, second = fit(digits, experiment)[0], fit(digits, experiment)[0]
    assert same(first, second)


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda s: s["name"] if s else "constant")
def test_interrupted_training_ends_with_the_same_weights(
    digits: tuple[SplitArrays, SplitArrays], scheduler: dict[str, Any] | None, tmp_path: Path
) -> None:
    """Dropout, batch norm, augmentation, momentum and scheduler all go on where they were."""
    experiment = settings(
        "mnist_cnn", epochs=5, lr=0.05, dropout=0.2, hidden=[32], batch_norm=True, scheduler=scheduler,
        augment={"horizontal_flip": True, "max_translate": 2},
    )  # fmt: skip
    whole, history, _ = fit(digits, experiment)

    def interrupt(row: EpochMetrics) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    file = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(digits, experiment, file, interrupt)
    heard: list[EpochMetrics] = []
    resumed, resumed_history, _ = fit(digits, experiment, file, heard.append)
    assert [row["epoch"] for row in heard] == [1, 2, 3, 4, 5]  # MLflow gets a run with all of them
    assert same(whole, resumed)
    assert history == resumed_history


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_every_optimizer_learns(digits: tuple[SplitArrays, SplitArrays], optimizer: str) -> None:
    experiment = settings(
        hidden=[64], optimizer=optimizer, lr=0.05 if optimizer == "SGD" else 0.002, momentum=None, epochs=4
    )
    history = fit(digits, experiment)[1]
    assert history[-1]["validation_accuracy"] > 0.5
    assert type(build_optimizer(experiment, nn.Linear(1, 1))).__name__ == optimizer


def test_frozen_parameters_are_not_optimized() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0].requires_grad_(False)
    optimizer = build_optimizer(settings(), model)
    assert [id(p) for group in optimizer.param_groups for p in group["params"]] == [
        id(p) for p in model[1].parameters()
    ]


def test_learning_rates_follow_their_schedule(digits: tuple[SplitArrays, SplitArrays]) -> None:
    """The rates of the history against the closed forms."""
    expected = {
        "StepLR": [0.1, 0.1, 0.01, 0.01],
        "MultiStepLR": [0.1, 0.05, 0.05, 0.025],
        "ExponentialLR": [0.1 * 0.9**e for e in range(4)],
        "CosineAnnealingLR": [0.05 * (1 + np.cos(np.pi * e / 4)) for e in range(4)],
    }
    for scheduler in SCHEDULERS:
        if scheduler and scheduler["name"] in expected:
            history = fit(digits, settings(lr=0.1, epochs=4, hidden=[], scheduler=scheduler))[1]
            assert [row["lr"] for row in history] == pytest.approx(expected[scheduler["name"]])


def test_one_cycle_ends_after_the_last_step() -> None:
    experiment = settings(lr=0.1, epochs=3, scheduler={"name": "OneCycleLR"})
    optimizer = build_optimizer(experiment, nn.Linear(1, 1))
    scheduler = build_scheduler(experiment, optimizer, steps_per_epoch=7)
    rates = []
    for _ in range(21):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        assert scheduler is not None
        scheduler.step() if len(rates) < 21 else None
    assert max(rates) == pytest.approx(0.1, rel=0.05)
    assert rates[-1] < 1e-5


def test_early_stopping(digits: tuple[SplitArrays, SplitArrays]) -> None:
    history = fit(digits, settings(lr=1e-9, epochs=20, early_stopping=2))[1]
    assert len(history) == best_epoch(history, "accuracy") + 2 < 20
    assert not stopped_early([], 1, "accuracy")


def test_best_epoch_is_by_accuracy_then_by_loss() -> None:
    rows = [(0.9, 0.30), (0.95, 0.40), (0.95, 0.35), (0.94, 0.10)]
    history = [{"epoch": i, "validation_accuracy": a, "validation_loss": b} for i, (a, b) in enumerate(rows, 1)]
    assert best_epoch(history, "accuracy") == 3


def test_diverging_training_says_so(digits: tuple[SplitArrays, SplitArrays]) -> None:
    with pytest.raises(UserError, match=r"diverged; lower lr"):
        fit(digits, settings("mnist_cnn", lr=1e10))


def test_a_training_whose_last_step_diverges_says_so() -> None:
    """The losses of an epoch are summed up before its steps, so the last step shows on the validation split alone."""
    points = SplitArrays(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]]))
    experiment = settings("line_autograd", lr=1e30, epochs=1)
    with pytest.raises(UserError, match=r"and inf on the validation split after epoch 1, the training diverged"):
        train(
            nn.Linear(1, 1), points, points, experiment,
            device=CPU, precision=torch.float32, on_epoch=lambda row: None,
        )  # fmt: skip


def test_batch_norm_is_not_left_alone_with_one_sample(digits: tuple[SplitArrays, SplitArrays]) -> None:
    five = SplitArrays(digits[0].inputs[:5], digits[0].targets[:5])
    with pytest.raises(
        UserError, match=r"batch norm needs 2 samples .* 5 samples in batches of at most 2 leave a batch of one"
    ):
        fit((five, five), settings(batch_norm=True, batch_size=2))
    fit((five, five), settings(batch_norm=True, batch_size=3))
    fit((five, five), settings(batch_size=2))


def test_batches_too_small_to_be_shared_are_not(
    digits: tuple[SplitArrays, SplitArrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 3 and 2 leave one of two processes a single sample: each takes all the steps, as one alone would."""
    five = SplitArrays(digits[0].inputs[:5], digits[0].targets[:5])
    alone, _, _ = fit((five, five), settings(batch_norm=True, batch_size=3))
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)  # without it two processes would not find together
    together, _, _ = fit((five, five), settings(batch_norm=True, batch_size=3))
    assert same(together, alone)


def test_checkpoints_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0, 1, 18, 20, 22])  # s: one that takes 1 s, one too early, one in time
    monkeypatch.setattr("torchprimer.training.checkpoint.time.perf_counter", lambda: next(now))
    model = nn.Linear(1, 1)
    kept = Checkpoint(tmp_path / "state.pt", {"model": model}, CPU)
    assert kept.load() == {}
    for epoch, expected in ((1, 1), (2, 1), (3, 3)):
        kept.save(epoch=epoch)
        assert kept.load() == {"epoch": expected}


def test_the_fingerprint_is_of_all_code_that_decides_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(PROJECT / "dvc.yaml", tmp_path)
    shutil.copytree(PROJECT / "src", tmp_path / "src")
    record = make_record(settings(), DIGITS)
    other_threads = record.model_copy(update={"run": record.run.model_copy(update={"threads": 2})})
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    code = tmp_path / "src" / "torchprimer"
    seen = {fingerprint(record, tmp_path)}
    decisive = (
        "tasks/base.py",
        "loops/supervised/augmentation.py",
        "loops/supervised/__init__.py",
        "models/mlp.py",
        "training/setup.py",
    )
    for number, name in enumerate((*decisive, "models/cnn.py", "stages/train.py", "loops/adversarial/__init__.py")):
        with (code / name).open("a") as file:
            file.write("# another line\n")
        seen.add(fingerprint(record, tmp_path))
        assert len(seen) == min(number + 2, len(decisive) + 1), name
    assert fingerprint(other_threads, tmp_path) not in seen  # sums over other parts round differently


def test_pytorch_computes_with_as_many_threads_as_params_say() -> None:
    for threads in (2, 1):
        make_reproducible(0, threads)
        assert torch.get_num_threads() == threads


def test_augmented_images_are_the_same_images_moved(digits: tuple[SplitArrays, SplitArrays]) -> None:
    images = digits[0].inputs[:40]
    torch.manual_seed(0)
    changed = augment(images, horizontal_flip=True, max_translate=3)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    padded = nn.functional.pad(images, (3, 3, 3, 3))
    kinds = set()
    for image, result in zip(padded, changed, strict=True):
        found = [
            (mirrored, down, right)
            for mirrored in (False, True)
            for down in range(7)
            for right in range(7)
            if torch.equal((image.flip(2) if mirrored else image)[:, down : down + 28, right : right + 28], result)
        ]
        assert found, "not a flip and a shift of the image"
        kinds.add(found[0])
    assert len(kinds) > 20
    assert torch.equal(augment(images, horizontal_flip=False, max_translate=0), images)


def test_bfloat16_trains_too(digits: tuple[SplitArrays, SplitArrays]) -> None:
    experiment = settings("mnist_cnn", lr=0.05)
    make_reproducible(0, threads=1)
    model = models.build(experiment, DIGITS)
    outcome = train(
        model, *digits, experiment, device=CPU, precision=torch.bfloat16, on_epoch=lambda row: None
    )  # fmt: skip
    assert outcome.history[-1]["train_loss"] < outcome.history[0]["train_loss"]
    assert outcome.weights["net.1.weight"].dtype == torch.float32


def test_device_that_is_not_there() -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(UserError, match=rf"device: {missing} is not available, this machine has .*set device: auto"):
        select_device(missing)
    assert select_device("cpu") == CPU
    small, large = nn.Conv2d(3, 8, 3), nn.Conv2d(128, 128, 3)
    assert select_precision("bf16", CPU, small) == torch.bfloat16
    assert select_precision("float32", CPU, large) == torch.float32
    assert select_precision("auto", CPU, small) == torch.float32
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert select_precision("auto", CPU, large) == (torch.bfloat16 if fast else torch.float32)
    depthwise = nn.Sequential(large, nn.Conv2d(128, 128, 3, groups=128))
    assert select_precision("auto", CPU, depthwise) == torch.float32
