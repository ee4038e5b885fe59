"""What a classifier makes of the test split: scores, predictions, confusion matrix, ROC, worst mistakes."""

from pathlib import Path

import pandas as pd

from torchprimer.models import OutputHead
from torchprimer.tasks import EvaluationContext, figures
from torchprimer.tasks.inference import predict
from torchprimer.tasks.metrics import classification_metrics, per_class, roc_points
from torchprimer.training.objective import objective


def evaluate(trained: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes predictions.csv, per_class.csv, roc.csv and the figures into `folder`; returns the scores, flat."""
    classes, test, title = trained.data["classes"], trained.test, trained.title
    outputs = predict(trained.model, test.inputs, trained.device)
    probabilities, targets = OutputHead(trained.params, trained.data)(outputs).numpy(), test.targets.numpy()
    aim = objective(trained.params | {"reduction": "mean"}, trained.data)
    scores = {"loss": aim.loss(outputs, test.targets).item()}
    scores |= classification_metrics(targets, probabilities, classes)

    answers = {
        "id": trained.ids,
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
    if trained.data["kind"] == "images":
        images = test.inputs.numpy()
        mistakes = figures.top_errors(images, targets, probabilities, classes, f"{title}: worst mistakes")
        figures.save(mistakes, folder / "mistakes.png")
    if trained.data["kind"] == "text":
        from torchprimer.tasks.word_importance import write_words

        write_words(trained, folder)
    if trained.data["kind"] == "tabular" and trained.data["shape"] in ([1], [2]):
        from torchprimer.tasks.decision_boundary import plot_plane

        plot_plane(trained, folder)
    if "explained_variance" in trained.data:
        scores["explained_variance"] = sum(trained.data["explained_variance"])
    return scores
