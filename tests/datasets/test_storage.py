"""Prepared arrays: damaged ones are named with their remedy, a full disk gives an error with its reason."""

import errno
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.objects import make_meta
from torchprimer.datasets import get_kind
from torchprimer.datasets.meta import FeaturesMeta, Meta, TabularMeta, parse_meta
from torchprimer.datasets.storage import (
    SAMPLES_FILE,
    load_meta,
    load_samples,
    load_split,
    open_array,
    save_array,
    write_meta,
)
from torchprimer.errors import UserError

KINDS = ("images", "tabular", "text", "sequences", "features")


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """data/prepared/flowers: ten rows of two features in each split, three classes."""
    folder = tmp_path / "flowers"
    folder.mkdir()
    samples = pd.DataFrame({"id": range(30), "label": "a", "split": ["train", "validation", "test"] * 10})
    samples.to_csv(folder / SAMPLES_FILE, index=False)
    for part in ("train", "validation", "test"):
        save_array(folder / f"{part}_inputs.npy", np.arange(20, dtype=np.float32).reshape(10, 2))
        save_array(folder / f"{part}_targets.npy", np.arange(10) % 3)
    write_meta(folder, make_meta(kind="tabular", shape=[2], classes=["a", "b", "c"]))
    return folder


def test_arrays_are_those_of_numpy(tmp_path: Path) -> None:
    for number, array in enumerate(
        (np.arange(6).reshape(2, 3), np.zeros((0, 4), np.float32), np.arange(3, dtype="<i4"))
    ):
        save_array(tmp_path / "ours.npy", array)
        np.save(tmp_path / "numpys.npy", array)
        assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes(), number


def test_a_split_is_read(prepared: Path) -> None:
    split = load_split(prepared, "test")
    assert split.inputs.tolist() == np.arange(20).reshape(10, 2).tolist()
    assert split.targets.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def garbage(file: Path) -> None:
    file.write_bytes(b"garbage")


def objects(file: Path) -> None:
    np.save(file, np.array([{"a": 1}, None], object), allow_pickle=True)


def pickled(file: Path) -> None:
    file.write_bytes(pickle.dumps([1, 2]))


def other_shape(file: Path) -> None:
    np.save(file, np.zeros((9, 2), np.float32))


def other_type(file: Path) -> None:
    np.save(file, np.zeros((10, 2), np.float64))


def impossible_class(file: Path) -> None:
    np.save(file, np.full(10, 3))


def negative_class(file: Path) -> None:
    np.save(file, np.full(10, -1))


@pytest.mark.parametrize("damage", [truncated, emptied, garbage, objects, pickled, other_shape, other_type])
def test_damaged_inputs(prepared: Path, damage: Callable[[Path], None]) -> None:
    damage(prepared / "train_inputs.npy")
    with pytest.raises(UserError, match=r"train_inputs\.npy is damaged \(.*\): run `dvc repro preprocess@flowers`$"):
        load_split(prepared, "train")


@pytest.mark.parametrize(
    "damage", [truncated, emptied, garbage, objects, pickled, other_shape, impossible_class, negative_class]
)
def test_damaged_targets(prepared: Path, damage: Callable[[Path], None]) -> None:
    damage(prepared / "test_targets.npy")
    with pytest.raises(UserError, match=r"test_targets\.npy is damaged \(.*\): run `dvc repro preprocess@flowers`$"):
        load_split(prepared, "test")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"{}", b"\xff", b'{"kind": "tabular"}', b'{"kind": "music", "shape": [1]}', b'{"kind": 1}'],
)
def test_damaged_description(prepared: Path, content: bytes) -> None:
    (prepared / "meta.json").write_bytes(content)
    with pytest.raises(UserError, match=r"meta\.json is damaged \(.*\): run `dvc repro preprocess@flowers`$"):
        load_meta(prepared)
    (prepared / "extractor").mkdir()
    with pytest.raises(UserError, match=r": run `dvc repro extract_features@flowers`$"):
        load_split(prepared, "train")


def other_columns(file: Path) -> None:
    file.write_text("id,label\n1,a\n")


def without_a_row(file: Path) -> None:
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))


def not_utf8(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"a", b"\xff", 1))


def test_samples_are_texts(prepared: Path) -> None:
    samples = load_samples(prepared)
    assert list(samples.iloc[1]) == ["1", "a", "validation"]
    assert len(samples) == 30


@pytest.mark.parametrize("damage", [emptied, garbage, other_columns, without_a_row, not_utf8])
def test_damaged_samples(prepared: Path, damage: Callable[[Path], None]) -> None:
    damage(prepared / SAMPLES_FILE)
    with pytest.raises(UserError, match=r"samples\.csv is damaged \(.*\): run `dvc repro preprocess@flowers`$"):
        load_samples(prepared)


@pytest.mark.parametrize("damage", [truncated, emptied, garbage, objects, other_type])
def test_damaged_images_of_an_extractor(prepared: Path, damage: Callable[[Path], None]) -> None:
    images = prepared / "extractor" / "images.npy"
    images.parent.mkdir()
    save_array(images, np.zeros((4, 3, 8, 8), np.uint8))
    assert open_array(prepared, "extractor/images.npy", (), "uint8").shape == (4, 3, 8, 8)
    damage(images)
    with pytest.raises(UserError, match=r"images\.npy is damaged \(.*\): run `dvc repro extract_features@flowers`$"):
        open_array(prepared, "extractor/images.npy", (), "uint8")


def test_missing_files_are_left_to_the_caller(prepared: Path) -> None:
    """`torchprimer` names the stage that was not run."""
    (prepared / "train_inputs.npy").unlink()
    with pytest.raises(FileNotFoundError):
        load_split(prepared, "train")


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from torchprimer.datasets.storage import save_array
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # bytes in a file
try:
    save_array(Path(sys.argv[1]), np.zeros(100_000))
except OSError as error:
    print(error.errno)
"""


def test_a_file_that_does_not_fit_on_the_disk(tmp_path: Path) -> None:
    """numpy.save raises an error without errno, of which `torchprimer` shows the traceback."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "x.npy")], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{errno.EFBIG}\n"


# ---- kinds of data -------------------------------------------------------------------------------------------------

METAS: dict[str, Meta] = {
    "images": make_meta(kind="images", shape=[1, 2, 2]),
    "tabular": TabularMeta.model_validate({
        "task": "regression", "shape": [3], "target": "y", "numeric": {"x": {"median": 0, "mean": 1, "std": 2}},
        "categorical": {"colour": ["blue", "red"]}, "features": ["x", "colour=blue", "colour=red"],
    }),
    "text": make_meta(kind="text", shape=[4], classes=["n", "p"], words=["good", "bad"]),
    "sequences": make_meta(kind="sequences", shape=[5], classes=list("ehlo")),
    "features": make_meta(kind="features", shape=[7], dataset="photos", experiment="vgg", image_shape=[1, 2, 2]),
}  # fmt: skip
PREPARED = {
    "images": np.array([[[0, 255], [128, 3]]], np.uint8),
    "tabular": np.array([1.5, 0, 1], np.float32),
    "text": np.array([2, 1, 2, 0], np.int32),
    "sequences": np.array([1, 0, 2, 2, 3]),
    "features": np.array([[[0, 255], [128, 3]]], np.uint8),
}
DESCRIPTIONS = {
    "images": "images of 1 x 2 x 2",
    "tabular": "a table, 3 features",
    "text": "texts, 2 words",
    "sequences": "strings of 5 characters",
    "features": "7 features of each image of photos",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_meta_survives_json(name: str) -> None:
    meta = METAS[name]
    again = parse_meta(json.loads(meta.model_dump_json()))
    assert again == meta
    assert type(again) is get_kind(name).meta_class
    assert again.describe() == DESCRIPTIONS[name]


@pytest.mark.parametrize("name", KINDS)
def test_the_example_has_the_columns_and_becomes_the_prepared_input(name: str) -> None:
    from torchprimer.predictor import images, sequences, tabular, text

    kind = get_kind(name)
    transform = json.loads(json.dumps(kind.transform(METAS[name])))
    row = kind.example(transform, PREPARED[name])
    assert list(row) == [column["name"] for column in kind.columns(transform)]
    if name == "tabular":
        assert row == {"x": 4.0, "colour": "red"}
        again = tabular.table_features(transform, {key: [value] for key, value in row.items()})[0]
    elif name == "text":
        assert row == {"text": "bad good bad"}
        again = np.append(text.encode_texts([row["text"]], transform)[0], 0)
    elif name == "sequences":
        assert row == {"text": "hello"}
        again = sequences.encode_strings([row["text"]], transform["alphabet"])[0]
    else:
        import base64

        again = images.image_pixels(base64.b64decode(row["image"]), transform["shape"])
    assert np.array_equal(again, PREPARED[name])


def test_schemas() -> None:
    table = json.loads(METAS["tabular"].mlflow_schema())["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in table] == [
        ("x", "double"),
        ("colour", "string"),
        ("y", "double"),
    ]
    tensors = json.loads(METAS["sequences"].mlflow_schema())["mlflow_tensorspec"]
    assert json.loads(tensors["targets"]) == [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 5]}}]
    assert isinstance(METAS["features"], FeaturesMeta)
    tensors = json.loads(METAS["features"].mlflow_schema())["mlflow_tensorspec"]
    assert json.loads(tensors["features"]) == [
        {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 7]}}
    ]


def test_kinds_are_imported_when_asked_for() -> None:
    code = "import sys, torchprimer.datasets; print({'numpy', 'pandas', 'pydantic', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
