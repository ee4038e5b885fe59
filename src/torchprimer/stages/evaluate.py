"""Reads the test split once: metrics/E/test.json, and metrics/E/test/ with predictions, tables and figures."""

import json

import torch

from torchprimer import models, paths
from torchprimer.atomic import atomic_write, write_json
from torchprimer.datasets.storage import load_samples, load_split
from torchprimer.evaluation import EvaluationContext
from torchprimer.experiment_results import read_table
from torchprimer.params import Params
from torchprimer.tracking import Tracker
from torchprimer.training.device import select_device


def run(_params: Params, name: str, tracker: Tracker) -> None:
    folder = paths.model(name)
    model, record = models.load(folder)
    torch.set_num_threads(record.run.threads)
    experiment = record.params
    device = select_device("cpu" if record.run.device == "cpu" else "auto")  # as in training, where it is available
    prepared = paths.prepared(experiment.dataset)
    samples = load_samples(prepared)
    context = EvaluationContext(
        name=name, model=model.to(device), record=record, device=device,
        train=load_split(prepared, "train"), test=load_split(prepared, "test"),
        history=read_table(paths.metrics(name) / "history.csv", f"train@{name}", "epoch"),
        ids=list(samples[samples["split"].isin(["test", "all"])]["id"]),
        artifacts=models.load_arrays(folder),
        scorer=models.load(paths.model(experiment.scorer))[0].to(device) if experiment.scorer != "none" else None,
    )  # fmt: skip
    with atomic_write(paths.metrics(name) / "test") as output:
        output.mkdir()
        scores = context.task.evaluate(context, output)
        (output / "model.json").write_text(json.dumps({"fingerprint": record.fingerprint}) + "\n", "utf-8")
    write_json(paths.metrics(name) / "test.json", scores)
    tracker.log("evaluation", name)
    print(f"{name}: test " + ", ".join(f"{key} {value:.4g}" for key, value in list(scores.items())[:4]))
