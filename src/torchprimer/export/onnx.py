"""ONNX: normalisation, model and output head (probabilities, original units) in one graph."""

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
    """The outputs of the exported model differ from those of the trained one."""


def export_onnx(
    model: nn.Module, example: torch.Tensor, file: Path, names: tuple[str, str], *, any_length: bool = False
) -> None:
    """Writes `model`, for batches of any size.

    Args:
        model: in eval mode, on the CPU, with its output head.
        example: one or more inputs, shape (N, ...).
        names: of the input and of the output.
        any_length: whether inputs, shape (N, L), may be of another length L than the example.
    """
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    if len(example) == 1:
        example = torch.cat([example, example])  # a batch of one would become a constant of the graph
    sizes = dict.fromkeys((0, 1) if any_length else (0,), torch.export.Dim.DYNAMIC)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # silences its progress
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model, (example,), dynamo=True, input_names=[names[0]], output_names=[names[1]], dynamic_shapes=(sizes,),
            optimize=True,
        )  # fmt: skip
        assert program is not None
        ClearMetadataAndDocStringPass()(program.model)  # removes the paths and lines of the source of each node
        program.save(file)


def prepend_graph(first: Path, second: Path, name: str) -> None:
    """Puts the graph of `first` before that of `second`, in file `second`; its output becomes the input `name`."""
    import onnx
    from onnx import compose

    # prefixes keep the names of the two graphs apart; inputs and outputs keep theirs
    before = compose.add_prefix(onnx.load(first), "extractor.", rename_inputs=False, rename_outputs=False)
    after = compose.add_prefix(onnx.load(second), "classifier.", rename_inputs=False, rename_outputs=False)
    onnx.save(compose.merge_models(before, after, io_map=[(before.graph.output[0].name, name)]), second)


def check_parity(
    model: nn.Module, file: Path, inputs: torch.Tensor, *, classes: bool, file_inputs: torch.Tensor | None = None
) -> float:
    """The largest difference between the outputs of the two models, relative to max(1, |output of the PyTorch model|).

    Args:
        inputs: of the PyTorch model, (N, ...).
        classes: whether outputs are probabilities, (N, ..., K). The most probable class is compared as well, where its
            margin over the second exceeds `TOLERANCE`.
        file_inputs: of the ONNX file, where they differ: the images that `inputs` are features of.

    Raises:
        ParityError: outputs that are not finite, a difference above `TOLERANCE`, or another class.
    """
    session = open_session(file, torch.get_num_threads())
    largest = 0.0
    pairs = zip(inputs.split(500), (inputs if file_inputs is None else file_inputs).split(500), strict=True)
    for batch, file_batch in pairs:
        with torch.inference_mode():
            expected: npt.NDArray[np.float32] = model(batch).numpy()
        outputs: npt.NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: file_batch.numpy()})[0]
        if not (np.isfinite(outputs).all() and np.isfinite(expected).all()):
            raise ParityError(f"{file.name} or the PyTorch model returns NaN or infinite outputs; train it again")
        largest = max(largest, float((np.abs(outputs - expected) / np.maximum(np.abs(expected), 1)).max()))
        if largest > TOLERANCE or (classes and _other_classes(outputs, expected)):
            raise ParityError(f"{file.name} differs from the PyTorch model by {largest:g} (allowed: {TOLERANCE:g})")
    return largest


def _other_classes(outputs: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> bool:
    second, first = np.moveaxis(np.sort(expected, -1)[..., -2:], -1, 0)
    differs: npt.NDArray[np.bool_] = (outputs.argmax(-1) != expected.argmax(-1)) & (first - second > TOLERANCE)
    return bool(differs.any())
