"""The autoencoder: what goes through its three numbers, and what evaluation says of it, against NumPy."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import SplitArrays
from torchprimer.evaluation import EvaluationContext
from torchprimer.export.onnx import check_parity, export_onnx
from torchprimer.loops.supervised import train
from torchprimer.models.autoencoder import Autoencoder
from torchprimer.params import Experiment
from torchprimer.tasks.reconstruction import evaluation as reconstruction
from torchprimer.training.device import make_reproducible

CPU = torch.device("cpu")
DIGITS = make_meta(kind="images", shape=[1, 28, 28], classes=list("0123456789"), mean=[0.1307], std=[0.3081])
AUTOENCODER = make_experiment(
    model="autoencoder", hidden=[128, 64, 12, 3], optimizer="Adam", lr=0.002, batch_size=64, epochs=6
)


@pytest.fixture(scope="module")
def digits(real_raw: Callable[[str], Path]) -> tuple[SplitArrays, SplitArrays]:
    """2,000 and 500 digits."""
    folder = real_raw("mnist")
    images = np.fromfile(folder / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / "train-labels-idx1-ubyte", np.uint8)[8:].astype(np.int64)
    cut = [
        SplitArrays(torch.from_numpy(images[a:b].copy()), torch.from_numpy(labels[a:b]))
        for a, b in ((0, 2000), (2000, 2500))
    ]
    return cut[0], cut[1]


def build(experiment: Experiment = AUTOENCODER, meta: Meta = DIGITS) -> nn.Module:
    make_reproducible(0, threads=1)
    return models.build(experiment, meta).eval()


def make_context(
    model: nn.Module, digits: tuple[SplitArrays, SplitArrays], loss: str = "mse_loss"
) -> EvaluationContext:
    return EvaluationContext(
        name="digits",
        model=model,
        record=make_record(AUTOENCODER.model_copy(update={"loss": loss}), DIGITS),
        history=pd.DataFrame(),
        train=digits[0],
        test=digits[1],
        ids=[f"train/{i}" for i in range(len(digits[1]))],
        artifacts={},
        scorer=None,
        device=CPU,
    )


@pytest.fixture(scope="module")
def model(digits: tuple[SplitArrays, SplitArrays]) -> nn.Module:
    """Trained for six epochs."""
    make_reproducible(0, threads=1)
    model = models.build(AUTOENCODER, DIGITS)
    splits = [SplitArrays(split.inputs, split.inputs) for split in digits]
    outcome = train(model, *splits, AUTOENCODER, device=CPU, precision=torch.float32, on_epoch=lambda row: None)
    losses = [float(row["validation_loss"]) for row in outcome.history]
    assert losses == sorted(losses, reverse=True)
    model.load_state_dict(outcome.weights)
    return model.eval()


def test_architecture() -> None:
    weights = [tuple(weight.shape) for weight in build().parameters() if weight.ndim > 1]
    assert weights == [(128, 784), (64, 128), (12, 64), (3, 12), (12, 3), (64, 12), (128, 64), (784, 128)]


@pytest.mark.parametrize(("shape", "hidden"), [([1, 28, 28], [128, 64, 3]), ([3, 16, 20], [8]), ([1, 8, 8], [5, 1])])
def test_images_in_codes_between_images_out(shape: list[int], hidden: list[int]) -> None:
    """The formula, layer by layer: no ReLU at the code, a sigmoid at the end."""
    meta = make_meta(kind="images", shape=shape, mean=[0.5] * shape[0], std=[0.3] * shape[0])
    net = build(AUTOENCODER.model_copy(update={"hidden": hidden}), meta)
    inside = net.get_submodule("net")
    assert isinstance(inside, Autoencoder)
    x = torch.randn(7, *shape)
    weights = [parameter.detach().double().numpy() for parameter in inside.parameters()]
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    values = x.double().flatten(1).numpy()
    for number, (weight, bias) in enumerate(pairs, 1):
        values = values @ weight.T + bias
        if number == len(hidden):
            np.testing.assert_allclose(inside.encode(x).detach(), values, atol=1e-5)
            assert values.shape == (7, hidden[-1])
            assert values.min() < 0
        elif number < len(pairs):
            values = np.maximum(values, 0)
    expected = 1 / (1 + np.exp(-values.reshape(7, *shape)))
    np.testing.assert_allclose(inside(x).detach(), expected, atol=1e-5)


def test_exported_autoencoder_gives_the_same(
    model: nn.Module, digits: tuple[SplitArrays, SplitArrays], tmp_path: Path
) -> None:
    images = digits[1].inputs[:9]
    export_onnx(model, images[:2], tmp_path / "model.onnx", ("images", "images_out"))
    assert check_parity(model, tmp_path / "model.onnx", images, classes=False) <= 1e-4


def test_scores_and_codes(model: nn.Module, digits: tuple[SplitArrays, SplitArrays], tmp_path: Path) -> None:
    scores = reconstruction.evaluate(make_context(model, digits, "l1_loss"), tmp_path)
    images = digits[1].inputs.double().numpy() / 255
    with torch.no_grad():
        made = model(digits[1].inputs).double().numpy()
        codes = model.get_submodule("net").encode(model.get_submodule("normalize")(digits[1].inputs))  # type: ignore[operator]
    assert scores["mse"] == pytest.approx(((made - images) ** 2).mean(), rel=1e-5)
    assert scores["loss"] == pytest.approx(np.abs(made - images).mean(), rel=1e-5)
    table = pd.read_csv(tmp_path / "latents.csv", dtype={"label": str})
    assert list(table.columns) == ["id", "label", "latent_1", "latent_2", "latent_3", "mse"]
    np.testing.assert_allclose(table[["latent_1", "latent_2", "latent_3"]], codes, atol=1e-4)
    np.testing.assert_allclose(table["mse"], ((made - images) ** 2).mean((1, 2, 3)), atol=1e-5)
    assert table["label"].tolist() == [str(number) for number in digits[1].targets.tolist()]
    assert table["id"][1] == "train/1"


def test_principal_components_against_the_svd(digits: tuple[SplitArrays, SplitArrays]) -> None:
    """Fitted on the training images alone; and the best linear code is better than the mean image."""
    train_rows, test_rows = (split.inputs.flatten(1).double().numpy() / 255 for split in digits)
    mean = train_rows.mean(0)
    axes = np.linalg.svd(train_rows - mean, full_matrices=False)[2][:3]
    expected = np.square((test_rows - mean) - (test_rows - mean) @ axes.T @ axes).mean()
    assert reconstruction.pca_error(digits[0].inputs, digits[1].inputs, 3) == pytest.approx(expected, rel=1e-3)
    assert expected < np.square(test_rows - mean).mean()
    assert reconstruction.pca_error(digits[0].inputs[:2], digits[1].inputs, 30) > expected  # fewer samples than axes


def test_examples_take_classes_in_turn() -> None:
    targets = np.array([2, 2, 0, 1, 0, 0, 2])
    assert reconstruction.one_by_class(targets, 5).tolist() == [2, 3, 0, 4, 1]
    assert sorted(reconstruction.one_by_class(targets, 99)) == list(range(7))


@pytest.mark.parametrize(("hidden", "count"), [([3], 500), ([2], 13), ([1], 25), ([5], 1)])
def test_pictures_are_drawn(
    digits: tuple[SplitArrays, SplitArrays], hidden: list[int], count: int, tmp_path: Path
) -> None:
    """Codes of one, two, three and more numbers; the same bytes again."""
    few = (digits[0], SplitArrays(digits[1].inputs[:count], digits[1].targets[:count]))
    for attempt in ("one", "two"):
        (tmp_path / attempt).mkdir()
        reconstruction.evaluate(
            make_context(build(AUTOENCODER.model_copy(update={"hidden": hidden})), few), tmp_path / attempt
        )
    assert {file.name for file in (tmp_path / "one").iterdir()} == {"latents.csv", "latents.png", "reconstructions.png"}
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_perfect_autoencoder_has_no_error(digits: tuple[SplitArrays, SplitArrays], tmp_path: Path) -> None:
    net = Autoencoder([784, 784], (1, 28, 28))
    net.encoder, net.decoder = nn.Flatten(), nn.Unflatten(1, (1, 28, 28))  # type: ignore[assignment]
    model = nn.Sequential(OrderedDict(normalize=models.Normalize([0.0], [1.0]), net=net))
    assert reconstruction.evaluate(make_context(model, digits), tmp_path)["mse"] == pytest.approx(0, abs=1e-12)
