"""The stage `export` on small untrained models of each task and kind of data: the folder alone gives their outputs."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tests.clone import clean_environment
from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models, params, paths
from torchprimer.datasets.storage import SAMPLES_FILE, write_meta
from torchprimer.export.onnx import ParityError, check_parity, export_onnx
from torchprimer.predictor import Predictor, UserError
from torchprimer.stages import export
from torchprimer.tasks import get_task

KEYS: dict[str, Any] = {"samples": {"train": 8, "validation": 8, "test": 8}, "raw": "x"}
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 1, 6, 6), np.uint8)
ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
COLUMNS = {name: {"median": 1.0, "mean": 2.0, "std": 3.0} for name in ("a", "b", "c")}
TABLE: dict[str, Any] = {"kind": "tabular", "shape": [3], "numeric": COLUMNS, "features": ["a", "b", "c"], **KEYS}
IMAGES = make_meta(kind="images", shape=[1, 6, 6], classes=["no", "yes"], mean=[0.1], std=[0.2], **KEYS)
GAN: dict[str, Any] = {"architecture": "dense", "latent_dim": 3, "generator": [4], "discriminator": [4], "lr": 0.1,
                       "loss": "mse_loss", "beta1": 0.5, "batch_size": 2, "epochs": 1}  # fmt: skip
CASES = {
    "images": (make_experiment(model="mlp", hidden=[3]), IMAGES, PIXELS),
    "autoencoder": (make_experiment(model="autoencoder"), IMAGES, PIXELS),
    "generator": (make_experiment(model="gan", **GAN), IMAGES, PIXELS),
    "tabular": (make_experiment(model="mlp"), make_meta(**TABLE, classes=["no", "yes"]), ROWS),
    "value": (
        make_experiment(model="linear", task="regression"),
        make_meta(**TABLE, task="regression", target_mean=5.0, target_std=2.0),
        ROWS,
    ),
    "text": (
        make_experiment(model="bag_of_words"),
        make_meta(kind="text", shape=[5], classes=["no", "yes"], words=list("abcdefg"), **KEYS),
        np.tile(np.arange(1, 6, dtype=np.int32), (8, 1)),
    ),
    "sequences": (
        make_experiment(model="rnn"),
        make_meta(kind="sequences", shape=[5], classes=list("ehlo"), **KEYS),
        np.tile(np.array([1, 0, 2, 2, 3]), (8, 1)),
    ),
}


class SilentTracker:
    def log(self, part: str, name: str) -> None: ...


@pytest.fixture
def export_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Exports one of CASES in a project of its own; returns the model and the prepared inputs."""
    settings = params.load()

    def run(name: str) -> tuple[nn.Module, Any, torch.Tensor]:
        experiment, meta, inputs = CASES[name]
        (tmp_path / "dvc.yaml").touch()
        monkeypatch.chdir(tmp_path)
        paths.project.cache_clear()
        for folder in (paths.prepared("any"), paths.model("any"), paths.metrics("any")):
            folder.mkdir(parents=True)
        for split in ("train", "validation", "test"):
            np.save(paths.prepared("any") / f"{split}_inputs.npy", inputs)
            np.save(paths.prepared("any") / f"{split}_targets.npy", np.zeros(8, np.int64))
        (paths.prepared("any") / SAMPLES_FILE).write_text("id,label,split\n1,no,test\n")
        write_meta(paths.prepared("any"), meta)
        torch.manual_seed(0)
        model = models.build(experiment, meta).eval()
        record = make_record(experiment, meta)
        models.save(model.state_dict(), record, paths.model("any"))
        train = {"parameters": 7, "validation_accuracy_best": 0.5}
        (paths.metrics("any") / "train.json").write_text(json.dumps(train))
        (paths.metrics("any") / "test.json").write_text('{"accuracy": 0.25, "true_positives": 1000}')
        export.run(settings, "any", SilentTracker())  # type: ignore[arg-type]
        return model, record, torch.from_numpy(inputs)

    return run


@pytest.mark.parametrize("name", CASES)
def test_example_gives_the_outputs_of_pytorch(export_case: Any, name: str) -> None:
    model, record, inputs = export_case(name)
    predictor = Predictor(paths.export("any"))
    whole = nn.Sequential(model, get_task(record.params.task).output_head(record.params, record.data))
    if name == "generator":
        noise = torch.randn(3, 3)
        images = (255 * whole(noise)).round().detach().numpy()[:, 0]
        np.testing.assert_allclose(predictor.generate_from(noise.numpy()), images, atol=1)
        return
    with torch.no_grad():
        expected = whole(inputs[:1]).numpy()
    (example,) = json.loads((paths.export("any") / "example.json").read_text())
    if name in ("images", "autoencoder"):
        example = inputs[0, 0].numpy()
    elif name in ("text", "sequences"):
        example = example["text"]
    np.testing.assert_allclose(predictor.predict_raw(example), expected, rtol=1e-2, atol=1e-3)
    (prediction,) = predictor.predict(example)
    if name == "value":
        assert prediction == {"prediction": pytest.approx(expected.item(), rel=1e-2)}
    elif name == "sequences":
        assert prediction == {"prediction": "".join("ehlo"[i] for i in expected[0].argmax(-1))}
    elif name == "autoencoder":
        assert prediction["mse"] == pytest.approx(np.square(expected - inputs[:1].numpy() / 255).mean(), rel=1e-4)
    else:
        assert prediction["probabilities"] == pytest.approx(
            dict(zip(("no", "yes"), expected[0], strict=True)), abs=1e-3
        )


@pytest.mark.parametrize("name", CASES)
def test_a_table_of_raw_input_gives_a_table_of_predictions(export_case: Any, name: str) -> None:
    """With the columns of the signature that MLflow has; the same predictions as from single inputs."""
    _, record, _ = export_case(name)
    predictor, task = Predictor(paths.export("any")), get_task(record.params.task)
    table = pd.read_json(paths.export("any") / "example.json").iloc[[0, 0]]
    rows = predictor.predict_table(table)
    assert rows[0] == rows[1]
    assert list(rows[0]) == [column for column, _ in task.output_columns(record.data.classes)]
    if "image" in rows[0]:
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(rows[0].pop("image")))))
    if name == "generator":
        np.testing.assert_array_equal(image, predictor.generate(1, seed=0)[0])
        return
    cells = table.iloc[0].to_dict()
    raw = cells if name in ("tabular", "value") else next(iter(cells.values()))
    (prediction,) = predictor.predict(base64.b64decode(raw) if name in ("images", "autoencoder") else raw)
    if name == "autoencoder":
        np.testing.assert_array_equal(image, prediction.pop("prediction"))
    probabilities = {f"p_{label}": p for label, p in prediction.pop("probabilities", {}).items()}
    assert rows[0] == pytest.approx(prediction | probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        (
            "images",
            ["AAAA", 5],
            "input 1: image is a text, an image file (JPEG, PNG, ...) in base64; this is not base64",
        ),
        ("text", ["a", None], "input 1: expected a text, a str; got None"),
        ("generator", [-1], "count and seed must be 0 or more; got 1 and -1"),
        ("sequences", [], "no rows: at least one is needed"),
    ],
)
def test_cells_that_cannot_be_used(export_case: Any, name: str, cells: list[object], reason: str) -> None:
    export_case(name)
    predictor = Predictor(paths.export("any"))
    column = predictor.description["columns"][0]["name"]
    with pytest.raises(UserError, match=f"^{re.escape(reason)}$"):
        predictor.predict_table(pd.DataFrame({column: cells}, dtype=object))


@pytest.mark.parametrize("name", CASES)
def test_code_of_the_model_card_runs_outside_the_project(export_case: Any, tmp_path: Path, name: str) -> None:
    export_case(name)
    folder = shutil.copytree(paths.export("any"), tmp_path / "elsewhere")
    text = (folder / "MODEL.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| accuracy | 0.5 | 0.25 |\n| true_positives |  | 1,000 |\n" in text
    assert "\n\n\n" not in text
    assert "| train | 8 |" in text or "too few to hold any back" in text


# ---- parity of ONNX and PyTorch --------------------------------------------------------------------------------------


class Scale(nn.Module):
    """x -> x * factor."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.tensor(factors))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factors


def test_outputs_that_are_not_finite_fail(tmp_path: Path) -> None:
    """A NaN is no difference of 0, in ONNX, in PyTorch or in both."""
    inputs = torch.ones(4, 2)
    export_onnx(Scale(1.0, float("nan")), inputs, tmp_path / "nan.onnx", ("x", "y"))
    export_onnx(Scale(1.0, 1.0), inputs, tmp_path / "one.onnx", ("x", "y"))
    for file, model in (("nan", Scale(1.0, 1.0)), ("one", Scale(1.0, float("nan"))), ("nan", Scale(1.0, float("nan")))):
        with pytest.raises(ParityError, match="NaN or infinite outputs"):
            check_parity(model, tmp_path / f"{file}.onnx", inputs, classes=False)


def test_classes_are_compared_where_one_leads_by_more_than_the_tolerance(tmp_path: Path) -> None:
    """Probabilities 0.5 and 0.5 + 1e-7 in the other order are equal; 0.5 + 1e-4 and 0.5 - 1e-4 are not."""
    inputs = torch.full((4, 2), 0.5)
    export_onnx(Scale(1.0, 1 + 2e-7), inputs, tmp_path / "tie.onnx", ("x", "y"))
    assert 0 < check_parity(Scale(1 + 2e-7, 1.0), tmp_path / "tie.onnx", inputs, classes=True) < 1e-6
    export_onnx(Scale(1.0, 1 + 1e-6), inputs, tmp_path / "near.onnx", ("x", "y"))
    with pytest.raises(ParityError, match="differs"):
        check_parity(Scale(1.00015, 0.99985), tmp_path / "near.onnx", inputs, classes=True)
    assert check_parity(Scale(1.00015, 0.99985), tmp_path / "near.onnx", inputs, classes=False) < 1e-4
