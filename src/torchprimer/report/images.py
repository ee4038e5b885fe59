"""The figures that `evaluate` left: which there are, what they show, and small enough for one page to carry all."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths

if TYPE_CHECKING:
    from PIL import Image

CAPTIONS = {  # stem of the file -> what it shows; the most telling first
    "search": "every candidate and its loss",
    "descent": "weight and loss, epoch by epoch",
    "timeline": "predicted and true, over the time of the test split",
    "probability": "probability over the feature",
    "boundary": "the plane as the model divides it",
    "spelling": "what it spells, epoch by epoch",
    "reconstructions": "originals, and what came back",
    "latents": "the codes, coloured by class",
    "epochs": "the same noise over the epochs",
    "samples": "generated after the last epoch",
    "training": "the film of the training",
    "confusion": "confusion matrix",
    "mistakes": "worst mistakes",
    "roc": "receiver operating characteristic",
    "predicted": "predicted against true",
    "line": "the fitted line",
    "classes": "classes, as the judge sees them",
    "losses": "losses and scores of the game",
}


DRAWING = 40_000  # bytes: what takes more is no drawing


@dataclass(frozen=True)
class Picture:
    """One figure of one experiment."""

    file: Path

    @property
    def kind(self) -> str:
        return self.file.stem

    @property
    def caption(self) -> str:
        return CAPTIONS.get(self.kind, self.kind.replace("_", " "))


def pictures(experiment: str) -> list[Picture]:
    """All figures in metrics/E/test, the most telling first."""
    folder, order = paths.metrics(experiment) / "test", list(CAPTIONS)
    files = [file for suffix in ("png", "gif") for file in folder.glob(f"*.{suffix}")]
    return [
        Picture(file)
        for file in sorted(files, key=lambda f: (order.index(f.stem) if f.stem in order else len(order), f.stem))
    ]


@dataclass(frozen=True)
class Embedded:
    """A picture inside a page.

    Attributes:
        uri: `data:image/webp;base64,...`
        width, height: pixels.
    """

    uri: str
    width: int
    height: int


def embed(picture: Picture) -> Embedded:
    """As WebP: in at most 256 colours and otherwise without loss, as drawings allow; photos with some loss."""
    frames, durations = read(picture)
    if len(frames) > 1:
        rest = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
        content = encoded(frames[0], "WEBP", quality=50, **rest)
    else:
        content = encoded(in_colours(frames[0], 256).convert("RGB"), "WEBP", lossless=True)
        if len(content) > DRAWING:
            content = min(content, encoded(frames[0], "WEBP", quality=80), key=len)
    return Embedded(f"data:image/webp;base64,{base64.b64encode(content).decode()}", *frames[0].size)


def reduced(picture: Picture, film_width: int = 280) -> bytes:
    """The same kind of file, as small as a repository wants it: a PNG of 256 colours, a GIF of 8 and less wide."""
    frames, durations = read(picture)
    if len(frames) == 1:
        return encoded(in_colours(frames[0], 256), "PNG", optimize=True)
    size = film_width, round(frames[0].height * film_width / frames[0].width)
    first, *rest = (in_colours(frame.resize(size), 8) for frame in frames)
    return encoded(first, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def read(picture: Picture) -> "tuple[list[Image.Image], list[int]]":
    """The frames, in RGB, and how long each is shown, in milliseconds."""
    from PIL import Image, ImageSequence

    with Image.open(picture.file) as image:
        pairs = [(frame.convert("RGB"), frame.info.get("duration", 0)) for frame in ImageSequence.Iterator(image)]
    return [frame for frame, _ in pairs], [duration for _, duration in pairs]


def in_colours(image: "Image.Image", count: int) -> "Image.Image":
    from PIL import Image

    # not by median cut, the default: it would mix the few pixels of a legend into the colours of large areas
    return image.quantize(count, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


def encoded(image: "Image.Image", kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
