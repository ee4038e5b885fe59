"""A photo, what the models of photos take it for, and which parts of it they go by.

The heat map is that of Zeiler, Fergus 2014: a patch covers one place after the other, and where the answer falters,
there the model has looked.
"""

import functools
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from torchprimer import paths
from torchprimer.demo import components
from torchprimer.demo.components import AGAINST, FOR
from torchprimer.demo.models import Exports, Known
from torchprimer.predictor import Answer, InvalidInput

if TYPE_CHECKING:
    import gradio as gr

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

TITLE = "Photos"
SAMPLES_FILE = 12  # photos to pick from
SHOWN = 320  # pixels, side of the picture with the heat map
PATCH, STEP = 4, 8  # the patch that covers is a 4th of the image's side, and moves by an 8th


def wanted(known: Known) -> bool:
    return known.kind == "images" and known.dataset != "mnist"


def occlusion(probability: Callable[[Bytes], Floats], image: Bytes, patch: int, step: int) -> Floats:
    """How much the probability of an answer falls when a place is covered.

    The patch has the mean colour of the image. It starts and ends beyond the border, so that, with a patch of twice the
    step, each pixel is covered as often as any other.

    Args:
        probability: N x H x W x C -> (N,).
        image: uint8, H x W x C.

    Returns:
        (H / step) x (W / step): the fall at a place of step x step pixels, averaged over the patches that cover it;
        negative where covering makes the probability rise.
    """
    height, width = image.shape[:2]
    colour = image.mean((0, 1)).round().astype(np.uint8)
    places = [
        (slice(max(0, top), top + patch), slice(max(0, left), left + patch))
        for top in range(step - patch, height, step)
        for left in range(step - patch, width, step)
    ]
    covered = np.repeat(image[None], len(places) + 1, 0)
    for picture, place in zip(covered, places, strict=False):  # the last one stays as it is
        picture[place] = colour
    probabilities = probability(covered)
    falls, times = np.zeros((2, height, width), np.float32)
    for place, fall in zip(places, probabilities[-1] - probabilities, strict=False):
        falls[place] += fall
        times[place] += 1
    return (falls / times)[::step, ::step]


def overlaid(image: Bytes, heat: Floats, size: int) -> Bytes:
    """The image in grey, size x size x 3, coloured where `heat` is not 0: FOR where above."""
    from PIL import Image

    def scaled(array: npt.NDArray[Any]) -> Floats:
        return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.BICUBIC), np.float32)

    grey = scaled(np.asarray(Image.fromarray(image).convert("L")))[..., None]
    heat = scaled(heat / max(np.abs(heat).max(), 1e-12))[..., None]
    opacity = 0.8 * np.abs(heat).clip(0, 1)
    colours = np.where(heat > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    mixed: Bytes = (grey * (1 - opacity) + colours * opacity).clip(0, 255).astype(np.uint8)
    return mixed


def samples(dataset: str) -> list[tuple[Bytes, str]]:
    """Photos of the test split, H x W x C, with their labels, from all of it; none if it is not prepared."""
    from torchprimer.datasets.storage import load_meta

    folder = paths.prepared(dataset)
    if not (folder / "meta.json").is_file():
        return []
    classes: list[str] = load_meta(folder).classes
    images = np.load(folder / "test_inputs.npy", mmap_mode="r")
    labels = np.load(folder / "test_targets.npy")
    chosen = np.linspace(0, len(images) - 1, min(SAMPLES_FILE, len(images))).astype(int)
    return [(np.ascontiguousarray(images[i].transpose(1, 2, 0)), classes[labels[i]]) for i in chosen]


def found(answer: Answer, heat: Floats) -> str:
    """HTML: what the answer was, and how much of it the heat map explains."""
    label = answer["prediction"]
    return (
        f"<b>{escape(label)}</b>, {answer['probabilities'][label]:.1%}. Covering the "
        f"{components.mark('orange', 1)} places lowers that by up to {100 * max(heat.max(), 0):.1f} points, covering the "
        f"{components.mark('blue', -1)} ones raises it by up to {100 * max(-heat.min(), 0):.1f}."
    )


def build(exports: Exports, names: Sequence[str], selected: "gr.Tab") -> None:
    import gradio as gr
    from PIL import Image

    from torchprimer.predictor.preprocessing import image_pixels

    def path_of(upload: Any) -> str | None:
        """In place of Gradio's own reading of the file: the Predictor knows what to say if it cannot be read."""
        return upload and str(upload.path)

    @functools.cache
    def samples_of(name: str) -> list[tuple[Bytes, str]]:
        return samples(exports.known[name].dataset)

    def offer(name: str) -> str:
        buttons = (
            f'<button type="button" data-number="{number}">{components.picture(image, escape(label), smooth=True)}</button>'
            for number, (image, label) in enumerate(samples_of(name))
        )
        return f'<div class="picks">{"".join(buttons)}</div>'

    def pick(name: str, event: gr.EventData) -> Image.Image:
        return Image.fromarray(samples_of(name)[event.number][0])

    @components.said
    def answer(name: str, file: str | None) -> str:
        if file is None:
            return ""
        content = Path(file).read_bytes()
        alike = [other for other in names if exports.known[other].dataset == exports.known[name].dataset]
        try:
            return components.answers(exports, {other: exports[other].predict(content)[0] for other in alike})
        except InvalidInput as error:
            return f'<p class="note">This file cannot be used: {escape(str(error))}.</p>'

    @components.said
    def explain(name: str, file: str | None) -> str:
        if file is None:
            return ""
        model = exports[name]
        try:
            seen = image_pixels(Path(file).read_bytes(), model.description["input"]["shape"][1:]).transpose(1, 2, 0)
        except InvalidInput:
            return ""
        said, side = model.predict(seen)[0], seen.shape[0]
        number = model.description["classes"].index(said["prediction"])
        heat = occlusion(lambda images: model.outputs(images)[:, number], seen, side // PATCH, side // STEP)
        return components.figures(
            [
                components.picture(seen, f"What {escape(name)} sees: {side} x {side} pixels.", smooth=True),
                components.picture(overlaid(seen, heat, SHOWN), found(said, heat), smooth=True),
            ]
        )

    gr.Markdown(
        "Drop a photo, or pick one of the test split. All models of the same dataset answer; the heat map shows what "
        "the chosen one goes by: a plain patch covers one place after the other, and where the answer falters, there "
        "it has looked."
    )
    pets = [name for name in names if exports.known[name].dataset == "dogs_vs_cats"] or names
    best = max(pets, key=lambda name: exports.descriptions[name]["validation_score"])
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            model = gr.Dropdown(list(names), value=best, label="model", elem_id="photo-model")
            photo = gr.Image(
                label="photo", sources=["upload", "clipboard"], type="filepath", image_mode=None, format="png",
                height=280, elem_id="photo", buttons=[],
            )  # fmt: skip
            photo.preprocess = path_of  # type: ignore[method-assign, assignment]
            picks = gr.HTML(
                js_on_load="""element.addEventListener("click", (event) => {
                  const button = event.target.closest("button");
                  if (button) trigger("select", { number: Number(button.dataset.number) });
                });""",
                apply_default_css=False, elem_id="photo-samples",
            )  # fmt: skip
        with gr.Column(scale=3, min_width=320):
            heat = gr.HTML(elem_id="photo-heat", apply_default_css=False)
            answers = gr.HTML(elem_id="photo-answers", apply_default_css=False)
    gr.on([selected.select, model.change], offer, model, picks, **components.LISTENER)
    picks.select(pick, model, photo, **components.LISTENER)
    # one after the other: a large model needs a second for its heat map
    answered = gr.on([photo.change, model.change], answer, [model, photo], answers, **components.LISTENER)
    answered.then(explain, [model, photo], heat, **components.LISTENER)
