"""Metrics and figures: functions on arrays, and for each task `evaluate`, which puts them together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import torch
    from torch import nn

    from torchprimer.datasets.storage import SplitArrays


@dataclass(frozen=True)
class EvaluationContext:
    """A trained experiment and the test split.

    Attributes:
        name: of the experiment.
        model: in eval mode, on `device`.
        record: experiment.json of the model: params, data (meta.json), ...
        history: history.csv, a row for each epoch.
        train: the training split, for the background of figures; nothing is scored on it.
        test: the test split.
        ids: id of each test sample.
        extras: arrays that training left beside the weights.
        scorer: another trained model that scores what this one makes; None if the experiment names none.
    """

    name: str
    model: "nn.Module"
    record: dict[str, Any]
    history: "pd.DataFrame"
    train: "SplitArrays"
    test: "SplitArrays"
    ids: list[str]
    extras: "dict[str, npt.NDArray[np.generic]]"
    scorer: "nn.Module | None"
    device: "torch.device"

    @property
    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = self.record["params"]
        return params

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.record["data"]
        return data

    @property
    def title(self) -> str:
        """The experiment and what it was measured on, for the head of a figure."""
        return f"{self.name}, {'test split' if self.data['held_out'] else 'all samples (none held back)'}"
