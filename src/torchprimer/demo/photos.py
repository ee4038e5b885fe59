"""Tab "Photos": image classifiers on a photo, with an occlusion heat map (Zeiler, Fergus 2014).

A patch covers one region of the photo after another; regions that lower the probability when covered are evidence for
the prediction.
"""

import functools
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import numpy.typing as npt
from PIL import Image

from torchprimer import paths
from torchprimer.datasets.storage import load_meta
from torchprimer.demo import components
from torchprimer.demo.components import NEGATIVE, POSITIVE, Bytes, Floats
from torchprimer.demo.models import Exports
from torchprimer.experiment_results import ExperimentResults
from torchprimer.predictor import InvalidInput, Prediction
from torchprimer.predictor.images import image_pixels

TITLE = "Photos"
NUM_SAMPLES = 12  # photos to choose from
HEAT_MAP_SIZE = 320  # pixels
PATCH, STEP = 4, 8  # the patch is 1/4 as wide as the image and moves by 1/8


def handles(result: ExperimentResults) -> bool:
    return (result.data_kind, result.task) == ("images", "classification") and result.raw_dataset != "mnist"


def occlusion(probability: Callable[[Bytes], Floats], image: Bytes, patch: int, step: int) -> Floats:
    """How much the probability of the prediction falls when a region is covered.

    The patch has the mean colour of the image. Its positions start and end beyond the border, so that, with a patch of
    two steps, every pixel is covered equally often.

    Args:
        probability: (N, H, W, C) -> (N,).
        image: uint8, H x W x C.

    Returns:
        (H / step) x (W / step): the fall for a region of step x step pixels, averaged over the patches that cover it;
        negative where covering raises the probability.
    """
    height, width = image.shape[:2]
    colour = image.mean((0, 1)).round().astype(np.uint8)
    regions = [
        (slice(max(0, top), top + patch), slice(max(0, left), left + patch))
        for top in range(step - patch, height, step)
        for left in range(step - patch, width, step)
    ]
    images = np.repeat(image[None], len(regions) + 1, 0)
    for covered, region in zip(images, regions, strict=False):  # the last image stays uncovered
        covered[region] = colour
    probabilities = probability(images)
    falls, counts = np.zeros((2, height, width), np.float32)
    for region, fall in zip(regions, probabilities[-1] - probabilities, strict=False):
        falls[region] += fall
        counts[region] += 1
    return (falls / counts)[::step, ::step]


def overlay(image: Bytes, heat: Floats, size: int) -> Bytes:
    """The image in gray, size x size x 3, coloured POSITIVE where `heat` is above 0 and NEGATIVE where it is below."""

    def resize(array: npt.NDArray[Any]) -> Floats:
        return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.BICUBIC), np.float32)

    gray = resize(np.asarray(Image.fromarray(image).convert("L")))[..., None]
    heat = resize(heat / max(np.abs(heat).max(), 1e-12))[..., None]
    opacity = 0.8 * np.abs(heat).clip(0, 1)
    colours = np.where(heat > 0, np.array(POSITIVE, np.float32), np.array(NEGATIVE, np.float32))
    blended: Bytes = (gray * (1 - opacity) + colours * opacity).clip(0, 255).astype(np.uint8)
    return blended


def samples(dataset: str) -> list[tuple[Bytes, str]]:
    """Photos, H x W x C, and labels, evenly spaced over the test split; empty if the dataset is not prepared."""
    folder = paths.prepared(dataset)
    if not (folder / "meta.json").is_file():
        return []
    classes: list[str] = load_meta(folder).classes
    images = np.load(folder / "test_inputs.npy", mmap_mode="r")
    labels = np.load(folder / "test_targets.npy")
    chosen = np.linspace(0, len(images) - 1, min(NUM_SAMPLES, len(images))).astype(int)
    return [(np.ascontiguousarray(images[i].transpose(1, 2, 0)), classes[labels[i]]) for i in chosen]


def explanation(prediction: Prediction, heat: Floats) -> str:
    label = prediction["prediction"]
    return (
        f"<b>{escape(label)}</b>, {prediction['probabilities'][label]:.1%}. Covering "
        f"{components.highlight('orange', 1)} regions lowers this by up to {100 * max(heat.max(), 0):.1f} points; "
        f"covering {components.highlight('blue', -1)} regions raises it by up to {100 * max(-heat.min(), 0):.1f}."
    )


def build(exports: Exports, names: Sequence[str], selected: gr.Tab) -> None:
    def upload_path(upload: Any) -> str | None:
        """Replaces Gradio's decoding of the file: the Predictor has the error messages for unreadable files."""
        return upload and str(upload.path)

    @functools.cache
    def samples_of(name: str) -> list[tuple[Bytes, str]]:
        return samples(exports.results[name].raw_dataset)

    def show_samples(name: str) -> str:
        buttons = (
            f'<button type="button" data-number="{i}">{components.figure(image, escape(label), smooth=True)}</button>'
            for i, (image, label) in enumerate(samples_of(name))
        )
        return f'<div class="samples">{"".join(buttons)}</div>'

    def choose_sample(name: str, event: gr.EventData) -> Image.Image:
        return Image.fromarray(samples_of(name)[event.number][0])

    @components.report_errors
    def predict(name: str, file: str | None) -> str:
        if file is None:
            return ""
        content, dataset = Path(file).read_bytes(), exports.results[name].raw_dataset
        group = [member for member in names if exports.results[member].raw_dataset == dataset]
        try:
            predictions = {member: exports[member].predict(content)[0] for member in group}
        except InvalidInput as error:
            return f'<p class="note">This file cannot be used: {escape(str(error))}.</p>'
        return components.prediction_table(exports, predictions)

    @components.report_errors
    def explain(name: str, file: str | None) -> str:
        if file is None:
            return ""
        model = exports[name]
        try:
            pixels = image_pixels(Path(file).read_bytes(), model.description["input"]["shape"][1:]).transpose(1, 2, 0)
        except InvalidInput:
            return ""
        prediction, side = model.predict(pixels)[0], pixels.shape[0]
        label = model.description["classes"].index(prediction["prediction"])
        heat = occlusion(lambda images: model.predict_raw(images)[:, label], pixels, side // PATCH, side // STEP)
        return components.figure_row(
            [
                components.figure(pixels, f"Input of {escape(name)}: {side} x {side} pixels.", smooth=True),
                components.figure(overlay(pixels, heat, HEAT_MAP_SIZE), explanation(prediction, heat), smooth=True),
            ]
        )

    gr.Markdown(
        "Drop a photo, or choose one of the test split. All models of the same dataset predict. The heat map shows the "
        "regions that lower the probability of the chosen model's prediction when a plain patch covers them."
    )
    default_names = [name for name in names if exports.results[name].raw_dataset == "dogs_vs_cats"] or names
    best = max(default_names, key=lambda name: exports.descriptions[name]["validation_score"])
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            model = gr.Dropdown(list(names), value=best, label="model", elem_id="photo-model")
            photo = gr.Image(
                label="photo", sources=["upload", "clipboard"], type="filepath", image_mode=None, format="png",
                height=280, elem_id="photo", buttons=[],
            )  # fmt: skip
            photo.preprocess = upload_path  # type: ignore[method-assign, assignment]
            sample_buttons = gr.HTML(
                js_on_load="""element.addEventListener("click", (event) => {
                  const button = event.target.closest("button");
                  if (button) trigger("select", { number: Number(button.dataset.number) });
                });""",
                apply_default_css=False, elem_id="photo-samples",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=320):
            heat = gr.HTML(elem_id="photo-heat", apply_default_css=False)
            predictions = gr.HTML(elem_id="photo-predictions", apply_default_css=False)
    gr.on([selected.select, model.change], show_samples, model, sample_buttons, **components.LISTENER)
    sample_buttons.select(choose_sample, model, photo, **components.LISTENER)
    # the predictions first: the heat map of a large model takes a second
    predicted = gr.on([photo.change, model.change], predict, [model, photo], predictions, **components.LISTENER)
    predicted.then(explain, [model, photo], heat, **components.LISTENER)
