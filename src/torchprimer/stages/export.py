"""Makes models/E.export/ of a trained model: a folder that takes raw input and needs nothing else of the project."""

import hashlib
import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import torchprimer.predictor
from torchprimer import models, paths
from torchprimer.datasets.prepared import load_split
from torchprimer.errors import UserError
from torchprimer.export import description as describe
from torchprimer.export.card import card
from torchprimer.export.onnx import ParityError, export_onnx, join, prove_parity
from torchprimer.files import replacing
from torchprimer.params import Params
from torchprimer.tracking import Tracker

SAMPLES = 1000  # of the test split, for the proof
INPUTS = {"images": "images", "autoencoder": "images", "tabular": "features", "text": "words",
          "sequences": "characters", "generator": "noise"}  # fmt: skip
OUTPUTS = {"generator": "images", "autoencoder": "reconstructions"}


def run(_params: Params, name: str, tracker: Tracker) -> None:
    model, record = models.load(paths.model(name))
    params, data = record["params"], record["data"]
    whole = nn.Sequential(model, models.Answers(params, data)).eval()
    kind = describe.kind_of(params, data)
    classifies = kind not in OUTPUTS and data["task"] != "regression"
    prepared = paths.prepared(params["dataset"])
    if kind == "generator":
        inputs = torch.randn(SAMPLES, params["noise"], generator=torch.Generator().manual_seed(0))
    else:
        inputs = load_split(prepared, "test").inputs[:SAMPLES].clone()
    given = inputs  # what the graph takes
    names = INPUTS[kind], OUTPUTS.get(kind, "probabilities" if classifies else "values")
    with replacing(paths.export(name)) as folder:
        folder.mkdir()
        file = folder / "model.onnx"
        if data["kind"] == "features":  # the net that made the features goes in front, and images go in
            export_onnx(whole, inputs[:2], file, ("features", names[1]))
            join(prepared / "extractor" / "model.onnx", file, "features")
            given = torch.from_numpy(np.load(prepared / "extractor" / "images.npy"))
            inputs = inputs[: len(given)]
        else:
            export_onnx(whole, inputs[:2], file, names, any_length=kind == "text")
        try:
            difference = prove_parity(whole, file, inputs, classes=classifies, given=given)
        except ParityError as error:
            raise UserError(f"{name}: {error}") from None
        with torch.inference_mode():
            shape = whole(inputs[:2]).shape[1:]
        training, test = (json.loads((paths.metrics(name) / f"{part}.json").read_text("utf-8"))
                          for part in ("train", "test"))  # fmt: skip
        transform = describe.transform_of(kind, params, data)
        description: dict[str, Any] = {
            "experiment": name,
            "dataset": params["dataset"],
            "kind": kind,
            "task": data["task"],
            "model": params["model"],
            "registered_as": name if kind in OUTPUTS else params["dataset"],
            "classes": data["classes"] if classifies else None,
            "target": data.get("target"),
            "columns": describe.columns_of(kind, transform),
            "input": {
                "name": names[0],
                "dtype": str(given.dtype)[6:],
                "shape": [-1, -1] if kind == "text" else [-1, *given.shape[1:]],
            },
            "output": {"name": names[1], "dtype": "float32", "shape": [-1, *shape]},
            "scores": describe.scores_of(training, test),
            "validation_score": describe.validation_score(training),
            "samples": data["samples"],
            "held_out": data["held_out"],
            "parameters": training["parameters"],
            "seconds": training["seconds"],
            "limit": record["run"]["limit"],
            "run": record["run"],
            "params": params,
            "data_digest": record["data_digest"],
            "fingerprint": record["fingerprint"],
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "largest_difference_to_pytorch": float(f"{difference:.1e}"),
            "versions": record["versions"],
            "requirements": {
                package: metadata.version(package) for package in ("mlflow", "onnx", "onnxruntime", "numpy")
            },
            "transform": transform,
        }
        write(folder / "model.json", description)
        write(folder / "example.json", [describe.example_of(kind, transform, given[0].numpy())])
        np.save(folder / "example.npy", given[:2].numpy())
        needs = [f"{package}=={metadata.version(package)}\n" for package in packages(kind, transform)]
        (folder / "requirements.txt").write_text("".join(needs), "utf-8")
        (folder / "MODEL.md").write_text(card(description), "utf-8")
        package = Path(torchprimer.predictor.__file__).parent
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    tracker.send("export", name)
    print(f"{name}: {file.name} of {(paths.export(name) / file.name).stat().st_size:,} bytes, "
          f"largest difference to PyTorch {difference:.1e} over {len(inputs):,} samples")  # fmt: skip


def packages(kind: str, transform: dict[str, Any]) -> list[str]:
    """What a Predictor of this kind imports."""
    images = ["pillow"] if kind in ("images", "autoencoder", "generator") else []
    return ["numpy", "onnxruntime", *images, *(["rjieba"] if transform.get("tokenizer") == "chinese" else [])]


def write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
