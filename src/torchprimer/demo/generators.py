"""Images that nobody drew: the noise that a generator starts from, moved by hand, and a grid of many."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchprimer.demo import components
from torchprimer.demo.models import Exports, Known
from torchprimer.predictor import Predictor

if TYPE_CHECKING:
    import gradio as gr

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

TITLE = "Generators"
SLIDERS, REACH = 6, 3.0  # numbers of the noise that can be moved, and how far both ways
GRID = 8  # images in a row, and rows


def wanted(known: Known) -> bool:
    return known.kind == "generator"


def noise(size: int, seed: int) -> Floats:
    """Of the grid, (GRID * GRID, size), standard normal; the first row is the picture with the sliders."""
    return np.random.default_rng(seed).standard_normal((GRID * GRID, size), np.float32)


def strongest(generate: Callable[[Floats], Bytes], start: Floats, count: int) -> list[int]:
    """The `count` numbers of a noise, (Z,), that change its image most when they go from one end to the other."""
    moved = np.repeat(start[None], 2 * len(start), 0)
    each = np.arange(len(start))
    moved[each, each], moved[len(start) + each, each] = -REACH, REACH
    low, high = np.split(generate(moved).astype(np.float32), 2)
    changes = np.abs(high - low).reshape(len(start), -1).mean(1)
    return [int(number) for number in np.argsort(-changes, kind="stable")[:count]]


def grid(images: Bytes) -> Bytes:
    """(GRID * GRID, H, W, ...) -> one picture of them all."""
    rows = images.reshape(GRID, GRID, *images.shape[1:])
    return np.concatenate([np.concatenate(list(row), 1) for row in rows], 0)


def build(exports: Exports, names: Sequence[str], selected: "gr.Tab") -> None:
    import gradio as gr

    gr.Markdown(
        "A generator makes an image of nothing but noise. The sliders move those of its numbers that change this image "
        "most; the grid shows what else the seed holds, beginning with this image."
    )
    with gr.Row():
        model = gr.Radio(list(names), value=names[0], label="model", elem_id="generator-model", scale=3, min_width=280)
        seed = gr.Number(
            0, label="seed", precision=0, minimum=0, maximum=2**32 - 1, elem_id="generator-seed", min_width=120
        )
        another = gr.Button("Another seed", elem_id="generator-another", min_width=120, size="md")
    with gr.Row():
        with gr.Column(min_width=260):
            picture = gr.HTML(elem_id="generator-picture", apply_default_css=False)
        with gr.Column(min_width=260):
            sliders = [
                gr.Slider(-REACH, REACH, step=0.01, value=0, elem_id=f"generator-noise-{i}", buttons=[])
                for i in range(SLIDERS)
            ]
        with gr.Column(min_width=260):
            many = gr.HTML(elem_id="generator-grid", apply_default_css=False)
    moved = gr.State([])  # which numbers of the noise the sliders are

    def drawn(name: str, seed: int | None) -> tuple[Predictor, Floats]:
        generator = exports[name]
        return generator, noise(generator.noise_size or 0, seed or 0)

    @components.said
    def start(name: str, seed: int | None) -> list[object]:
        generator, rows = drawn(name, seed)
        numbers = strongest(generator.generate_from, rows[0], SLIDERS)
        images = generator.generate_from(rows)
        settings = [gr.Slider(value=round(float(rows[0, number]), 2), label=f"noise {number}") for number in numbers]
        return [
            numbers,
            components.picture(images[0], f"{name}, seed {seed or 0}"),
            components.picture(grid(images), f"{len(images)} images of {name}, seed {seed or 0}"),
            *settings,
        ]

    @components.said
    def move(name: str, seed: int | None, numbers: list[int], *values: float) -> str:
        generator, rows = drawn(name, seed)
        rows[0, numbers] = values
        return components.picture(generator.generate_from(rows[:1])[0], f"{name}, seed {seed or 0}, moved")

    began = [selected.select, model.change, seed.change]
    gr.on(began, start, [model, seed], [moved, picture, many, *sliders], **components.LISTENER)
    gr.on([slider.input for slider in sliders], move, [model, seed, moved, *sliders], picture, **components.LISTENER)
    another.click(lambda: int(np.random.default_rng().integers(10_000)), None, seed, **components.LISTENER)
