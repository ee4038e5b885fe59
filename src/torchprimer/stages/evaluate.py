"""Reads the test split once: metrics/E/test.json, and metrics/E/test/ with predictions, tables and figures."""

import json

import pandas as pd
import torch
import torch.nn.functional as F

from torchprimer import models, paths
from torchprimer.datasets.prepared import load_split
from torchprimer.evaluation import figures
from torchprimer.evaluation.metrics import classification_metrics, per_class, roc_points
from torchprimer.files import replacing
from torchprimer.params import Params
from torchprimer.tracking import Tracker
from torchprimer.training.device import select_device


def run(params: Params, name: str, tracker: Tracker) -> None:
    device = select_device(params.device)
    model, record = models.load(paths.model(name))
    dataset, classes = record["params"]["dataset"], record["data"]["classes"]
    test = load_split(paths.prepared(dataset), "test")
    logits = predict(model.to(device), test.inputs, device)
    probabilities, targets = logits.softmax(1).numpy(), test.targets.numpy()
    loss = getattr(F, record["params"]["loss"])(logits, test.targets).item()
    scores = {"loss": loss} | classification_metrics(targets, probabilities, classes)

    ids = pd.read_csv(paths.split(dataset), dtype=str, keep_default_na=False).query("split == 'test'")["id"]
    predictions = pd.DataFrame(
        {
            "id": ids.to_numpy(),
            "label": [classes[number] for number in targets],
            "prediction": [classes[number] for number in probabilities.argmax(1)],
        }
    )
    for number, label in enumerate(classes):
        predictions[f"p_{label}"] = probabilities[:, number].round(6)
    points = roc_points(targets, probabilities, classes)
    title = f"{name}, test split"
    with replacing(paths.metrics(name) / "test") as folder:
        folder.mkdir()
        predictions.to_csv(folder / "predictions.csv", index=False)
        per_class(targets, probabilities, classes).to_csv(folder / "per_class.csv", index=False)
        points.to_csv(folder / "roc.csv", index=False)
        confusion = figures.confusion(
            targets, probabilities.argmax(1), classes, f"{title}: {scores['accuracy']:.2%} right"
        )
        figures.save(confusion, folder / "confusion.png")
        figures.save(figures.roc(points, figures.areas_under(points), title), folder / "roc.png")
        mistakes = figures.worst_mistakes(
            test.inputs.numpy(), targets, probabilities, classes, f"{title}: worst mistakes"
        )
        figures.save(mistakes, folder / "mistakes.png")
        (folder / "model.json").write_text(json.dumps({"fingerprint": record["fingerprint"]}) + "\n", "utf-8")
    with replacing(paths.metrics(name) / "test.json") as file:
        file.write_text(json.dumps(scores, indent=1) + "\n", "utf-8")
    tracker.send("evaluation", name)
    print(f"{name}: test accuracy {scores['accuracy']:.4f}, loss {loss:.4f}, {len(test):,} samples")


@torch.inference_mode()
def predict(model: torch.nn.Module, inputs: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Logits of shape (N, K), float32 on the CPU, for inputs of shape (N, ...)."""
    return torch.cat([model(batch.to(device)).float().cpu() for batch in inputs.split(512)])
