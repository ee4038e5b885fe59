"""Scores and figures of a regression, on real patients, against scikit-learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.datasets.storage import SplitArrays
from torchprimer.evaluation import EvaluationContext
from torchprimer.models.linear import linear_layer, set_linear
from torchprimer.tasks.regression import evaluation as regression

MEAN, STD = 150.0, 77.0  # of the target


@pytest.fixture
def patients() -> EvaluationContext:
    """A line fitted to 300 patients with diabetes by least squares, and 142 to test it on; targets standardised."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes()
    x, y = table.data.astype(np.float32) * 20, ((table.target - MEAN) / STD).astype(np.float32)[:, None]
    meta = make_meta(
        kind="tabular", task="regression", shape=[10], features=list(table.feature_names), target="progression",
        target_mean=MEAN, target_std=STD,
    )  # fmt: skip
    experiment = make_experiment(model="linear", task="regression")
    model = models.build(experiment, meta).eval()
    solution = np.linalg.lstsq(np.c_[x[:300], np.ones(300)], y[:300])[0][:, 0]
    set_linear(linear_layer(model), solution[:10], solution[10])
    training, test = (
        SplitArrays(torch.from_numpy(x[part]), torch.from_numpy(y[part])) for part in (np.s_[:300], np.s_[300:])
    )
    ids = [f"{row:03d}" for row in range(301, 443)]
    record = make_record(experiment, meta)
    return EvaluationContext("line", model, record, pd.DataFrame(), training, test, ids, {}, None, torch.device("cpu"))


def test_scores_are_scikit_learns(patients: EvaluationContext, tmp_path: Path) -> None:
    from sklearn import metrics

    scores = regression.evaluate(patients, tmp_path)
    with torch.no_grad():
        outputs = patients.model(patients.test.inputs).double().numpy()[:, 0]
    truth = patients.test.targets.double().numpy()[:, 0]
    predictions, targets = outputs * STD + MEAN, truth * STD + MEAN
    assert scores == pytest.approx(
        {
            "loss": metrics.mean_squared_error(truth, outputs),
            "mse": metrics.mean_squared_error(targets, predictions),
            "rmse": metrics.root_mean_squared_error(targets, predictions),
            "mae": metrics.mean_absolute_error(targets, predictions),
            "r2": metrics.r2_score(targets, predictions),
        },
        rel=1e-5,
    )
    assert 0.3 < scores["r2"] < 0.7
    table = pd.read_csv(tmp_path / "predictions.csv", dtype={"id": str})
    assert table["id"].tolist() == patients.ids
    assert table["label"].to_numpy() == pytest.approx(targets, abs=1e-4)
    assert table["prediction"].to_numpy() == pytest.approx(predictions, abs=1e-4)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["predicted.png", "predictions.csv"]


def test_loss_is_the_one_trained_for(patients: EvaluationContext, tmp_path: Path) -> None:
    record = make_record(make_experiment(model="linear", task="regression", loss="l1_loss"), patients.meta)
    scores = regression.evaluate(replace(patients, record=record), tmp_path)
    assert scores["loss"] * STD == pytest.approx(scores["mae"], rel=1e-5)


def test_metrics_where_nothing_deviates() -> None:
    """Three equal targets, or one: R2 is 0, not a division by nothing."""
    for truth in (np.array([2.0, 2.0, 2.0]), np.array([2.0])):
        assert regression.regression_metrics(truth, truth + 1) == {"mse": 1, "rmse": 1, "mae": 1, "r2": 0}


def test_predicted_against_true_shows_every_sample() -> None:
    (axes,) = regression.predicted_against_true(np.arange(5.0), np.arange(5.0) ** 2, "riders", "").axes
    assert np.asarray(axes.collections[0].get_offsets()).tolist() == [[0, 0], [1, 1], [2, 4], [3, 9], [4, 16]]
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [16, 16]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true riders", "predicted riders")


@pytest.mark.parametrize(
    ("time", "expected", "label"),
    [
        ([345, 345, 346, 346, 346, 346], [0, 0.5, 1, 1.25, 1.5, 1.75], "day, counted from the first of the test split"),
        ([346, 346, 345, 345, 346, 346], [0, 0.5, 1, 1.25, 1.5, 1.75], "day, counted from the first of the test split"),
        ([3.0, 5.0, 7.0, 9.0, 11.0, 13.0], [0, 2, 4, 6, 8, 10], "day, counted from the first of the test split"),
        (
            [f"2011-12-{day:02d} 12:00" for day in (10, 11, 12, 13, 14, 15)],
            [0, 1, 2, 3, 4, 5],
            "days since 2011-12-10 12:00",
        ),
    ],
)
def test_timeline(time: list[Any], expected: list[float], label: str) -> None:
    """Two hours of the first day, four of the second, in any order of the rows; or moments, each its own."""
    targets = np.arange(6.0)
    (axes,) = regression.timeline(pd.Series(time), targets, targets + 10, ("day", "riders"), "").axes
    true, predicted = axes.lines
    assert true.get_xdata().tolist() == expected
    order = np.argsort(time, kind="stable")
    assert true.get_ydata().tolist() == targets[order].tolist()
    assert predicted.get_ydata().tolist() == (targets + 10)[order].tolist()
    assert (axes.get_xlabel(), axes.get_ylabel()) == (label, "riders")


def test_timeline_is_drawn_where_the_rows_have_a_time(patients: EvaluationContext, tmp_path: Path) -> None:
    meta = patients.meta.model_copy(update={"time": [row // 24 for row in range(142)]})
    regression.evaluate(replace(patients, record=make_record(patients.experiment, meta)), tmp_path)
    assert (tmp_path / "timeline.png").is_file()
