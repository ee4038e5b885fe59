"""Exported models take raw input: as `evaluate` answered, without the project, with a word on what cannot be used."""

import base64
import contextlib
import filecmp
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image
from ruamel.yaml import YAML

from tests.clone import PROJECT, Clone, clean_environment
from torchprimer import models, params, paths
from torchprimer.datasets.images import open_raw
from torchprimer.datasets.raw_images import ImageArrays
from torchprimer.datasets.sequences import read_sequences
from torchprimer.datasets.tabular import read_table
from torchprimer.datasets.text import read_texts
from torchprimer.predictor import Predictor, UserError

PARAMS = YAML(typ="safe").load((PROJECT / "params.yaml").read_text("utf-8"))
EXPERIMENTS: dict[str, Any] = PARAMS["experiments"]
GENERATORS = [name for name, entry in EXPERIMENTS.items() if entry["model"] == "gan"]
ALONE = """
import pickle, sys
from pathlib import Path

folders = sorted(Path().glob("*.export"))
sys.path.insert(0, str(folders[0]))
from predictor import Predictor

given, answers = pickle.loads(Path("given.pickle").read_bytes()), {}
for folder in folders:
    model = Predictor(folder)
    if model.kind == "generator":
        answers[folder.stem] = [model.generate_from(given["noise"]), model.generate(70, seed=3)]
    else:
        answers[folder.stem] = model.predict(given[folder.stem])
Path("answers.pickle").write_bytes(pickle.dumps(answers))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
Answers = dict[str, Any]


def raw_test_samples(name: str) -> Any:
    """The test split of a dataset as it is in data/raw, in the order of predictions.csv."""
    settings = params.load()
    dataset = settings.datasets[settings.features[name].dataset if name in settings.features else name]
    samples = pd.read_csv(paths.prepared(name) / "samples.csv", dtype=str, keep_default_na=False)
    ids, place = samples[samples["split"].isin(["test", "all"])]["id"].tolist(), paths.raw(dataset.raw)
    if dataset.kind == "images":
        raw = open_raw(place)
        assert isinstance(raw, ImageArrays)
        position = {id_: i for i, id_ in enumerate(raw.ids)}
        return raw.images[[position[id_] for id_ in ids]].transpose(0, 2, 3, 1)
    if dataset.kind == "tabular":
        return read_table(place).loc[ids].to_dict("records")
    if dataset.kind == "text":
        return read_texts(place, dataset).set_index("id").loc[ids, "text"].tolist()
    return read_sequences(place, dataset).set_index("id").loc[ids, "input"].tolist()


@pytest.fixture(scope="module")
def noise() -> npt.NDArray[np.float32]:
    return np.random.default_rng(8).standard_normal((70, 96), np.float32)


@pytest.fixture(scope="module")
def alone(reduced_project: Clone, noise: Any, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Every experiment's answers, by one process that finds nothing but the export folders: in an empty folder."""
    folder = tmp_path_factory.mktemp("alone")
    given: dict[str, Any] = {"noise": noise}
    by_dataset: dict[str, Any] = {}
    with contextlib.chdir(reduced_project.folder):
        paths.project.cache_clear()
        for name, entry in EXPERIMENTS.items():
            shutil.copytree(paths.export(name), folder / f"{name}.export", copy_function=os.link)
            dataset = entry["dataset"]
            if name not in GENERATORS:
                if dataset not in by_dataset:
                    by_dataset[dataset] = raw_test_samples(dataset)
                given[name] = by_dataset[dataset]
    paths.project.cache_clear()
    (folder / "given.pickle").write_bytes(pickle.dumps(given))
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answers: Answers = pickle.loads((folder / "answers.pickle").read_bytes())
    return answers | {"modules": set(done.stdout.split())}


# ---- the same answers, alone ---------------------------------------------------------------------------------------


def test_nothing_else_of_the_project_is_there(alone: Answers) -> None:
    assert {"predictor", "numpy", "onnxruntime", "PIL", "rjieba"} <= alone["modules"]
    assert not {"torchprimer", "torch", "mlflow", "pandas", "sklearn", "pydantic", "onnx"} & alone["modules"]


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in GENERATORS])
def test_agrees_with_evaluate_on_every_test_sample(alone: Answers, in_the_clone: Path, name: str) -> None:
    answers, meta = alone[name], models.load_record(paths.model(name)).data
    folder = in_the_clone / "metrics" / name / "test"
    if EXPERIMENTS[name]["model"] == "autoencoder":
        table = pd.read_csv(folder / "latents.csv")
        np.testing.assert_allclose([answer["mse"] for answer in answers], table["mse"], rtol=0, atol=1e-4)
        return
    table = pd.read_csv(folder / "predictions.csv", dtype={"prediction": str}, keep_default_na=False)
    assert len(answers) == len(table) > 0
    if meta.task == "regression":
        expected = table["prediction"].astype(float)
        np.testing.assert_allclose([answer["prediction"] for answer in answers], expected, rtol=1e-4, atol=1e-4)
        return
    assert [answer["prediction"] for answer in answers] == table["prediction"].tolist()
    if meta.task == "classification":
        classes = meta.classes
        assert all(list(answer["probabilities"]) == classes for answer in answers)
        given = [list(answer["probabilities"].values()) for answer in answers]
        np.testing.assert_allclose(given, table[[f"p_{label}" for label in classes]], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_make_of_noise_what_pytorch_makes(
    alone: Answers, in_the_clone: Path, noise: npt.NDArray[np.float32], name: str
) -> None:
    of_noise, of_seed = alone[name]
    images = models.load(paths.model(name))[0].net.images(torch.from_numpy(noise)).numpy()[:, 0]
    assert of_noise.dtype == np.uint8
    assert np.abs(of_noise.astype(int) - images).max() <= 1
    assert (of_noise == images).mean() > 0.999
    assert of_seed.shape == of_noise.shape
    assert (of_seed != of_noise).mean() > 0.05


def test_the_same_seed_makes_the_same_images(open_export: Callable[[str], Predictor]) -> None:
    model = open_export("mnist_dcgan")
    images = model.generate(70, seed=1)
    np.testing.assert_array_equal(model.generate(70, seed=1), images)
    np.testing.assert_array_equal(model.generate(3, seed=1), images[:3])
    assert (model.generate(70, seed=2) != images).any(axis=(1, 2)).all()
    assert model.generate(0).shape == (0, 28, 28)
    assert (model.kind, model.classes, model.noise_size) == ("generator", None, 96)


# ---- what export puts into the folder ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_export_is_complete(in_the_clone: Path, name: str) -> None:
    folder = paths.export(name)
    source = in_the_clone / "src" / "torchprimer" / "predictor"
    code = [file.name for file in source.glob("*.py")]
    assert sorted(file.name for file in (folder / "predictor").iterdir()) == sorted(code)
    assert filecmp.cmpfiles(source, folder / "predictor", code, shallow=False)[0] == code
    description = json.loads((folder / "model.json").read_text("utf-8"))
    for split, file in (("test", "test"), ("validation", "train")):
        scores = json.loads((in_the_clone / "metrics" / name / f"{file}.json").read_text())
        for key, value in description["scores"][split].items():
            assert scores[key if split == "test" else f"validation_{key}_best"] == value
    assert description["scores"]["test"]
    columns = [column["name"] for column in description["columns"]]
    assert [list(row) for row in json.loads((folder / "example.json").read_text("utf-8"))] == [columns]
    needs = (folder / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in needs][:2] == ["numpy", "onnxruntime"]
    assert all(re.fullmatch(r"[a-z]+==\d[\d.]+", line) for line in needs)


@pytest.mark.parametrize(
    "name", ["mnist_cnn", "dogs_vs_cats_vgg16_features", "bike_sharing_tuned", "iris_pca_softmax", "reviews_bow",
             "hello_rnn", "mnist_autoencoder", "mnist_gan"],
)  # fmt: skip
def test_model_card(in_the_clone: Path, name: str, tmp_path: Path) -> None:
    """Its lines run as they stand; its scores are those of metrics/."""
    folder = tmp_path / "anywhere"
    shutil.copytree(paths.export(name), folder)
    text = (folder / "MODEL.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    if name in GENERATORS:
        with Image.open(folder / "first.png") as image:
            assert image.size == (28, 28)
    else:
        assert done.stdout.strip()
    test = json.loads((in_the_clone / "metrics" / name / "test.json").read_text())
    for key, value in test.items():
        (row,) = re.findall(rf"^\| {key} \|.* \| (\S+) \|$", text, re.MULTILINE) or re.findall(
            rf"^\| {key} \| (\S+) \|$", text, re.MULTILINE
        )
        assert float(row.replace(",", "")) == pytest.approx(value, rel=1e-3)
    assert "at most 256 samples" in text
    assert ("too few to hold any back" in text) == (name == "hello_rnn")


# ---- the folder, and what a model is not ---------------------------------------------------------------------------


def test_folders_that_are_no_export(reduced_project: Clone, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none is not an exported model: model.json or model.onnx is missing"):
        Predictor(tmp_path / "none")
    shutil.copytree(reduced_project.folder / "models" / "line_sgd.export", tmp_path / "x")
    (tmp_path / "x" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(UserError, match=r"x is damaged \(.*\): export it again"):
        Predictor(tmp_path / "x")


def test_generators_and_others_are_told_apart(open_export: Callable[[str], Predictor]) -> None:
    generator, net = open_export("mnist_gan"), open_export("mnist_cnn")
    with pytest.raises(UserError, match=r"^mnist_gan generates images from noise: call generate\(count, seed\)$"):
        generator.predict("digit.png")
    for call in (lambda: net.generate(1), lambda: net.generate_from([[0.0]])):
        with pytest.raises(UserError, match=r"^mnist_cnn is not a generator: call predict\(inputs\)$"):
            call()
    with pytest.raises(UserError, match="count and seed must be 0 or more; got -1 and 0"):
        generator.generate(-1)
    wrong = [np.zeros(96), np.zeros((2, 95)), np.full((1, 96), np.nan)]
    for noise_ in wrong:
        with pytest.raises(UserError, match=r"noise must be finite numbers of shape \(N, 96\); got shape "):
            generator.generate_from(noise_)


def test_an_export_runs_in_another_folder(reduced_project: Clone, tmp_path: Path) -> None:
    digit = base64.b64decode(
        json.loads((reduced_project.folder / "models/mnist_cnn.export/example.json").read_text())[0]["image"]
    )
    shutil.copytree(reduced_project.folder / "models" / "mnist_cnn.export", tmp_path / "model")
    (tmp_path / "digit.png").write_bytes(digit)
    script = (
        "import sys; sys.path.insert(0, 'model'); from predictor import Predictor\n"
        "print(Predictor('model').predict('digit.png')[0]['prediction'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() in list("0123456789")
