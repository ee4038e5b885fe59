"""Makes models/E.export/ of a trained model: ONNX from prepared input to answers, proven equal, and registered."""

import hashlib
import json
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import nn

from torchprimer import models, paths
from torchprimer.datasets.prepared import load_split
from torchprimer.errors import UserError
from torchprimer.export.onnx import ParityError, export_onnx, prove_parity
from torchprimer.files import replacing
from torchprimer.params import Params
from torchprimer.tracking import Tracker

SAMPLES = 1000  # of the test split, for the proof
INPUTS = {"images": "images", "tabular": "features", "features": "features", "text": "words", "sequences": "characters"}


def run(_params: Params, name: str, tracker: Tracker) -> None:
    model, record = models.load(paths.model(name))
    params, data = record["params"], record["data"]
    whole = nn.Sequential(model, models.Answers(params, data)).eval()
    if params["model"] == "gan":
        inputs = torch.randn(SAMPLES, params["noise"], generator=torch.Generator().manual_seed(0))
    else:
        inputs = load_split(paths.prepared(params["dataset"]), "test").inputs[:SAMPLES].clone()
    made = {"gan": "images", "autoencoder": "reconstructions"}.get(params["model"])
    classifies = not made and data["task"] != "regression"
    names = (
        "noise" if params["model"] == "gan" else INPUTS[data["kind"]],
        made or ("probabilities" if classifies else "values"),
    )
    with torch.inference_mode():
        shape = whole(inputs[:2]).shape[1:]
    train_scores = json.loads((paths.metrics(name) / "train.json").read_text("utf-8"))
    with replacing(paths.export(name)) as folder:
        folder.mkdir()
        file = folder / "model.onnx"
        export_onnx(whole, inputs[:2], file, names)
        try:
            difference = prove_parity(whole, file, inputs, classes=classifies)
        except ParityError as error:
            raise UserError(f"{name}: {error}") from None
        np.save(folder / "example.npy", inputs[:2].numpy())
        description = {
            "experiment": name,
            "dataset": params["dataset"],
            "registered_as": name if made else params["dataset"],
            "classes": data["classes"] if classifies else None,
            "input": {"name": names[0], "dtype": str(inputs.dtype)[6:], "shape": [-1, *inputs.shape[1:]]},
            "output": {"name": names[1], "dtype": "float32", "shape": [-1, *shape]},
            "validation_score": validation_score(train_scores),
            "limit": record["run"]["limit"],
            "data_digest": record["data_digest"],
            "fingerprint": record["fingerprint"],
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "largest_difference_to_pytorch": float(f"{difference:.1e}"),
            "requirements": {
                package: metadata.version(package) for package in ("mlflow", "onnx", "onnxruntime", "numpy")
            },
        }
        (folder / "model.json").write_text(json.dumps(description, indent=1, ensure_ascii=False) + "\n", "utf-8")
    tracker.send("export", name)
    print(f"{name}: {file.name} of {(paths.export(name) / file.name).stat().st_size:,} bytes, "
          f"largest difference to PyTorch {difference:.1e} over {len(inputs):,} samples")  # fmt: skip


def validation_score(scores: dict[str, Any]) -> float | None:
    """What the champion of a dataset is chosen by, the higher the better; None for a generator."""
    for key, sign in (("validation_accuracy_best", 1), ("validation_r2_best", 1), ("validation_loss_best", -1)):
        if key in scores:
            return sign * float(scores[key])
    return None
