"""The tables of README and docs have the numbers of metrics/, and `make docs` writes them."""

import json
import re
from pathlib import Path

import pytest

from torchprimer import params
from torchprimer.errors import UserError
from torchprimer.experiment_results import read_json
from torchprimer.report import markdown
from torchprimer.report.summaries import Summary, summarize


@pytest.fixture
def summaries(committed: Path) -> list[Summary]:
    return summarize(params.load(), read_json(committed / "docs" / "timings.json"))


def test_committed_docs_have_the_committed_numbers(summaries: list[Summary]) -> None:
    for file, text in markdown.texts(summaries).items():
        assert file.read_text("utf-8") == text, f"{file.name}: run `make docs` and commit it with metrics/"


def test_committed_docs_have_their_figures(committed: Path) -> None:
    page = (committed / "docs" / "experiments.md").read_text("utf-8")
    links = set(re.findall(r"\]\(figures/([\w.]+)\)", page))
    files = list((committed / "docs" / "figures").iterdir())
    assert {file.name for file in files if file.suffix != ".csv"} == links
    assert sum(file.stat().st_size for file in files) < 4e6


def test_scores_without_a_test_split_are_marked(summaries: list[Summary]) -> None:
    cells = {summary.name: markdown.score_cell(summary) for summary in summaries}
    assert cells["line_sgd"] == "w = 2.0000; R² 1.0000 (training rows)"
    assert cells["hours_logistic"] == "accuracy 1.0000 (training rows)"
    assert cells["hello_rnn"] == "accuracy 1.0000 (training rows)"
    assert {name for name, cell in cells.items() if "training rows" in cell} == {
        "line_search", "line_search_2d", "line_gradient_descent", "line_sgd", "line_minibatch", "line_autograd",
        "hours_logistic", "hello_rnn_cell", "hello_rnn", "hello_embedding",
    }  # fmt: skip
    assert markdown.in_chinese(cells["hours_logistic"]) == "准确率 1.0000（训练集）"  # noqa: RUF001


def test_seconds_of_another_training_are_left_out(committed: Path) -> None:
    """DVC restores an earlier model from its cache; timing.json stays that of the last training."""
    model, project = committed / "models" / "mnist_cnn", params.load()
    model.mkdir(parents=True)
    timing = {"fingerprint": "a", "seconds": 45.7, "epoch_seconds": []}
    (committed / "metrics" / "mnist_cnn" / "timing.json").write_text(json.dumps(timing))
    for fingerprint, expected in (("a", {"mnist_cnn": 45.7}), ("b", {})):
        (model / "experiment.json").write_text(json.dumps({"fingerprint": fingerprint}))
        assert markdown.training_seconds(project) == expected


def test_seconds_come_from_the_timings(committed: Path) -> None:
    def write(name: str, seconds: float) -> None:
        (committed / "metrics" / name / "timing.json").write_text(json.dumps({"seconds": seconds, "epoch_seconds": []}))

    file = committed / "docs" / "timings.json"
    file.write_text(json.dumps({"mnist_mlp": 12.3, "removed_experiment": 4.0}))
    write("mnist_cnn", 45.678)
    write("line_sgd", 0.02)
    project = params.load()
    seconds = markdown.renew_timings(project)
    assert seconds == json.loads(file.read_text()) == {"line_sgd": 0.0, "mnist_mlp": 12.3, "mnist_cnn": 45.7}
    cells = {summary.name: summary.seconds_text for summary in summarize(project, seconds)}
    assert (cells["line_sgd"], cells["mnist_mlp"], cells["mnist_cnn"], cells["mnist_relu"]) == ("<1", "12", "46", "")


def test_readme_without_its_markers_is_left_alone(summaries: list[Summary]) -> None:
    with pytest.raises(UserError, match="put the results table between the lines <!-- results"):
        markdown.with_results("# no table\n", summaries)


def test_experiments_that_are_not_evaluated_are_listed(committed: Path) -> None:
    for name in ("mnist_cnn", "mnist_relu"):
        (committed / "metrics" / name / "test.json").unlink()
    page = markdown.experiments_page(summarize(params.load(), {}))
    assert "\nNot trained yet: `mnist_relu`, `mnist_cnn`.\n" in page
    assert "### `mnist_cnn`" not in page
    assert "| **`mnist_cnn`**" not in page
