"""The baselines, on real data, against scikit-learn fitted by hand to the same arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import datasets, metrics
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from tests.objects import make_meta
from torchprimer import params, paths
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import SAMPLES_FILE, SplitArrays, write_meta
from torchprimer.errors import UserError
from torchprimer.stages import baseline as stage
from torchprimer.tasks import baselines
from torchprimer.tasks.baselines import fit_baselines

NUMBER = make_meta(kind="tabular", task="regression", shape=[1])


def make_table(*classes: str) -> Meta:
    return make_meta(kind="tabular", shape=[1], classes=list(classes))


def halves(x: Any, y: Any) -> tuple[SplitArrays, SplitArrays]:
    """Every other row to train on, the rest to test with."""
    return tuple(SplitArrays(torch.tensor(x[start::2]), torch.tensor(y[start::2])) for start in (0, 1))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def cancer() -> tuple[SplitArrays, SplitArrays]:
    """569 tumours, 30 measurements, malignant or benign."""
    table = datasets.load_breast_cancer()
    return halves(table.data.astype(np.float32), table.target.astype(np.int64))


def test_dummy_is_the_majority_share(cancer: tuple[SplitArrays, SplitArrays]) -> None:
    scores = fit_baselines(*cancer, make_table("malignant", "benign"), "logistic_regression", 0)["dummy"]
    share, seen = (split.targets.double().mean().item() for split in (cancer[1], cancer[0]))
    assert seen > 0.5
    assert scores["accuracy"] == pytest.approx(share)
    assert scores["roc_auc_macro"] == 0.5
    assert (scores["true_positives"], scores["true_negatives"]) == (cancer[1].targets.sum(), 0)
    assert scores["loss"] == pytest.approx(-share * np.log(seen) - (1 - share) * np.log(1 - seen))


def test_logistic_regression_is_scikit_learns(cancer: tuple[SplitArrays, SplitArrays]) -> None:
    (x, y), (asked, truth) = ((split.inputs.numpy(), split.targets.numpy()) for split in cancer)
    scaler = StandardScaler().fit(x)
    probabilities = LogisticRegression(max_iter=1000).fit(scaler.transform(x), y).predict_proba(scaler.transform(asked))
    scores = fit_baselines(*cancer, make_table("0", "1"), "logistic_regression", 0)["logistic_regression"]
    assert scores["accuracy"] == metrics.accuracy_score(truth, probabilities.argmax(1)) > 0.95
    assert scores["loss"] == pytest.approx(metrics.log_loss(truth, probabilities), rel=1e-4)
    assert scores["f1_macro"] == pytest.approx(metrics.f1_score(truth, probabilities.argmax(1), average="macro"))
    assert scores["roc_auc_macro"] == pytest.approx(metrics.roc_auc_score(truth, probabilities[:, 1]), abs=1e-6)


def test_gradient_boosting_is_scikit_learns_in_original_units() -> None:
    table = datasets.load_diabetes()
    training, test = halves(table.data.astype(np.float32), ((table.target - 150) / 77).astype(np.float32)[:, None])
    data = NUMBER.model_copy(update={"target_mean": 150.0, "target_std": 77.0})
    scores = fit_baselines(training, test, data, "gradient_boosting", 3)
    by_hand = HistGradientBoostingRegressor(random_state=3).fit(training.inputs.numpy(), training.targets.numpy()[:, 0])
    predictions, truth = by_hand.predict(test.inputs.numpy()) * 77 + 150, test.targets.double().numpy()[:, 0] * 77 + 150
    assert scores["gradient_boosting"] == pytest.approx(
        {
            "loss": metrics.mean_squared_error(truth, predictions) / 77**2,
            "mse": metrics.mean_squared_error(truth, predictions),
            "rmse": metrics.root_mean_squared_error(truth, predictions),
            "mae": metrics.mean_absolute_error(truth, predictions),
            "r2": metrics.r2_score(truth, predictions),
        },
        rel=1e-5,
    )
    mean = training.targets.double().mean().item() * 77 + 150
    assert scores["dummy"]["mae"] == pytest.approx(np.abs(truth - mean).mean(), rel=1e-5)
    assert scores["dummy"]["r2"] <= 0 < scores["gradient_boosting"]["r2"]


def test_nearest_neighbours_are_scikit_learns() -> None:
    digits = datasets.load_digits()
    images = (digits.images * 15).astype(np.uint8)[:, None]
    data = make_meta(kind="images", shape=[1, 8, 8], classes=[*"0123456789"], mean=[0.3], std=[0.4])
    training, test = halves(images, digits.target.astype(np.int64))
    scores = fit_baselines(training, test, data, "nearest_neighbours", 0)["nearest_neighbours"]
    mean, std = np.float32([0.3, 0.4])  # float32 all along: another rounding would decide ties between neighbours
    rows = ((images / np.float32(255) - mean) / std).reshape(-1, 64)
    by_hand = KNeighborsClassifier(5).fit(rows[::2], digits.target[::2])
    shares, truth = by_hand.predict_proba(rows[1::2]), digits.target[1::2]
    assert scores["accuracy"] == (shares.argmax(1) == truth).mean()
    assert scores["roc_auc_macro"] == pytest.approx(metrics.roc_auc_score(truth, shares, multi_class="ovr"), abs=1e-6)
    assert scores["accuracy"] > 0.95
    assert "loss" not in scores  # some true class has none of the five neighbours: its cross-entropy would be infinite


def test_linear_model_of_pixels_is_scikit_learns() -> None:
    digits = datasets.load_digits()
    images = (digits.images * 15).astype(np.uint8)[:, None]
    data = make_meta(kind="images", shape=[1, 8, 8], classes=[*"0123456789"], mean=[0.3], std=[0.4])
    training, test = halves(images, digits.target.astype(np.int64))
    rows = ((images / 255 - 0.3) / 0.4).reshape(-1, 64)
    by_hand = LogisticRegression(C=1e-3, max_iter=50).fit(rows[::2], digits.target[::2])
    scores = fit_baselines(training, test, data, "logistic_regression", 0)["logistic_regression"]
    loss = metrics.log_loss(digits.target[1::2], by_hand.predict_proba(rows[1::2]))
    assert scores["loss"] == pytest.approx(loss, rel=1e-3)
    assert scores["accuracy"] == pytest.approx(by_hand.score(rows[1::2], digits.target[1::2]), abs=2e-3)


def test_large_images_are_shrunk_to_the_mean_of_their_blocks() -> None:
    images = torch.randint(256, (5, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = baselines.pixels(images, [0.5, 0.4, 0.3], [0.2, 0.3, 0.4])
    blocks = images.double().numpy().reshape(5, 3, 32, 2, 32, 3).mean((3, 5)) / 255
    mean, std = (np.array(values)[:, None, None] for values in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    assert rows.dtype == np.float32
    assert rows == pytest.approx(((blocks - mean) / std).reshape(5, -1), abs=1e-5)


@pytest.mark.parametrize(
    ("baseline", "model"),
    [("naive_bayes", MultinomialNB()), ("logistic_regression", LogisticRegression(max_iter=1000))],
)
def test_texts_are_counted_as_count_vectorizer_does(baseline: str, model: Any) -> None:
    texts = [
        "good good phone",
        "bad battery",
        "very good",
        "bad bad bad phone",
        "fine phone very fine",
        "awful",
        "",
        "good",
    ]
    y = np.array([1, 0, 1, 0, 1, 0, 1, 1])
    counter = CountVectorizer()
    counts = counter.fit_transform(texts)
    words = list(counter.get_feature_names_out())
    numbers = np.zeros((8, 6), np.int32)
    for row, text in enumerate(texts):
        for position, word in enumerate(text.split()):
            numbers[row, position] = words.index(word) + 1
    assert (baselines.word_counts(numbers, len(words)) != counts).nnz == 0
    data = make_meta(kind="text", shape=[6], classes=["bad", "good"], words=words)
    split = SplitArrays(torch.from_numpy(numbers), torch.from_numpy(y))
    scores = fit_baselines(split, split, data, baseline, 0)[baseline]
    assert scores["loss"] == pytest.approx(metrics.log_loss(y, model.fit(counts, y).predict_proba(counts)), rel=1e-5)


def test_characters_by_what_they_mostly_become() -> None:
    """hello -> ohlol: h is o, e is h, o is l; l is l or o, and the first of the two is as good."""
    alphabet = [*"ehlo"]
    inputs, targets = (torch.tensor([[alphabet.index(c) for c in word]]) for word in ("hello", "ohlol"))
    split = SplitArrays(inputs, targets)
    data = make_meta(kind="sequences", shape=[5], classes=alphabet)
    assert fit_baselines(split, split, data, "most_frequent_per_character", 0) == {
        "dummy": {"accuracy": pytest.approx(2 / 5)}, "most_frequent_per_character": {"accuracy": pytest.approx(4 / 5)},
    }  # fmt: skip
    unseen = SplitArrays(torch.tensor([[alphabet.index("e")] * 3]), torch.tensor([[2, 2, 0]]))
    without = SplitArrays(inputs[:, 2:], targets[:, 2:])  # l, l, o -> l, o, l: mostly l, and e never seen
    assert fit_baselines(without, unseen, data, "most_frequent_per_character", 0)["most_frequent_per_character"] == {
        "accuracy": pytest.approx(2 / 3)
    }


def test_three_points_are_enough() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]])
    line, hours = SplitArrays(x, 2 * x), SplitArrays(x, torch.tensor([0, 0, 1]))
    scores = fit_baselines(line, line, NUMBER, "linear_regression", 0)
    assert scores["linear_regression"] == pytest.approx({"loss": 0, "mse": 0, "rmse": 0, "mae": 0, "r2": 1}, abs=1e-5)
    assert scores["dummy"]["mse"] == pytest.approx(8 / 3)
    assert fit_baselines(line, line, NUMBER, "gradient_boosting", 0)["gradient_boosting"]["r2"] == 0
    data = make_table("0", "1")
    assert fit_baselines(hours, hours, data, "logistic_regression", 0)["dummy"]["accuracy"] == pytest.approx(2 / 3)
    assert fit_baselines(hours, hours, data, "gradient_boosting", 0)["gradient_boosting"]["accuracy"] == pytest.approx(
        2 / 3
    )
    one = SplitArrays(x[:1], 2 * x[:1])
    assert fit_baselines(one, line, NUMBER, "linear_regression", 0)["linear_regression"]["mae"] == pytest.approx(2)


def test_class_that_is_not_in_the_training_rows(cancer: tuple[SplitArrays, SplitArrays]) -> None:
    """Classes a, b, c, of which b has no training row: it is given no probability, and c keeps its own number."""
    training, test = (SplitArrays(split.inputs, split.targets * 2) for split in cancer)
    scores = fit_baselines(training, test, make_table("a", "b", "c"), "logistic_regression", 0)
    assert scores["logistic_regression"]["accuracy"] > 0.95


def test_one_class_only(cancer: tuple[SplitArrays, SplitArrays]) -> None:
    data = make_table("malignant", "benign")
    single = SplitArrays(cancer[0].inputs, torch.ones_like(cancer[0].targets))
    with pytest.raises(UserError, match="all training rows are of class 'benign'"):
        fit_baselines(single, cancer[1], data, "logistic_regression", 0)


def test_stage_writes_both_and_tells_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = params.load()
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    folder = paths.prepared("hours")
    folder.mkdir(parents=True)
    for part in ("train", "validation", "test"):
        np.save(folder / f"{part}_inputs.npy", np.array([[1], [2], [3]], np.float32))
        np.save(folder / f"{part}_targets.npy", np.array([0, 0, 1]))
    (folder / SAMPLES_FILE).write_text("id,label,split\n1,0,all\n2,0,all\n3,1,all\n")
    write_meta(folder, make_table("0", "1"))
    calls: list[Any] = []

    class Recorder:
        def log_baselines(self, dataset: str) -> None:
            calls.append((dataset, json.loads(paths.baseline("hours").read_text("utf-8"))))

    stage.run(given, "hours", Recorder())  # type: ignore[arg-type]
    ((dataset, written),) = calls
    assert dataset == "hours"
    assert list(written) == ["dummy", "logistic_regression"]
    assert written["dummy"]["accuracy"] == pytest.approx(2 / 3)
    assert written["logistic_regression"]["accuracy"] == 1
