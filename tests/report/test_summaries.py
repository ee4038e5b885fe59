"""Settings, baselines and findings follow params.yaml and metrics/."""

import json
from typing import Any

import pytest

from torchprimer import params, paths
from torchprimer.report.findings import all_findings
from torchprimer.report.summaries import Summary, summarize

SECONDS = {"dogs_vs_cats_vgg16": 30.0, "dogs_vs_cats_vgg16_features": 1.5}


def summaries(seconds: dict[str, float] = SECONDS) -> dict[str, Summary]:
    return {summary.name: summary for summary in summarize(params.load(), seconds)}


def write(name: str, content: dict[str, Any]) -> None:
    file = paths.project() / "metrics" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def findings(dataset: str, seconds: dict[str, float] = SECONDS) -> str:
    selected = [summary for summary in summaries(seconds).values() if summary.raw_dataset == dataset]
    return "\n".join(all_findings(selected))


@pytest.mark.usefixtures("committed")
def test_every_experiment_is_described() -> None:
    project = params.load()
    every = summaries()
    assert list(every) == list(project.experiments)
    for summary in every.values():
        assert summary.description, summary.name
        assert summary.heading
        assert not {"dataset", "task", "model", "loop"} & set(summary.settings)
    settings = {name: summary.settings for name, summary in every.items()}
    assert settings["mnist_dropout"]["dropout"] == "0.2"
    assert "dropout" not in settings["mnist_relu"]  # the default of the schema
    assert "init_from" not in settings["mnist_relu"]
    assert settings["dogs_vs_cats_resnet18"]["init_from"] == "cifar8_resnet18"
    assert settings["line_search"] == {"weight": "0 to 4 by 0.1"}


def write_baseline(samples: int, accuracy: float) -> None:
    dummy = {"samples": samples, "accuracy": 0.65, "loss": 0.645}
    classic = {"samples": samples, "accuracy": accuracy, "loss": 0.5}
    write("baselines/diabetes.json", {"dummy": dummy, "logistic_regression": classic})


@pytest.mark.usefixtures("committed")
def test_below_the_baseline_only_where_chance_does_not_explain_it() -> None:
    (paths.metrics("diabetes_tuned") / "folds.json").unlink()
    write_baseline(samples=115, accuracy=89 / 115)
    write("diabetes_tuned/test.json", {"accuracy": 86 / 115, "loss": 0.5})  # three rows fewer
    tuned = summaries()["diabetes_tuned"]
    # SE of the difference: sqrt((0.7478 * 0.2522 + 0.7739 * 0.2261) / 115) = 0.05621; 1.96 SE = 0.1102
    assert tuned.difference == pytest.approx((-0.1363, 0.0841), abs=1e-4)
    assert not tuned.below_baseline
    write_baseline(samples=11500, accuracy=8900 / 11500)  # the same fractions of more rows
    tuned = summaries()["diabetes_tuned"]
    assert tuned.difference == pytest.approx((-0.0371, -0.0151), abs=1e-4)
    assert tuned.below_baseline


@pytest.mark.usefixtures("committed")
def test_folds_decide_where_there_are_folds() -> None:
    write_baseline(samples=11500, accuracy=0.9)
    write("diabetes_tuned/test.json", {"accuracy": 0.7, "loss": 0.5})
    folds = {
        "folds": 10, "accuracy_mean": 0.775, "accuracy_std": 0.0383, "baseline_accuracy_mean": 0.7711,
        "baseline_accuracy_std": 0.04, "difference_low": -0.0121, "difference_high": 0.0199,
    }  # fmt: skip
    write("diabetes_tuned/folds.json", folds)
    assert not summaries()["diabetes_tuned"].below_baseline
    assert (
        "Cross-validation of `diabetes_tuned`: accuracy 0.7750 ± 0.0383 in 10 folds; its baseline on the same folds "
        "0.7711 ± 0.0400. 95% interval of the difference: -0.0121 to +0.0199, no clear winner."
    ) in findings("diabetes")
    write("diabetes_tuned/folds.json", folds | {"difference_low": -0.03, "difference_high": -0.01})
    assert summaries()["diabetes_tuned"].below_baseline
    # folds of an older version, without the baseline: nothing is claimed
    write("diabetes_tuned/folds.json", {key: folds[key] for key in ("folds", "accuracy_mean", "accuracy_std")})
    assert not summaries()["diabetes_tuned"].below_baseline
    assert "Cross-validation of" not in findings("diabetes")


@pytest.mark.usefixtures("committed")
def test_training_rows_and_regressions_are_never_below_the_baseline() -> None:
    write("baselines/hours.json", {"dummy": {"samples": 3, "accuracy": 1.0}})
    write("hours_logistic/test.json", {"accuracy": 0.0})
    write("baselines/bike_sharing.json", {"gradient_boosting": {"samples": 9999, "r2": 0.9}})
    write("bike_sharing_mlp/test.json", {"r2": 0.1})
    every = summaries()
    assert every["hours_logistic"].difference is None
    assert every["bike_sharing_mlp"].difference is None
    assert not every["hours_logistic"].below_baseline
    assert not every["bike_sharing_mlp"].below_baseline


@pytest.mark.usefixtures("committed")
def test_findings_follow_the_numbers() -> None:
    write_baseline(samples=115, accuracy=0.85)
    (paths.metrics("diabetes_tuned") / "folds.json").unlink()
    write("diabetes_full_batch/test.json", {"accuracy": 0.65, "loss": 0.644})
    write("diabetes_minibatch/test.json", {"accuracy": 0.86, "loss": 0.5})
    write("diabetes_tuned/test.json", {"accuracy": 0.85, "loss": 0.5})
    assert (
        "Below the baseline, logistic regression (accuracy 0.8500; 95% interval of the difference below zero): "
        "`diabetes_full_batch` 0.6500."
    ) in findings("diabetes")
    assert "`diabetes_full_batch` scores no better than the dummy, which always predicts the majority class" in (
        findings("diabetes")
    )
    assert "2 layers of sigmoids pass on at most 1/16 of the gradient" in findings("diabetes")
    write("diabetes_full_batch/test.json", {"accuracy": 0.79, "loss": 0.4})
    assert findings("diabetes") == ""

    for name, accuracy in (
        ("dogs_vs_cats_resnet18", 0.75), ("dogs_vs_cats_resnet18_scratch", 0.7), ("dogs_vs_cats_vgg16", 0.8),
        ("dogs_vs_cats_vgg16_features", 0.8),
    ):  # fmt: skip
        write(f"{name}/test.json", {"accuracy": accuracy})
        write(f"{name}/train.json", {"epochs": 3, "parameters": 1, "validation_accuracy_best": 0.5})
    assert "trained from scratch, `dogs_vs_cats_resnet18_scratch`, 0.7000: +5.0 points" in findings("dogs_vs_cats")
    assert "on precomputed features takes 0.50 s on average; an epoch of `dogs_vs_cats_vgg16`" in findings(
        "dogs_vs_cats"
    )
    assert "10.0 s: 20 times as long" in findings("dogs_vs_cats")
    assert "precomputed features" not in findings("dogs_vs_cats", {"dogs_vs_cats_vgg16": 30.0})
