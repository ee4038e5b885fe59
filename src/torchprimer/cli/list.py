"""`torchprimer list`: every experiment with its scores, and which model is champion of its dataset."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from torchprimer.cli import formatting
from torchprimer.errors import UserError, did_you_mean
from torchprimer.experiment_results import MEASURES, Result, number
from torchprimer.params import Params
from torchprimer.tracking.client import champions


def list_experiments(params: Params, datasets: Sequence[str], form: formatting.Form) -> None:
    """Prints a row for each experiment on one of `datasets`, or on any.

    The champion of a dataset was chosen by its validation score (tracking/store.py); test scores are shown, and chose
    nothing. `state` says which stage is still to run.

    Raises:
        UserError: no such dataset.
    """
    known = list(dict.fromkeys(experiment.dataset for experiment in params.experiments.values()))
    for dataset in datasets:
        if dataset not in known:
            guess = did_you_mean(dataset, known)
            raise UserError(f"no experiment on a dataset '{dataset}'; there are: {', '.join(known)}.{guess}")
    results = [Result(params, name) for name in params.experiments]
    results = [result for result in results if not datasets or result.dataset in datasets]
    try:
        best = champions()
    except UserError as error:
        print(f"torchprimer: no champions below: {error}", file=sys.stderr)
        best = {}
    records = [_record(result, result.is_champion(best)) for result in results]
    if form == "json":
        formatting.print_json(records)
    elif form == "csv":
        formatting.print_csv(records)
    else:
        formatting.print_table([_for_people(record) for record in records])


def _record(result: Result, champion: bool) -> dict[str, Any]:
    return {
        "experiment": result.name,
        "dataset": result.dataset,
        "model": result.model,
        "measure": result.measure,
        "validation": result.validation_score,
        "test": result.test_score,
        "seconds": result.training.get("seconds"),
        "bytes": result.onnx.stat().st_size if result.onnx else None,
        "champion": champion,
        "state": result.state,
    }


def _for_people(record: Mapping[str, Any]) -> dict[str, str]:
    measure, seconds, state = record["measure"], record["seconds"], record["state"]
    return {
        "experiment": record["experiment"],
        "dataset": record["dataset"],
        "model": record["model"],
        "measure": MEASURES[measure][0] if measure else "",
        "validation": number(measure, record["validation"]),
        "test": number(measure, record["test"]),
        "seconds": "" if seconds is None else f"{seconds:.0f}" if seconds >= 1 else "<1",
        "size": "" if record["bytes"] is None else formatting.size(record["bytes"]),
        "": "champion" if record["champion"] else "" if state == "ready" else state,
    }
