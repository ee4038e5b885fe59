"""Figures of the test split: what all tasks draw with, and the figures of classifiers. `save` writes a figure."""

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from torchprimer.image_grid import Bytes

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
OTHER_FONTS = (  # which have what DejaVu Sans lacks, where one of them is installed
    "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "Noto Sans", "Arial Unicode MS",
)  # fmt: skip
MAX_NAME = 30  # characters of a class name: the size of a figure grows with its names


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches, and its only axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def save(figure: Figure, file: Path) -> None:
    """Writes a PNG whose bytes depend on the picture alone (and on the font, if DejaVu Sans lacks a character)."""
    for text in figure.findobj(Text):
        text.set_parse_math("$" not in text.get_text())  # a name may have dollars in it; powers of ten are set later
    with mpl.rc_context({"font.family": fonts()}):
        figure.savefig(file, dpi=120, metadata={"Software": None})


@cache
def fonts() -> list[str]:
    installed = set(font_manager.get_font_names())
    return ["DejaVu Sans", *(name for name in OTHER_FONTS if name in installed)]


def drawable(classes: list[str]) -> list[str]:
    """Names of classes as a figure can show them: at most MAX_NAME characters; as \\u597d where no font has a glyph."""
    texts = [name if has_glyphs(name, fonts()) else ascii(name)[1:-1] for name in classes]
    return [text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 3]}..." for text in texts]


def has_glyphs(text: str, names: list[str]) -> bool:
    """Whether one of these fonts has each character of the text."""
    faces = [font_manager.get_font(font_manager.findfont(name)) for name in names]
    return all(any(face.get_char_index(ord(letter)) for face in faces) for letter in text)


def confusion(targets: Integers, predictions: Integers, classes: list[str], title: str) -> Figure:
    """How often each true class (rows) was taken for each class (columns), counts and shares of the row."""
    classes = drawable(classes)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (targets, predictions), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    longest = max(map(len, classes))
    side = max(4.0, 0.62 * len(classes) + 1.4, 0.11 * len(classes) * longest + 1.8 if len(classes) <= 4 else 0)
    width = max(side + 0.6, 0.095 * len(title))
    height = min(side, width - 0.085 * longest + 0.2)  # long names leave the matrix, a square, less of the width
    figure, axes = new_axes(width, height)
    figure.suptitle(title, fontsize=11)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, label="share of the true class", fraction=0.046, pad=0.03)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(classes)), classes)
    if len(classes) > 4 and longest > 4:
        axes.tick_params(axis="x", labelrotation=45)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def roc(points: pd.DataFrame, title: str) -> Figure:
    """True against false positive rate, a line per class, with the area under it (by trapezoids)."""
    figure, axes = new_axes(5.6, 5.0)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", linewidth=1, label="chance")
    colours, areas = mpl.colormaps["tab10"], []
    for number, (name, curve) in enumerate(points.groupby("class", sort=False)):
        x, y = curve["false_positive_rate"], curve["true_positive_rate"]
        areas.append(np.trapezoid(y, x))
        label = f"{drawable([str(name)])[0]} (area {areas[-1]:.4f})"
        axes.plot(x, y, color=colours(number % 10), label=label)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", title=title)
    if min(areas) > 0.99:  # nothing to see but the corner: look closer
        axes.set(xlim=(-0.001, 0.05), ylim=(0.9, 1.002), title=f"{title} (upper left corner)")
    axes.legend(loc="lower right", fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def top_errors(images: Bytes, targets: Integers, probabilities: Floats, classes: list[str], title: str) -> Figure:
    """Up to 20 wrong answers, the surest first: the image of (N, C, H, W), what it is, what it was taken for."""
    classes = drawable(classes)
    predictions = probabilities.argmax(1)
    wrong = np.flatnonzero(predictions != targets)
    worst = wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:20]
    rows = max(1, -(-len(worst) // 5))
    figure = Figure(figsize=(8.5, 1.95 * rows + 0.5), layout="constrained")
    figure.suptitle(title if len(worst) else f"{title}: none", fontsize=11)
    for position, i in enumerate(worst, 1):
        axes = figure.add_subplot(rows, 5, position)
        image = images[i].transpose(1, 2, 0)
        axes.imshow(image.squeeze(), cmap="gray_r" if image.shape[2] == 1 else None)
        sure = probabilities[i].max()
        axes.set_title(f"{classes[targets[i]]}, taken for\n{classes[predictions[i]]} ({sure:.1%} sure)", fontsize=8)
        axes.axis("off")
    return figure
