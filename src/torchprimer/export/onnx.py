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

from torchprimer.errors import UserError
from torchprimer.predictor.session import open_session

TOLERANCE = 1e-4


class ParityError(UserError):
    """The exported model does not answer as the trained one."""


def export_onnx(
    model: nn.Module, example: torch.Tensor, file: Path, names: tuple[str, str], *, any_length: bool = False
) -> None:
    """Writes `model`, for batches of any size.

    Args:
        model: in eval mode, on the CPU, with its answers.
        example: one or more inputs, shape (N, ...).
        names: of its input and of its output.
        any_length: whether inputs, shape (N, L), may be of another L than the example.
    """
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    if len(example) == 1:
        example = torch.cat([example, example])  # a batch of one would become a constant of the graph
    sizes = dict.fromkeys((0, 1) if any_length else (0,), torch.export.Dim.DYNAMIC)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=(sizes,),
            optimize=True,
        )
        assert program is not None
        ClearMetadataAndDocStringPass()(program.model)  # of each node, which lines of which files it comes from
        program.save(file)


def join(first: Path, second: Path, name: str) -> None:
    """Puts the graph of `first` in front of that of `second`, in its file: its output becomes the input `name`."""
    import onnx
    from onnx import compose

    # names that both might use get a prefix; what goes in and comes out keeps its name
    before = compose.add_prefix(onnx.load(first), "extractor.", rename_inputs=False, rename_outputs=False)
    after = compose.add_prefix(onnx.load(second), "classifier.", rename_inputs=False, rename_outputs=False)
    onnx.save(compose.merge_models(before, after, io_map=[(before.graph.output[0].name, name)]), second)


def check_parity(
    model: nn.Module, file: Path, inputs: torch.Tensor, *, classes: bool, given: torch.Tensor | None = None
) -> float:
    """The largest difference between the two models' answers over `inputs`, relative to 1 or to larger values.

    Args:
        classes: whether answers are probabilities, whose largest has to be the same as well.
        given: what the file is given in their place, if it takes something else: what `inputs` were made of.

    Raises:
        ParityError: it is above `TOLERANCE`, or a prediction differs.
    """
    session = open_session(file)
    largest = 0.0
    for batch, other in zip(inputs.split(500), (inputs if given is None else given).split(500), strict=True):
        with torch.inference_mode():
            expected: npt.NDArray[np.float32] = model(batch).numpy()
        got: npt.NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: other.numpy()})[0]
        largest = max(largest, float((np.abs(got - expected) / np.maximum(np.abs(expected), 1)).max()))
        if largest > TOLERANCE or (classes and (got.argmax(-1) != expected.argmax(-1)).any()):
            raise ParityError(f"{file.name} differs from the PyTorch model by {largest:g} (allowed: {TOLERANCE:g})")
    return largest
