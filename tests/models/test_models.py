"""Architectures as the course has them, models that fit their data, and evaluation's numbers and figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.objects import load_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.datasets.meta import Meta
from torchprimer.errors import UserError
from torchprimer.evaluation import figures, get_task
from torchprimer.export.onnx import ParityError, check_parity, export_onnx
from torchprimer.tasks.classification.metrics import classification_metrics, per_class, roc_points

DIGITS = make_meta(kind="images", shape=[1, 28, 28], classes=list("0123456789"), mean=[0.1307], std=[0.3081])
PETS = make_meta(kind="images", shape=[3, 32, 32], classes=["cat", "dog"], mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.3])


def build(name: str, meta: Meta, **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    return models.build(load_experiment(name, **changes), meta)


def layers(model: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in model.parameters() if p.ndim > 1]


def test_architectures() -> None:
    assert layers(build("mnist_mlp", DIGITS)) == [(512, 784), (256, 512), (128, 256), (64, 128), (10, 64)]
    assert layers(build("mnist_cnn", DIGITS)) == [(10, 1, 5, 5), (20, 10, 5, 5), (10, 320)]
    assert layers(build("dogs_vs_cats_cnn", PETS)) == [
        (32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (512, 2048), (64, 512), (2, 64),
    ]  # fmt: skip


def test_normalisation_is_in_the_model() -> None:
    images = torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)
    expected = (images.numpy() / 255 - np.array([0.5, 0.4, 0.3])[:, None, None]) / np.array([0.2, 0.2, 0.3])[
        :, None, None
    ]
    np.testing.assert_allclose(build("dogs_vs_cats_cnn", PETS).normalize(images), expected, atol=1e-5)  # type: ignore[operator]


def test_pooling_before_relu_changes_nothing() -> None:
    features = torch.randn(4, 8, 12, 12)
    assert torch.equal(torch.relu(nn.MaxPool2d(2)(features)), nn.MaxPool2d(2)(torch.relu(features)))


def test_batch_norm_in_eval_is_the_formula() -> None:
    model = build("mnist_mlp", DIGITS, hidden=[6], batch_norm=True)
    norm = next(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm1d))
    model.train()
    model(torch.randint(256, (64, 1, 28, 28), dtype=torch.uint8))
    model.eval()
    x = torch.randn(3, 6)
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    assert mean.abs().max() > 0
    expected = (x - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias
    torch.testing.assert_close(norm(x), expected)


def test_images_too_small_for_the_network() -> None:
    with pytest.raises(UserError, match="images of 8 x 8 pixels shrink to nothing in block 2 of 2"):
        build("mnist_cnn", DIGITS.model_copy(update={"shape": [1, 8, 8]}))


@pytest.mark.parametrize(("name", "meta"), [("mnist_mlp", DIGITS), ("dogs_vs_cats_cnn", PETS)])
def test_saved_and_loaded_is_the_same(tmp_path: Path, name: str, meta: Meta) -> None:
    model = build(name, meta).eval()
    record = make_record(load_experiment(name), meta)
    models.save(model.state_dict(), record, tmp_path)
    loaded, loaded_record = models.load(tmp_path)
    images = torch.randint(256, (4, *meta.shape), dtype=torch.uint8)
    assert torch.equal(model(images), loaded(images))
    assert loaded_record == record


@pytest.mark.parametrize(("name", "meta"), [("mnist_cnn", DIGITS), ("dogs_vs_cats_cnn", PETS)])
def test_export_and_its_proof(tmp_path: Path, name: str, meta: Meta) -> None:
    import onnxruntime

    experiment = load_experiment(name)
    head = get_task(experiment.task).output_head(experiment, meta)
    model = nn.Sequential(build(name, meta), head).eval()
    images = torch.randint(256, (9, *meta.shape), dtype=torch.uint8)
    export_onnx(model, images[:1], tmp_path / "model.onnx", ("images", "probabilities"))
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert b".py" not in (tmp_path / "model.onnx").read_bytes()  # nor where the project lies on this machine
    assert check_parity(model, tmp_path / "model.onnx", images, classes=True) <= 1e-4
    (got,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"images": images[:3].numpy()})
    np.testing.assert_allclose(got, model(images[:3]).detach(), atol=1e-5)
    with torch.no_grad():
        next(model.parameters()).mul_(3)
    with pytest.raises(ParityError, match="differs from the PyTorch model"):
        check_parity(model, tmp_path / "model.onnx", images, classes=True)


def answers(classes: int, samples: int = 300) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    targets = random.integers(classes, size=samples)
    scores = random.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[targets]
    scores = np.exp(scores)
    return targets, (scores / scores.sum(1, keepdims=True)).astype(np.float32)


def test_metrics_by_their_definitions() -> None:
    """Counted by hand, not by the library that computes them."""
    targets, probabilities = answers(3)
    names = ["a", "b", "c"]
    got, table = classification_metrics(targets, probabilities, names), per_class(targets, probabilities, names)
    predictions = probabilities.argmax(1)
    recalls, f1s = [], []
    for number in range(3):
        right = ((predictions == number) & (targets == number)).sum()
        precision, recall = right / (predictions == number).sum(), right / (targets == number).sum()
        recalls.append(recall)
        f1s.append(2 * precision * recall / (precision + recall))
        assert table.loc[number, ["precision", "recall", "f1"]].tolist() == pytest.approx([precision, recall, f1s[-1]])
    assert got["accuracy"] == (predictions == targets).mean()
    assert (got["recall_macro"], got["f1_macro"]) == pytest.approx((np.mean(recalls), np.mean(f1s)))
    positive, negative = probabilities[targets == 1, 1], probabilities[targets != 1, 1]
    area = (positive[:, None] > negative[None, :]).mean()  # the chance to rank a positive above a negative
    labels = figures.roc(roc_points(targets, probabilities, names), "title").axes[0].get_legend_handles_labels()[1]
    (text,) = [label.removeprefix("b (area ").removesuffix(")") for label in labels if label.startswith("b ")]
    assert float(text) == pytest.approx(area, abs=1e-4)


def test_two_classes_have_four_counts() -> None:
    targets, probabilities = answers(2)
    got = classification_metrics(targets, probabilities, ["cat", "dog"])
    dog = probabilities[:, 1] > 0.5
    assert got["true_positives"] == (dog & (targets == 1)).sum()
    assert got["false_positives"] == (dog & (targets == 0)).sum()
    assert got["false_negatives"] == (~dog & (targets == 1)).sum()
    assert got["true_negatives"] == (~dog & (targets == 0)).sum()
    assert set(roc_points(targets, probabilities, ["cat", "dog"])["class"]) == {"dog"}


def test_a_class_without_test_samples_is_no_crash() -> None:
    targets, probabilities = answers(3)
    kept = targets != 2
    got = classification_metrics(targets[kept], probabilities[kept], ["a", "b", "c"])
    assert "roc_auc_macro" not in got
    assert set(roc_points(targets[kept], probabilities[kept], ["a", "b", "c"])["class"]) == {"a", "b"}


@pytest.mark.parametrize("classes", [2, 10])
def test_figures_are_drawn(tmp_path: Path, classes: int) -> None:
    """Same picture, same bytes; and no warning about a glyph or a layout."""
    targets, probabilities = answers(classes)
    names = [f"class {number}" for number in range(classes)]
    images = np.random.default_rng(0).integers(0, 256, (300, 3, 16, 16)).astype(np.uint8)
    points: pd.DataFrame = roc_points(targets, probabilities, names)
    for attempt in ("one", "two"):
        (tmp_path / attempt).mkdir()
        drawn = {
            "confusion": figures.confusion(targets, probabilities.argmax(1), names, "title"),
            "roc": figures.roc(points, "title"),
            "mistakes": figures.top_errors(images, targets, probabilities, names, "title"),
            "none": figures.top_errors(images, targets, np.eye(classes, dtype=np.float32)[targets], names, "title"),
        }
        for name, figure in drawn.items():
            figures.save(figure, tmp_path / attempt / f"{name}.png")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_figures_of_classes_with_unusual_names(tmp_path: Path) -> None:
    """Dollars are no formulas; what no font here can write is spelled out, and no warning about a glyph is given."""
    targets, probabilities = answers(2)
    for names in (["$5 (10%) or $10", "$20 (20%) or $30"], ["好", "差"], ["\U00013080", "plain"]):
        points: pd.DataFrame = roc_points(targets, probabilities, names)
        figures.save(figures.confusion(targets, probabilities.argmax(1), names, "title"), tmp_path / "confusion.png")
        figures.save(figures.roc(points, "title"), tmp_path / "roc.png")
    assert figures.drawable(["\U00013080", "plain"]) == ["\\U00013080", "plain"]  # a hieroglyph
    axes = figures.confusion(targets, probabilities.argmax(1), ["$5 (10%) or $10", "b"], "title").axes[0]
    assert axes.get_xticklabels()[0].get_text() == "$5 (10%) or $10"
