"""The figures that `evaluate` wrote: their captions, and copies small enough for a page or a repository."""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageSequence

from torchprimer import paths

CAPTIONS = {  # stem of the file -> caption; the most informative figures first
    "search": "loss of every candidate",
    "descent": "weight and loss by epoch",
    "timeline": "predictions and targets over the time of the test split",
    "probability": "predicted probability over the feature",
    "boundary": "decision boundary",
    "spelling": "decoded text by epoch",
    "reconstructions": "originals and reconstructions",
    "latents": "latent codes, coloured by class",
    "epochs": "samples from the same noise by epoch",
    "samples": "samples after the last epoch",
    "training": "samples during training (animation)",
    "confusion": "confusion matrix",
    "mistakes": "most confident errors",
    "roc": "ROC curve",
    "predicted": "predictions against targets",
    "line": "fitted line",
    "classes": "classes of the samples, predicted by the scorer",
    "losses": "losses of generator and discriminator, scores of the discriminator",
}
MAX_LOSSLESS = 40_000  # bytes; larger lossless images are photos, which compress better with loss


def figures_of(experiment: str) -> list[Path]:
    """All figures in metrics/E/test, in the order of CAPTIONS."""
    folder, order = paths.metrics(experiment) / "test", list(CAPTIONS)
    files = [file for suffix in ("png", "gif") for file in folder.glob(f"*.{suffix}")]
    return sorted(files, key=lambda file: (order.index(file.stem) if file.stem in order else len(order), file.stem))


class Embedded(NamedTuple):
    """An image inside a page: `uri` is `data:image/webp;base64,...`, width and height are in pixels."""

    caption: str
    uri: str
    width: int
    height: int


def embed(file: Path) -> Embedded:
    """As WebP: drawings lossless with at most 256 colours, photos and animations lossy."""
    frames, durations = read_frames(file)
    if len(frames) > 1:
        animation = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
        content = encode(frames[0], "WEBP", quality=50, **animation)
    else:
        content = encode(quantize(frames[0], 256).convert("RGB"), "WEBP", lossless=True)
        if len(content) > MAX_LOSSLESS:
            content = min(content, encode(frames[0], "WEBP", quality=80), key=len)
    caption = CAPTIONS.get(file.stem, file.stem.replace("_", " "))
    return Embedded(caption, f"data:image/webp;base64,{base64.b64encode(content).decode()}", *frames[0].size)


def compress(file: Path, animation_width: int = 280) -> bytes:
    """In the same format, small enough for git: a PNG with 256 colours, a GIF with 8 colours and fewer pixels."""
    frames, durations = read_frames(file)
    if len(frames) == 1:
        return encode(quantize(frames[0], 256), "PNG", optimize=True)
    size = animation_width, round(frames[0].height * animation_width / frames[0].width)
    first, *rest = (quantize(frame.resize(size), 8) for frame in frames)
    return encode(first, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def read_frames(file: Path) -> tuple[list[Image.Image], list[int]]:
    """The frames as RGB images, and the duration of each in milliseconds."""
    with Image.open(file) as image:
        pairs = [(frame.convert("RGB"), frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(image)]
    return [frame for frame, _ in pairs], [duration for _, duration in pairs]


def quantize(image: Image.Image, colours: int) -> Image.Image:
    # median cut, the default, would merge the few pixels of a legend into the colours of large areas
    return image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()
