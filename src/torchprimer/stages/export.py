"""Makes models/E.export/ of a trained model: ONNX from raw input to probabilities, proven equal, and registered."""

import hashlib
import json
from importlib import metadata

import numpy as np

from torchprimer import models, paths
from torchprimer.datasets.prepared import load_split
from torchprimer.errors import UserError
from torchprimer.export.onnx import INPUT, OUTPUT, ParityError, export_onnx, prove_parity
from torchprimer.files import replacing
from torchprimer.params import Params
from torchprimer.tracking import Tracker

SAMPLES = 1000  # of the test split, for the proof


def run(_params: Params, name: str, tracker: Tracker) -> None:
    model, record = models.load(paths.model(name))
    inputs = load_split(paths.prepared(record["params"]["dataset"]), "test").inputs[:SAMPLES].clone()
    train_scores = json.loads((paths.metrics(name) / "train.json").read_text("utf-8"))
    with replacing(paths.export(name)) as folder:
        folder.mkdir()
        file = folder / "model.onnx"
        export_onnx(model, inputs[:2], file)
        try:
            difference = prove_parity(model, file, inputs)
        except ParityError as error:
            raise UserError(f"{name}: {error}") from None
        np.save(folder / "example.npy", inputs[:2].numpy())
        description = {
            "experiment": name,
            "dataset": record["params"]["dataset"],
            "classes": record["data"]["classes"],
            "input": {"name": INPUT, "dtype": "uint8", "shape": [-1, *record["data"]["shape"]]},
            "output": {"name": OUTPUT, "dtype": "float32", "shape": [-1, len(record["data"]["classes"])]},
            "validation_accuracy": train_scores["validation_accuracy_best"],
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
