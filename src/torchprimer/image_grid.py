"""Several images of one size in one image."""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]


def image_grid(images: Bytes, columns: int, *, gap: int = 1, gray: int = 200) -> Bytes:
    """Images of shape (N, H, W) or (N, H, W, C), row by row, as one image (height, width) or (height, width, C).

    Args:
        gap: width in pixels of the lines between the images and around the grid.
        gray: level, 0..255, of the lines and of the free cells in the last row.
    """
    rows = math.ceil(len(images) / columns)
    height, width = (side + gap for side in images.shape[1:3])
    grid = np.full((rows * height + gap, columns * width + gap, *images.shape[3:]), gray, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * height + gap, i % columns * width + gap
        grid[top : top + height - gap, left : left + width - gap] = image
    return grid


def enlarge(pixels: Bytes, width: int) -> "Image.Image":
    """An image enlarged by the largest integer factor that keeps it within `width` pixels; wider ones are unchanged."""
    from PIL import Image

    image = Image.fromarray(pixels)
    factor = max(1, width // image.width)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
