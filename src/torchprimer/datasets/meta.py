"""meta.json of a prepared dataset as an object: its arrays, and everything that was fitted to the training rows.

The built-in kinds have their classes here, so that training does not depend on the code that prepares data; a new kind
may define its class in its own file.
"""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, SerializeAsAny, WrapValidator

from torchprimer.atomic import Json
from torchprimer.datasets import get_kind
from torchprimer.params.base import DatasetTask


class FrozenModel(BaseModel):
    """A part of meta.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Meta(FrozenModel):
    """The fields of meta.json that all kinds of data share."""

    kind: str
    task: DatasetTask
    shape: list[int]  # of one input, as prepared
    classes: list[str] = []  # names, by class index (sequences: the alphabet); empty for regression
    held_out: bool = True  # whether validation and test are other samples than the training split
    raw: str = ""  # the folder of data/raw
    source: str = ""  # where its bytes came from
    samples: dict[str, int] = {}  # of each split
    sha256: dict[str, str] = {}  # of each array
    validation_samples: str = ""  # SHA-256 of ids and labels of the validation split: scores compare where it is equal

    dtype: ClassVar[str]  # of the prepared inputs

    @property
    def target_shape(self) -> list[int]:
        """Of the target of one sample."""
        return []

    def describe(self) -> str:
        """Kind and size in words: `images of 1 x 28 x 28`."""
        return f"{self.kind} of {' x '.join(map(str, self.shape))}"

    def mlflow_schema(self) -> str:
        """The prepared arrays as MLflow describes data, in JSON."""
        arrays = {"features": (self.dtype, [-1, *self.shape]), "targets": ("int64", [-1, *self.target_shape])}
        return json.dumps({
            "mlflow_tensorspec": {
                name: json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}])
                for name, (dtype, shape) in arrays.items()
            }
        })  # fmt: skip


class ImagesMeta(Meta):
    """uint8 images, (C, H, W); mean and standard deviation of each channel over the training split, pixels as 0..1."""

    dtype = "uint8"
    kind: Literal["images"] = "images"
    task: DatasetTask = "classification"
    mean: list[float]
    std: list[float]


class NumericColumn(FrozenModel):
    """A numeric column, fitted on training rows: what replaces a missing value, and the standardisation."""

    median: float = 0.0
    mean: float = 0.0
    std: float = 1.0


class PrincipalComponents(FrozenModel):
    """Mean (F,) and directions (K, F) of a principal component analysis."""

    mean: list[float]
    components: list[list[float]]


class TabularMeta(Meta):
    """Rows of numbers and one-hot categories, float32."""

    dtype = "float32"
    kind: Literal["tabular"] = "tabular"
    numeric: dict[str, NumericColumn] = {}  # by the names of the raw table's columns
    zero_as_missing: list[str] = []
    categorical: dict[str, list[str]] = {}  # the categories of each column
    pca: PrincipalComponents | None = None
    explained_variance: list[float] = []  # share of each principal component
    features: list[str] = []  # names of the inputs, in their order
    target: str  # the column to predict
    target_mean: float = 0.0  # of the training rows, if it is standardised
    target_std: float = 1.0
    time_column: str | None = None  # of a split by time
    time: list[int | float | str] = []  # its value for each test row

    def describe(self) -> str:
        return f"a table, {self.shape[0]} features"

    def mlflow_schema(self) -> str:
        """The columns of the raw table."""
        types = dict.fromkeys(self.numeric, "double") | dict.fromkeys(self.categorical, "string")
        types[self.target] = "string" if self.classes else "double"
        columns = [{"name": name, "type": type_, "required": True} for name, type_ in types.items()]
        return json.dumps({"mlflow_colspec": columns})


class TextMeta(Meta):
    """Token ids of each text, int32."""

    dtype = "int32"
    kind: Literal["text"] = "text"
    task: DatasetTask = "classification"
    text_column: str | None = None  # of a CSV; None: a file per class
    tokenizer: str = "words"
    words: list[str] = []  # the vocabulary
    documents: list[int] = []  # number of training texts that contain each word

    def describe(self) -> str:
        return f"texts, {len(self.words):,} words"


class SequencesMeta(Meta):
    """Character ids, int64, (T,); `classes` is the alphabet."""

    dtype = "int64"
    kind: Literal["sequences"] = "sequences"
    task: DatasetTask = "sequence_labelling"
    held_out: bool = False

    @property
    def target_shape(self) -> list[int]:
        return self.shape

    def describe(self) -> str:
        return f"strings of {self.shape[0]} characters"


class FeaturesMeta(Meta):
    """Outputs of the frozen convolutions of `experiment` for each image of `dataset`, float32, (F,)."""

    dtype = "float32"
    kind: Literal["features"] = "features"
    task: DatasetTask = "classification"
    dataset: str
    experiment: str
    image_shape: list[int]

    def describe(self) -> str:
        return f"{self.shape[0]:,} features of each image of {self.dataset}"


def parse_meta(content: Json) -> Meta:
    """The object of a meta.json, or of `data` in experiment.json. Raises ValidationError if it does not fit."""
    classes = {cls.model_fields["kind"].default: cls for cls in Meta.__subclasses__()}
    kind = content.get("kind")
    if kind not in classes:
        classes[kind] = get_kind(str(kind)).meta_class
    return classes[kind].model_validate(content)


def _validate(value: Any, handler: Any) -> Meta:
    return parse_meta(value) if isinstance(value, dict) else handler(value)


AnyMeta = Annotated[SerializeAsAny[Meta], WrapValidator(_validate)]  # a field that takes the meta of any kind
