"""Additions as CONTRIBUTING describes them, made in a copy of the project, and how many files each one changes.

Every test commits the files of one addition, counts them (tests and docs are no part of an addition), runs it through
the reduced pipeline to the export, and takes it back.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from tests.clone import Clone, keep_experiments
from tests.pipeline.test_pipeline import changed, executed, runs

FLOWER = "'sepal length (cm)=5.1' 'sepal width (cm)=3.5' 'petal length (cm)=1.4' 'petal width (cm)=0.2'"
KEEP = ("iris_pca_softmax", "line_search", "mnist_autoencoder")  # small experiments whose data the additions use


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, dvc_cache: Path, forking: Path) -> Clone:
    """A copy of the project with three experiments, at most 64 samples in a split and 2 epochs."""
    clone = Clone(tmp_path_factory.mktemp("extending"), dvc_cache)
    clone.bin_folder = forking
    keep_experiments(clone, KEEP)
    for key, value in (("limit", 64), ("epochs", 2)):
        clone.replace("params.yaml", f"\n{key}:\n", f"\n{key}: {value}\n")
    clone("git rm -q -r dvc.lock metrics && git commit -q -a -m 'a small project'")
    return clone


@pytest.fixture
def extended(project: Clone) -> Iterator[Clone]:
    """That copy; what a test adds is taken back afterwards."""
    yield project
    project("git add -A && git reset -q --hard && git checkout -q main && git clean -qfd")


def write(clone: Clone, file: str, content: str) -> None:
    (clone.folder / file).parent.mkdir(parents=True, exist_ok=True)
    (clone.folder / file).write_text(content.lstrip("\n"), "utf-8")


def add_entry(clone: Clone, section: str, entry: str) -> None:
    """Puts an entry first in a section of params.yaml."""
    clone.replace("params.yaml", f"\n{section}:\n", f"\n{section}:\n\n{entry}")


def add_to_union(clone: Clone, union: str, name: str) -> None:
    """`Union = A | B` of params/experiments.py becomes `Union = Name | A | B`."""
    file = clone.folder / "src/torchprimer/params/experiments.py"
    text, count = re.subn(rf"^({union} = (?:Annotated\[)?)", rf"\g<1>{name} | ", file.read_text("utf-8"), flags=re.M)
    assert count == 1, union
    file.write_text(text, "utf-8")


def changed_files(clone: Clone) -> set[str]:
    """Commits all changes; returns the files."""
    clone("git checkout -q -B addition && git add -A && git commit -q -m addition")
    return set(clone("git show --name-only --format=").stdout.split())


def history(clone: Clone, experiment: str) -> pd.DataFrame:
    return pd.read_csv(clone.folder / "metrics" / experiment / "history.csv")


def scores(clone: Clone, experiment: str) -> dict[str, float]:
    content: dict[str, float] = json.loads((clone.folder / "metrics" / experiment / "test.json").read_text("utf-8"))
    return content


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
    output = extended("dvc repro export@iris_mlp report").stdout
    assert executed(output) >= {"train@iris_mlp", "evaluate@iris_mlp", "export@iris_mlp", "report"}
    assert len(history(extended, "iris_mlp")) == 2
    assert "iris_mlp" in (extended.folder / "reports" / "index.html").read_text("utf-8")
    answer = extended(f"python src/torchprimer predict iris_mlp {FLOWER} --json").stdout
    assert json.loads(answer)["prediction"] in ("setosa", "versicolor", "virginica")
    assert "iris_mlp" in {run.info.run_name for run in runs(extended)}


# ---- a family of classifiers -----------------------------------------------------------------------------------------

HIGHWAY_MODEL = '''
"""Highway network: each layer mixes its input with a transformation of it, by a gate that is learnt.

Srivastava, Greff, Schmidhuber 2015.
"""

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


class Highway(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -1)  # starts by carrying its input through

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(self.gate(inputs))
        return gate * torch.relu(self.transform(inputs)) + (1 - gate) * inputs


def build(experiment: "params.Highway", meta: "Meta", outputs: int) -> nn.Sequential:
    """Input of `meta.shape`, flattened -> `width` -> `depth` highway layers -> `outputs` logits."""
    layers = [Highway(experiment.width) for _ in range(experiment.depth)]
    inputs = math.prod(meta.shape)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, experiment.width), *layers, nn.Linear(experiment.width, outputs)
    )
'''
HIGHWAY_PARAMS = """class Highway(Supervised):
    model: Literal["highway"]
    width: PositiveInt
    depth: PositiveInt


"""
IRIS_HIGHWAY = IRIS_MLP.replace("iris_mlp", "iris_highway").replace("model: mlp", "model: highway").replace(
    "hidden:\n    - 8\n    activation: tanh", "width: 8\n    depth: 3"
)  # fmt: skip


def test_a_family_of_classifiers(extended: Clone) -> None:
    write(extended, "src/torchprimer/models/highway.py", HIGHWAY_MODEL)
    extended.replace("src/torchprimer/params/experiments.py", "class CNN(", f"{HIGHWAY_PARAMS}class CNN(")
    add_to_union(extended, "Other", "Highway")
    files = changed_files(extended)
    assert files == {"src/torchprimer/models/highway.py", "src/torchprimer/params/experiments.py"}  # at most 2

    add_entry(extended, "experiments", IRIS_HIGHWAY)
    extended("dvc repro export@iris_highway")
    assert "highway" in (extended.folder / "models" / "iris_highway.export" / "MODEL.md").read_text("utf-8")
    assert 0 <= scores(extended, "iris_highway")["accuracy"] <= 1
    extended(f"python src/torchprimer predict iris_highway {FLOWER}")
    # dvc.yaml has the new file among the dependencies of its experiment, and of no other
    extended("dvc repro train")
    extended.replace("src/torchprimer/models/highway.py", "-1)", "-2)")
    assert {stage for stage in changed(extended) if stage.startswith("train@")} == {"train@iris_highway"}


# ---- a loop ----------------------------------------------------------------------------------------------------------

RANDOM_SEARCH = '''
"""A line found by chance: random weights of a range, the lowest mean squared error wins. Bergstra, Bengio 2012."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.models.linear import linear_layer, set_linear
from torchprimer.training import Row, TrainResult

if TYPE_CHECKING:
    from torchprimer.params import experiments as params


def train(
    model: nn.Module,
    training: SplitArrays,
    validation: SplitArrays,
    experiment: "params.LinearRandomSearch",
    *,
    on_epoch: Callable[[Row], None],
    **_unused: object,
) -> TrainResult:
    """Gives the linear layer of `model`, without bias, the best of `trials` random weights, in place."""
    history: list[Row] = []
    for trial in range(1, experiment.trials + 1):
        weight = float(torch.empty(1).uniform_(experiment.low, experiment.high))
        row: Row = {"epoch": trial, "weight": weight, "epoch_seconds": 0.0}
        for part, split in (("train", training), ("validation", validation)):
            row[f"{part}_loss"] = float(((weight * split.inputs - split.targets) ** 2).mean())
        history.append(row)
        on_epoch(row)
    best = min(history, key=lambda row: float(row["train_loss"]))
    set_linear(linear_layer(model), float(best["weight"]), 0.0)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return TrainResult(weights, history, int(best["epoch"]))
'''
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
    write(extended, "src/torchprimer/training/loops/random_search.py", RANDOM_SEARCH)
    extended.replace("src/torchprimer/params/experiments.py", "class MLP(", f"{RANDOM_SEARCH_PARAMS}class MLP(")
    for union in ("Linear", "Experiment"):
        add_to_union(extended, union, "LinearRandomSearch")
    files = changed_files(extended)
    assert files == {"src/torchprimer/training/loops/random_search.py", "src/torchprimer/params/experiments.py"}  # <= 3

    add_entry(extended, "experiments", LINE_RANDOM_SEARCH)
    extended("dvc repro export@line_random_search")
    table = history(extended, "line_random_search")
    assert len(table) == 200
    assert table["weight"].between(0, 4).all()
    best = table.loc[table["train_loss"].idxmin()]
    assert abs(best["weight"] - 2) < 0.1
    answer = extended("python src/torchprimer predict line_random_search x=4 --json").stdout
    assert json.loads(answer)["prediction"] == pytest.approx(4 * best["weight"], rel=1e-3)


# ---- a stage ---------------------------------------------------------------------------------------------------------

WEIGHT_NORMS_STAGE = '''
"""The Euclidean norm of every weight tensor of a trained model: metrics/E/norms.json."""

import json

from torchprimer import models, paths
from torchprimer.atomic import atomic_write
from torchprimer.params import Params


def run(_params: Params, name: str) -> None:
    model, _ = models.load(paths.model(name))
    norms = {key: float(tensor.norm()) for key, tensor in model.named_parameters()}
    with atomic_write(paths.metrics(name) / "norms.json") as file:
        file.write_text(json.dumps(norms, indent=1) + "\\n", "utf-8")
'''
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
WEIGHT_NORMS_ENTRY = """        Stage("weight_norms", "experiments", "Write the norm of every weight tensor.", "mnist_cnn"),
"""


def test_a_stage(extended: Clone) -> None:
    write(extended, "src/torchprimer/stages/weight_norms.py", WEIGHT_NORMS_STAGE)
    extended.replace("dvc.yaml", "  report:\n", f"{WEIGHT_NORMS_DVC}  report:\n")
    extended.replace(
        "src/torchprimer/stages/__init__.py", '        Stage("report"', f'{WEIGHT_NORMS_ENTRY}        Stage("report"'
    )
    assert changed_files(extended) == {
        "dvc.yaml", "src/torchprimer/stages/__init__.py", "src/torchprimer/stages/weight_norms.py"
    }  # fmt: skip

    output = extended("dvc repro weight_norms@iris_pca_softmax").stdout
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
        "src/torchprimer/tasks/metrics.py", '        Metric("loss"', '        Metric("kappa", "Cohen\'s κ", True, decimals=3),\n        Metric("loss"'
    )  # fmt: skip
    file = "src/torchprimer/tasks/classification/metrics.py"
    extended.replace(file, "import confusion_matrix,", "import cohen_kappa_score, confusion_matrix,")
    extended.replace(
        file, '        "f1_macro": float(f1),\n', '        "f1_macro": float(f1),\n        "kappa": float(cohen_kappa_score(targets, predictions)),\n'
    )  # fmt: skip
    assert changed_files(extended) == {"src/torchprimer/tasks/metrics.py", file}  # at most 2

    extended("dvc repro export@iris_pca_softmax report")
    table = pd.read_csv(extended.folder / "metrics/iris_pca_softmax/test/predictions.csv")
    kappa = cohen_kappa_score(table["label"], table["prediction"])
    assert scores(extended, "iris_pca_softmax")["kappa"] == pytest.approx(kappa)
    described = json.loads((extended.folder / "models/iris_pca_softmax.export/model.json").read_text("utf-8"))
    assert described["scores"]["test"]["kappa"] == pytest.approx(kappa)
    trained = next(run for run in runs(extended)[::-1] if run.info.run_name == "iris_pca_softmax")
    assert trained.data.metrics["test_kappa"] == pytest.approx(kappa)


# ---- a task ----------------------------------------------------------------------------------------------------------

DENOISING = '''
"""Denoising: an autoencoder's target is the image without the noise of its input. Vincent et al. 2008."""

import torch

from torchprimer.datasets.storage import SplitArrays
from torchprimer.tasks.reconstruction import Reconstruction


class Denoising(Reconstruction):
    name = "denoising"
    output_name = "denoised"

    def targets(self, split: SplitArrays) -> SplitArrays:
        noise = torch.randint(-60, 61, split.inputs.shape, generator=torch.Generator().manual_seed(0))
        return SplitArrays((split.inputs + noise).clamp(0, 255).to(torch.uint8), split.inputs)


TASK = Denoising()
'''
DENOISING_EVALUATION = '''
"""The error of denoised images of the test split."""

from pathlib import Path

import torch

from torchprimer.tasks import figures
from torchprimer.tasks.base import EvaluationContext
from torchprimer.tasks.inference import predict
from torchprimer.tasks.reconstruction.evaluation import originals_over_reconstructions


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    split = context.task.targets(context.test)
    outputs, images = predict(context.model, split.inputs, context.device), split.targets.float() / 255
    error = torch.nn.functional.mse_loss(outputs, images).item()
    pairs = originals_over_reconstructions(images[:20].numpy(), outputs[:20].numpy(), context.title)
    figures.save(pairs, folder / "denoised.png")
    return {"loss": error, "mse": error}
'''
MNIST_DENOISING = """  mnist_denoising:
    dataset: mnist
    model: autoencoder
    task: denoising
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
    write(extended, "src/torchprimer/tasks/denoising/__init__.py", DENOISING)
    write(extended, "src/torchprimer/tasks/denoising/evaluation.py", DENOISING_EVALUATION)
    file = "src/torchprimer/params/experiments.py"
    extended.replace(file, '"reconstruction", "generation"]', '"reconstruction", "generation", "denoising"]')
    extended.replace(file, 'in ("regression", "reconstruction")', 'in ("regression", "reconstruction", "denoising")')
    extended.replace(file, '= ("reconstruction",)', '= ("reconstruction", "denoising")')
    assert changed_files(extended) == {
        "src/torchprimer/tasks/denoising/__init__.py", "src/torchprimer/tasks/denoising/evaluation.py", file,
    }  # fmt: skip

    add_entry(extended, "experiments", MNIST_DENOISING)
    extended("dvc repro export@mnist_denoising report")
    assert 0 < scores(extended, "mnist_denoising")["mse"] < 1
    assert (extended.folder / "metrics/mnist_denoising/test/denoised.png").is_file()
    described = json.loads((extended.folder / "models/mnist_denoising.export/model.json").read_text("utf-8"))
    assert described["largest_difference_to_pytorch"] <= 1e-4
    assert "mnist_denoising" in (extended.folder / "reports/index.html").read_text("utf-8")
