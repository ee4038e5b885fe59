"""ONNX: a model with its normalisation and its answers (probabilities, original units) in one graph."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

TOLERANCE = 1e-4


class ParityError(Exception):
    """The exported model does not answer as the trained one."""


def export_onnx(model: nn.Module, example: torch.Tensor, file: Path, names: tuple[str, str]) -> None:
    """Writes `model`, for batches of any size.

    Args:
        model: in eval mode, on the CPU, with its answers.
        example: one or more inputs, shape (N, ...).
        names: of its input and of its output.
    """
    if len(example) == 1:
        example = torch.cat([example, example])  # a batch of one would become a constant of the graph
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            model,
            (example,),
            file,
            dynamo=True,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False,
            optimize=True,
        )


def prove_parity(model: nn.Module, file: Path, inputs: torch.Tensor, *, classes: bool) -> float:
    """The largest difference between the two models' answers over `inputs`, relative to 1 or to larger values.

    Args:
        classes: whether answers are probabilities, whose largest has to be the same as well.

    Raises:
        ParityError: it is above `TOLERANCE`, or a prediction differs.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in inputs.split(500):
        with torch.inference_mode():
            expected: npt.NDArray[np.float32] = model(batch).numpy()
        got: npt.NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: batch.numpy()})[0]
        largest = max(largest, float((np.abs(got - expected) / np.maximum(np.abs(expected), 1)).max()))
        if largest > TOLERANCE or (classes and (got.argmax(-1) != expected.argmax(-1)).any()):
            raise ParityError(f"{file.name} differs from the PyTorch model by {largest:g} (allowed: {TOLERANCE:g})")
    return largest
