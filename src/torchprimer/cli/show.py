"""`torchprimer show E`: an experiment from its data to its files, layer by layer; a layer's weights by their name."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.cli import formatting
from torchprimer.errors import UserError, did_you_mean
from torchprimer.experiment_results import Result, read
from torchprimer.params import Params
from torchprimer.tracking.client import champions

if TYPE_CHECKING:
    import torch
    from torch import nn

USE = {  # kind of an exported model -> what to type
    "images": "predict {} IMAGE_OR_FOLDER",
    "autoencoder": "predict {} IMAGE_OR_FOLDER --out FOLDER",
    "tabular": "predict {} ROWS.csv",
    "text": "predict {} 'a text'",
    "sequences": "predict {} 'a text'",
    "generator": "generate {} --count 64 --seed 1 out.png",
}


def show(params: Params, experiment: str) -> None:
    """Prints what is known of an experiment, which stages are still to run, and its layers if it is trained."""
    result = Result(params, experiment)
    record = read(paths.model(experiment) / "experiment.json")  # as it was trained; params.yaml may have changed since
    exported = read(paths.export(experiment) / "model.json")
    best = ", its champion" if result.is_champion(champions()) else ""
    _print("experiment", [f"{experiment}: {result.model} on {result.dataset}{best}"])
    _print("data", _data(record.get("data") or read(paths.prepared(result.dataset) / "meta.json") or exported))
    _print("params", [_params(params, experiment, (record or exported).get("params"))])
    _print("training", _training(result.training or exported, (record or exported).get("run", {})))
    _print("scores", _scores(result, exported.get("scores", {})))
    _print("baseline", _baseline(result))
    _print("files", _files(experiment))
    if "kind" in exported:
        takes = f"   # columns: {', '.join(column['name'] for column in exported['columns'])}"
        tabular = exported["kind"] == "tabular"
        use = USE[exported["kind"]].format(experiment)
        if exported["kind"] == "sequences":  # it takes no other length, and no other characters
            (example,) = json.loads((paths.export(experiment) / "example.json").read_text("utf-8"))
            use = use.replace("a text", example["text"])
        _print("use", [f"torchprimer {use}{takes if tabular else ''}"])
    _print("missing", _missing(params, result, record))
    if result.trained:
        print()
        _layers(experiment)


def show_weights(experiment: str, tensor: str, out: Path | None) -> None:
    """Prints one of a model's weights; or writes it to `out` as .npy.

    Raises:
        UserError: not trained yet, or no weights of that name.
    """
    if not (paths.model(experiment) / "experiment.json").is_file():
        raise UserError(f"{experiment} is not trained here yet: dvc repro train@{experiment}")
    import torch

    from torchprimer import models

    weights = models.load(paths.model(experiment))[0].state_dict()
    if tensor not in weights:
        raise UserError(
            f"{experiment} has no weights {tensor!r}; it has: {', '.join(weights)}.{did_you_mean(tensor, weights)}"
        )
    values = weights[tensor]
    if out is not None:
        import numpy as np

        if out.is_dir():
            raise UserError(f"{out} is a folder: name a file in it")
        with atomic_write(out) as file, file.open("wb") as stream:
            np.save(stream, values.numpy())
        print(f"{tensor}: {_shape(values)} in {out}")
        return
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
    print(f"{tensor}: {_shape(values)}, {str(values.dtype)[6:]}")
    print(values)


def _print(name: str, lines: Iterable[str]) -> None:
    for line in filter(None, lines):
        print(f"{name:12}{line}")
        name = ""


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    """Of a meta.json; an exported model.json says as much."""
    if not data:
        return
    shape = data["shape"] if "shape" in data else data["input"]["shape"][1:]
    classes = data.get("classes") or []
    named = f", {len(classes)} classes: {', '.join(classes[:10])}{' ...' if len(classes) > 10 else ''}"
    yield f"{data['kind']}, input {' x '.join(map(str, shape))}{named if classes else ''}"
    if data["held_out"]:
        yield ", ".join(f"{count:,} {part}" for part, count in data["samples"].items())
    else:
        yield f"{data['samples']['train']:,}, too few to hold any back: the same are train, validation and test"


def _params(params: Params, experiment: str, trained: Mapping[str, Any] | None) -> str:
    """Those that are not left as the schema has them."""
    fields = type(params.experiments[experiment]).model_fields
    usual = {name: field.default for name, field in fields.items()} | {"init_from": "scratch", "scorer": "none"}
    values = trained or params.resolve(experiment).model_dump()
    return ", ".join(
        f"{name} {_yaml(value)}"
        for name, value in values.items()
        if name not in ("dataset", "model") and value is not None and value != usual.get(name)
    )


def _yaml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(of)}' for key, of in value.items())}}}"
    return f"[{', '.join(map(_yaml, value))}]" if isinstance(value, list) else str(value)


def _training(scores: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    if scores:
        epochs = f"{scores['epochs']} epochs, the best: {scores['best_epoch']}; " if "epochs" in scores else ""
        yield f"{epochs}{scores['seconds']} s, {_parameters(scores['parameters'])}"
    if run:
        limit = f", at most {run['limit']} samples of each split" if run["limit"] else ""
        yield f"seed {run['seed']}, in {run['precision']} on {run['device']}{limit}"


def _scores(result: Result, exported: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Of each split that has been measured."""
    best = {
        name.removeprefix("validation_").removesuffix("_best"): value
        for name, value in result.training.items()
        if name.startswith("validation_") and name.endswith("_best")
    }
    for split, scores in (("validation", best), ("test", result.test)):
        if found := scores or exported.get(split):
            yield f"{split}: {_list(found)}"
    if result.folds:
        yield f"cross-validation: {_list(result.folds)}"


def _baseline(result: Result) -> Iterator[str]:
    """What others reach on the same test split, by the same measure."""
    reached = {model: scores[result.measure] for model, scores in result.baseline.items() if result.measure in scores}
    if reached:
        yield f"test: {result.measure} " + ", ".join(
            f"{of:.4g} ({model.replace('_', ' ')})" for model, of in reached.items()
        )


def _list(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())


def _files(experiment: str) -> Iterator[str]:
    """Folders, as seen from the project, with what is in them."""
    for folder in (paths.model(experiment), paths.export(experiment), paths.metrics(experiment)):
        names = [f"{file.name}/" if file.is_dir() else file.name for file in sorted(folder.glob("*"))]
        if names:
            yield f"{folder.relative_to(paths.project())}/: {', '.join(names)}"


def _missing(params: Params, result: Result, record: Mapping[str, Any]) -> Iterator[str]:
    name = result.name
    if not result.trained:
        yield f"not trained here yet: dvc repro train@{name}"
    elif record["params"] != (now := params.resolve(name).model_dump()):
        changed = [key for key in now if record["params"].get(key) != now[key]]
        yield f"trained before params.yaml was changed ({', '.join(changed)}): dvc repro train@{name}"
    if not result.test:
        yield f"not evaluated yet: dvc repro evaluate@{name}"
    if result.onnx is None:
        yield f"not exported here yet: dvc repro export@{name}"


def _layers(experiment: str) -> None:
    """The weights of each layer."""
    from torchprimer import models

    model: nn.Module = models.load(paths.model(experiment))[0]
    kinds = {name: type(part).__name__ for name, part in model.named_modules()}
    rows = []
    for name, values in model.state_dict().items():
        numbers = values.double()
        rows.append(
            {
                "weights": name,
                "shape": _shape(values),
                "number": f"{values.numel():,}",
                "mean": f"{numbers.mean():.4f}",
                "deviation": f"{numbers.std(correction=0):.4f}",
                "layer": kinds[name.rpartition(".")[0]],
            }
        )
    formatting.print_table(rows)
    print(_parameters(sum(parameter.numel() for parameter in model.parameters())))


def _parameters(count: int) -> str:
    return "1 parameter" if count == 1 else f"{count:,} parameters"


def _shape(values: "torch.Tensor") -> str:
    return " x ".join(map(str, values.shape)) or "a number"
