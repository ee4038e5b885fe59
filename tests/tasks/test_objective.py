"""Losses, scores and answers of each task, against closed forms and scikit-learn; what an epoch and a fold see."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ttest_rel  # type: ignore[import-untyped]
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.objects import make_meta, make_record
from torchprimer import models, params, paths
from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.loops.supervised import train
from torchprimer.params import Experiment
from torchprimer.params.experiments import Supervised
from torchprimer.stages import crossvalidate, preprocess, split
from torchprimer.tasks import classification, regression

TWO = make_meta(kind="tabular", shape=[3], classes=["no", "yes"])


def resolve(name: str, **keys: Any) -> Experiment:
    return params.load().resolve(name).model_copy(update=keys)


def test_binary_cross_entropy_of_one_logit() -> None:
    """Sigmoid and cross-entropy by hand, their mean and their sum; answers are both classes' probabilities."""
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(50, 1, generator=generator), torch.randint(2, (50,), generator=generator)
    z, t = logits[:, 0].double().numpy(), targets.numpy()
    p = 1 / (1 + np.exp(-z))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    for reduction, value in (("mean", expected.mean()), ("sum", expected.sum())):
        objective = classification.TASK.objective(resolve("diabetes_tuned", reduction=reduction))
        assert objective.loss(logits, targets).item() == pytest.approx(value, rel=1e-5)
        assert objective.sum_reduction == (reduction == "sum")
        assert objective.result(objective.count(logits, targets).item(), targets) == {
            "accuracy": ((p > 0.5) == t).mean()
        }
    answers = classification.TASK.output_head(resolve("diabetes_tuned"), TWO)(logits).numpy()
    np.testing.assert_allclose(answers, np.column_stack([1 - p, p]), atol=1e-6)
    assert log_loss(t, answers[:, 1].astype(np.float64)) == pytest.approx(expected.mean(), rel=1e-5)


def test_softmax_and_negative_log_likelihood_are_the_cross_entropy() -> None:
    logits, targets = torch.randn(40, 2), torch.randint(2, (40,))
    nll, entropy = (
        classification.TASK.objective(resolve("reviews_bow", loss=loss)) for loss in ("nll_loss", "cross_entropy")
    )
    torch.testing.assert_close(nll.loss(logits.log_softmax(1), targets), entropy.loss(logits, targets))
    nll_answers = classification.TASK.output_head(resolve("reviews_bow"), TWO)(logits.log_softmax(1))
    torch.testing.assert_close(nll_answers, logits.softmax(1))


def test_r2_and_original_units() -> None:
    keys = {"kind": "tabular", "task": "regression", "shape": [3]}
    meta = make_meta(**keys, target_mean=140.0, target_std=130.0)
    experiment = resolve("bike_sharing_mlp")
    targets, outputs = torch.randn(60, 1), torch.randn(60, 1)
    objective = regression.TASK.objective(experiment)
    assert objective.result(objective.count(outputs, targets).item(), targets)["r2"] == pytest.approx(
        r2_score(targets, outputs)
    )
    torch.testing.assert_close(regression.TASK.output_head(experiment, meta)(outputs), outputs.double() * 130 + 140)
    exact = make_meta(**keys, target_mean=1.7e9)  # float32 has steps of 128 there
    assert regression.TASK.output_head(experiment, exact)(torch.tensor([[7.0]])).item() == 1_700_000_007


def test_one_logit_is_for_two_classes() -> None:
    with pytest.raises(UserError, match="is for two classes, and there are 3"):
        models.build(resolve("diabetes_tuned"), make_meta(kind="tabular", shape=[3], classes=["a", "b", "c"]))


def test_an_epoch_sees_so_many_samples_anew() -> None:
    """100 of 300 each time: no sample twice in an epoch, and not the same ones in the next."""
    seen: list[set[float]] = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(1, 1)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(set(inputs.flatten().tolist()))
                assert len(seen[-1]) == len(inputs)
            return self.line(inputs / 300)

    samples = SplitArrays(torch.arange(300.0).unsqueeze(1), torch.arange(300) % 2)
    experiment = resolve("diabetes_tuned", samples_per_epoch=100, batch_size=50, epochs=3)
    assert isinstance(experiment, Supervised)
    outcome = train(
        Spy(),
        samples,
        samples,
        experiment,
        device=torch.device("cpu"),
        precision=torch.float32,
        on_epoch=lambda row: None,
    )
    epochs = [first | second for first, second in zip(seen[::2], seen[1::2], strict=True)]
    assert [len(epoch) for epoch in epochs] == [100, 100, 100]
    assert len(set.union(*epochs)) > 150
    assert all(0 <= float(row["train_accuracy"]) <= 1 and float(row["train_loss"]) < 5 for row in outcome.history)


def test_folds_hold_each_row_once_and_never_a_test_row(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, real_raw: Any
) -> None:
    """Pima, ten folds: what is fitted to data is fitted to the fold's own training rows."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.yaml").write_bytes(paths.catalog().read_bytes())
    (tmp_path / "params.yaml").write_bytes(paths.params().read_bytes())
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    given = params.load()
    given = given.model_copy(update={"epochs": 1})
    paths.raw("diabetes").parent.mkdir(parents=True)
    paths.raw("diabetes").symlink_to(real_raw("diabetes"))
    split.run(given, "diabetes")
    preprocess.run(given, "diabetes")
    fitted, fit = [], crossvalidate.fit
    held: list[pd.DataFrame] = []
    transform = crossvalidate.transform

    def watch_fit(table: pd.DataFrame, dataset: Any) -> dict[str, Any]:
        fitted.append(set(table.index))
        return fit(table, dataset)

    def watch_transform(data: dict[str, Any], table: pd.DataFrame) -> Any:
        held.append(table)
        return transform(data, table)

    monkeypatch.setattr(crossvalidate, "fit", watch_fit)
    monkeypatch.setattr(crossvalidate, "transform", watch_transform)
    paths.model("diabetes_tuned").mkdir(parents=True)
    record = make_record(resolve("diabetes_tuned"), TWO, fingerprint="f")
    (paths.model("diabetes_tuned") / models.RECORD).write_text(record.model_dump_json())
    crossvalidate.run(given, "diabetes_tuned", mock.Mock())
    rows = pd.read_csv(paths.split("diabetes"), dtype=str).set_index("id")["split"]
    usable = set(rows[rows != "test"].index)
    tested = [set(table.index) for table in held[1::2]]
    assert len(fitted) == len(tested) == 10
    assert sorted(row for fold in tested for row in fold) == sorted(usable)
    assert all(training == usable - fold for training, fold in zip(fitted, tested, strict=True))
    pairs = [int(row) // 2 for row in sorted(usable, key=int)]  # as if every other row were the one before it
    monkeypatch.setattr(
        crossvalidate, "duplicate_groups", lambda table, _: pd.factorize(table.index.astype(int) // 2)[0]
    )
    held.clear()
    crossvalidate.run(given, "diabetes_tuned", mock.Mock())
    assert len(pairs) > len(set(pairs))
    together = [{int(row) // 2 for row in table.index} for table in held[1::2]]
    assert sum(len(fold) for fold in together) == len(set(pairs))
    table = pd.read_csv(paths.metrics("diabetes_tuned") / "folds.csv")
    assert table["accuracy"].between(0, 1).all()
    assert len(table) == 10


def test_baseline_is_cross_validated_on_the_same_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_raw: Callable[[str], Path]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.yaml").write_bytes(paths.catalog().read_bytes())
    (tmp_path / "params.yaml").write_bytes(paths.params().read_bytes())
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    project = params.load().model_copy(update={"epochs": 1})
    paths.raw("diabetes").parent.mkdir(parents=True)
    paths.raw("diabetes").symlink_to(real_raw("diabetes"))
    split.run(project, "diabetes")
    preprocess.run(project, "diabetes")
    paths.model("diabetes_tuned").mkdir(parents=True)
    record = make_record(resolve("diabetes_tuned"), TWO, fingerprint="f")
    (paths.model("diabetes_tuned") / models.RECORD).write_text(record.model_dump_json())
    crossvalidate.run(project, "diabetes_tuned", mock.Mock())
    # scikit-learn alone, on the raw table: median imputation, standardisation, logistic regression, the same folds
    rows = pd.read_csv(paths.split("diabetes"), dtype=str).query("split != 'test'")
    dataset = project.datasets["diabetes"]
    assert isinstance(dataset, params.Tabular)
    table = crossvalidate.read_table(paths.raw("diabetes")).loc[rows["id"]]
    x = table[dataset.numeric].astype(float)
    x[dataset.zero_as_missing] = x[dataset.zero_as_missing].replace(0, np.nan)
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(10, shuffle=True, random_state=project.seed)
    expected = cross_val_score(model, x, rows["label"], cv=folds)
    scores = pd.read_csv(paths.metrics("diabetes_tuned") / "folds.csv")
    np.testing.assert_allclose(scores["baseline_accuracy"], expected, atol=1e-12)
    # paired t interval of SciPy, wider by the correction for overlapping training rows: (1/10 + 1/9) / (1/10) = 19/9
    summary = json.loads((paths.metrics("diabetes_tuned") / "folds.json").read_text())
    low, high = ttest_rel(scores["accuracy"], expected).confidence_interval(0.95)
    middle, margin = (low + high) / 2, (high - low) / 2 * (19 / 9) ** 0.5
    assert summary["difference_low"] == pytest.approx(middle - margin)
    assert summary["difference_high"] == pytest.approx(middle + margin)
    assert summary["baseline_accuracy_mean"] == pytest.approx(expected.mean())
    assert summary["baseline_accuracy_std"] == pytest.approx(expected.std(ddof=1))
