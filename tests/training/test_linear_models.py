"""A line found by search and by descent, against closed forms, autograd and finite differences; and its figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.objects import load_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.evaluation import EvaluationContext, decision_boundary
from torchprimer.loops import gradient_descent, grid_search, supervised
from torchprimer.models.linear import linear_layer
from torchprimer.params.experiments import Experiment, GridRange, LinearGridSearch
from torchprimer.tasks.regression import linear_fit
from torchprimer.training import TrainResult
from torchprimer.training.initialization import initialize

CPU = torch.device("cpu")
X = torch.tensor([[1.0], [2.0], [3.0]])
LINE, LINE_BIAS = SplitArrays(X, 2 * X), SplitArrays(X, 2 * X + 1)
HOURS = SplitArrays(X, torch.tensor([0, 0, 1]))
ONE = make_meta(kind="tabular", task="regression", shape=[1], features=["x"], held_out=False)
BINARY = make_meta(kind="tabular", shape=[1], features=["hours"], classes=["0", "1"], held_out=False)
LOOPS: dict[str, Any] = {
    "grid_search": grid_search.train,
    "gradient_descent": gradient_descent.train,
    "supervised": supervised.train,
}


def fit(
    experiment: Experiment, split: SplitArrays, meta: Meta, validation: SplitArrays | None = None, **more: Any
) -> tuple[TrainResult, nn.Module]:
    """Trains an experiment of params.yaml as the stage does, and puts the weights that are kept into the model."""
    torch.manual_seed(0)
    model = models.build(experiment, meta)
    initialize(model, getattr(experiment, "initialization", "default"))
    train = LOOPS[experiment.loop]
    more = {"on_epoch": lambda row: None, "epoch_probe": seen} | more
    outcome = train(model, split, validation or split, experiment, device=CPU, precision=torch.float32, **more)
    model.load_state_dict(outcome.weights)
    return outcome, model.eval()


def seen(model: nn.Module) -> dict[str, float]:
    return {name.rpartition(".")[2]: value.item() for name, value in model.named_parameters() if value.numel() == 1}


def trained(name: str, split: SplitArrays, meta: Meta, **changes: Any) -> EvaluationContext:
    experiment = load_experiment(name, **changes)
    outcome, model = fit(experiment, split, meta)
    history, record = pd.DataFrame(outcome.history), make_record(experiment, meta)
    ids = [str(number) for number in range(len(split))]
    return EvaluationContext(name, model, record, history, split, split, ids, {}, None, CPU)


@pytest.fixture(scope="module")
def patients() -> tuple[SplitArrays, Meta]:
    """442 patients with diabetes, 10 measurements, the progression a year later (Efron et al. 2004); standardised."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes()
    inputs = (table.data / table.data.std(0)).astype(np.float32)
    targets = ((table.target - table.target.mean()) / table.target.std()).astype(np.float32)
    data = ONE.model_copy(update={"shape": [10], "features": list(table.feature_names)})
    return SplitArrays(torch.from_numpy(inputs), torch.from_numpy(targets[:, None])), data


# ---- search ---------------------------------------------------------------------------------------------------------


def test_search_finds_two_exactly() -> None:
    heard: list[Any] = []
    outcome, model = fit(load_experiment("line_search"), LINE, ONE, on_epoch=heard.append)
    assert {name: value.tolist() for name, value in outcome.weights.items()} == {"net.1.weight": [[2.0]]}
    assert model(X).tolist() == [[2.0], [4.0], [6.0]]
    assert heard == outcome.history
    assert [row["epoch"] for row in outcome.history] == list(range(1, 42))
    assert [row["weight"] for row in outcome.history] == [number / 10 for number in range(41)]
    assert outcome.history[outcome.best_epoch - 1]["weight"] == 2.0
    for row in outcome.history:  # mean of x squared is 14 / 3
        assert row["train_loss"] == pytest.approx((row["weight"] - 2) ** 2 * 14 / 3)
        assert row["validation_loss"] == row["train_loss"]
        assert row["train_r2"] == pytest.approx(1 - row["train_loss"] / (8 / 3))


def test_search_finds_weight_and_bias_exactly() -> None:
    outcome, _ = fit(load_experiment("line_search_2d"), LINE_BIAS, ONE)
    assert {name: value.tolist() for name, value in outcome.weights.items()} == {
        "net.1.weight": [[2.0]], "net.1.bias": [1.0],
    }  # fmt: skip
    assert len({(row["weight"], row["bias"]) for row in outcome.history}) == 41 * 41
    best = outcome.history[outcome.best_epoch - 1]
    assert (best["weight"], best["bias"], best["train_loss"]) == (2.0, 1.0, 0.0)


def test_search_goes_by_the_training_split() -> None:
    """2 is not among the candidates; the validation samples want a weight of 0, and are not asked."""
    experiment = load_experiment("line_search", weight={"start": 0.0, "stop": 3.75, "step": 0.75})
    outcome, _ = fit(experiment, LINE, ONE, validation=SplitArrays(X, 0 * X))
    assert outcome.weights["net.1.weight"].item() == 2.25
    assert outcome.history[0]["validation_loss"] == 0


def test_search_is_for_one_feature(patients: tuple[SplitArrays, Meta]) -> None:
    with pytest.raises(
        UserError, match=r"mine: loop grid_search searches the weight of one feature, and dataset line has 10"
    ):
        fit(load_experiment("line_search"), *patients, title="mine")


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        ((0.0, 4.05, 0.1), None, "not a whole number of steps from start; 4 is"),
        ((0.0, 0.7, 0.3), None, "not a whole number of steps from start; 0.6 is"),
        ((4.0, 0.0, 0.1), None, "should not be below start: 4"),
        ((-1e308, 1e308, 1e-300), None, "more than 100,000 numbers"),
        ((0.0, 4.0, 0.1), (0.0, 4.0, 0.001), "164,041 pairs"),
    ],
)
def test_grids_that_cannot_be_tried(weight: Any, bias: Any, message: str) -> None:
    keys = ("start", "stop", "step")
    grid = {
        "dataset": "line", "task": "regression", "model": "linear", "loop": "grid_search",
        "init_from": "scratch", "scorer": "none",
        "weight": dict(zip(keys, weight, strict=True)), "bias": bias and dict(zip(keys, bias, strict=True)),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        LinearGridSearch.model_validate(grid)


def test_grids_are_what_one_would_write() -> None:
    assert GridRange(start=-0.3, stop=0.3, step=0.1).values() == [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]
    assert GridRange(start=2.0, stop=2.0, step=0.5).values() == [2.0]
    assert GridRange(start=0.0, stop=3e-05, step=1e-05).values() == [0.0, 1e-05, 2e-05, 3e-05]


# ---- descent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["line_gradient_descent", "line_sgd", "line_minibatch", "line_autograd"])
def test_every_descent_finds_two(name: str) -> None:
    outcome, _ = fit(load_experiment(name), LINE, ONE)
    assert outcome.weights["net.1.weight"].item() == pytest.approx(2, abs=1e-3)
    assert list(outcome.weights) == ["net.1.weight"]
    assert len(outcome.history) == 100


def test_full_batch_descent_is_the_closed_form() -> None:
    """Every step shrinks the distance to 2 by the factor 1 - lr x 2 x 14 / 3."""
    outcome, _ = fit(load_experiment("line_gradient_descent"), LINE, ONE)
    expected = [2 - (1 - 0.01 * 2 * 14 / 3) ** step for step in range(1, 101)]
    assert [row["weight"] for row in outcome.history] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_hand_derived_and_autograd_go_step_by_step_together(batch_size: int | None) -> None:
    by_hand, _ = fit(load_experiment("line_gradient_descent", bias=True, batch_size=batch_size), LINE_BIAS, ONE)
    by_torch, _ = fit(load_experiment("line_autograd", bias=True, batch_size=batch_size), LINE_BIAS, ONE)
    for one, other in zip(by_hand.history, by_torch.history, strict=True):
        assert one["weight"] == pytest.approx(other["weight"], abs=1e-6)
        assert one["bias"] == pytest.approx(other["bias"], abs=1e-6)
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=1e-5)
        assert one["validation_loss"] == pytest.approx(other["validation_loss"], abs=1e-5)


@pytest.mark.parametrize("batch_size", [None, 50])
def test_descent_of_many_features(patients: tuple[SplitArrays, Meta], batch_size: int | None) -> None:
    """The same as PyTorch's SGD from the same random weights; with all samples, in the end least squares."""
    split, data = patients
    experiment = load_experiment(
        "line_gradient_descent", bias=True, initialization="xavier", batch_size=batch_size, lr=0.05, epochs=30
    )
    by_hand, model = fit(experiment, split, data)
    _, reference = fit(load_experiment("line_autograd", **experiment.model_dump(exclude={"loop"})), split, data)
    torch.testing.assert_close(dict(model.named_parameters()), dict(reference.named_parameters()), atol=1e-6, rtol=0)
    assert "weight" not in by_hand.history[-1]
    if batch_size is None:
        _, model = fit(experiment.model_copy(update={"epochs": 6000, "lr": 0.2}), split, data)
        solution = np.linalg.lstsq(np.c_[split.inputs.numpy(), np.ones(442)].astype(float), split.targets.numpy())[0]
        assert linear_layer(model).weight.detach().numpy()[0] == pytest.approx(solution[:10, 0], abs=1e-5)


def test_gradient_against_finite_differences(patients: tuple[SplitArrays, Meta]) -> None:
    x, y = patients[0].inputs.double().numpy(), patients[0].targets.double().numpy()[:, 0]
    w, b, small = np.linspace(-1, 1, 10), 0.3, 1e-6
    loss, dw, db = gradient_descent.gradient(w, b, x, y)
    assert loss == pytest.approx(np.mean([(w @ row + b - target) ** 2 for row, target in zip(x, y, strict=True)]))

    def change(w_step: Any, b_step: float) -> float:
        losses = [gradient_descent.gradient(w + sign * w_step, b + sign * b_step, x, y)[0] for sign in (1, -1)]
        return (losses[0] - losses[1]) / (2 * small)

    assert dw == pytest.approx(np.array([change(small * unit, 0.0) for unit in np.eye(10)]), rel=1e-6, abs=1e-8)
    assert db == pytest.approx(change(np.zeros(10), small), rel=1e-6)


def test_descent_keeps_the_epoch_with_the_lowest_validation_loss() -> None:
    """On its way from 1 to 2 the weight passes 1.5, where the validation samples want it."""
    outcome, _ = fit(load_experiment("line_gradient_descent"), LINE, ONE, validation=SplitArrays(X, 1.5 * X))
    losses = [row["validation_loss"] for row in outcome.history]
    assert outcome.best_epoch == np.argmin(losses) + 1 < 20
    assert outcome.weights["net.1.weight"].item() == pytest.approx(outcome.history[outcome.best_epoch - 1]["weight"])


def test_descent_that_diverges_says_so() -> None:
    with pytest.raises(
        UserError, match=r"mine: the loss is not finite after epoch \d+, the training diverged; lower lr"
    ):
        fit(load_experiment("line_gradient_descent", lr=10.0, epochs=1000), LINE, ONE, title="mine")


# ---- logistic regression --------------------------------------------------------------------------------------------


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def cross_entropies(z: Any, y: Any) -> Any:
    return -(y * np.log(sigmoid(z)) + (1 - y) * np.log(1 - sigmoid(z)))


def test_own_sigmoid_and_cross_entropy_are_pytorchs() -> None:
    z, y = np.linspace(-8, 8, 33), (np.arange(33) % 2).astype(float)
    logits, targets = torch.tensor(z, requires_grad=True), torch.from_numpy(y)
    assert sigmoid(z) == pytest.approx(torch.sigmoid(logits).detach().numpy())
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    assert cross_entropies(z, y) == pytest.approx(loss.detach().numpy())
    loss.sum().backward()
    assert logits.grad is not None
    assert sigmoid(z) - y == pytest.approx(logits.grad.numpy())  # what the derivation by hand ends with


def test_hours_logistic_is_the_formula() -> None:
    """Step by step: w <- w - lr x the sum of (sigmoid(w x + b) - y) x."""
    experiment = load_experiment("hours_logistic", epochs=50)
    torch.manual_seed(0)
    layer = linear_layer(models.build(experiment, BINARY))
    w, b, x, y = layer.weight.item(), layer.bias.item(), X.double().numpy()[:, 0], HOURS.targets.numpy()
    outcome, _ = fit(experiment, HOURS, BINARY)
    for row in outcome.history:
        assert row["train_loss"] == pytest.approx(cross_entropies(w * x + b, y).mean(), abs=1e-5)
        error = sigmoid(w * x + b) - y
        w, b = w - 0.01 * (error * x).sum(), b - 0.01 * error.sum()
        assert (row["weight"], row["bias"]) == pytest.approx((w, b), abs=1e-5)


# ---- figures --------------------------------------------------------------------------------------------------------


def test_figures_of_a_search(tmp_path: Path) -> None:
    result = trained("line_search_2d", LINE_BIAS, ONE)
    linear_fit.evaluate_line(result, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["line.png", "search.png"]
    (axes,) = linear_fit.search_surface(result.history, "").axes
    assert [float(values[0]) for values in axes.collections[1]._offsets3d] == [2.0, 1.0, 0.0]
    assert axes.get_legend_handles_labels()[1] == ["lowest: w = 2, b = 1, loss 0"]
    (axes,) = linear_fit.search_curve(trained("line_search", LINE, ONE).history, "").axes
    assert axes.lines[1].get_xydata().tolist() == [[2.0, 0.0]]


def test_figures_of_a_descent(tmp_path: Path) -> None:
    for name in ("line_sgd", "line_autograd"):
        folder = tmp_path / name
        folder.mkdir()
        linear_fit.evaluate_line(trained(name, LINE, ONE, epochs=5), folder)
        assert sorted(file.name for file in folder.iterdir()) == ["descent.png", "line.png"]


def test_line_is_drawn_in_original_units() -> None:
    """x 10, 20, 30 and y 30, 50, 70, both standardised: y = 2 x + 10."""
    std = 10 * (2 / 3) ** 0.5
    numeric = {"x": {"mean": 20.0, "std": std}}
    meta = make_meta(**(ONE.model_dump() | {"numeric": numeric, "target_mean": 50.0, "target_std": 2 * std}))
    standardised = (X - 2) * 10 / std
    split = SplitArrays(standardised, standardised)
    result = trained("line_gradient_descent", split, meta, bias=True, lr=0.1, epochs=200)
    (axes,) = linear_fit.fitted_line(result).axes
    assert axes.get_legend_handles_labels()[1][0] == "y = 2 x + 10"
    points = np.asarray(axes.collections[0].get_offsets())
    assert points == pytest.approx(np.array([[10, 30], [20, 50], [30, 70]]), abs=1e-3)
    x, y = (np.asarray(values).squeeze() for values in axes.lines[0].get_data())
    assert y == pytest.approx(2 * x + 10, abs=1e-3)


def test_probability_of_one_feature(tmp_path: Path) -> None:
    result = trained("hours_logistic", HOURS, BINARY, epochs=100)
    decision_boundary.plot_boundary(result, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["predict_at.csv", "probability.png"]
    table = pd.read_csv(tmp_path / "predict_at.csv")
    assert table["hours"].tolist() == [1, 2, 3, 4]
    last = result.history.iloc[-1]
    assert table["p_1"].tolist() == pytest.approx(
        sigmoid(last["weight"] * table["hours"] + last["bias"]).tolist(), abs=1e-4
    )
    assert (table["p_0"] + table["p_1"]).tolist() == pytest.approx([1] * 4, abs=2e-6)
    (axes,) = decision_boundary.curve(result, 4.0).axes
    assert f"P(y = 1) at hours = 4: {table['p_1'][3]:.3f}" in axes.get_legend_handles_labels()[1]


def test_plane_is_drawn_in_original_units() -> None:
    """Hours 10, 20, 30, standardised: the next value to ask for is 40."""
    data = make_meta(**(BINARY.model_dump() | {"numeric": {"hours": {"mean": 20.0, "std": 10.0}}}))
    result = trained("hours_logistic", SplitArrays(X - 2, HOURS.targets), data, epochs=20)
    assert decision_boundary.query_points(decision_boundary.denormalize(result.train.inputs, data)).tolist() == [
        [10],
        [20],
        [30],
        [40],
    ]
    assert decision_boundary.probabilities(result, np.array([[40.0]])) == pytest.approx(
        result.model(torch.tensor([[2.0]])).sigmoid().item() * np.array([[-1.0, 1.0]]) + [[1.0, 0.0]], abs=1e-6
    )


def test_boundary_lies_where_the_answer_changes(tmp_path: Path) -> None:
    """Iris in two of its measurements: the line of equal logits, and colours that are the predicted classes."""
    from sklearn.datasets import load_iris

    flowers = load_iris()
    inputs = torch.from_numpy(flowers.data[:, 2:].astype(np.float32))
    split = SplitArrays(inputs, torch.from_numpy(flowers.target.astype(np.int64)))
    names = [str(name) for name in flowers.target_names]
    data = BINARY.model_copy(update={"shape": [2], "features": ["length", "width"], "classes": names})
    result = trained("iris_pca_softmax", split, data, epochs=20)
    decision_boundary.plot_boundary(result, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["boundary.png"]
    (axes,) = decision_boundary.boundary(result).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length", "width")
    contours = [c for c in axes.collections if hasattr(c, "levels")]
    assert len(contours) == 3
    for contour in contours:
        points = np.concatenate([path.vertices for path in contour.get_paths()])
        probs = np.sort(decision_boundary.probabilities(result, points), 1)
        assert probs[:, -1] == pytest.approx(probs[:, -2], abs=0.02)
    image = axes.images[0]
    left, right, bottom, top = image.get_extent()
    shade = np.asarray(image.get_array())[::30, ::30].reshape(-1, 3)
    y, x = np.meshgrid(np.linspace(bottom, top, 300)[::30], np.linspace(left, right, 300)[::30], indexing="ij")
    answers = decision_boundary.probabilities(result, np.c_[x.ravel(), y.ravel()]).argmax(1)
    tint = 1 - shade  # how much of each complementary colour was put on white
    hues = 1 - decision_boundary.colours(3)
    similar = (tint / np.linalg.norm(tint, axis=1, keepdims=True)) @ (
        hues / np.linalg.norm(hues, axis=1, keepdims=True)
    ).T
    assert (similar.argmax(1) == answers).all()
