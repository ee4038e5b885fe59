"""A kind of data: one object has everything that is particular to it, from raw files to the input of an export.

A kind is a file of datasets/ with an object `KIND`. Its keys in params.yaml are a class in params/datasets.py, its
meta.json a subclass of `Meta`, and the conversion of raw input, which exports take along, is in predictor/<kind>.py.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from torchprimer.atomic import Json
from torchprimer.datasets.meta import Meta

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

DatasetT = TypeVar("DatasetT")
MetaT = TypeVar("MetaT", bound=Meta)


class DataKind(ABC, Generic[DatasetT, MetaT]):
    """What one kind of data needs."""

    name: ClassVar[str]  # its file in datasets/, and the value of `kind` in params.yaml and meta.json
    meta_class: type[MetaT]
    predictor_kind: ClassVar[str]  # how a Predictor reads raw input; a key of `READERS` in cli/inputs.py
    input_name: ClassVar[str]  # of the ONNX graph
    any_length: ClassVar[bool] = False  # whether inputs, (N, L), may be of any length L in the ONNX graph

    @abstractmethod
    def split_rows(
        self, raw: Path, dataset: DatasetT, *, name: str, seed: int, limit: int | None
    ) -> tuple["pd.DataFrame", "pd.DataFrame"]:
        """Assigns the samples in `raw`, data/raw/X, to the splits; at most `limit` to each.

        Returns one row per sample (id, label, split), sorted by id, and one per rejected sample (id, reason). Raises
        UserError if the raw data cannot be read, is not as published, or is too small for the split.
        """

    @abstractmethod
    def prepare(self, raw: Path, dataset: DatasetT, rows: "pd.DataFrame", folder: Path) -> MetaT:
        """Writes {train,validation,test}_{inputs,targets}.npy of the split `rows` into `folder`.

        Raises UserError if the raw data has changed since the split, or nothing can be learnt from it.
        """

    @abstractmethod
    def transform(self, meta: MetaT) -> Json:
        """What a Predictor needs to turn raw input into arrays, as plain JSON: a part of `meta`."""

    @abstractmethod
    def columns(self, transform: Json) -> list[dict[str, str]]:
        """Name and MLflow type of each column of a table of raw inputs."""

    @abstractmethod
    def example(self, transform: Json, prepared: "npt.NDArray[np.generic]") -> Json:
        """A raw input, as a row with `columns`, that becomes (nearly) the prepared one."""

    def requirements(self, transform: Json) -> list[str]:
        """Packages that the conversion of raw input imports, beside NumPy."""
        return []
