"""`torchprimer sync`: MLflow brought up to date with the workspace, from its files alone."""

import csv
from pathlib import Path

from torchprimer import paths
from torchprimer.tracking.client import Store, digest, read
from torchprimer.tracking.runs import get_or_create_run, log_baselines


def sync() -> None:
    """Logs what models/ and metrics/ hold and MLflow lacks: runs that DVC restored, or all of a deleted store."""
    store = Store()
    store.kill_stale_runs()
    logged = 0
    for file in sorted(paths.model("x").parent.glob("*/experiment.json")):
        record = read(file)
        name, fingerprint = record["experiment"], record["fingerprint"]
        metrics, export = paths.metrics(name), paths.export(name)
        if not (metrics / "history.csv").is_file():
            continue
        run, there = get_or_create_run(store, name)
        parts = [] if there else ["training"]
        tags = store.client.get_run(run.id).data.tags
        if _is_of(metrics / "test", fingerprint) and tags.get("evaluated") != digest(metrics / "test.json"):
            run.log_evaluation(name)
            parts.append("evaluation")
        if _is_of(export, fingerprint) and tags.get("exported") != digest(export / "model.json"):
            run.log_export(name)
            parts.append("export")
        folds = metrics / "folds.json"
        if _are_of(metrics / "folds.csv", fingerprint) and tags.get("crossvalidated") != digest(folds):
            run.log_folds(name)
            parts.append("folds")
        if parts:
            print(f"{name}: logged {', '.join(parts)}")
        logged += bool(parts)
    for file in sorted(paths.baseline("x").parent.glob("*.json")):
        if log_baselines(store, file.stem):
            print(f"{file.stem}: logged its baselines")
            logged += 1
    print(f"{logged} run{'s' if logged > 1 else ''} logged" if logged else "MLflow has all that is here: nothing to do")


def _is_of(folder: Path, fingerprint: str) -> bool:
    """Whether a stage's output comes from this very training, and not from an earlier one."""
    record = folder / "model.json"
    return record.is_file() and bool(read(record)["fingerprint"] == fingerprint)


def _are_of(folds: Path, fingerprint: str) -> bool:
    """Likewise, folds.csv."""
    if not folds.is_file():
        return False
    with folds.open(encoding="utf-8", newline="") as stream:
        return next(csv.DictReader(stream), {}).get("fingerprint") == fingerprint
