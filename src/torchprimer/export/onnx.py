"""ONNX: the network with its normalisation and softmax in one graph; in: raw uint8 images, out: probabilities."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

INPUT, OUTPUT = "images", "probabilities"
TOLERANCE = 1e-4


class ParityError(Exception):
    """The exported model does not answer as the trained one."""


def export_onnx(model: nn.Module, example: torch.Tensor, file: Path) -> None:
    """Writes `model` (logits) with a softmax behind it, for batches of any size.

    Args:
        model: in eval mode, on the CPU.
        example: one or more inputs, shape (N, ...).
    """
    whole = nn.Sequential(model, nn.Softmax(dim=1)).eval()
    if len(example) == 1:
        example = torch.cat([example, example])  # a batch of one would become a constant of the graph
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            whole,
            (example,),
            file,
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False,
            optimize=True,
        )


def prove_parity(model: nn.Module, file: Path, inputs: torch.Tensor) -> float:
    """The largest difference between the two models' probabilities over `inputs`.

    Raises:
        ParityError: it is above `TOLERANCE`, or a prediction differs.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in inputs.split(500):
        with torch.inference_mode():
            expected: npt.NDArray[np.float32] = model(batch).softmax(1).numpy()
        got: npt.NDArray[np.float32] = session.run([OUTPUT], {INPUT: batch.numpy()})[0]
        largest = max(largest, float(np.abs(got - expected).max()))
        if largest > TOLERANCE or (got.argmax(1) != expected.argmax(1)).any():
            raise ParityError(f"{file.name} differs from the PyTorch model by {largest:g} (allowed: {TOLERANCE:g})")
    return largest
