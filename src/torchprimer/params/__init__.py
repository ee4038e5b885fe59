"""The schema of params.yaml: every key, its type and its range, checked before any work is done.

`load()` reads and checks the whole file; `Params.resolve(name)` gives one experiment with the run control
(`lr`, `epochs`) applied. Nothing here has a default that changes a result: an optional key left out means "not used".
"""

from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from torchprimer import paths
from torchprimer.errors import UserError, describe
from torchprimer.params.base import (
    NAME,
    PATTERNS,
    DatasetTask,
    Device,
    Name,
    Positive,
    PositiveInt,
    StrictModel,
    reference_error,
    value_error,
)
from torchprimer.params.datasets import Dataset, Features, Images, Sequences, Tabular, Texts
from torchprimer.params.downloads import Download, GaussianBlobs, Inline, RegistryPackage, SklearnDataset, UrlSource
from torchprimer.params.experiments import (
    AnyExperiment,
    Experiment,
    Supervised,
    Torchvision,
)

__all__ = [
    "Dataset",
    "Download",
    "Experiment",
    "Features",
    "GaussianBlobs",
    "Images",
    "Inline",
    "Params",
    "RegistryPackage",
    "Sequences",
    "SklearnDataset",
    "StrictModel",
    "Tabular",
    "Texts",
    "Torchvision",
    "UrlSource",
    "load",
]


DATASET_TASKS = get_args(DatasetTask)


class CrossValidation(StrictModel):
    """An experiment, trained once more for each of so many folds."""

    dataset: Name  # the experiment's, as dvc.yaml needs to know
    model: Name  # likewise
    folds: Annotated[int, Field(ge=2, le=100)]


class Params(StrictModel):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    lr: Positive | None
    epochs: PositiveInt | None
    limit: PositiveInt | None
    device: Device
    precision: Literal["float32", "bf16", "auto"]
    processes: Annotated[int, Field(ge=1, le=64)]
    tensorboard: bool
    downloads: dict[Name, Download]
    datasets: dict[Name, Dataset]
    features: dict[Name, Features]
    experiments: dict[Name, AnyExperiment]
    crossvalidate: dict[Name, CrossValidation]

    @model_validator(mode="after")
    def _names_exist(self) -> "Params":
        no_dataset, no_experiment = "no such dataset; defined under datasets:", "no such experiment; there are:"
        for name, features in self.features.items():
            path = f"features.{name}"
            if features.dataset not in self.datasets:
                raise reference_error(f"{path}.dataset", features.dataset, no_dataset, self.datasets)
            if features.experiment not in self.experiments:
                raise reference_error(f"{path}.experiment", features.experiment, no_experiment, self.experiments)
            if name in self.datasets:
                raise value_error(path, name, "this name is taken, under datasets:")
        for name, experiment in self.experiments.items():
            path = f"experiments.{name}"
            if name in ("scratch", "imagenet", "none", "baselines"):
                raise value_error(path, name, "this name has another meaning: choose another one")
            if experiment.dataset not in (known := [*self.datasets, *self.features]):
                raise reference_error(f"{path}.dataset", experiment.dataset, no_dataset, known)
            if experiment.scorer not in (known := ["none", *self.experiments]):
                raise reference_error(f"{path}.scorer", experiment.scorer, "should be one of:", known)
            if (given := experiment.init_from) == name:
                raise value_error(f"{path}.init_from", given, "an experiment cannot start from itself")
            known = ["scratch", "imagenet", *self.experiments]
            if given not in known and "/" not in given and "." not in given:
                what = "should be a path as seen from models/ (a file or a folder), or one of:"
                raise reference_error(f"{path}.init_from", given, what, known)
        for name in self.crossvalidate:
            if name not in self.experiments:
                raise reference_error(f"crossvalidate.{name}", name, no_experiment, self.experiments)
        return self

    @model_validator(mode="after")
    def _datasets_fit_their_raw_data(self) -> "Params":
        for name, dataset in self.datasets.items():
            if dataset.raw in self.downloads and (given := self.downloads[dataset.raw].format) not in dataset.formats:
                message = f"is of format {given}, and kind {dataset.kind} reads {' or '.join(dataset.formats)}"
                raise value_error(f"datasets.{name}.raw", dataset.raw, message)
            for raw, wanted in dataset.classes.items() if isinstance(dataset, Images) else ():
                known = (self.downloads[raw].classes if raw in self.downloads else None) or wanted  # photos: seen later
                for label in wanted:
                    if label not in known:
                        raise reference_error(
                            f"datasets.{name}.classes.{raw}", label, f"no such class; {raw} has:", known
                        )
        for name, features in self.features.items():
            if (kind := self.datasets[features.dataset].kind) != "images":
                message = f"is of kind {kind}, and features are taken out of images"
                raise value_error(f"features.{name}.dataset", features.dataset, message)
            if (model := self.experiments[features.experiment].model) not in ("torchvision", "efficientnet_lite"):
                message = f"is of model {model}; one of model torchvision or efficientnet_lite has features to take out"
                raise value_error(f"features.{name}.experiment", features.experiment, message)
            if features.model != model:
                message = f"should be that of experiment {features.experiment}: {model}"
                raise value_error(f"features.{name}.model", features.model, message)
        return self

    @model_validator(mode="after")
    def _models_fit_their_data(self) -> "Params":
        for name, experiment in self.experiments.items():
            path, data = f"experiments.{name}", experiment.dataset
            kind, task = self.kind_and_task(data)
            if kind not in experiment.kinds:
                message = f"takes data of kind {' or '.join(experiment.kinds)}, and dataset {data} is of kind {kind}"
                raise value_error(f"{path}.model", experiment.model, message)
            if experiment.task not in experiment.tasks:
                message = f"does not fit model {experiment.model} with loop {experiment.loop}; one of: {', '.join(experiment.tasks)}"
                raise value_error(f"{path}.task", experiment.task, message)
            if experiment.task in DATASET_TASKS and experiment.task != task:
                message = f"should be that of dataset {data}: {task}"
                raise value_error(f"{path}.task", experiment.task, message)
            if isinstance(experiment, Supervised):
                if experiment.loss not in (losses := experiment.losses()):
                    message = f"does not fit model {experiment.model} on dataset {data}; one of: {', '.join(losses)}"
                    raise value_error(f"{path}.loss", experiment.loss, message)
                if experiment.augment is not None and kind != "images":
                    message = f"only images can be augmented, and dataset {data} is of kind {kind}: set it to null"
                    raise value_error(f"{path}.augment", experiment.augment.model_dump(), message)
        return self

    @model_validator(mode="after")
    def _judges_can_judge(self) -> "Params":
        for name, experiment in self.experiments.items():
            if experiment.scorer == "none":
                continue
            path, judge = f"experiments.{name}.scorer", self.experiments[experiment.scorer]
            if experiment.model != "gan":
                raise value_error(path, experiment.scorer, "only what a gan makes is judged: set it to none")
            kind, model = self.kind_and_task(judge.dataset)[0], judge.model
            if kind != "images" or model in ("gan", "autoencoder"):
                message = f"should be a classifier of images; this one is of model {model} on data of kind {kind}"
                raise value_error(path, experiment.scorer, message)
        return self

    @model_validator(mode="after")
    def _folds_are_of_tables(self) -> "Params":
        for name, folds in self.crossvalidate.items():
            experiment = self.experiments[name]
            own = experiment.dataset
            for key in ("dataset", "model"):
                if getattr(folds, key) != getattr(experiment, key):
                    message = f"should be that of experiment {name}: {getattr(experiment, key)}"
                    raise value_error(f"crossvalidate.{name}.{key}", getattr(folds, key), message)
            if (found := self.kind_and_task(own)) != ("tabular", "classification"):
                what = f"dataset {own} is for {found[1]}, kind {found[0]}"
                message = f"only classifiers of tables are cross-validated, and {what}"
                raise value_error(f"crossvalidate.{name}", name, message)
            alone: dict[str, object] = {"init_from": "scratch", "freeze": []}
            for key, usual in alone.items():
                if (given := getattr(experiment, key, usual)) != usual:
                    message = f"is cross-validated, so it should be {usual}: other weights may have seen a fold's rows"
                    raise value_error(f"experiments.{name}.{key}", given, message)
        return self

    def kind_and_task(self, dataset: str) -> tuple[str, str]:
        """Of a dataset or of features: images, tabular, text, sequences or features; classification, ..."""
        if dataset in self.features:
            return "features", self.datasets[self.features[dataset].dataset].task
        return self.datasets[dataset].kind, self.datasets[dataset].task

    def resolve(self, experiment: str) -> Experiment:
        """One experiment with the top-level `lr` and `epochs`, where they are not null, in place of its own."""
        own = self.experiments[experiment]
        override: dict[str, object] = {
            key: value
            for key in ("lr", "epochs")
            if (value := getattr(self, key)) is not None and key in type(own).model_fields
        }
        return own.model_copy(update=override)


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
