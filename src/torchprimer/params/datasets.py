"""`datasets:` and `features:` of params.yaml: how raw data is split and prepared."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, model_validator
from pydantic_core import PydanticCustomError

from torchprimer.errors import did_you_mean
from torchprimer.params.base import Name, PositiveInt, StrictModel, Text


def _split_size(value: Any) -> Any:
    if (type(value) is int and value >= 1) or (type(value) is float and 0 < value < 0.5):
        return value
    raise PydanticCustomError("part", "should be a whole number from 1, or a share above 0 and below 0.5")


# a number of samples (split by time: of values of the column), or a fraction of all
SplitSize = Annotated[int | float, BeforeValidator(_split_size)]


class Images(StrictModel):
    """Labelled images -> uint8 arrays (N, C, H, W)."""

    kind: Literal["images"]
    raw: Name
    classes: dict[str, Annotated[list[str], Field(min_length=2)]]
    image_size: Annotated[int, Field(ge=8, le=1024)]
    validation: PositiveInt
    test: PositiveInt
    max_holdout_fraction: Annotated[float, Field(gt=0, lt=0.5)] | None
    max_corrupt_fraction: Annotated[float, Field(ge=0, le=1)]
    baseline: Literal["nearest_neighbours", "logistic_regression"]

    task: ClassVar[str] = "classification"
    held_out: ClassVar[bool] = True
    formats: ClassVar[tuple[str, ...]] = ("idx", "cifar10")


class Tabular(StrictModel):
    """Rows of numbers and categories -> float32 arrays (N, F)."""

    kind: Literal["tabular"]
    raw: Name
    task: Literal["classification", "regression"]
    target: Text
    numeric: list[Text]
    categorical: list[Text]
    zero_as_missing: list[Text]
    standardize: bool
    pca: PositiveInt | None
    split: Literal["random", "time", "none"]
    time: Text | None
    validation: SplitSize | None
    test: SplitSize | None
    baseline: Literal["logistic_regression", "linear_regression", "gradient_boosting"]

    formats: ClassVar[tuple[str, ...]] = ("csv", "keel")
    baselines: ClassVar[dict[str, tuple[str, ...]]] = {  # of each task
        "classification": ("logistic_regression", "gradient_boosting"),
        "regression": ("linear_regression", "gradient_boosting"),
    }

    @property
    def held_out(self) -> bool:
        """Whether there are validation and test rows; if not, metrics are on training rows."""
        return self.split != "none"

    @model_validator(mode="after")
    def _check_columns(self) -> "Tabular":
        columns = [*self.numeric, *self.categorical]
        if not columns:
            raise self.key_error("numeric", "name at least one column under numeric or categorical")
        for name in columns:
            key = "categorical" if name in self.categorical else "numeric"
            if columns.count(name) > 1:
                raise self.key_error(key, "this column is named twice", name)
            if name == self.target:
                raise self.key_error(key, "the target cannot be an input as well", name)
        for name in self.zero_as_missing:
            if name not in self.numeric:
                listed, guess = ", ".join(self.numeric), did_you_mean(name, self.numeric)
                raise self.key_error("zero_as_missing", f"no such column; numeric has: {listed}.{guess}", name)
        return self

    @model_validator(mode="after")
    def _check_options(self) -> "Tabular":
        if self.split == "time" and self.time is None:
            raise self.key_error("time", "split: time needs the name of the column to sort by")
        if self.split != "time" and self.time is not None:
            raise self.key_error("time", f"split: {self.split} does not sort: set it to null")
        for key in ("validation", "test"):
            if self.held_out and getattr(self, key) is None:
                raise self.key_error(key, f"split: {self.split} needs a number of samples here, or a share of all")
            if not self.held_out and getattr(self, key) is not None:
                raise self.key_error(key, "split: none holds nothing back: set it to null")
        if self.baseline not in (baselines := self.baselines[self.task]):
            message = f"does not fit task: {self.task}; one of: {', '.join(baselines)}"
            raise self.key_error("baseline", message)
        return self


class Texts(StrictModel):
    """Texts of two or more classes -> token ids, int32 (N, L)."""

    kind: Literal["text"]
    raw: Name
    text: Text | None  # columns of a CSV; empty: one file per class, one text per line
    label: Text | None
    tokenizer: Literal["chinese", "words"]
    min_df: PositiveInt
    max_vocab: PositiveInt | None
    validation: SplitSize
    test: SplitSize
    baseline: Literal["naive_bayes", "logistic_regression"]

    task: ClassVar[str] = "classification"
    held_out: ClassVar[bool] = True
    formats: ClassVar[tuple[str, ...]] = ("lines", "csv")

    @model_validator(mode="after")
    def _check_columns(self) -> "Texts":
        if (self.text is None) != (self.label is None):
            missing = "text" if self.text is None else "label"
            raise self.key_error(missing, "name both columns, text and label, or neither")
        return self


class Sequences(StrictModel):
    """Strings with a target character for each of their characters -> int64 arrays (N, T)."""

    kind: Literal["sequences"]
    raw: Name
    input: Text
    target: Text
    baseline: Literal["most_frequent_per_character"]

    task: ClassVar[str] = "sequence_labelling"
    held_out: ClassVar[bool] = False
    formats: ClassVar[tuple[str, ...]] = ("csv",)


Dataset = Annotated[Images | Tabular | Texts | Sequences, Discriminator("kind")]


class Features(StrictModel):
    """Outputs of the frozen convolutions of a trained model for the images of a dataset -> float32 arrays (N, F)."""

    dataset: Name
    experiment: Name
    model: Name  # of the experiment; dvc.yaml names its file
