"""Additions as CONTRIBUTING describes them, made in a copy of the project, and how many files each one changes.

Every test commits the files of one addition, counts them (tests and docs are no part of an addition), runs it through
the reduced pipeline to the export, and takes it back.
"""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.additions import add_entry, add_file, add_to_union, changed_files, history, scores
from tests.clone import Clone, executed
from tests.pipeline.test_pipeline import changed, runs

FLOWER = "'sepal length (cm)=5.1' 'sepal width (cm)=3.5' 'petal length (cm)=1.4' 'petal width (cm)=0.2'"


# ---- an experiment ---------------------------------------------------------------------------------------------------

IRIS_MLP = """  iris_mlp:
    dataset: iris
    model: mlp
    task: classification
    init_from: scratch
    scorer: none
    hidden:
    - 8
    activation: tanh
    loop: supervised
    loss: cross_entropy
    optimizer: Adam
    lr: 0.05
    batch_size: 16
    epochs: 100

"""


def test_an_experiment(extended: Clone) -> None:
    add_entry(extended, "experiments", IRIS_MLP)
    assert changed_files(extended) == {"params.yaml"}  # at most 2
    output = extended("torchprimer repro export@iris_mlp report").stdout
    assert executed(output) >= {"train@iris_mlp", "evaluate@iris_mlp", "export@iris_mlp", "report"}
    assert len(history(extended, "iris_mlp")) == 2
    assert "iris_mlp" in (extended.folder / "reports" / "index.html").read_text("utf-8")
    answer = extended(f"python src/torchprimer predict iris_mlp {FLOWER} --json").stdout
    assert json.loads(answer)["prediction"] in ("setosa", "versicolor", "virginica")
    assert "iris_mlp" in {run.info.run_name for run in runs(extended)}


# ---- a family of classifiers -----------------------------------------------------------------------------------------

HIGHWAY_PARAMS = """class Highway(Supervised):
    model: Literal["highway"]
    width: PositiveInt
    depth: PositiveInt


"""
IRIS_HIGHWAY = IRIS_MLP.replace("iris_mlp", "iris_highway").replace("model: mlp", "model: highway").replace(
    "hidden:\n    - 8\n    activation: tanh", "width: 8\n    depth: 3"
)  # fmt: skip


def test_a_family_of_classifiers(extended: Clone) -> None:
    add_file(extended, "highway.py", "src/torchprimer/models/highway.py")
    extended.replace("src/torchprimer/params/experiments.py", "class CNN(", f"{HIGHWAY_PARAMS}class CNN(")
    add_to_union(extended, "experiments.py", "Other", "Highway")
    files = changed_files(extended)
    assert files == {"src/torchprimer/models/highway.py", "src/torchprimer/params/experiments.py"}  # at most 2

    add_entry(extended, "experiments", IRIS_HIGHWAY)
    extended("torchprimer repro export@iris_highway")
    assert "highway" in (extended.folder / "models" / "iris_highway.export" / "MODEL.md").read_text("utf-8")
    assert 0 <= scores(extended, "iris_highway")["accuracy"] <= 1
    extended(f"python src/torchprimer predict iris_highway {FLOWER}")
    # dvc.yaml has the new file among the dependencies of its experiment, and of no other
    extended("torchprimer repro train")
    extended.replace("src/torchprimer/models/highway.py", "-1)", "-2)")
    assert {stage for stage in changed(extended) if stage.startswith("train@")} == {"train@iris_highway"}


# ---- a loop ----------------------------------------------------------------------------------------------------------

RANDOM_SEARCH_PARAMS = """class LinearRandomSearch(BaseExperiment):
    model: Literal["linear"]
    loop: Literal["random_search"]
    low: Number
    high: Number
    trials: PositiveInt

    kinds: ClassVar[tuple[str, ...]] = ("tabular",)
    tasks: ClassVar[tuple[str, ...]] = ("regression",)
    bias: ClassVar[None] = None
    loss: ClassVar[str] = "mse_loss"
    reduction: ClassVar[str] = "mean"


"""
LINE_RANDOM_SEARCH = """  line_random_search:
    dataset: line
    model: linear
    task: regression
    init_from: scratch
    scorer: none
    loop: random_search
    low: 0.0
    high: 4.0
    trials: 200

"""


def test_a_loop(extended: Clone) -> None:
    add_file(extended, "random_search.py", "src/torchprimer/loops/random_search/__init__.py")
    extended.replace("src/torchprimer/params/experiments.py", "class MLP(", f"{RANDOM_SEARCH_PARAMS}class MLP(")
    for union in ("Linear", "Experiment"):
        add_to_union(extended, "experiments.py", union, "LinearRandomSearch")
    files = changed_files(extended)
    assert files == {
        "src/torchprimer/loops/random_search/__init__.py", "src/torchprimer/params/experiments.py"
    }  # fmt: skip

    add_entry(extended, "experiments", LINE_RANDOM_SEARCH)
    extended("torchprimer repro export@line_random_search")
    table = history(extended, "line_random_search")
    assert len(table) == 200
    assert table["weight"].between(0, 4).all()
    best = table.loc[table["train_loss"].idxmin()]
    assert abs(best["weight"] - 2) < 0.1
    answer = extended("python src/torchprimer predict line_random_search x=4 --json").stdout
    assert json.loads(answer)["prediction"] == pytest.approx(4 * best["weight"], rel=1e-3)


# ---- a stage ---------------------------------------------------------------------------------------------------------

WEIGHT_NORMS_DVC = """  weight_norms:
    foreach: ${experiments}
    do:
      desc: Writes the norm of every weight tensor.
      cmd: python src/torchprimer weight_norms ${key}
      deps:
        - models/${key}
        - src/torchprimer/stages/weight_norms.py
      metrics:
        - metrics/${key}/norms.json:
            cache: false

"""
WEIGHT_NORMS_ENTRY = """    Stage("weight_norms", "experiments", "Write the norm of every weight tensor.", "mnist_cnn"),
"""


def test_a_stage(extended: Clone) -> None:
    add_file(extended, "weight_norms.py", "src/torchprimer/stages/weight_norms.py")
    extended.replace("dvc.yaml", "  report:\n", f"{WEIGHT_NORMS_DVC}  report:\n")
    extended.replace(
        "src/torchprimer/stages/__init__.py", '    Stage("report"', f'{WEIGHT_NORMS_ENTRY}    Stage("report"'
    )
    assert changed_files(extended) == {
        "dvc.yaml", "src/torchprimer/stages/__init__.py", "src/torchprimer/stages/weight_norms.py"
    }  # fmt: skip

    output = extended("torchprimer repro weight_norms@iris_pca_softmax").stdout
    assert "weight_norms@iris_pca_softmax" in executed(output)
    norms = json.loads((extended.folder / "metrics/iris_pca_softmax/norms.json").read_text("utf-8"))
    weights = load_file(extended.folder / "models/iris_pca_softmax/model.safetensors")
    assert norms == {name: pytest.approx(np.linalg.norm(values), rel=1e-5) for name, values in weights.items()}
    assert "Write the norm of every weight tensor." in extended("python src/torchprimer weight_norms --help").stdout
    assert "norms.json" in extended("dvc metrics show").stdout
    assert "no 'iris'" in extended("python src/torchprimer weight_norms iris", fails=True).stderr


# ---- a metric --------------------------------------------------------------------------------------------------------


def test_a_metric(extended: Clone) -> None:
    from sklearn.metrics import cohen_kappa_score

    extended.replace(
        "src/torchprimer/tasks/metrics.py", '        Metric("loss"', '        Metric("kappa", "Cohen\'s κ", True, '
        'decimals=3),\n        Metric("loss"'
    )  # fmt: skip
    file = "src/torchprimer/tasks/classification/metrics.py"
    extended.replace(file, "import confusion_matrix,", "import cohen_kappa_score, confusion_matrix,")
    extended.replace(
        file, '        "f1_macro": float(f1),\n', '        "f1_macro": float(f1),\n        "kappa": '
        'float(cohen_kappa_score(targets, predictions)),\n'
    )  # fmt: skip
    assert changed_files(extended) == {"src/torchprimer/tasks/metrics.py", file}  # at most 2

    extended("torchprimer repro export@iris_pca_softmax report")
    table = pd.read_csv(extended.folder / "metrics/iris_pca_softmax/test/predictions.csv")
    kappa = cohen_kappa_score(table["label"], table["prediction"])
    assert scores(extended, "iris_pca_softmax")["kappa"] == pytest.approx(kappa)
    described = json.loads((extended.folder / "models/iris_pca_softmax.export/model.json").read_text("utf-8"))
    assert described["scores"]["test"]["kappa"] == pytest.approx(kappa)
    trained = next(run for run in runs(extended)[::-1] if run.info.run_name == "iris_pca_softmax")
    assert trained.data.metrics["test_kappa"] == pytest.approx(kappa)


# ---- a task ----------------------------------------------------------------------------------------------------------

MNIST_NEGATIVE = """  mnist_negative:
    dataset: mnist
    model: autoencoder
    task: negative
    init_from: scratch
    scorer: none
    hidden:
    - 32
    loop: supervised
    loss: mse_loss
    optimizer: Adam
    lr: 0.002
    batch_size: 16
    epochs: 15

"""


def test_a_task(extended: Clone) -> None:
    add_file(extended, "negative.py", "src/torchprimer/tasks/negative/__init__.py")
    add_file(extended, "negative_evaluation.py", "src/torchprimer/tasks/negative/evaluation.py")
    file = "src/torchprimer/params/experiments.py"
    extended.replace(file, '"reconstruction", "generation"]', '"reconstruction", "generation", "negative"]')
    extended.replace(file, "LOSSES = {", 'LOSSES = {\n    "negative": ["mse_loss", "l1_loss"],')
    extended.replace(file, '= ("reconstruction",)', '= ("reconstruction", "negative")')
    assert changed_files(extended) == {
        "src/torchprimer/tasks/negative/__init__.py", "src/torchprimer/tasks/negative/evaluation.py", file,
    }  # fmt: skip

    add_entry(extended, "experiments", MNIST_NEGATIVE)
    extended("torchprimer repro export@mnist_negative report")
    assert 0 < scores(extended, "mnist_negative")["mse"] < 1
    assert (extended.folder / "metrics/mnist_negative/test/negatives.png").is_file()
    described = json.loads((extended.folder / "models/mnist_negative.export/model.json").read_text("utf-8"))
    assert described["largest_difference_to_pytorch"] <= 1e-4
    assert "mnist_negative" in (extended.folder / "reports/index.html").read_text("utf-8")
