"""`torchprimer list`: all experiments with scores and state; `show E`: one experiment, or one of its weight tensors."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

from torchprimer import paths
from torchprimer.atomic import Json, atomic_write
from torchprimer.cli import formatting
from torchprimer.cli.inputs import find_reader
from torchprimer.errors import UserError, did_you_mean
from torchprimer.experiment_results import ExperimentResults, read_json, read_timing, validation_scores
from torchprimer.params import Params
from torchprimer.tasks.metrics import METRICS
from torchprimer.tracking.champions import champion_fingerprints

if TYPE_CHECKING:
    import torch
    from torch import nn


def list_experiments(params: Params, datasets: Sequence[str], output_format: formatting.OutputFormat) -> None:
    """Prints a row per experiment, or per one on `datasets`; UserError: no such dataset, or a damaged file."""
    names = list(dict.fromkeys(experiment.dataset for experiment in params.experiments.values()))
    for dataset in datasets:
        if dataset not in names:
            guess = did_you_mean(dataset, names)
            raise UserError(f"no experiment on a dataset '{dataset}'; one of: {', '.join(names)}.{guess}")
    results = [ExperimentResults(params, name) for name in params.experiments]
    results = [result for result in results if not datasets or result.dataset in datasets]
    champions = champion_fingerprints()
    records = [_record(result, result.is_champion(champions)) for result in results]
    if output_format == "json":
        formatting.print_json(records)
    elif output_format == "csv":
        formatting.print_csv(records)
    else:
        formatting.print_table([_cells(record) for record in records])


def _record(result: ExperimentResults, champion: bool) -> Json:
    return {
        "experiment": result.name,
        "dataset": result.dataset,
        "model": result.model,
        "metric": result.metric.name if result.metric else None,
        "validation": result.validation_score,
        "test": result.test_score,
        "held_out": result.held_out,
        "seconds": read_timing(result.name).get("seconds"),
        "bytes": result.onnx.stat().st_size if result.onnx else None,
        "champion": champion,
        "state": result.state,
    }


def _cells(record: Mapping[str, Any]) -> dict[str, str]:
    seconds, state = record["seconds"], "" if record["state"] == "ready" else record["state"]
    notes = ["champion" if record["champion"] else state, "" if record["held_out"] else "scores on training rows"]
    metric = METRICS[record["metric"]] if record["metric"] else None
    return {
        **{name: record[name] for name in ("experiment", "dataset", "model")},
        "metric": metric.label if metric else "",
        "validation": metric.format(record["validation"]) if metric else "",
        "test": metric.format(record["test"]) if metric else "",
        "seconds": "" if seconds is None else f"{seconds:.0f}" if seconds >= 1 else "<1",
        "size": "" if record["bytes"] is None else decimal(record["bytes"]),
        "": ", ".join(filter(None, notes)),
    }


# ---- one experiment --------------------------------------------------------------------------------------------------


def show_experiment(params: Params, experiment: str) -> None:
    """Prints an experiment's results, the stages that are still to run, and its layers; UserError: a damaged file."""
    result = ExperimentResults(params, experiment)
    record: Json = {}  # as trained; params.yaml may have changed since
    if result.is_trained:
        from torchprimer import models

        record = models.load_record(paths.model(experiment)).model_dump()
    trained = record or result.exported
    champion = ", the champion of its dataset" if result.is_champion(champion_fingerprints()) else ""
    meta = read_json(paths.prepared(result.dataset) / "meta.json", f"preprocess@{result.dataset}")
    _print("experiment", [f"{experiment}: {result.model} on {result.dataset}{champion}"])
    _print("data", _data(record.get("data") or meta or result.exported))
    _print("params", [_params(params, experiment, trained.get("params"))])
    _print("training", _training(result, trained.get("run", {})))
    _print("scores", _scores(result))
    _print("baseline", _baseline(result))
    _print("files", _files(experiment))
    _print("use", _usage(experiment, result.exported))
    _print("missing", _missing(params, result, record))
    if result.is_trained:
        print()
        _layers(experiment)


def show_weights(experiment: str, name: str, out: Path | None) -> None:
    """Prints a weight tensor, or writes it to `out` as .npy; UserError: no such tensor, not trained, or damaged."""
    if not (paths.model(experiment) / "experiment.json").is_file():
        raise UserError(f"{experiment} is not trained yet: dvc repro train@{experiment}")
    import numpy as np
    import torch

    from torchprimer import models

    weights = models.load(paths.model(experiment))[0].state_dict()
    if name not in weights:
        guess = did_you_mean(name, weights)
        raise UserError(f"{experiment} has no weights {name!r}; one of: {', '.join(weights)}.{guess}")
    values = weights[name]
    if out is None:
        torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
        print(f"{name}: {_shape(values)}, {str(values.dtype)[6:]}\n{values}")
    elif out.is_dir():
        raise UserError(f"{out} is a folder: name a file")
    else:
        with atomic_write(out) as file, file.open("wb") as stream:
            np.save(stream, values.numpy())
        print(f"{name}: {_shape(values)} in {out}")


def _print(name: str, lines: Iterable[str]) -> None:
    """Prints the lines of a section, its name before the first."""
    for line in filter(None, lines):
        print(f"{name:12}{line}")
        name = ""


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    """`data`: meta.json of the prepared dataset, or model.json of the export."""
    if not data:
        return
    shape = data["shape"] if "shape" in data else data["input"]["shape"][1:]
    classes = data.get("classes") or []
    labels = f", {len(classes)} classes: {', '.join(classes[:10])}{' ...' if len(classes) > 10 else ''}"
    yield f"{data['kind']}, input {' x '.join(map(str, shape))}{labels if classes else ''}"
    if data["held_out"]:
        yield ", ".join(f"{count:,} {split}" for split, count in data["samples"].items())
    else:
        yield f"{data['samples']['train']:,} training rows, none held out"


def _params(params: Params, experiment: str, trained: Mapping[str, Any] | None) -> str:
    """The params that differ from the defaults of the schema."""
    fields = type(params.experiments[experiment]).model_fields
    defaults = {name: field.default for name, field in fields.items()} | {"init_from": "scratch", "scorer": "none"}
    return ", ".join(
        f"{name} {_yaml(value)}"
        for name, value in (trained or params.resolve(experiment).model_dump()).items()
        if name not in ("dataset", "model") and value is not None and value != defaults.get(name)
    )


def _yaml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(item)}' for key, item in value.items())}}}"
    return f"[{', '.join(map(_yaml, value))}]" if isinstance(value, list) else str(value)


def _training(result: ExperimentResults, run: Mapping[str, Any]) -> Iterator[str]:
    """`run`: of experiment.json."""
    if scores := result.train or result.exported:
        epochs = f"{scores['epochs']} epochs, best epoch {scores['best_epoch']}; " if "epochs" in scores else ""
        seconds = f"{timing['seconds']} s, " if (timing := read_timing(result.name)) else ""
        total, trainable = scores["parameters"], scores.get("trainable_parameters", scores["parameters"])
        some = "" if trainable == total else f", {trainable:,} of them trainable"
        yield f"{epochs}{seconds}{total:,} parameter{'' if total == 1 else 's'}{some}"
    if run:
        limit = f", at most {run['limit']} samples of each split" if run["limit"] else ""
        yield f"seed {run['seed']}, in {run['precision']} on {run['device']}{limit}"


def _scores(result: ExperimentResults) -> Iterator[str]:
    exported = result.exported.get("scores", {})
    if result.held_out and (validation := validation_scores(result.train) or exported.get("validation")):
        yield f"validation: {_join(validation)}"
    if test := result.test or exported.get("test"):
        yield f"{_test_split(result)}: {_join(test)}"
    if result.folds:
        yield f"cross-validation: {_join(result.folds)}"


def _baseline(result: ExperimentResults) -> Iterator[str]:
    """Scores of the baselines on the same samples, in the same metric."""
    name = result.metric.name if result.metric else ""
    scores = {model.replace("_", " "): scores[name] for model, scores in result.baseline.items() if name in scores}
    if scores:
        yield f"{_test_split(result)}: {name} " + ", ".join(f"{score:.4g} ({model})" for model, score in scores.items())


def _test_split(result: ExperimentResults) -> str:
    return "test" if result.held_out else "training rows"


def _join(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())


def _files(experiment: str) -> Iterator[str]:
    for folder in (paths.model(experiment), paths.export(experiment), paths.metrics(experiment)):
        names = [f"{file.name}/" if file.is_dir() else file.name for file in sorted(folder.glob("*"))]
        if names:
            yield f"{folder.relative_to(paths.project())}/: {', '.join(names)}"


def _usage(experiment: str, exported: Mapping[str, Any]) -> Iterator[str]:
    """An example command; `exported`: model.json, empty if the model is not exported."""
    if not exported:
        return
    if (reader := find_reader(exported["kind"])) is None:
        yield f"torchprimer generate {experiment} --count 64 --seed 1 out.png"
    else:
        comment = f"   # columns: {', '.join(reader.columns(exported))}" if reader.key_values else ""
        yield f"torchprimer predict {experiment} {reader.usage.format(text=_example_text(experiment))}{comment}"


def _example_text(experiment: str) -> str:
    """The text in example.json of the export; a placeholder if there is none."""
    try:
        return str(json.loads((paths.export(experiment) / "example.json").read_text("utf-8"))[0]["text"])
    except (OSError, ValueError, LookupError, TypeError):
        return "a text"


def _missing(params: Params, result: ExperimentResults, record: Mapping[str, Any]) -> Iterator[str]:
    name = result.name
    if not result.is_trained:
        yield f"not trained yet: dvc repro train@{name}"
    elif record["params"] != (now := params.resolve(name).model_dump()):
        changed = [key for key in now if record["params"].get(key) != now[key]]
        yield f"trained before params.yaml changed ({', '.join(changed)}): dvc repro train@{name}"
    if not result.test:
        yield f"not evaluated yet: dvc repro evaluate@{name}"
    if result.onnx is None:
        yield f"not exported yet: dvc repro export@{name}"


def _layers(experiment: str) -> None:
    from torchprimer import models

    model: nn.Module = models.load(paths.model(experiment))[0]
    layers = {name: type(module).__name__ for name, module in model.named_modules()}
    rows = []
    for name, values in model.state_dict().items():
        doubles = values.double()
        row = {"weights": name, "shape": _shape(values), "count": f"{values.numel():,}"}
        row |= {"mean": f"{doubles.mean():.4f}", "std": f"{doubles.std(correction=0):.4f}"}
        rows.append(row | {"layer": layers[name.rpartition(".")[0]]})
    formatting.print_table(rows)


def _shape(values: "torch.Tensor") -> str:
    return " x ".join(map(str, values.shape)) or "scalar"
