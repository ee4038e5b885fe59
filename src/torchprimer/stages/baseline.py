"""Writes metrics/baselines/D.json: what a dummy and a classic model of scikit-learn reach on a dataset."""

from torchprimer import paths
from torchprimer.atomic import write_json
from torchprimer.datasets.storage import load_meta, load_split
from torchprimer.params import Params
from torchprimer.tasks.baselines import fit_baselines
from torchprimer.tracking import Tracker


def run(params: Params, name: str, tracker: Tracker) -> None:
    prepared = paths.prepared(name)
    train, test = load_split(prepared, "train"), load_split(prepared, "test")
    scores = fit_baselines(train, test, load_meta(prepared), params.datasets[name].baseline, params.seed)
    scores = {model: {"samples": len(test)} | metrics for model, metrics in scores.items()}
    write_json(paths.baseline(name), scores)
    tracker.log_baselines(name)
    key = "accuracy" if "accuracy" in scores["dummy"] else "r2"
    print(f"{name}: test {key} " + ", ".join(f"{model} {scores[model][key]:.4f}" for model in scores))
