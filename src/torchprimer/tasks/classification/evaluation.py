"""Evaluation of a classifier on the test split: metrics, predictions, confusion matrix, ROC curve, top errors."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from torchprimer.datasets.meta import TabularMeta
from torchprimer.tasks import figures
from torchprimer.tasks.base import EvaluationContext
from torchprimer.tasks.classification.metrics import Floats, classification_metrics, per_class, roc_points
from torchprimer.tasks.inference import predict


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes predictions.csv, per_class.csv, roc.csv and the figures into `folder`; returns the scores, flat."""
    classes, test, title = context.meta.classes, context.test, context.title
    outputs = predict(context.model, test.inputs, context.device)
    probabilities, targets = context.head(outputs).numpy(), test.targets.numpy()
    scores = {"loss": context.mean_loss(outputs)}
    scores |= classification_metrics(targets, probabilities, classes)

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
        figures.save(figures.roc(points, figures.areas_under(points), title), folder / "roc.png")
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
    from torchprimer.tasks.classification.word_importance import write_top_words

    write_top_words(context, folder)


def _write_boundary(context: EvaluationContext, _probabilities: Floats, folder: Path) -> None:
    from torchprimer.tasks.classification.decision_boundary import plot_boundary

    if context.meta.shape in ([1], [2]):
        plot_boundary(context, folder)


# what the test folder also gets, by kind of data
BY_KIND: dict[str, Callable[[EvaluationContext, Floats, Path], None]] = {
    "images": _write_top_errors,
    "text": _write_top_words,
    "tabular": _write_boundary,
}
