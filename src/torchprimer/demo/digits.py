"""Tab "Digits": every MNIST model on a digit that the user draws, preprocessed as MNIST was."""

import base64
import binascii
import io
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image, UnidentifiedImageError

from torchprimer.demo import components
from torchprimer.demo.components import Bytes
from torchprimer.demo.models import Exports
from torchprimer.errors import UserError
from torchprimer.experiment_results import ExperimentResults

TITLE = "Digits"
EMPTY = '<p class="note">Nothing is drawn yet.</p>'
SIZE, BOX = 28, 20  # pixels: side of MNIST's images, and of the square that the digit is scaled to


def handles(result: ExperimentResults) -> bool:
    return result.raw_dataset == "mnist" and result.task in ("classification", "reconstruction")


def centre_digit(drawing: Bytes) -> Bytes | None:
    """A drawing in the form of MNIST's digits (LeCun, Cortes, Burges 1998).

    It is scaled, with its aspect ratio, to fit into 20 x 20 pixels, and moved so that its centre of mass is the centre
    of 28 x 28 pixels.

    Args:
        drawing: uint8, H x W, black (0) on white (255).

    Returns:
        uint8, 28 x 28, white on black; None if the drawing is empty.
    """
    ink = 255 - drawing
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return None
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(BOX * side / max(ink.shape))) for side in ink.shape)
    scaled = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC))
    mass = scaled / scaled.sum()
    centres = mass.sum(1) @ np.arange(height), mass.sum(0) @ np.arange(width)
    top, left = (
        int(np.clip(round(SIZE / 2 - centre), 0, SIZE - side))
        for centre, side in zip(centres, scaled.shape, strict=True)
    )
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[top : top + height, left : left + width] = scaled
    return digit


def decode_data_url(drawing: str) -> Bytes:
    """The pixels, uint8 H x W, of the data URL of a PNG, which pad.js sends."""
    try:
        content = base64.b64decode(drawing.partition(",")[2], validate=True)
        return np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    except (binascii.Error, UnidentifiedImageError):
        raise UserError("the drawing could not be decoded: reload the page") from None


def build(exports: Exports, names: Sequence[str], _selected: gr.Tab) -> None:
    tasks = {name: exports.results[name].task for name in names}
    classifiers = [name for name in names if tasks[name] == "classification"]
    autoencoders = [name for name in names if tasks[name] == "reconstruction"]

    @components.report_errors
    def predict(event: gr.EventData) -> tuple[str, str]:
        digit = centre_digit(decode_data_url(event.drawing))
        if digit is None:
            return "", EMPTY
        figures = [components.figure(digit, "input of the models")]
        for name in autoencoders:
            reconstruction = exports[name].predict(digit)[0]["prediction"]
            figures.append(components.figure(reconstruction, f"reconstruction by {name}"))
        predictions = {name: exports[name].predict(digit)[0] for name in classifiers}
        return components.figure_row(figures), components.prediction_table(exports, predictions)

    gr.Markdown(
        "Draw a digit. It is scaled and centred like MNIST's digits; every model predicts when you lift the pen."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            pad = gr.HTML(
                html_template='<canvas width="280" height="280" aria-label="draw a digit here"></canvas>'
                '<button type="button">Clear</button>',
                js_on_load=Path(__file__).with_name("pad.js").read_text("utf-8"),
                elem_id="pad", apply_default_css=False,
            )  # fmt: skip
            figures = gr.HTML(elem_id="digit-figures", apply_default_css=False)
        with gr.Column(scale=3, min_width=320):
            predictions = gr.HTML(EMPTY, elem_id="digit-predictions", apply_default_css=False)
    pad.input(predict, None, [figures, predictions], **components.LISTENER)
