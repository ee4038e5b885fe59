"""Reads the test split once: metrics/E/test.json, and metrics/E/test/ with predictions, tables and figures."""

import json
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from torchprimer import models, paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.storage import SAMPLES, load_split
from torchprimer.params import Params
from torchprimer.tasks import EvaluationContext
from torchprimer.tracking import Tracker
from torchprimer.training.device import select_device


def run(_params: Params, name: str, tracker: Tracker) -> None:
    place = paths.model(name)
    model, record = models.load(place)
    device = select_device("cpu" if record["run"]["device"] == "cpu" else "auto")  # as it was trained, if that is here
    prepared, scorer = paths.prepared(record["params"]["dataset"]), record["params"]["scorer"]
    samples = pd.read_csv(prepared / SAMPLES, dtype=str, keep_default_na=False)
    trained = EvaluationContext(
        name=name,
        model=model.to(device),
        record=record,
        history=pd.read_csv(paths.metrics(name) / "history.csv"),
        train=load_split(prepared, "train"),
        test=load_split(prepared, "test"),
        ids=list(samples[samples["split"].isin(["test", "all"])]["id"]),
        extras={file.stem: np.load(file) for file in place.glob("*.npy")},
        scorer=models.load(paths.model(scorer))[0].to(device) if scorer != "none" else None,
        device=device,
    )
    with atomic_write(paths.metrics(name) / "test") as folder:
        folder.mkdir()
        scores = import_module(f"torchprimer.tasks.{kind_of_evaluation(record)}").evaluate(trained, folder)
        (folder / "model.json").write_text(json.dumps({"fingerprint": record["fingerprint"]}) + "\n", "utf-8")
    with atomic_write(paths.metrics(name) / "test.json") as file:
        file.write_text(json.dumps(scores, indent=1) + "\n", "utf-8")
    tracker.send("evaluation", name)
    print(f"{name}: test " + ", ".join(f"{key} {value:.4g}" for key, value in list(scores.items())[:4]))


def kind_of_evaluation(record: dict[str, Any]) -> str:
    """The module of evaluation/ for an experiment: by its model where that decides, else by its task."""
    by_model = {"gan": "generation", "autoencoder": "reconstruction"}
    task: str = record["data"]["task"]
    return by_model.get(record["params"]["model"], task)
