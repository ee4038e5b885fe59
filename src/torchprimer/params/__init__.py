"""The schema of params.yaml: every key, its type and its range, checked before any work is done.

`load()` reads and checks the whole file; `Params.resolve(name)` gives one experiment with the run control
(`lr`, `epochs`) applied. Nothing here has a default that changes a result: an optional key left out means "not used".
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.params.base import (
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
from torchprimer.params.errors import describe
from torchprimer.params.experiments import AnyExperiment, Experiment, Supervised, Torchvision
from torchprimer.params.renamed import check_renamed

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
RESERVED_NAMES = ("scratch", "imagenet", "none", "baselines")  # values of init_from and scorer, folders of metrics/
MAX_DEPTH = 50  # levels of nested values; the schema needs 7
NO_DATASET, NO_EXPERIMENT = "no such dataset; defined under datasets:", "no such experiment; there are:"


class CrossValidation(StrictModel):
    """An experiment, trained once more for each of `folds` folds."""

    dataset: Name  # of the experiment: dvc.yaml has to know it
    model: Name  # of the experiment
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
    downloads: dict[Name, Download]
    datasets: dict[Name, Dataset]
    features: dict[Name, Features]
    experiments: dict[Name, AnyExperiment]
    crossvalidate: dict[Name, CrossValidation]

    @model_validator(mode="after")
    def _names_exist(self) -> "Params":
        for name, features in self.features.items():
            path = f"features.{name}"
            if features.dataset not in self.datasets:
                raise reference_error(f"{path}.dataset", features.dataset, NO_DATASET, self.datasets)
            if features.experiment not in self.experiments:
                raise reference_error(f"{path}.experiment", features.experiment, NO_EXPERIMENT, self.experiments)
            if name in self.datasets:
                raise value_error(path, name, "a dataset has this name already")
        datasets, scorers = [*self.datasets, *self.features], ["none", *self.experiments]
        for name, experiment in self.experiments.items():
            path, init_from = f"experiments.{name}", experiment.init_from
            if name in RESERVED_NAMES:
                raise value_error(path, name, "this name has another meaning: choose another one")
            if experiment.dataset not in datasets:
                raise reference_error(f"{path}.dataset", experiment.dataset, NO_DATASET, datasets)
            if experiment.scorer not in scorers:
                raise reference_error(f"{path}.scorer", experiment.scorer, "should be one of:", scorers)
            if init_from == name:
                raise value_error(f"{path}.init_from", init_from, "an experiment cannot start from itself")
            names = ["scratch", "imagenet", *self.experiments]
            if init_from not in names and "/" not in init_from and "." not in init_from:
                message = "should be a path relative to models/ (a file or a folder), or one of:"
                raise reference_error(f"{path}.init_from", init_from, message, names)
        for name in self.crossvalidate:
            if name not in self.experiments:
                raise reference_error(f"crossvalidate.{name}", name, NO_EXPERIMENT, self.experiments)
        return self

    @model_validator(mode="after")
    def _datasets_fit_their_raw_data(self) -> "Params":
        for name, dataset in self.datasets.items():
            raw = self.downloads.get(dataset.raw)
            if raw is not None and raw.format not in dataset.formats:
                message = f"is of format {raw.format}, and kind {dataset.kind} reads {' or '.join(dataset.formats)}"
                raise value_error(f"datasets.{name}.raw", dataset.raw, message)
            for source, labels in dataset.classes.items() if isinstance(dataset, Images) else ():
                known = self.downloads[source].classes if source in self.downloads else None  # user's: known later
                for label in labels:
                    if known is not None and label not in known:
                        message = f"no such class; {source} has:"
                        raise reference_error(f"datasets.{name}.classes.{source}", label, message, known)
        for name, features in self.features.items():
            path, experiment = f"features.{name}", self.experiments[features.experiment]
            if not self.is_of_images(features.dataset):
                kind = self.datasets[features.dataset].kind
                message = f"is of kind {kind}, and features are extracted from images"
                raise value_error(f"{path}.dataset", features.dataset, message)
            if not experiment.has_features:
                message = f"is of model {experiment.model}; one of model torchvision or efficientnet_lite has features"
                raise value_error(f"{path}.experiment", features.experiment, message)
            if features.model != experiment.model:
                message = f"should be that of experiment {features.experiment}: {experiment.model}"
                raise value_error(f"{path}.model", features.model, message)
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
                with_loop = f"model {experiment.model} with loop {experiment.loop}"
                message = f"does not fit {with_loop}; one of: {', '.join(experiment.tasks)}"
                raise value_error(f"{path}.task", experiment.task, message)
            if experiment.task in get_args(DatasetTask) and experiment.task != task:
                raise value_error(f"{path}.task", experiment.task, f"should be that of dataset {data}: {task}")
            if isinstance(experiment, Supervised):
                if experiment.loss not in (losses := experiment.losses()):
                    message = f"does not fit model {experiment.model} on dataset {data}; one of: {', '.join(losses)}"
                    raise value_error(f"{path}.loss", experiment.loss, message)
                if experiment.augment is not None and not self.is_of_images(data):
                    message = f"only images can be augmented, and dataset {data} is of kind {kind}: set it to null"
                    raise value_error(f"{path}.augment", experiment.augment.model_dump(), message)
        return self

    @model_validator(mode="after")
    def _scorers_classify_images(self) -> "Params":
        for name, experiment in self.experiments.items():
            if experiment.scorer == "none":
                continue
            path, scorer = f"experiments.{name}.scorer", self.experiments[experiment.scorer]
            if experiment.task != "generation":
                raise value_error(path, experiment.scorer, "only generated images are scored: set it to none")
            if scorer.task != "classification" or not self.is_of_images(scorer.dataset):
                kind = self.kind_and_task(scorer.dataset)[0]
                message = f"should be a classifier of images; this one is for {scorer.task} on data of kind {kind}"
                raise value_error(path, experiment.scorer, message)
        return self

    @model_validator(mode="after")
    def _folds_are_of_tables(self) -> "Params":
        for name, folds in self.crossvalidate.items():
            experiment = self.experiments[name]
            for key in ("dataset", "model"):
                if getattr(folds, key) != getattr(experiment, key):
                    message = f"should be that of experiment {name}: {getattr(experiment, key)}"
                    raise value_error(f"crossvalidate.{name}.{key}", getattr(folds, key), message)
            dataset = self.datasets.get(experiment.dataset)
            if not isinstance(dataset, Tabular) or experiment.task != "classification":
                kind = self.kind_and_task(experiment.dataset)[0]
                message = (
                    f"only classifiers of tables are cross-validated; this is {experiment.task}, data of kind {kind}"
                )
                raise value_error(f"crossvalidate.{name}", name, message)
            required: dict[str, object] = {"init_from": "scratch", "freeze": []}
            for key, usual in required.items():
                if (value := getattr(experiment, key, usual)) != usual:
                    message = f"is cross-validated, so it should be {usual}: other weights may have seen a fold's rows"
                    raise value_error(f"experiments.{name}.{key}", value, message)
        return self

    def kind_and_task(self, dataset: str) -> tuple[str, str]:
        """Kind of data (images, tabular, ..., features) and task of a dataset or of extracted features."""
        if dataset in self.features:
            return "features", self.datasets[self.features[dataset].dataset].task
        return self.datasets[dataset].kind, self.datasets[dataset].task

    def is_of_images(self, dataset: str) -> bool:
        return isinstance(self.datasets.get(dataset), Images)

    def resolve(self, experiment: str) -> Experiment:
        """One experiment with the top-level `lr` and `epochs`, where they are not null, in place of its own."""
        settings = self.experiments[experiment]
        override: dict[str, object] = {
            key: value
            for key in ("lr", "epochs")
            if (value := getattr(self, key)) is not None and key in type(settings).model_fields
        }
        return settings.model_copy(update=override)


def load() -> Params:
    """Reads and checks params.yaml.

    Raises:
        UserError: the first mistake: its full path, the value, what is allowed, and a guess at the typo.
    """
    file = paths.params()
    content = _read_yaml()
    check_renamed(content, file.name)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{file.name}: {describe(error, content)}") from None
    except OverflowError:
        raise UserError(f"{file.name}: a number in this row is too large for float32") from None


def _read_yaml() -> Any:
    """The content of params.yaml, by the parser that DVC uses: `1e-05`, as DVC writes `-S lr=0.00001`, is a number
    here; PyYAML would read a string.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    file = paths.params()
    try:
        text = file.read_text("utf-8")
        depth = 0
        for event in YAML(typ="safe").parse(text):  # the parser in C recurses without a limit when it builds objects
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise UserError(f"{file.name} is not valid: its values are nested more than {MAX_DEPTH} levels deep")
        return YAML(typ="safe").load(text)
    except FileNotFoundError:
        raise UserError(f"{file.name} is missing beside dvc.yaml in {file.parent}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        position = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(f"{error.problem} {error.context or ''}".split())
        raise UserError(f"{file.name} is not valid YAML: {position}{reason}") from None
    except (YAMLError, ValueError) as error:  # also bytes that are not UTF-8, and integers of thousands of digits
        raise UserError(f"{file.name} is not valid YAML: {' '.join(str(error).split())}") from None
