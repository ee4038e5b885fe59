"""Trains one experiment: models/E/ (weights and record), metrics/E/train.json and history.csv, an MLflow run."""

import hashlib
import json
import re
from importlib import metadata
from typing import Any

import pandas as pd
import torch

from torchprimer import models, paths
from torchprimer.datasets.meta import load_meta
from torchprimer.datasets.prepared import load_split
from torchprimer.files import remove, replacing
from torchprimer.params import Params
from torchprimer.tracking import Tracker
from torchprimer.training.device import seed_everything, select_device, select_precision
from torchprimer.training.supervised import Row, best_epoch, train


def run(params: Params, name: str, tracker: Tracker) -> None:
    experiment = params.resolve(name).model_dump()
    device = select_device(params.device)
    precision = select_precision(params.precision, device)
    prepared = paths.prepared(experiment["dataset"])
    record: dict[str, Any] = {
        "experiment": name,
        "params": experiment,
        "run": {"seed": params.seed, "limit": params.limit, "device": str(device), "precision": str(precision)[6:]},
        "data": load_meta(prepared),
        "data_digest": hashlib.sha256((prepared / "meta.json").read_bytes()).hexdigest(),
        "versions": {package: metadata.version(package) for package in ("torch", "numpy")},
    }
    record["fingerprint"] = fingerprint(record)

    seed_everything(params.seed)
    model = models.build(experiment, record["data"])
    checkpoint = paths.checkpoint(name, record["fingerprint"])
    if checkpoint.is_file():
        print(f"{name}: goes on from the last finished epoch of an interrupted training")
    run_id = tracker.begin(record)
    weights, history = train(
        model,
        load_split(prepared, "train"),
        load_split(prepared, "validation"),
        experiment,
        device=device,
        precision=precision,
        on_epoch=_Listeners(tracker, run_id if params.tensorboard else None, name),
        checkpoint=checkpoint,
        title=name,
    )
    scores = summary(history, model)
    with replacing(paths.model(name)) as folder:
        folder.mkdir()
        models.save(weights, record, folder)
    with replacing(paths.metrics(name) / "history.csv") as file:
        pd.DataFrame(history).to_csv(file, index=False)
    with replacing(paths.metrics(name) / "train.json") as file:
        file.write_text(json.dumps(scores, indent=1) + "\n", "utf-8")
    tracker.send("training", name)
    remove(checkpoint)
    print(
        f"{name}: validation accuracy {scores['validation_accuracy_best']:.4f} after epoch {scores['best_epoch']} "
        f"of {scores['epochs']}, {scores['seconds']:.0f} s on {device} in {record['run']['precision']}"
    )


def fingerprint(record: dict[str, Any]) -> str:
    """SHA-256 of all that decides the weights: params, data, and the code that dvc.yaml names as their dependencies."""
    from ruamel.yaml import YAML

    digest = hashlib.sha256()
    decisive = {key: record[key] for key in ("experiment", "params", "run", "data_digest")}
    digest.update(json.dumps(decisive, sort_keys=True).encode())
    stages = YAML(typ="safe").load((paths.project() / "dvc.yaml").read_text("utf-8"))["stages"]
    for dependency in stages["train"]["do"]["deps"]:
        place = re.sub(r"\$\{item\.(\w+)\}", lambda found: str(record["params"][found[1]]), dependency)
        if place.endswith(".py"):
            digest.update((paths.project() / place).read_bytes())
    return digest.hexdigest()


def summary(history: list[Row], model: torch.nn.Module) -> dict[str, float]:
    """train.json: the best epoch and its scores, the last epoch's, seconds of all epochs, trained parameters."""
    best, last = history[best_epoch(history) - 1], history[-1]
    return {
        "epochs": len(history),
        "best_epoch": best["epoch"],
        "validation_accuracy_best": best["validation_accuracy"],
        "validation_loss_best": best["validation_loss"],
        "validation_accuracy_final": last["validation_accuracy"],
        "validation_loss_final": last["validation_loss"],
        "train_accuracy_final": last["train_accuracy"],
        "train_loss_final": last["train_loss"],
        "seconds": round(sum(row["epoch_seconds"] for row in history), 1),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


class _Listeners:
    """Who hears of each epoch: MLflow, and TensorBoard if asked for."""

    def __init__(self, tracker: Tracker, tensorboard_run: str | None, name: str) -> None:
        self.tracker, self.writer = tracker, None
        if tensorboard_run:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(paths.tensorboard(name, tensorboard_run))

    def __call__(self, row: Row) -> None:
        self.tracker.send("epoch", row)
        if self.writer:
            for key, value in row.items():
                self.writer.add_scalar(key, value, int(row["epoch"]))
            self.writer.flush()
