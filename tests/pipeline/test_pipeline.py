"""The whole pipeline, reduced, run in a copy of the project: what it writes and reruns, what MLflow sees."""

import ast
import base64
import contextlib
import json
import sqlite3
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.clone import PROJECT, Clone, clean_environment
from torchprimer.tracking.views import VIEWS

PARAMS = {
    section: content
    for file in ("params.yaml", "data/catalog.yaml")
    for section, content in YAML(typ="safe").load((PROJECT / file).read_text("utf-8")).items()
}
EXPERIMENTS: dict[str, Any] = PARAMS["experiments"]
DATASETS: dict[str, Any] = PARAMS["datasets"]
KINDS = {name: PARAMS["datasets"].get(entry["dataset"], {"kind": "features"}) for name, entry in EXPERIMENTS.items()}
CLASSIFIERS = [
    name
    for name, entry in EXPERIMENTS.items()
    if KINDS[name].get("task", "classification") == "classification"
    and KINDS[name]["kind"] != "sequences"
    and entry["model"] not in ("gan", "autoencoder")
]
ONE_OF_EACH = [  # model of each kind of data
    "mnist_cnn", "mnist_gan", "reviews_bow", "bike_sharing_tuned", "diabetes_tuned", "hello_rnn_cell",
    "dogs_vs_cats_vgg16_features",
]  # fmt: skip


def store(clone: Clone) -> Any:
    """A client of a snapshot of the copy's MLflow store: MLflow caches a store that it has opened."""
    from mlflow import MlflowClient

    snapshot = Path(tempfile.mkdtemp(dir=clone.folder / ".git")) / "mlflow.db"
    with (
        contextlib.closing(sqlite3.connect(clone.folder / "mlflow.db")) as source,
        contextlib.closing(sqlite3.connect(snapshot)) as target,
    ):
        source.backup(target)
    return MlflowClient(f"sqlite:///{snapshot}")


def runs(clone: Clone) -> list[Any]:
    """All runs of the copy's MLflow store, oldest first."""
    client = store(clone)
    experiment = client.get_experiment_by_name("torchprimer")
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def raw_dataset(dataset: str) -> str:
    """The dataset of the images that precomputed features come from; any other dataset is its own."""
    return str(PARAMS["features"].get(dataset, {"dataset": dataset})["dataset"])


def changed(clone: Clone) -> set[str]:
    """The stages that DVC would run because one of their dependencies has changed."""
    status = json.loads(clone("dvc status --json").stdout)
    return {
        stage
        for stage, changes in status.items()
        if any("changed deps" in change for change in changes if isinstance(change, dict))
    }


def test_all_stages_write_what_they_declare(reduced_project: Clone) -> None:
    again = reduced_project("dvc repro").stdout
    assert "Running" not in again
    assert again.strip().endswith("Data and pipelines are up to date.")
    lock = YAML(typ="safe").load((reduced_project.folder / "dvc.lock").read_text())["stages"]
    counts = {section: len(PARAMS[section]) for section in ("downloads", "datasets", "features", "crossvalidate")}
    assert len(lock) == 2 + sum(counts.values()) + 2 * counts["datasets"] + 3 * len(EXPERIMENTS)
    for stage in lock.values():
        for out in stage["outs"]:
            assert (reduced_project.folder / out["path"]).exists()
    assert not list(reduced_project.folder.rglob("*.partial"))
    assert not list((reduced_project.folder / ".checkpoints").glob("*"))
    assert reduced_project("git status --porcelain").stdout == ""


def test_dvc_writes_the_same_lock(unchanged: Clone) -> None:
    """As `torchprimer repro`, which ran the reduced pipeline."""
    lock = unchanged.folder / "dvc.lock"
    before, written = lock.read_bytes(), lock.stat().st_mtime_ns
    unchanged("dvc commit --force check")
    assert lock.read_bytes() == before
    assert lock.stat().st_mtime_ns > written


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_metrics_agree_with_the_predictions(reduced_project: Clone, name: str) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    folder = reduced_project.folder / "metrics" / name
    test, training = (json.loads((folder / f"{part}.json").read_text()) for part in ("test", "train"))
    table = pd.read_csv(folder / "test" / "predictions.csv", dtype={"id": str, "label": str, "prediction": str})
    assert len(table) <= 256
    assert test["accuracy"] == pytest.approx(accuracy_score(table["label"], table["prediction"]))
    assert test["f1_macro"] == pytest.approx(f1_score(table["label"], table["prediction"], average="macro"))
    history = pd.read_csv(folder / "history.csv")
    assert training["validation_accuracy_best"] == history["validation_accuracy"].max()
    dataset = EXPERIMENTS[name]["dataset"]
    split = pd.read_csv(reduced_project.folder / "data" / "prepared" / dataset / "samples.csv", dtype=str)
    assert list(split[split["split"].isin(["test", "all"])]["id"]) == list(table["id"])
    if name == "dogs_vs_cats_cnn":
        assert test["true_positives"] + test["false_negatives"] == (table["label"] == "dog").sum()
        assert test["true_positives"] == ((table["label"] == "dog") & (table["prediction"] == "dog")).sum()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_its_scores_and_figures(reduced_project: Clone, name: str) -> None:
    folder = reduced_project.folder / "metrics" / name
    for part in ("test", "train"):
        scores = json.loads((folder / f"{part}.json").read_text())
        assert scores
        assert all(isinstance(value, int | float) for value in scores.values())
    assert len(list((folder / "test").glob("*.png"))) >= 1
    for picture in (folder / "test").glob("*.png"):
        with Image.open(picture) as image:
            assert min(image.size) > 100


@pytest.mark.parametrize("name", PARAMS["datasets"])
def test_every_dataset_has_its_baselines(reduced_project: Clone, name: str) -> None:
    scores = json.loads((reduced_project.folder / "metrics" / "baselines" / f"{name}.json").read_text())
    assert list(scores) == ["dummy", PARAMS["datasets"][name]["baseline"]]


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn", "reviews_bow"])
def test_a_model_is_rebuilt_from_its_folder_alone(reduced_project: Clone, name: str, tmp_path: Path) -> None:
    """Another process, in another folder, loads it and predicts what `evaluate` wrote."""
    (tmp_path / "model").mkdir()
    for file in (reduced_project.folder / "models" / name).iterdir():
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    inputs = reduced_project.folder / "data" / "prepared" / EXPERIMENTS[name]["dataset"] / "test_inputs.npy"
    script = (
        "import sys, numpy, torch; from pathlib import Path; from torchprimer import models\n"
        "model, record = models.load(Path('model'))\n"
        f"print(*model(torch.from_numpy(numpy.load('{inputs}'))).argmax(1).tolist())"
    )
    environment = clean_environment() | {"PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(
        ["python", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    classes = json.loads((tmp_path / "model" / "experiment.json").read_text())["data"]["classes"]
    table = pd.read_csv(reduced_project.folder / "metrics" / name / "test" / "predictions.csv", dtype=str)
    assert [classes[int(number)] for number in done.stdout.split()] == list(table["prediction"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_export_is_proven(reduced_project: Clone, name: str) -> None:
    description = json.loads((reduced_project.folder / "models" / f"{name}.export" / "model.json").read_text())
    assert description["largest_difference_to_pytorch"] <= 1e-4


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn"])
def test_exported_model_answers_for_any_batch(reduced_project: Clone, name: str) -> None:
    import numpy as np
    import onnxruntime

    folder = reduced_project.folder / "models" / f"{name}.export"
    description = json.loads((folder / "model.json").read_text())
    assert description["largest_difference_to_pytorch"] <= 1e-4
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    images = np.load(reduced_project.folder / "data" / "prepared" / description["dataset"] / "test_inputs.npy")
    table = pd.read_csv(
        reduced_project.folder / "metrics" / name / "test" / "predictions.csv", dtype={"prediction": str}
    )
    expected = table[[f"p_{label}" for label in description["classes"]]].to_numpy()
    for size in (1, 7, 256):
        (got,) = session.run(None, {"images": images[:size]})
        assert got.dtype == np.float32
        assert np.abs(got - expected[:size]).max() <= 1e-4


def test_mlflow_has_one_finished_run_per_experiment(reduced_project: Clone) -> None:
    all_runs, client = runs(reduced_project), store(reduced_project)
    assert {run.info.status for run in all_runs} == {"FINISHED"}
    of_type = {type_: [run for run in all_runs if run.data.tags["type"] == type_] for type_ in ("baseline", "fold")}
    trained = [run for run in all_runs if run.data.tags["type"] == "experiment" and "DVC_STAGE" in run.data.tags]
    assert sorted(run.info.run_name for run in trained) == sorted(EXPERIMENTS)
    assert {run.info.run_name for run in of_type["baseline"]} >= {f"{name}, baseline dummy" for name in DATASETS}
    parents = {run.info.run_id: run for run in trained if run.info.run_name in PARAMS["crossvalidate"]}
    assert {run.data.tags["mlflow.parentRunId"] for run in of_type["fold"]} == set(parents)
    assert len(of_type["fold"]) == sum(entry["folds"] for entry in PARAMS["crossvalidate"].values())
    for fold in of_type["fold"]:
        parent = parents[fold.data.tags["mlflow.parentRunId"]]
        assert fold.data.params.items() >= {"optimizer": parent.data.params["optimizer"]}.items()
        assert fold.data.tags["dataset"] == parent.data.tags["dataset"]
        assert set(fold.data.metrics) == {"validation_loss", "validation_accuracy", "validation_baseline_accuracy"}
    for run in all_runs:
        assert run.data.tags["mlflow.note.content"]
        assert [dataset_input.dataset.name for dataset_input in run.inputs.dataset_inputs] == [
            run.data.params["dataset"]
        ]
        assert run.data.tags["dataset"] == raw_dataset(run.data.params["dataset"])
        assert len(run.data.metrics) <= 22  # fits on a page
    for run in trained:
        name, tags, data = run.info.run_name, run.data.tags, run.data
        test = json.loads((reduced_project.folder / "metrics" / name / "test.json").read_text())
        training = json.loads((reduced_project.folder / "metrics" / name / "train.json").read_text())
        for key in set(test) & {"accuracy", "loss", "r2", "frechet_distance"}:
            assert data.metrics[f"test_{key}"] == test[key]
        for key in (key for key in training if key.endswith("_best")):
            assert data.metrics[key] == training[key]
        timing = json.loads((reduced_project.folder / "metrics" / name / "timing.json").read_text())
        assert data.metrics["training_seconds"] == timing["seconds"]
        assert f"`dvc repro train@{name}`" in tags["mlflow.note.content"]
        assert "still to come" not in tags["mlflow.note.content"]
        if name not in ("mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn"):
            continue
        assert (tags["DVC_EXP_NAME"], tags["DVC_STAGE"]) == ("small", f"train@{name}")
        assert tags["DVC_EXP_BASELINE_REV"] == reduced_project("git rev-parse HEAD~1").stdout.strip()
        assert tags["model"] == EXPERIMENTS[name]["model"]
        assert (tags["kind"], tags["task"], tags["loop"]) == ("images", "classification", "supervised")
        assert len(tags["fingerprint"]) == 64
        assert (data.params["epochs"], data.params["limit"], data.params["samples_train"]) == ("1", "256", "256")
        assert data.params["optimizer"] in ("SGD", "AdamW")
        history = client.get_metric_history(run.info.run_id, "validation_loss")
        assert [metric.step for metric in history] == [1]
        artifacts = {item.path for item in client.list_artifacts(run.info.run_id, "test")}
        assert artifacts >= {f"test/{file}" for file in ("confusion.png", "roc.png", "mistakes.png", "test.json")}
        artifacts = {item.path for item in client.list_artifacts(run.info.run_id, "training")}
        assert artifacts >= {f"training/{file}" for file in ("model.safetensors", "history.csv", "train.json")}
        assert str(reduced_project.folder / "mlartifacts") in run.info.artifact_uri


def test_the_best_on_validation_is_champion_of_its_dataset(reduced_project: Clone) -> None:
    all_runs, client = {run.info.run_id: run for run in runs(reduced_project)}, store(reduced_project)
    for dataset in ("mnist", "dogs_vs_cats", "bike_sharing"):
        among = {name for name, entry in EXPERIMENTS.items() if raw_dataset(entry["dataset"]) == dataset}
        among -= {name for name in among if EXPERIMENTS[name]["model"] in ("gan", "autoencoder")}
        assert dataset != "dogs_vs_cats" or "dogs_vs_cats_vgg16_features" in among  # the same images go in
        versions = client.search_model_versions(f"name = '{dataset}'")
        assert {version.tags["experiment"] for version in versions} == among
        best = max(float(version.tags["validation_score"]) for version in versions)
        champion = client.get_model_version_by_alias(dataset, "champion")
        assert float(champion.tags["validation_score"]) == best
        tagged = [key for key, run in all_runs.items() if run.data.tags.get("champion") == dataset]
        assert tagged == [champion.run_id]
        training = json.loads(
            (reduced_project.folder / "metrics" / champion.tags["experiment"] / "train.json").read_text()
        )
        key = "validation_r2_best" if dataset == "bike_sharing" else "validation_accuracy_best"
        assert training[key] == best
    generators = {name for name, entry in EXPERIMENTS.items() if entry["model"] in ("gan", "autoencoder")}
    assert generators <= {model.name for model in client.search_registered_models()}


@pytest.mark.parametrize("view", VIEWS)
def test_views_find_runs_that_have_their_columns(reduced_project: Clone, view: str) -> None:
    client = store(reduced_project)
    experiment = client.get_experiment_by_name("torchprimer")
    _, which, columns, order = VIEWS[view]
    matching = client.search_runs([experiment.experiment_id], which, order_by=[order])
    assert matching
    known = {
        f"{kind}.{name}"
        for run in matching
        for kind in ("metrics", "tags", "params")
        for name in getattr(run.data, kind)
    }
    assert set(columns) <= known
    assert f"mlflow.sharedViewState.{view}" in experiment.tags


def test_a_logged_model_is_code_and_files(reduced_project: Clone) -> None:
    """No pickle, pinned requirements, and it is loaded with nothing of the project."""
    client = store(reduced_project)
    models = {model.name: model for model in client.search_logged_models([runs(reduced_project)[0].info.experiment_id])}
    assert set(models) == set(EXPERIMENTS)
    model = models["mnist_cnn"]
    folder = Path(model.artifact_location.removeprefix("file://"))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not [file for file in files if file.endswith((".pkl", ".pickle"))]
    assert {"pyfunc_model.py", "artifacts/mnist_cnn.export/model.onnx", "artifacts/mnist_cnn.export/MODEL.md"} <= files
    needed = (folder / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in needed} == {"mlflow", "pandas", "numpy", "onnxruntime", "pillow"}
    assert all("==" in line for line in needed)
    scores = {metric.key: metric.value for metric in model.metrics}
    assert (
        scores["test_accuracy"]
        == json.loads((reduced_project.folder / "metrics/mnist_cnn/test.json").read_text())["accuracy"]
    )
    assert json.loads(model.tags["mlflow.modelVersions"])[0]["name"] == "mnist"


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_registered_model_is_loaded_by_mlflow_and_answers_its_example(
    reduced_project: Clone, name: str, tmp_path: Path
) -> None:
    versions = store(reduced_project).search_model_versions(f"tags.experiment = '{name}'")
    script = (
        "import json, sys, mlflow; mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model(sys.argv[2])\n"
        "example, answer = model.input_example, model.predict(model.input_example)\n"
        "assert list(example.columns) == model.metadata.get_input_schema().input_names()\n"
        "assert list(answer.columns) == model.metadata.get_output_schema().input_names()\n"
        "assert not {'torch', 'torchprimer', 'sklearn', 'pydantic_settings'} & set(sys.modules)\n"
        "print(json.dumps(answer.to_dict('records')))"
    )
    (tmp_path / "load.py").write_text(script)
    uri = f"models:/{versions[0].name}/{versions[0].version}"
    done = reduced_project(
        f"python -W ignore {tmp_path}/load.py sqlite:///{reduced_project.folder / 'mlflow.db'} {uri}"
    )
    (answer,) = json.loads(done.stdout.strip().splitlines()[-1])
    probabilities = [value for key, value in answer.items() if key.startswith("p_")]
    if name in CLASSIFIERS:
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert answer[f"p_{answer['prediction']}"] == max(probabilities)
    elif EXPERIMENTS[name]["model"] == "gan":
        assert base64.b64decode(answer["image"]).startswith(b"\x89PNG")


def test_stages_depend_on_the_code_they_run(reduced_project: Clone) -> None:
    """Every module of the package that a stage imports is among its deps in dvc.lock."""
    seen = set()
    lock = YAML(typ="safe").load((reduced_project.folder / "dvc.lock").read_text())["stages"]
    infrastructure = {
        f"src/torchprimer/{name}.py"
        for name in (
            "__main__", "errors", "atomic", "paths", "stages/__init__", "stages/train", "datasets/__init__",
            "loops/__init__", "tasks/__init__", "predictor/__init__", "predictor/errors", "training/__init__",
            "training/launch",
        )
    }  # fmt: skip
    infrastructure |= {"src/torchprimer/experiment_results.py"}  # of stages other than the report: tracking/ imports it
    selection = {"src/torchprimer/tasks/metrics.py"}  # tasks/base.py compares champions with it, after a training
    lines = (reduced_project.folder / ".git" / "imports.jsonl").read_text().splitlines()
    imports: dict[str, list[str]] = dict(json.loads(line) for line in lines)
    assert set(imports) == set(lock)
    for stage, modules in imports.items():
        files = set()
        for module in modules:
            base = "src/" + module.replace(".", "/")
            file = f"{base}.py" if (reduced_project.folder / f"{base}.py").is_file() else f"{base}/__init__.py"
            if len(ast.parse((reduced_project.folder / file).read_text()).body) > 1:  # more than a docstring
                files.add(file)
        files = {
            file for file in files if not any(f"/{room}/" in file for room in ("cli", "params", "tracking"))
        } - infrastructure
        files -= selection if not stage.startswith(("export@", "report")) else set()
        declared = tuple(dep["path"] for dep in lock[stage]["deps"])
        trained = [path.removeprefix("models/") for path in declared if path.startswith("models/")]
        for training in (f"train@{name}" for name in trained if name in EXPERIMENTS):  # a model has its fingerprint
            declared += tuple(dep["path"] for dep in lock[training]["deps"])
        missing = {
            file for file in files if file not in declared and not file.startswith(tuple(f"{d}/" for d in declared))
        }
        assert missing == set(), f"not among the deps of {stage}"
        seen |= files
    loop = "loops/supervised"
    known = ("datasets/images", "datasets/splits", f"{loop}/__init__", f"{loop}/distributed", "export/onnx")
    assert {f"src/torchprimer/{name}.py" for name in known} <= seen


CNNS = {name for name, entry in EXPERIMENTS.items() if entry["model"] == "cnn"}
CHANGES = {  # file, old text, new text
    "a comment in a model": ("src/torchprimer/models/cnn.py", "    layers:", "    # a comment\n    layers:"),
    "the README": ("README.md", "\n", "\n\n"),
    "a comment in params.yaml": ("params.yaml", "# Seed of", "# seed of"),
    "a comment in another": ("src/torchprimer/models/gan.py", "import ", "# a comment\nimport "),
    "a number of one experiment": ("params.yaml", "- 10\n    - 20", "- 10\n    - 21"),
    "the learning rate of all": ("params.yaml", "\nlr:", "\nlr: 0.01"),
}


@pytest.mark.parametrize(
    ("changes", "expected"),  # changes that nothing depends on share a run of DVC with another one
    [
        (("a comment in a model", "the README", "a comment in params.yaml"), CNNS),
        (("a comment in another",), {"mnist_gan", "mnist_lsgan", "mnist_dcgan"}),
        (("a number of one experiment",), {"mnist_cnn"}),
        (("the learning rate of all",), set(EXPERIMENTS)),
    ],
)
def test_only_what_depends_on_a_change_trains_again(
    unchanged: Clone, changes: tuple[str, ...], expected: set[str]
) -> None:
    for change in changes:
        unchanged.replace(*CHANGES[change])
    stages = changed(unchanged)
    assert {stage.removeprefix("train@") for stage in stages if stage.startswith("train@")} == expected
    assert not {stage for stage in stages if stage.startswith(("download", "split", "preprocess"))}
