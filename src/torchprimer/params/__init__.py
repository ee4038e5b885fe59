"""The schema of params.yaml and data/catalog.yaml: every key, its type and its range, checked before any work is done.

`load()` reads and checks both files; `Params.resolve(name)` gives one experiment with the run control
(`lr`, `epochs`) applied. Nothing here has a default that changes a result: an optional key left out means "not used".
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from torchprimer import paths
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params.base import DatasetTask, Device, Name, Positive, PositiveInt, StrictModel
from torchprimer.params.datasets import Dataset, Features, Images, Sequences, Tabular, Texts
from torchprimer.params.downloads import Download, GaussianBlobs, Inline, RegistryPackage, SklearnDataset, UrlSource
from torchprimer.params.errors import check_renamed, describe
from torchprimer.params.experiments import AnyExperiment, Experiment, Supervised, Torchvision

__all__ = [
    "Download", "Experiment", "GaussianBlobs", "Images", "Inline", "Params", "RegistryPackage", "Sequences",
    "SklearnDataset", "StrictModel", "Tabular", "Texts", "Torchvision", "UrlSource", "load",
]  # fmt: skip
RESERVED_NAMES = ("scratch", "imagenet", "none", "baselines")  # values of init_from and scorer, folders of metrics/
ModelT = TypeVar("ModelT", bound=StrictModel)
MAX_DEPTH = 50  # levels of nested values; the schema needs 7
NO_DATASET, NO_EXPERIMENT = "no such dataset; defined under datasets:", "no such experiment; there are:"


class CrossValidation(StrictModel):
    """An experiment, trained once more for each of `folds` folds."""

    dataset: Name  # of the experiment: dvc.yaml has to know it
    model: Name  # of the experiment
    folds: Annotated[int, Field(ge=2, le=100)]

    kinds: ClassVar[tuple[str, ...]] = ("tabular",)  # of data that can be divided into folds
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    required: ClassVar[dict[str, object]] = {"init_from": "scratch", "freeze": []}  # of the experiment


class Catalog(StrictModel):
    """All of data/catalog.yaml."""

    downloads: dict[Name, Download]


class Params(StrictModel):
    """All of params.yaml, and the downloads of data/catalog.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    lr: Positive | None
    epochs: PositiveInt | None
    limit: PositiveInt | None
    device: Device
    precision: Literal["float32", "bf16", "auto"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    processes: Annotated[int, Field(ge=1, le=64)]
    downloads: dict[Name, Download]
    datasets: dict[Name, Dataset]
    features: dict[Name, Features]
    experiments: dict[Name, AnyExperiment]
    crossvalidate: dict[Name, CrossValidation]

    elsewhere: ClassVar[tuple[str, ...]] = ("downloads",)

    @model_validator(mode="after")
    def _check(self) -> "Params":
        for name, dataset in self.datasets.items():
            self._check_dataset(name, dataset)
        for name, features in self.features.items():
            self._check_features(name, features)
        for name, experiment in self.experiments.items():
            self._check_experiment(name, experiment)
        for name, experiment in self.experiments.items():
            self._check_scorer(f"experiments.{name}.scorer", experiment)
        for name, folds in self.crossvalidate.items():
            self._check_folds(name, folds)
        return self

    def _check_dataset(self, name: str, dataset: Dataset) -> None:
        raw = self.downloads.get(dataset.raw)
        if raw is not None and raw.format not in dataset.formats:
            message = f"is of format {raw.format}, and kind {dataset.kind} reads {' or '.join(dataset.formats)}"
            raise value_error(f"datasets.{name}.raw", dataset.raw, message)
        for source, labels in dataset.classes.items() if isinstance(dataset, Images) else ():
            classes = self.downloads[source].classes if source in self.downloads else None  # user data: checked later
            for label in labels:
                message = f"no such class; {source} has:"
                check_name(f"datasets.{name}.classes.{source}", label, message, classes or labels)

    def _check_features(self, name: str, features: Features) -> None:
        path = f"features.{name}"
        check_name(f"{path}.dataset", features.dataset, NO_DATASET, self.datasets)
        check_name(f"{path}.experiment", features.experiment, NO_EXPERIMENT, self.experiments)
        if name in self.datasets:
            raise value_error(path, name, "a dataset has this name already")
        experiment = self.experiments[features.experiment]
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

    def _check_experiment(self, name: str, experiment: Experiment) -> None:
        path, model, data = f"experiments.{name}", experiment.model, experiment.dataset
        if name in RESERVED_NAMES:
            raise value_error(path, name, "this name has another meaning: choose another one")
        if (init_from := experiment.init_from) == name:
            raise value_error(f"{path}.init_from", init_from, "an experiment cannot start from itself")
        if "/" not in init_from and "." not in init_from:
            message = "should be a path relative to models/ (a file or a folder), or one of:"
            check_name(f"{path}.init_from", init_from, message, ["scratch", "imagenet", *self.experiments])
        check_name(f"{path}.dataset", data, NO_DATASET, [*self.datasets, *self.features])
        kind, task = self.kind_and_task(data)
        if kind not in experiment.kinds:
            message = f"takes data of kind {' or '.join(experiment.kinds)}, and dataset {data} is of kind {kind}"
            raise value_error(f"{path}.model", model, message)
        if experiment.task not in experiment.tasks:
            tasks = ", ".join(experiment.tasks)
            message = f"does not fit model {model} with loop {experiment.loop}; one of: {tasks}"
            raise value_error(f"{path}.task", experiment.task, message)
        if experiment.task in get_args(DatasetTask) and experiment.task != task:
            raise value_error(f"{path}.task", experiment.task, f"should be that of dataset {data}: {task}")
        if isinstance(experiment, Supervised):
            if experiment.loss not in (losses := experiment.losses()):
                message = f"does not fit model {model} on dataset {data}; one of: {', '.join(losses)}"
                raise value_error(f"{path}.loss", experiment.loss, message)
            if experiment.augment is not None and not self.is_of_images(data):
                message = f"only images can be augmented, and dataset {data} is of kind {kind}: set it to null"
                raise value_error(f"{path}.augment", experiment.augment.model_dump(), message)

    def _check_scorer(self, path: str, experiment: Experiment) -> None:
        if experiment.scorer == "none":
            return
        check_name(path, experiment.scorer, "should be one of:", ["none", *self.experiments])
        scorer = self.experiments[experiment.scorer]
        kind, task = self.kind_and_task(scorer.dataset)
        if not experiment.generates:
            raise value_error(path, experiment.scorer, "only generated images are scored: set it to none")
        if not self.is_of_images(scorer.dataset) or scorer.task != task:
            message = f"should be a classifier of images; this one is for {scorer.task} on data of kind {kind}"
            raise value_error(path, experiment.scorer, message)

    def _check_folds(self, name: str, folds: CrossValidation) -> None:
        check_name(f"crossvalidate.{name}", name, NO_EXPERIMENT, self.experiments)
        experiment = self.experiments[name]
        for key in ("dataset", "model"):
            if getattr(folds, key) != getattr(experiment, key):
                message = f"should be that of experiment {name}: {getattr(experiment, key)}"
                raise value_error(f"crossvalidate.{name}.{key}", getattr(folds, key), message)
        kind, task = self.kind_and_task(experiment.dataset)[0], experiment.task
        if kind not in folds.kinds or task not in folds.tasks:
            message = f"only classifiers of tables are cross-validated; this is {task}, data of kind {kind}"
            raise value_error(f"crossvalidate.{name}", name, message)
        for key, required in folds.required.items():
            if (value := getattr(experiment, key, required)) != required:
                message = f"is cross-validated, so it should be {required}: other weights may have seen a fold's rows"
                raise value_error(f"experiments.{name}.{key}", value, message)

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
        run_control = {"lr": self.lr, "epochs": self.epochs}
        fields = type(settings).model_fields
        return settings.model_copy(update={k: v for k, v in run_control.items() if v is not None and k in fields})


def value_error(path: str, value: Any, message: str) -> PydanticCustomError:
    """The error of the validator of the whole file about the value at `path`."""
    return PydanticCustomError("value_error", "{message}", {"path": path, "value": value, "message": message})


def check_name(path: str, name: str, message: str, allowed: Iterable[str]) -> None:
    """Raises the error about a name that is not defined; `message`: the sentence before the list of those that are."""
    names = list(allowed)
    if name not in names:
        raise value_error(path, name, f"{message} {', '.join(names)}.{did_you_mean(name, names)}")


def load() -> Params:
    """Reads and checks params.yaml and data/catalog.yaml, which may be missing: then there are no downloads.

    Raises:
        UserError: the first mistake: its path, the value, what is allowed, a guess.
    """
    catalog = paths.catalog()
    content = _read_yaml(catalog, "data/catalog.yaml") if catalog.is_file() else {"downloads": {}}
    downloads = _validate(Catalog, content, "data/catalog.yaml").downloads
    content = _read_yaml(paths.params(), "params.yaml")
    if isinstance(content, dict):
        if "downloads" in content:
            raise UserError("params.yaml: downloads: this section is in data/catalog.yaml now: move its entries there")
        content["downloads"] = downloads
    return _validate(Params, content, "params.yaml")


def _validate(model: type[ModelT], content: Any, file: str) -> ModelT:
    check_renamed(content, file)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{file}: {describe(error, content)}") from None


def _read_yaml(file: Path, name: str) -> Any:
    """Reads the file by DVC's parser: `1e-05`, as DVC writes `-S lr=0.00001`, is a number, a string to PyYAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    try:
        text = file.read_text("utf-8")
        depth = 0
        for event in YAML(typ="safe").parse(text):  # the parser in C recurses without a limit when it builds objects
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise UserError(f"{name} is not valid: its values are nested more than {MAX_DEPTH} levels deep")
        return YAML(typ="safe").load(text)
    except FileNotFoundError:
        raise UserError(f"{name} is missing beside dvc.yaml in {file.parent}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        position = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(f"{error.problem} {error.context or ''}".split())
        raise UserError(f"{name} is not valid YAML: {position}{reason}") from None
    except (YAMLError, ValueError) as error:  # also bytes that are not UTF-8, and integers of thousands of digits
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from None
