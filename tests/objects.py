"""Experiments and descriptions of data for tests, from a few keys: the rest gets a value that means nothing special."""

from typing import Any

from pydantic import TypeAdapter

from torchprimer import params
from torchprimer.datasets.meta import Meta, parse_meta
from torchprimer.models import Record, RunSettings
from torchprimer.params.experiments import AnyExperiment, Experiment

TASKS = {"rnn": "sequence_labelling", "autoencoder": "reconstruction", "gan": "generation"}
LOSSES = {"regression": "mse_loss", "reconstruction": "mse_loss"}
SUPERVISED: dict[str, Any] = {"optimizer": "SGD", "lr": 0.1, "batch_size": None, "epochs": 1}
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"bias": True},
    "mlp": {"hidden": [], "activation": "relu"},
    "cnn": {"channels": [4], "kernel_size": 3, "padding": 1, "hidden": []},
    "bag_of_words": {"hidden": []},
    "rnn": {"cell": "RNN", "embedding": None, "hidden_size": 4, "output_layer": True},
    "torchvision": {"architecture": "resnet18", "hidden": None},
    "efficientnet_lite": {},
    "autoencoder": {"hidden": [3]},
    "gan": {},
}
_ADAPTER: TypeAdapter[Experiment] = TypeAdapter(AnyExperiment)


def make_experiment(**keys: Any) -> Experiment:
    """An experiment of `keys` (at least `model`)."""
    model = keys["model"]
    task = keys.get("task", TASKS.get(model, "classification"))
    loop = keys.get("loop", "adversarial" if model == "gan" else "supervised")
    common = {"dataset": "any", "task": task, "init_from": "scratch", "scorer": "none", "loop": loop}
    supervised = SUPERVISED | {"loss": LOSSES.get(task, "cross_entropy")} if loop == "supervised" else {}
    return _ADAPTER.validate_python(common | supervised | (MODELS[model] if loop != "grid_search" else {}) | keys)


def load_experiment(name: str, **changes: Any) -> Experiment:
    """An experiment of params.yaml with other values for some of its keys."""
    return _ADAPTER.validate_python(params.load().resolve(name).model_dump() | changes)


def make_record(experiment: Experiment, meta: Meta, **keys: Any) -> Record:
    """The record of a model, experiment.json, with values for the rest that mean nothing special."""
    run = RunSettings(seed=0, limit=None, device="cpu", precision="float32", processes=1, threads=1)
    defaults: dict[str, Any] = {"experiment": "any", "data_digest": "", "init_from_digest": "", "versions": {}}
    return Record(params=experiment, data=meta, run=run, **(defaults | keys))


def make_meta(**keys: Any) -> Meta:
    """The description of a prepared dataset of `keys` (at least `kind` and `shape`)."""
    defaults = {"images": {"mean": [0.5], "std": [0.25]}, "tabular": {"task": "classification", "target": "y"}}
    return parse_meta(defaults.get(keys["kind"], {}) | keys)
