"""Figures of classifiers whose class names are long."""

from pathlib import Path

import numpy as np
from PIL import Image

from torchprimer.tasks import figures


def test_names_of_hundreds_of_characters_are_truncated(tmp_path: Path) -> None:
    """The size of a confusion matrix grows with its names: of 500 characters each it needs gigabytes."""
    classes = [letter * 500 for letter in "abc"] + ["short"]
    assert figures.drawable(classes) == [letter * 27 + "..." for letter in "abc"] + ["short"]
    numbers = np.arange(4)
    figures.save(figures.confusion(numbers, numbers, classes, "title"), tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        assert max(image.size) < 3000
