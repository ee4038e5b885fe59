"""meta.json of a prepared dataset as an object: what its arrays are, and everything that was fitted to the training rows."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter

from torchprimer.params.base import DatasetTask


class BaseMeta(BaseModel):
    """What the meta.json of every kind of data has.

    Attributes:
        task: what the targets are for.
        shape: of one input, as prepared.
        classes: names of the class numbers (sequences: the alphabet); empty for regression.
        held_out: whether validation and test are other samples than the training split.
        raw: the folder of data/raw; source: where its bytes came from.
        samples: number of samples of each split; sha256: of each array.
        validation_samples: SHA-256 of the ids and labels of the validation split: scores compare where it is the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    task: DatasetTask
    shape: list[int]
    classes: list[str] = []
    held_out: bool = True
    raw: str = ""
    source: str = ""
    samples: dict[str, int] = {}
    sha256: dict[str, str] = {}
    validation_samples: str = ""


class ImagesMeta(BaseMeta):
    """uint8 images, (C, H, W); mean and standard deviation of each channel over the training split, pixels as 0..1."""

    kind: Literal["images"] = "images"
    task: DatasetTask = "classification"
    mean: list[float]
    std: list[float]


class NumericColumn(BaseModel):
    """A numeric column, fitted on training rows: what replaces a missing value, and the standardisation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    median: float = 0.0
    mean: float = 0.0
    std: float = 1.0


class PrincipalComponents(BaseModel):
    """Mean (F,) and directions (K, F) of a principal component analysis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: list[float]
    components: list[list[float]]


class TabularMeta(BaseMeta):
    """Rows of numbers and one-hot categories, float32.

    Attributes:
        numeric, categorical: the columns of the raw table with what was fitted to them, and the categories of each.
        features: names of the inputs, in their order.
        target: the column to predict; target_mean, target_std: its standardisation (regression).
        explained_variance: share of each principal component, where `pca` is set.
        time_column, time: of a split by time: the column, and its value for each test row.
    """

    kind: Literal["tabular"] = "tabular"
    numeric: dict[str, NumericColumn] = {}
    zero_as_missing: list[str] = []
    categorical: dict[str, list[str]] = {}
    pca: PrincipalComponents | None = None
    explained_variance: list[float] = []
    features: list[str] = []
    target: str
    target_mean: float = 0.0
    target_std: float = 1.0
    time_column: str | None = None
    time: list[int | float | str] = []


class TextMeta(BaseMeta):
    """Numbers of the words of each text, int32; `words` is the vocabulary, `documents` in how many texts each word is."""

    kind: Literal["text"] = "text"
    task: DatasetTask = "classification"
    text_column: str | None = None
    tokenizer: str = "words"
    words: list[str] = []
    documents: list[int] = []


class SequencesMeta(BaseMeta):
    """Numbers of characters, int64, (T,); `classes` is the alphabet."""

    kind: Literal["sequences"] = "sequences"
    task: DatasetTask = "sequence_labelling"
    held_out: bool = False


class FeaturesMeta(BaseMeta):
    """What the frozen convolutions of `experiment` compute from each image of `dataset`, float32, (F,)."""

    kind: Literal["features"] = "features"
    task: DatasetTask = "classification"
    dataset: str
    experiment: str
    image_shape: list[int]


Meta = ImagesMeta | TabularMeta | TextMeta | SequencesMeta | FeaturesMeta
AnyMeta = Annotated[Meta, Discriminator("kind")]
_ADAPTER: TypeAdapter[Meta] = TypeAdapter(AnyMeta)


def parse_meta(content: dict[str, Any]) -> Meta:
    """The object that meta.json, or `data` in experiment.json, stands for."""
    return _ADAPTER.validate_python(content)
