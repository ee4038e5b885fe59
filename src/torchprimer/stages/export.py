"""Writes models/E.export/ for experiment E, a self-contained folder: ONNX model, preprocessing, scores, model card."""

import hashlib
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import torchprimer.predictor
from torchprimer import models, paths
from torchprimer.atomic import Json, atomic_write, write_json
from torchprimer.datasets.meta import FeaturesMeta
from torchprimer.datasets.storage import load_split, open_array
from torchprimer.errors import UserError
from torchprimer.experiment_results import ExperimentResults
from torchprimer.export.metadata import build_metadata
from torchprimer.export.model_card import render_model_card
from torchprimer.export.onnx import ParityError, check_parity, export_onnx, prepend_graph
from torchprimer.params import Params
from torchprimer.tasks import get_task
from torchprimer.tracking import Tracker

NUM_PARITY_SAMPLES = 1000  # of the test split


def run(params: Params, name: str, tracker: Tracker) -> None:
    model, record = models.load(paths.model(name))
    torch.set_num_threads(record.run.threads)
    results = ExperimentResults(params, name)
    raw_input = get_task(record.params.task).raw_input(record.params, record.data)
    with atomic_write(paths.export(name)) as folder:
        folder.mkdir()
        graph, model_input = write_graph(model, record, folder / "model.onnx")
        description = build_metadata(record, raw_input, results.train, results.test, graph)
        example = raw_input.example(description["transform"], model_input)
        write_json(folder / "model.json", description)
        write_json(folder / "example.json", [example])
        packages = ["numpy", "onnxruntime", *raw_input.requirements(description["transform"])]
        pins = [f"{package}=={metadata.version(package)}\n" for package in packages]
        (folder / "requirements.txt").write_text("".join(pins), "utf-8")
        (folder / "MODEL.md").write_text(render_model_card(description, example), "utf-8")
        package = Path(torchprimer.predictor.__file__).parent
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    tracker.log("export", name)
    size, difference = (paths.export(name) / "model.onnx").stat().st_size, graph["largest_difference_to_pytorch"]
    print(
        f"{name}: model.onnx of {size:,} bytes, largest difference to PyTorch {difference:.1e} over "
        f"{graph['proven_on']:,} samples"
    )


def write_graph(model: nn.Module, record: models.Record, file: Path) -> tuple[Json, np.ndarray[Any, Any]]:
    """Writes the model with its output head as ONNX, and compares both on samples of the test split.

    Returns:
        The description of the graph in model.json; one input of the graph, without the batch dimension.

    Raises:
        UserError: their outputs are not finite, or differ (see `check_parity`).
    """
    experiment, meta = record.params, record.data
    task, prepared = get_task(experiment.task), paths.prepared(experiment.dataset)
    raw_input = task.raw_input(experiment, meta)
    whole = nn.Sequential(model, task.output_head(experiment, meta)).eval()
    inputs = file_inputs = task.parity_inputs(experiment, load_split(prepared, "test").inputs, NUM_PARITY_SAMPLES)
    # a training row: test rows may have categories that no training row has
    example = load_split(prepared, "train").inputs[0]
    if isinstance(meta, FeaturesMeta):  # the frozen convolutions go first, so that the graph takes images
        export_onnx(whole, inputs[:2], file, ("features", task.output_name))
        prepend_graph(prepared / "extractor" / "model.onnx", file, "features")
        file_inputs = torch.from_numpy(open_array(prepared, "extractor/images.npy", (), "uint8"))
        inputs, example = inputs[: len(file_inputs)], file_inputs[0]
    else:
        export_onnx(whole, inputs[:2], file, (raw_input.input_name, task.output_name), any_length=raw_input.any_length)
    try:
        difference = check_parity(whole, file, inputs, classes=task.predicts_classes, file_inputs=file_inputs)
    except ParityError as error:
        raise UserError(f"{record.experiment}: {error}") from None
    with torch.inference_mode():
        outputs = whole(inputs[:2])
    sizes = [-1] if raw_input.any_length else list(file_inputs.shape[1:])

    def describe(kind: str, name: str, tensor: torch.Tensor, sizes: list[int]) -> Json:
        dtype = str(tensor.dtype).removeprefix("torch.")
        return {"kind": kind, "name": name, "dtype": dtype, "shape": [-1, *sizes]}  # -1: any size

    graph = {
        "input": describe(raw_input.predictor_kind, raw_input.input_name, file_inputs, sizes),
        "output": describe(task.output_kind, task.output_name, outputs, list(outputs.shape[1:])),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "largest_difference_to_pytorch": float(f"{difference:.1e}"),
        "proven_on": len(inputs),
    }
    return graph, example.numpy()
