"""A digit that one draws, brought into the form of MNIST's, and what every model of MNIST says to it."""

import base64
import binascii
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchprimer.demo import components
from torchprimer.demo.models import Exports, Known
from torchprimer.errors import UserError

if TYPE_CHECKING:
    import gradio as gr

TITLE = "Digits"
EMPTY = '<p class="note">Nothing is drawn yet.</p>'
SIZE, BOX = 28, 20  # pixels: MNIST's images, and the square in them that the digit is scaled to


def wanted(known: Known) -> bool:
    return known.dataset == "mnist" and known.kind in ("images", "autoencoder")


def centred(drawing: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
    """A drawing as MNIST has its digits (LeCun, Cortes, Burges 1998).

    What is drawn is scaled, its proportions kept, to fit into 20 x 20 pixels, and moved so that its centre of mass is
    the centre of 28 x 28.

    Args:
        drawing: uint8, H x W, black (0) on white (255).

    Returns:
        uint8, 28 x 28, white on black; None if nothing is drawn.
    """
    from PIL import Image

    ink = 255 - drawing
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return None
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(BOX * side / max(ink.shape))) for side in ink.shape)
    small = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC))
    weights = small / small.sum()
    middle = weights.sum(1) @ np.arange(height), weights.sum(0) @ np.arange(width)
    top, left = (
        int(np.clip(round(SIZE / 2 - centre), 0, SIZE - side)) for centre, side in zip(middle, small.shape, strict=True)
    )
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[top : top + height, left : left + width] = small
    return digit


def decoded(drawing: str) -> npt.NDArray[np.uint8]:
    """The pixels, uint8 H x W, of what pad.js sends: a data URL of a PNG."""
    from PIL import Image, UnidentifiedImageError

    try:
        content = base64.b64decode(drawing.partition(",")[2], validate=True)
        return np.asarray(Image.open(io.BytesIO(content)).convert("L"))
    except (binascii.Error, UnidentifiedImageError):
        raise UserError("the drawing did not arrive as a picture: reload the page") from None


def build(exports: Exports, names: Sequence[str], _selected: "gr.Tab") -> None:
    import gradio as gr

    classifiers = [name for name in names if exports.known[name].kind == "images"]
    autoencoders = [name for name in names if exports.known[name].kind == "autoencoder"]

    @components.said
    def look(event: gr.EventData) -> tuple[str, str]:
        digit = centred(decoded(event.drawing))
        if digit is None:
            return "", EMPTY
        figures = [components.picture(digit, "what the models see")]
        for name in autoencoders:
            again = exports[name].predict(digit)[0]["prediction"]
            figures.append(components.picture(again, f"what {name} makes of it"))
        answers = {name: exports[name].predict(digit)[0] for name in classifiers}
        return components.figures(figures), components.answers(exports, answers)

    gr.Markdown(
        "Draw a digit. It is scaled and centred as MNIST's digits are, and every model answers as you lift the pen."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            pad = gr.HTML(
                html_template='<canvas width="280" height="280" aria-label="draw a digit here"></canvas>'
                '<button type="button">Clear</button>',
                js_on_load=Path(__file__).with_name("pad.js").read_text("utf-8"),
                elem_id="pad",
                apply_default_css=False,
            )
            seen = gr.HTML(elem_id="digit-seen", apply_default_css=False)
        with gr.Column(scale=3, min_width=320):
            said = gr.HTML(EMPTY, elem_id="digit-answers", apply_default_css=False)
    pad.input(look, None, [seen, said], **components.LISTENER)
