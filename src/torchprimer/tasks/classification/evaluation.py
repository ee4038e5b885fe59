"""What a classifier makes of the test split: scores, predictions, confusion matrix, ROC, worst mistakes."""

from pathlib import Path

import pandas as pd

from torchprimer.datasets.meta import TabularMeta
from torchprimer.tasks import figures
from torchprimer.tasks.base import EvaluationContext
from torchprimer.tasks.classification.metrics import classification_metrics, per_class, roc_points
from torchprimer.tasks.inference import predict


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes predictions.csv, per_class.csv, roc.csv and the figures into `folder`; returns the scores, flat."""
    classes, test, title = context.meta.classes, context.test, context.title
    outputs = predict(context.model, test.inputs, context.device)
    probabilities, targets = context.head(outputs).numpy(), test.targets.numpy()
    scores = {"loss": context.mean_loss(outputs)}
    scores |= classification_metrics(targets, probabilities, classes)

    answers = {
        "id": context.ids,
        "label": [classes[number] for number in targets],
        "prediction": [classes[number] for number in probabilities.argmax(1)],
    }
    shares = {f"p_{label}": probabilities[:, number].round(6) for number, label in enumerate(classes)}
    pd.DataFrame(answers | shares).to_csv(folder / "predictions.csv", index=False)
    per_class(targets, probabilities, classes).to_csv(folder / "per_class.csv", index=False)
    heading = f"{title}: {scores['accuracy']:.2%} right"
    figures.save(figures.confusion(targets, probabilities.argmax(1), classes, heading), folder / "confusion.png")
    points = roc_points(targets, probabilities, classes)
    if len(points):
        points.to_csv(folder / "roc.csv", index=False)
        figures.save(figures.roc(points, figures.areas_under(points), title), folder / "roc.png")
    if context.meta.kind == "images":
        images = test.inputs.numpy()
        mistakes = figures.top_errors(images, targets, probabilities, classes, f"{title}: worst mistakes")
        figures.save(mistakes, folder / "mistakes.png")
    if context.meta.kind == "text":
        from torchprimer.tasks.classification.word_importance import write_words

        write_words(context, folder)
    if context.meta.kind == "tabular" and context.meta.shape in ([1], [2]):
        from torchprimer.tasks.classification.decision_boundary import plot_plane

        plot_plane(context, folder)
    if isinstance(context.meta, TabularMeta) and context.meta.explained_variance:
        scores["explained_variance"] = sum(context.meta.explained_variance)
    return scores
