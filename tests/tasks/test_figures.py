"""Figures of classifiers whose class names are long."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.datasets.storage import SplitArrays
from torchprimer.evaluation import EvaluationContext, figures
from torchprimer.evaluation.decision_boundary import curve


def test_names_of_hundreds_of_characters_are_truncated(tmp_path: Path) -> None:
    """The size of a confusion matrix grows with its names: of 500 characters each it needs gigabytes."""
    classes = [letter * 500 for letter in "abc"] + ["short"]
    assert figures.drawable(classes) == [letter * 27 + "..." for letter in "abc"] + ["short"]
    numbers = np.arange(4)
    figures.save(figures.confusion(numbers, numbers, classes, "title"), tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        assert max(image.size) < 3000


def test_long_names_are_truncated_in_the_legend_of_the_probability() -> None:
    """Lines, marks and points alike: an untruncated name leaves no room for the axes."""
    meta = make_meta(kind="tabular", shape=[1], features=["x"], classes=["short", "long" * 100], held_out=False)
    experiment = make_experiment(model="linear")
    split = SplitArrays(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 1, 1]))
    context = EvaluationContext(
        "any", models.build(experiment, meta).eval(), make_record(experiment, meta), pd.DataFrame(), split, split,
        ["0", "1", "2"], {}, None, torch.device("cpu"),
    )  # fmt: skip
    (axes,) = curve(context, 4.0).axes
    labels = axes.get_legend_handles_labels()[1]
    name = "longlonglonglonglonglonglon..."
    assert [label for label in labels if "long" in label] == [
        f"P(y = {name})", next(label for label in labels if label.startswith(f"P(y = {name}) at x = 4: ")),
        f"samples: y = {name}",
    ]  # fmt: skip
