"""`torchprimer list`: all experiments with their scores, their state, and the champion of each dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.filesize import decimal

from torchprimer.cli import formatting
from torchprimer.errors import UserError, did_you_mean
from torchprimer.experiment_results import ExperimentResults
from torchprimer.params import Params
from torchprimer.tasks.metrics import METRICS
from torchprimer.tracking.champions import champion_fingerprints


def list_experiments(params: Params, datasets: Sequence[str], output_format: formatting.OutputFormat) -> None:
    """Prints a row for each experiment on one of `datasets`; without `datasets`, for each experiment.

    Raises:
        UserError: no such dataset, or a damaged file of an experiment.
    """
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


def _record(result: ExperimentResults, champion: bool) -> dict[str, Any]:
    return {
        "experiment": result.name,
        "dataset": result.dataset,
        "model": result.model,
        "metric": result.metric.name if result.metric else None,
        "validation": result.validation_score,
        "test": result.test_score,
        "held_out": result.held_out,
        "seconds": result.timing.get("seconds"),
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
