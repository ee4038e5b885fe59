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
from torchprimer.atomic import atomic_write
from torchprimer.datasets.meta import FeaturesMeta
from torchprimer.datasets.storage import load_split
from torchprimer.errors import UserError
from torchprimer.export.metadata import description, example_of, is_classifier, predictor_kind
from torchprimer.export.model_card import card
from torchprimer.export.onnx import ParityError, check_parity, export_onnx, join
from torchprimer.params import Params
from torchprimer.params.experiments import GAN
from torchprimer.tasks import get_task
from torchprimer.tracking import Tracker

SAMPLES = 1000  # of the test split, for the proof
INPUTS = {"images": "images", "autoencoder": "images", "tabular": "features", "text": "words",
          "sequences": "characters", "generator": "noise"}  # fmt: skip


def run(_params: Params, name: str, tracker: Tracker) -> None:
    model, record = models.load(paths.model(name))
    training, test = (read(paths.metrics(name) / f"{split}.json") for split in ("train", "test"))
    with atomic_write(paths.export(name)) as folder:
        folder.mkdir()
        graph, example = write_graph(model, record, folder / "model.onnx")
        described = description(record, training, test, graph)
        raw = example_of(described["kind"], described["transform"], example)
        needs = packages(described["kind"], described["transform"])
        write(folder / "model.json", described)
        write(folder / "example.json", [raw])
        (folder / "requirements.txt").write_text("".join(f"{x}=={metadata.version(x)}\n" for x in needs), "utf-8")
        (folder / "MODEL.md").write_text(card(described, raw), "utf-8")
        package = Path(torchprimer.predictor.__file__).parent
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    tracker.log_export(name)
    print(f"{name}: model.onnx of {(paths.export(name) / 'model.onnx').stat().st_size:,} bytes, largest difference to "
          f"PyTorch {graph['largest_difference_to_pytorch']:.1e} over {graph['proven_on']:,} samples")  # fmt: skip


def write_graph(model: nn.Module, record: models.Record, file: Path) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Writes the model as ONNX, from prepared input to answers, and proves it on samples of the test split.

    Returns:
        What model.json says of it; one input.
    """
    experiment, data = record.params, record.data
    task = get_task(experiment.task)
    whole = nn.Sequential(model, task.output_head(experiment, data)).eval()
    kind, prepared = predictor_kind(experiment, data), paths.prepared(experiment.dataset)
    if isinstance(experiment, GAN):
        inputs = torch.randn(SAMPLES, experiment.latent_dim, generator=torch.Generator().manual_seed(0))
    else:
        inputs = load_split(prepared, "test").inputs[:SAMPLES].clone()
    names = INPUTS[kind], task.output_name
    given = inputs
    if isinstance(data, FeaturesMeta):  # in front goes the net that made the features, and images go in
        export_onnx(whole, inputs[:2], file, ("features", names[1]))
        join(prepared / "extractor" / "model.onnx", file, "features")
        given = torch.from_numpy(np.load(prepared / "extractor" / "images.npy"))
        inputs = inputs[: len(given)]
    else:
        export_onnx(whole, inputs[:2], file, names, any_length=kind == "text")
    try:
        difference = check_parity(whole, file, inputs, classes=is_classifier(kind, data), given=given)
    except ParityError as error:
        raise UserError(f"{record.experiment}: {error}") from None
    with torch.inference_mode():
        answers = whole(inputs[:2])
    sizes = [-1] if kind == "text" else given.shape[1:]  # a text is as long as it is
    graph = {
        "input": {"name": names[0], "dtype": str(given.dtype).removeprefix("torch."), "shape": [-1, *sizes]},
        "output": {
            "name": names[1],
            "dtype": str(answers.dtype).removeprefix("torch."),
            "shape": [-1, *answers.shape[1:]],
        },
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "largest_difference_to_pytorch": float(f"{difference:.1e}"),
        "proven_on": len(inputs),
    }
    if kind == "tabular":  # the test rows may have categories that no training row has
        given = load_split(prepared, "train").inputs
    return graph, given[0].numpy()


def packages(kind: str, transform: dict[str, Any]) -> list[str]:
    """What a Predictor of this kind imports, and what the pictures of a generator are kept with."""
    pictures = ["pillow"] if kind in ("images", "autoencoder", "generator") else []
    return ["numpy", "onnxruntime", *pictures, *(["rjieba"] if transform.get("tokenizer") == "chinese" else [])]


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
