"""What a net's score is measured against: scikit-learn models on the same prepared arrays.

Two for each dataset: a dummy that ignores its input, and a classic, named by the dataset's key `baseline`. Both see the
training rows alone, and are scored on the test rows under the names that the nets' scores have.
"""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from torchprimer.datasets.meta import ImagesMeta, Meta, SequencesMeta, TabularMeta, TextMeta
from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.tasks.classification.metrics import Floats, Integers, classification_metrics
from torchprimer.tasks.regression.metrics import Doubles, regression_metrics

Scores = dict[str, float]
MAX_SIDE = 32  # pixels; larger images are reduced to this side: every pixel is a feature


def fit_baselines(training: SplitArrays, test: SplitArrays, meta: Meta, baseline: str, seed: int) -> dict[str, Scores]:
    """Test metrics of `dummy` and of the classic model `baseline`; UserError: all training rows are of one class."""
    if isinstance(meta, SequencesMeta):
        return {"dummy": character_scores(training, test, use_input=False), baseline: character_scores(training, test)}
    y, y_test = training.targets.numpy(), test.targets.numpy()
    if not meta.classes:
        y, y_test = y[:, 0], y_test[:, 0]
    elif len(np.unique(y)) < 2:
        raise UserError(f"baseline {baseline}: all training rows are of class {meta.classes[y[0]]!r}: nothing to learn")
    models = {
        "dummy": DummyClassifier(strategy="prior") if meta.classes else DummyRegressor(strategy="mean"),
        baseline: make_baseline(baseline, meta, len(y), seed),
    }
    x_train, x_test = features(training.inputs, meta), features(test.inputs, meta)
    scores = {}
    for name, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is early stopping here
            model.fit(x_train, y)
        if isinstance(meta, TabularMeta) and not meta.classes:
            scores[name] = regression_scores(y_test, model.predict(x_test), meta)
        else:
            probabilities = np.zeros((len(y_test), len(meta.classes)))
            probabilities[:, model.classes_] = model.predict_proba(x_test)
            scores[name] = classification_scores(y_test, probabilities, meta.classes)
    return scores


def make_baseline(name: str, meta: Meta, rows: int, seed: int) -> Any:
    """The scikit-learn model of that name for this kind of data and so many training rows, unfitted."""
    if name == "nearest_neighbours":
        return KNeighborsClassifier(min(5, rows), algorithm="brute")
    if name == "naive_bayes":
        return MultinomialNB()
    if name == "gradient_boosting":
        return (HistGradientBoostingClassifier if meta.classes else HistGradientBoostingRegressor)(random_state=seed)
    if name == "linear_regression":  # the penalty is chosen by leave-one-out on the training rows
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 3, 10)) if rows > 1 else Ridge())
    if isinstance(
        meta, ImagesMeta
    ):  # chosen on CIFAR-10's validation split; 100 steps: twice the time, 0.4 points more
        return LogisticRegression(C=1e-3, max_iter=50)
    model = LogisticRegression(max_iter=1000)
    return model if isinstance(meta, TextMeta) else make_pipeline(StandardScaler(), model)


def features(inputs: torch.Tensor, meta: Meta) -> Any:
    """Rows for scikit-learn, (N, F): pixels float32, tables as they are, texts as a sparse matrix of word counts."""
    if isinstance(meta, ImagesMeta):
        return pixels(inputs, meta.mean, meta.std)
    if isinstance(meta, TextMeta):
        return word_counts(inputs.numpy(), len(meta.words))
    return inputs.numpy()


def pixels(images: torch.Tensor, mean: list[float], std: list[float]) -> Floats:
    """uint8 images (N, C, H, W), shrunk to MAX_SIDE x MAX_SIDE if they are larger, normalised -> (N, F)."""
    count, channels, height, width = images.shape
    size = min(height, MAX_SIDE), min(width, MAX_SIDE)
    rows = np.empty((count, channels * size[0] * size[1]), np.float32)
    shift, scale = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
    for start in range(0, count, 1024):
        batch = images[start : start + 1024].float() / 255
        if size != (height, width):
            batch = F.adaptive_avg_pool2d(batch, size)
        rows[start : start + 1024] = ((batch - shift) / scale).flatten(1).numpy()
    return rows


def word_counts(texts: npt.NDArray[np.int32], words: int) -> Any:
    """Word counts of each text, sparse (N, words), from token ids (N, L) that begin at 1; 0: padding."""
    row, position = np.nonzero(texts)
    column = texts[row, position] - 1
    return csr_matrix((np.ones(len(row)), (row, column)), shape=(len(texts), words))


def classification_scores(targets: Integers, probabilities: Doubles, classes: list[str]) -> Scores:
    """Cross-entropy, unless a true class has probability 0, and the metrics of a classifier."""
    likelihoods = probabilities[np.arange(len(targets)), targets]
    loss = {"loss": float(-np.log(likelihoods).mean())} if likelihoods.min() > 0 else {}
    return loss | classification_metrics(targets, probabilities.astype(np.float32), classes)


def regression_scores(targets: Floats, predictions: Doubles, meta: TabularMeta) -> Scores:
    """Loss in standardised units; the other metrics in the units of the target."""
    mean, std = meta.target_mean, meta.target_std
    predictions = predictions.astype(np.float64)  # some models predict float32
    loss = float(((predictions - targets) ** 2).mean())
    return {"loss": loss} | regression_metrics(targets.astype(np.float64) * std + mean, predictions * std + mean)


def character_scores(training: SplitArrays, test: SplitArrays, *, use_input: bool = True) -> Scores:
    """Accuracy of predicting the most frequent target of each input character; without input: that of all."""
    inputs, targets = training.inputs.numpy().ravel(), training.targets.numpy().ravel()
    alphabet = int(max(split.max() for split in (training.inputs, training.targets, test.inputs, test.targets))) + 1
    counts = np.zeros((alphabet, alphabet), np.int64)
    np.add.at(counts, (inputs, targets), 1)
    most_frequent = counts.sum(0).argmax()
    guess = np.where(counts.any(1) & use_input, counts.argmax(1), most_frequent)
    return {"accuracy": float((guess[test.inputs.numpy()] == test.targets.numpy()).mean())}
