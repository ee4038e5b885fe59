"""Tab "Generators": images from noise; sliders change single components of the noise, a grid shows more samples."""

from collections.abc import Callable, Sequence

import gradio as gr
import numpy as np

from torchprimer.demo import components
from torchprimer.demo.components import Bytes, Floats
from torchprimer.demo.models import Exports
from torchprimer.experiment_results import ExperimentResults
from torchprimer.image_grid import image_grid
from torchprimer.predictor import Predictor

TITLE = "Generators"
SLIDERS, MAX_NOISE = 6, 3.0  # number of sliders; they range from -MAX_NOISE to MAX_NOISE
GRID = 8  # rows and columns


def handles(result: ExperimentResults) -> bool:
    return result.task == "generation"


def draw_noise(size: int, seed: int) -> Floats:
    """Standard normal noise, shape (GRID * GRID, size); the sliders change its first row."""
    return np.random.default_rng(seed).standard_normal((GRID * GRID, size), np.float32)


def most_sensitive(generate: Callable[[Floats], Bytes], noise: Floats, count: int) -> list[int]:
    """The `count` components of a noise (Z,) that change its image most between -MAX_NOISE and MAX_NOISE."""
    variants = np.repeat(noise[None], 2 * len(noise), 0)
    index = np.arange(len(noise))
    variants[index, index], variants[len(noise) + index, index] = -MAX_NOISE, MAX_NOISE
    low, high = np.split(generate(variants).astype(np.float32), 2)
    changes = np.abs(high - low).reshape(len(noise), -1).mean(1)
    return [int(component) for component in np.argsort(-changes, kind="stable")[:count]]


def build(exports: Exports, names: Sequence[str], selected: gr.Tab) -> None:
    gr.Markdown(
        "A generator makes images from random noise. The sliders change the components of the noise that affect this "
        "image most. The grid shows samples for the seed, the first of them without the sliders."
    )
    with gr.Row():
        model = gr.Radio(list(names), value=names[0], label="model", elem_id="generator-model", scale=3, min_width=280)
        seed = gr.Number(
            0, label="seed", precision=0, minimum=0, maximum=2**32 - 1, elem_id="generator-seed", min_width=120
        )
        new_seed = gr.Button("Another seed", elem_id="generator-another", min_width=120, size="md")
    with gr.Row():
        with gr.Column(min_width=260):
            image = gr.HTML(elem_id="generator-image", apply_default_css=False)
        with gr.Column(min_width=260):
            sliders = [
                gr.Slider(-MAX_NOISE, MAX_NOISE, step=0.01, value=0, elem_id=f"generator-noise-{i}", buttons=[])
                for i in range(SLIDERS)
            ]
        with gr.Column(min_width=260):
            grid = gr.HTML(elem_id="generator-grid", apply_default_css=False)
    slider_components = gr.State([])  # the components of the noise that the sliders change

    def open_generator(name: str, seed: int | None) -> tuple[Predictor, Floats]:
        generator = exports[name]
        return generator, draw_noise(generator.noise_size or 0, seed or 0)

    @components.report_errors
    def sample(name: str, seed: int | None) -> list[object]:
        generator, noise = open_generator(name, seed)
        chosen = most_sensitive(generator.generate_from, noise[0], SLIDERS)
        images = generator.generate_from(noise)
        return [
            chosen,
            components.figure(images[0], f"{name}, seed {seed or 0}"),
            components.figure(image_grid(images, GRID, gap=0), f"{len(images)} images of {name}, seed {seed or 0}"),
            *(gr.Slider(value=round(float(noise[0, i]), 2), label=f"noise {i}") for i in chosen),
        ]

    @components.report_errors
    def change(name: str, seed: int | None, chosen: list[int], *values: float) -> str:
        generator, noise = open_generator(name, seed)
        noise[0, chosen] = values
        return components.figure(generator.generate_from(noise[:1])[0], f"{name}, seed {seed or 0}, changed")

    outputs = [slider_components, image, grid, *sliders]
    gr.on([selected.select, model.change, seed.change], sample, [model, seed], outputs, **components.LISTENER)
    inputs = [model, seed, slider_components, *sliders]
    gr.on([slider.input for slider in sliders], change, inputs, image, **components.LISTENER)
    new_seed.click(lambda: int(np.random.default_rng().integers(10_000)), None, seed, **components.LISTENER)
