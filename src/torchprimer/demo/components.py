"""HTML components of the page: images, highlighted text, tables of predictions; and how listeners report errors."""

import base64
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, ParamSpec, TypeVar

import gradio as gr
import numpy as np
import numpy.typing as npt
from PIL import Image

from torchprimer.demo.models import Exports
from torchprimer.errors import UserError
from torchprimer.predictor import Prediction

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
P = ParamSpec("P")
R = TypeVar("R")

# of every listener. always_last: an event during a computation is handled afterwards; Gradio's default may drop it
LISTENER: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
POSITIVE, NEGATIVE = (245, 130, 20), (60, 130, 245)  # RGB: evidence for the prediction (orange), against it (blue)


def report_errors(handler: Callable[P, R]) -> Callable[P, R]:
    """Decorates a handler: the page shows its UserErrors as messages, and the terminal no traceback."""

    @functools.wraps(handler)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except UserError as error:
            raise gr.Error(escape(str(error)), title="Error", print_exception=False) from None

    return call


def figure(pixels: Bytes, caption: str, *, smooth: bool = False) -> str:
    """HTML of an image of H x W or H x W x 3 pixels, as wide as its container.

    Args:
        caption: HTML.
        smooth: whether the browser interpolates when it enlarges the image.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure class="picture{" smooth" if smooth else ""}"><img src="data:image/png;base64,{data}" alt="">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def figure_row(figures: Sequence[str]) -> str:
    return f'<div class="figures">{"".join(figures)}</div>'


def highlight(text: str, strength: float, title: str = "") -> str:
    """HTML of a text with a tooltip, on a background: POSITIVE or NEGATIVE by the sign of `strength` (-1..1)."""
    colour = "{}, {}, {}".format(*(POSITIVE if strength > 0 else NEGATIVE))
    style = f"background: rgba({colour}, {abs(strength):.2f})"
    return f'<mark style="{style}" title="{escape(title)}">{escape(text)}</mark>'


def prediction_table(exports: Exports, predictions: Mapping[str, Prediction]) -> str:
    """HTML: for classifiers of the same classes, by name: test accuracy, prediction, probability of each class."""
    if not predictions:
        return ""
    classes = exports.descriptions[next(iter(predictions))]["classes"]
    rows = []
    for name, prediction in predictions.items():
        accuracy = exports.descriptions[name]["scores"]["test"]["accuracy"]
        cells = "".join(
            f'<td class="probability" style="--probability: {p:.3f}">{f"{100 * p:.0f}" if p >= 0.005 else ""}</td>'
            for p in prediction["probabilities"].values()
        )
        rows.append(
            f"<tr><th>{escape(name)} <small>{accuracy:.1%}</small></th>"
            f'<td class="prediction">{escape(prediction["prediction"])}</td>{cells}</tr>'
        )
    head = "".join(f"<th>{escape(label)}</th>" for label in classes)
    vertical = len(classes) > 4 and max(map(len, classes)) > 3  # horizontal labels would be wider than the columns
    return (
        f'<table class="predictions{" vertical" if vertical else ""}"><thead><tr>'
        f"<th>model <small>test accuracy</small></th><th>prediction</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        '<p class="note">Probabilities in percent; an empty cell is below 0.5.</p>'
    )
