"""`torchprimer generate E OUT`: sample images from an exported generator, arranged in one image file."""

import math
from pathlib import Path
from typing import Any

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.cli.predict import open_model
from torchprimer.errors import UserError
from torchprimer.image_grid import enlarge, image_grid

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {  # suffix -> Pillow's format, and its options
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".webp": ("WEBP", {"lossless": True}),
}
WIDTH = 700  # pixels; a narrower grid is enlarged


def generate(experiment: str, count: int, seed: int, out: Path) -> None:
    """Writes `count` images of an experiment or of an export folder as a grid, a single one in its own size.

    Raises:
        UserError: not a generator, an unsupported file format, or `out` is a folder.
    """
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"{out}: the file name must end in one of: {', '.join(FORMATS)}")
    if out.is_dir():
        raise UserError(f"{out} is a folder: name a file")
    model = open_model(experiment)
    if model.noise_size is None:
        raise UserError(f"{experiment} is not a generator{_generators()}")
    images = model.generate(count, seed)
    if count == 1:
        image = enlarge(images[0], width=0)
    else:  # about as many rows as columns
        image = enlarge(image_grid(images, math.ceil(math.sqrt(count)), gray=128), WIDTH)
    image_format, options = FORMATS[out.suffix.lower()]
    with atomic_write(out) as file:
        image.save(file, image_format, **options)
    number = "1 image" if count == 1 else f"{count:,} images"
    print(f"{out}: {number} from {model.description['experiment']}, seed {seed}, {image.width} x {image.height} pixels")


def _generators() -> str:
    """The generators of this project, as the end of a message; empty outside a project."""
    from torchprimer.params import load

    try:
        paths.project()
    except UserError:
        return ""
    names = [name for name, experiment in load().experiments.items() if experiment.generates]
    return f"; generators are: {', '.join(names)}"
