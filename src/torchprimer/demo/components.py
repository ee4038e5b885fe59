"""Pieces of the page as HTML: pictures, and what several models answer, one below the other."""

import base64
import functools
import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from torchprimer.demo.models import Exports
from torchprimer.errors import UserError
from torchprimer.predictor import Answer

P = ParamSpec("P")
R = TypeVar("R")

# of every listener: who moves on while an answer is being made gets the one to where they are by then (Gradio's default
# may leave out what happens meanwhile)
LISTENER: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
FOR, AGAINST = (245, 130, 20), (60, 130, 245)  # red, green, blue of what speaks for an answer, and against it


def said(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler of the page whose UserErrors are shown there, as a message, rather than as a traceback here."""

    @functools.wraps(handler)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import gradio as gr

        try:
            return handler(*args, **kwargs)
        except UserError as error:
            raise gr.Error(escape(str(error)), title="That did not work", print_exception=False) from None

    return call


def picture(pixels: npt.NDArray[np.uint8], caption: str, *, smooth: bool = False) -> str:
    """A figure of H x W or H x W x 3 pixels, as wide as its place; `caption`: HTML."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure class="picture{" smooth" if smooth else ""}"><img src="data:image/png;base64,{data}" alt="">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def figures(pictures: Sequence[str]) -> str:
    """`picture`s side by side."""
    return f'<div class="figures">{"".join(pictures)}</div>'


def mark(text: str, strength: float, title: str = "") -> str:
    """Text in the colour FOR, or AGAINST where `strength` (-1..1) is below 0; the fainter the nearer it is to 0."""
    colour = "{}, {}, {}".format(*(FOR if strength > 0 else AGAINST))
    style = f"background: rgba({colour}, {abs(strength):.2f})"
    return f'<mark style="{style}" title="{escape(title)}">{escape(text)}</mark>'


def answers(exports: Exports, of: Mapping[str, Answer]) -> str:
    """A table: for each classifier its name, its score, what it says, and how probable it takes each class to be.

    Args:
        of: what the Predictor answered, by the experiment's name; all of the same classes.
    """
    if not of:
        return ""
    classes = exports.descriptions[next(iter(of))]["classes"]
    rows = []
    for name, answer in of.items():
        score = exports.descriptions[name]["scores"]["test"]["accuracy"]
        cells = "".join(
            f'<td class="share" style="--share: {share:.3f}">{f"{100 * share:.0f}" if share >= 0.005 else ""}</td>'
            for share in answer["probabilities"].values()
        )
        rows.append(
            f"<tr><th>{escape(name)} <small>{score:.1%}</small></th>"
            f'<td class="says">{escape(answer["prediction"])}</td>{cells}</tr>'
        )
    head = "".join(f"<th>{escape(label)}</th>" for label in classes)
    upright = len(classes) > 4 and max(map(len, classes)) > 3  # names too long to stand side by side
    return (
        f'<table class="answers{" upright" if upright else ""}"><thead><tr>'
        f"<th>model <small>test accuracy</small></th><th>says</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        '<p class="note">Probabilities in percent; where none is shown, below 0.5.</p>'
    )
