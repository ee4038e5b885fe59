"""Evaluation of a classifier on the test split: metrics, predictions, confusion matrix, ROC curve, top errors."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from torchprimer.datasets.meta import TabularMeta, TextMeta
from torchprimer.evaluation import EvaluationContext, figures, predict
from torchprimer.evaluation.decision_boundary import plot_boundary
from torchprimer.tasks.classification.metrics import Floats, classification_metrics, per_class, roc_points

NUM_WORDS = 30  # words of each class in words.csv


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes predictions.csv, per_class.csv, roc.csv and the figures into `folder`; returns the scores, flat."""
    classes, test, title = context.meta.classes, context.test, context.title
    outputs = predict(context.model, test.inputs, context.device)
    probabilities, targets = context.head(outputs).numpy(), test.targets.numpy()
    scores = {"loss": context.mean_loss(outputs)} | classification_metrics(targets, probabilities, classes)
    columns = {
        "id": context.ids,
        "label": [classes[number] for number in targets],
        "prediction": [classes[number] for number in probabilities.argmax(1)],
    }
    columns |= {f"p_{label}": probabilities[:, number].round(6) for number, label in enumerate(classes)}
    pd.DataFrame(columns).to_csv(folder / "predictions.csv", index=False)
    per_class(targets, probabilities, classes).to_csv(folder / "per_class.csv", index=False)
    heading = f"{title}: accuracy {scores['accuracy']:.2%}"
    figures.save(figures.confusion(targets, probabilities.argmax(1), classes, heading), folder / "confusion.png")
    points = roc_points(targets, probabilities, classes)
    if len(points):
        points.to_csv(folder / "roc.csv", index=False)
        figures.save(figures.roc(points, title), folder / "roc.png")
    if write_for_kind := BY_KIND.get(context.meta.kind):
        write_for_kind(context, probabilities, folder)
    if isinstance(context.meta, TabularMeta) and context.meta.explained_variance:
        scores["explained_variance"] = sum(context.meta.explained_variance)
    return scores


def _write_top_errors(context: EvaluationContext, probabilities: Floats, folder: Path) -> None:
    images, targets = context.test.inputs.numpy(), context.test.targets.numpy()
    figure = figures.top_errors(images, targets, probabilities, context.meta.classes, f"{context.title}: top errors")
    figures.save(figure, folder / "mistakes.png")


def _write_top_words(context: EvaluationContext, _probabilities: Floats, folder: Path) -> None:
    """words.csv, a table and no figure: figures may have no font for the words."""
    assert isinstance(context.meta, TextMeta)
    table = top_words(logit_margins(context.model, context.meta, context.device), context.meta, NUM_WORDS)
    table.to_csv(folder / "words.csv", index=False)


def logit_margins(model: nn.Module, meta: TextMeta, device: torch.device) -> torch.Tensor:
    """How clearly a text of one word alone is classified, (words, classes): the most important words of a classifier.

    The logit of the class minus the mean logit of the other classes; with two classes, the logarithm of the odds.
    """
    logits = predict(model, torch.arange(1, len(meta.words) + 1, dtype=torch.int32)[:, None], device)
    if logits.shape[1] == 1:  # one logit: that of the second class against the first
        return torch.cat([-logits, logits], 1)
    mean_of_rest = (logits.sum(1, keepdim=True) - logits) / (logits.shape[1] - 1)
    return logits - mean_of_rest


def top_words(margins: torch.Tensor, meta: TextMeta, count: int) -> pd.DataFrame:
    """The first `count` words of each class: columns class, word, logit_margin, documents (training texts with it)."""
    tables = []
    for number, label in enumerate(meta.classes):
        order = margins[:, number].sort(descending=True, stable=True).indices[:count].tolist()
        columns = {
            "class": label,
            "word": [meta.words[i] for i in order],
            "logit_margin": [round(float(margins[i, number]), 4) for i in order],
            "documents": [meta.documents[i] for i in order],
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


# what the test folder also gets, by kind of data
BY_KIND: dict[str, Callable[[EvaluationContext, Floats, Path], None]] = {
    "images": _write_top_errors,
    "tabular": lambda context, _probabilities, folder: plot_boundary(context, folder),
    "text": _write_top_words,
}
