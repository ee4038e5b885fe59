"""`torchprimer generate E OUT`: images that an exported generator makes of noise, as one picture."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.cli.predict import open_model
from torchprimer.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {  # ending -> Pillow's name, and how to save
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".webp": ("WEBP", {"lossless": True}),
}
GAP = 128  # grey between the images
WIDTH = 700  # pixels that a grid is enlarged to, about


def generate(experiment: str, count: int, seed: int, out: Path) -> None:
    """Writes `count` images as a grid; a single one in its own size. The same seed makes the same images.

    Args:
        experiment: its name, or the path of a folder that `export` made.
        out: the file; its folder is made if it is not there yet.

    Raises:
        UserError: no generator, no such format, or a folder in the file's place.
    """
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"{out} ends in {out.suffix or 'nothing'}; one of: {', '.join(FORMATS)}")
    if out.is_dir():
        raise UserError(f"{out} is a folder: name a file in it")
    model = open_model(experiment)
    if model.kind != "generator":
        raise UserError(f"{experiment} is no generator{_generators()}")
    picture = grid(model.generate(count, seed))
    kind, options = FORMATS[out.suffix.lower()]
    with atomic_write(out) as file:
        picture.save(file, kind, **options)
    what = "an image" if count == 1 else f"{count:,} images"
    print(f"{out}: {what} of {model.description['experiment']}, seed {seed}, {picture.width} x {picture.height} pixels")


def grid(images: Bytes) -> "Image.Image":
    """Images (N, H, W) or (N, H, W, 3) in rows, about as many as columns, enlarged a whole number of times."""
    from PIL import Image

    if len(images) == 1:
        return Image.fromarray(images[0])
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width = (side + 1 for side in images.shape[1:3])
    whole = np.full((rows * height + 1, columns * width + 1, *images.shape[3:]), GAP, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * height + 1, i % columns * width + 1
        whole[top : top + height - 1, left : left + width - 1] = image
    picture = Image.fromarray(whole)
    times = max(1, WIDTH // picture.width)
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)


def _generators() -> str:
    """Those of this project; nothing outside of one."""
    from torchprimer.params import load

    try:
        paths.project()
    except UserError:
        return ""
    return f"; generators are: {', '.join(name for name, of in load().experiments.items() if of.model == 'gan')}"
