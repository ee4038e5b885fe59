"""`torchprimer sync`: brings MLflow up to date with the workspace, from its files alone."""

from pathlib import Path

from torchprimer import paths
from torchprimer.experiment_results import read_json, read_table
from torchprimer.models import load_record
from torchprimer.tracking.champions import promote
from torchprimer.tracking.client import Store
from torchprimer.tracking.registry import registered_name
from torchprimer.tracking.run_metadata import digest
from torchprimer.tracking.runs import LOGGERS, get_or_create_run, log_baselines


def sync() -> None:
    """Logs what models/ and metrics/ have and MLflow lacks, and makes the best models of the workspace champions.

    MLflow lacks results that DVC restored from its cache, that a stage could not log, and all after the store was
    deleted.
    """
    store = Store()
    store.kill_stale_runs()
    logged, registered = 0, set()
    for file in sorted(paths.model("x").parent.glob("*/experiment.json")):
        record = load_record(file.parent)
        name, fingerprint = record.experiment, record.fingerprint
        metrics, export = paths.metrics(name), paths.export(name)
        if not (metrics / "history.csv").is_file():
            continue
        run, created = get_or_create_run(store, name)
        parts = ["training"] if created else []
        tags = store.client.get_run(run.id).data.tags
        for part, tag, file, file_fingerprint in (
            ("evaluation", "evaluated", metrics / "test.json", _json_fingerprint(metrics / "test" / "model.json")),
            ("export", "exported", export / "model.json", _json_fingerprint(export / "model.json")),
            ("folds", "crossvalidated", metrics / "folds.json", _csv_fingerprint(metrics / "folds.csv")),
        ):
            if file_fingerprint == fingerprint and tags.get(tag) != digest(file):
                LOGGERS[part](run, name)
                parts.append(part)
        if _json_fingerprint(export / "model.json") == fingerprint:
            registered.add((registered_name(record), record.data.validation_samples))
        if parts:
            print(f"{name}: logged {', '.join(parts)}")
            logged += 1
    for file in sorted(paths.baseline("x").parent.glob("*.json")):
        if log_baselines(store, file.stem):
            print(f"{file.stem}: logged its baselines")
            logged += 1
    for name, data in sorted(registered):
        promote(store, name, data)
    print(f"{logged} run{'s' if logged > 1 else ''} logged" if logged else "MLflow is up to date: nothing to do")


def _json_fingerprint(file: Path) -> object:
    """The training that a stage's output belongs to: it may be an earlier one."""
    return read_json(file).get("fingerprint")


def _csv_fingerprint(file: Path) -> object:
    if not file.is_file():
        return None
    return next(iter(read_table(file, f"crossvalidate@{file.parent.name}", "fold").get("fingerprint", ())), None)
