"""From raw images to prepared arrays: the readers, the numbers that are published, the stages split and preprocess."""

import hashlib
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from tests.datasets.test_image_folder import encoded, in_folder, pets, zipped
from torchprimer import params, paths
from torchprimer.datasets.images import open_raw
from torchprimer.datasets.meta import ImagesMeta
from torchprimer.datasets.raw_images import RawImages, mean_and_std, read_idx
from torchprimer.datasets.storage import load_meta, load_split
from torchprimer.errors import UserError
from torchprimer.stages import preprocess, split

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def mnist(real_raw: Callable[[str], Path]) -> RawImages:
    return open_raw(real_raw("mnist"))


@pytest.fixture(scope="module")
def cifar10(real_raw: Callable[[str], Path]) -> RawImages:
    return open_raw(real_raw("cifar10"))


class Project:
    """A project's params.yaml and data, and nothing else; raw data that is published is linked to."""

    def __init__(self, folder: Path, real_raw: Callable[[str], Path]) -> None:
        self.folder, self.real_raw = folder, real_raw
        (folder / "dvc.yaml").touch()
        (folder / "data" / "raw").mkdir(parents=True)

    def link(self, name: str) -> None:
        (self.folder / "data" / "raw" / name).symlink_to(self.real_raw(name))

    def edit(self, old: str, new: str) -> None:
        text = (self.folder / "params.yaml").read_text("utf-8")
        assert old in text, f"{old!r} is not in params.yaml"
        (self.folder / "params.yaml").write_text(text.replace(old, new, 1), "utf-8")

    def split(self, name: str) -> pd.DataFrame:
        split.run(params.load(), name)
        return pd.read_csv(paths.split(name), dtype=str, keep_default_na=False)

    def preprocess(self, name: str) -> Path:
        preprocess.run(params.load(), name)
        return paths.prepared(name)

    def files(self) -> dict[str, str]:
        """Every file that the stages have written, and what is in it."""
        written = [path for path in (self.folder / "data").rglob("*") if path.is_file() and "raw" not in path.parts]
        return {
            path.relative_to(self.folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in written
        }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_raw: Callable[[str], Path]) -> Project:
    """An empty project with this project's own params.yaml; the test runs in it."""
    real_raw("mnist"), real_raw("cifar10")
    shutil.copy(paths.params(), tmp_path)
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    return Project(tmp_path, real_raw)


# ---- the readers ---------------------------------------------------------------------------------------------------


def test_mnist_is_read_as_its_header_says(mnist: RawImages, real_raw: Callable[[str], Path]) -> None:
    """Against the format as its authors describe it, byte by byte, and the labels that everybody knows."""
    folder = real_raw("mnist")
    for part, file, start, count, first in (
        ("train", "train", 0, 60_000, "50419"),
        ("test", "t10k", 60_000, 10_000, "72104"),
    ):
        images = (folder / f"{file}-images-idx3-ubyte").read_bytes()
        labels = (folder / f"{file}-labels-idx1-ubyte").read_bytes()
        assert struct.unpack(">4i", images[:16]) == (2051, count, 28, 28)
        assert struct.unpack(">2i", labels[:8]) == (2049, count)
        assert "".join(mnist.labels[start : start + 5]) == first
        for i in (0, 1, 777, count - 1):
            where = start + i
            assert mnist.ids[where] == f"{part}/{i:05d}"
            assert mnist.content(where) == images[16 + 784 * i : 16 + 784 * (i + 1)]
            assert mnist.pixels(where, 28).tobytes() == mnist.content(where)
            assert mnist.labels[where] == str(labels[8 + i])
            assert mnist.is_test[where] == (part == "test")
    assert (len(mnist.ids), len(mnist.labels), mnist.channels) == (70_000, 70_000, 1)
    assert mnist.classes == list("0123456789")


def test_cifar10_is_read_as_its_authors_wrote_it(cifar10: RawImages, real_raw: Callable[[str], Path]) -> None:
    assert cifar10.labels[:5] == ["frog", "truck", "truck", "deer", "automobile"]
    assert cifar10.labels[50_000:50_005] == ["cat", "ship", "ship", "airplane", "frog"]
    for name, start in (("data_batch_1", 0), ("data_batch_4", 30_000), ("test_batch", 50_000)):
        content = (real_raw("cifar10") / f"{name}.bin").read_bytes()
        for i in (0, 1, 9_999):
            record, where = content[3073 * i : 3073 * (i + 1)], start + i
            assert cifar10.ids[where] == f"{name}/{i:05d}"
            assert cifar10.labels[where] == cifar10.classes[record[0]]
            assert cifar10.content(where) == record[1:]
            assert cifar10.pixels(where, 32).shape == (3, 32, 32)
            assert cifar10.is_test[where] == (name == "test_batch")
    assert (len(cifar10.ids), cifar10.channels) == (60_000, 3)


def test_mean_and_std_against_numpy(mnist: RawImages, cifar10: RawImages) -> None:
    """In float64, over pieces as over the whole."""
    for raw, size in ((mnist, 28), (cifar10, 32)):
        array = np.stack([raw.pixels(i, size) for i in range(5_000)])
        mean, std = mean_and_std([array[:1_234], array[1_234:]])
        scaled = array.astype(np.float64) / 255
        assert mean == pytest.approx(scaled.mean((0, 2, 3)).tolist(), abs=5.1e-7)
        assert std == pytest.approx(scaled.std((0, 2, 3)).tolist(), abs=5.1e-7)


def test_constant_channels() -> None:
    """Their standard deviation is 1, whatever rounding makes of the variance; that of a varying channel is its own."""
    for value in range(256):
        assert mean_and_std([np.full((10, 1, 3, 3), value, np.uint8)]) == ([round(value / 255, 6)], [1.0])
    pixels = np.zeros((4, 3, 2, 2), np.uint8)
    pixels[2:, 0] = 255
    assert mean_and_std([pixels]) == ([0.5, 0.0, 0.0], [0.5, 1.0, 1.0])


def test_idx_files_of_other_sizes(tmp_path: Path) -> None:
    """The header decides: 2 images of 3 x 5."""
    header = (0x0803).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in (2, 3, 5))
    (tmp_path / "images").write_bytes(header + bytes(range(30)))
    assert np.array_equal(read_idx(tmp_path / "images", 3), np.arange(30).reshape(2, 3, 5))


def test_published_mean_and_std(mnist: RawImages, cifar10: RawImages) -> None:
    """As PyTorch's own examples have them for MNIST, and most papers for CIFAR-10."""
    for raw, size, mean, std in (
        (mnist, 28, [0.1307], [0.3081]),
        (cifar10, 32, [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    ):
        training = np.stack([raw.pixels(int(i), size) for i in np.flatnonzero(~raw.is_test)])
        found = mean_and_std([training])
        assert found[0] == pytest.approx(mean, abs=6e-5)
        assert found[1] == pytest.approx(std, abs=6e-5)


def damaged_mnist(folder: Path, real: Path, damage: str) -> None:
    """A copy of the real files that is wrong in one way."""
    shutil.copytree(real, folder)
    description = json.loads((folder / "source.json").read_text("utf-8"))
    labels, images = folder / "t10k-labels-idx1-ubyte", folder / "t10k-images-idx3-ubyte"
    if damage == "mean":
        description["expected"]["pixels"]["mean"] = [0.1309]
    elif damage == "classes":
        description["classes"] = description["classes"][:9]
    elif damage == "cut":
        os.truncate(images, 1_000_000)
    elif damage == "fewer labels":
        os.truncate(labels, 5_000)
    elif damage == "fewer images":
        for file, end in ((images, 16 + 784 * 9_999), (labels, 8 + 9_999)):
            os.truncate(file, end)
            with file.open("r+b") as stream:
                stream.seek(4)
                stream.write((9_999).to_bytes(4, "big"))
    elif damage == "magic number":
        with images.open("r+b") as stream:
            stream.write(b"\x00\x00\x0d\x03")  # of 32-bit floats
    elif damage == "empty":
        os.truncate(labels, 0)
    elif damage == "pixels":
        content = bytearray((folder / "train-images-idx3-ubyte").read_bytes())
        content[16 : 16 + 784 * 60] = b"\xff" * (784 * 60)
        (folder / "train-images-idx3-ubyte").write_bytes(content)
    (folder / "source.json").write_text(json.dumps(description), "utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("mean", r"raw data mnist: mean is \[0.13066\d*\], published: \[0.1309\] \(downloads.mnist.expected\)"),
        ("pixels", r"raw data mnist: mean is \[0.131\d+\], published: \[0.1307\] \(downloads.mnist.expected\)"),
        ("fewer images", r"raw data mnist: test is 9999, published: 10000 \(downloads.mnist.expected\)"),
        (
            "fewer labels",
            r"raw data mnist is damaged \(t10k-labels-idx1-ubyte has 4,992 bytes of data, and its header says 10000\)",
        ),
        (
            "cut",
            r"raw data mnist is damaged \(t10k-images-idx3-ubyte has 999,984 bytes of data, and its header says "
            r"10000 x 28 x 28\): delete",
        ),
        (
            "magic number",
            r"raw data mnist is damaged \(t10k-images-idx3-ubyte has the magic number 0x0d03, not 0x0803\): delete "
            r".*mnist and",
        ),
        ("empty", r"raw data mnist is damaged \(t10k-labels-idx1-ubyte has the magic number 0x0000, not 0x0801\)"),
        ("classes", r"raw data mnist is damaged \(.*\): delete .*mnist and run dvc repro download@mnist"),
    ],
)
def test_raw_data_that_is_not_what_was_published(
    project: Project, real_raw: Callable[[str], Path], damage: str, message: str
) -> None:
    damaged_mnist(paths.raw("mnist"), real_raw("mnist"), damage)
    with pytest.raises(UserError, match=f"^{message}"):
        project.split("mnist")
    assert project.files() == {}


def test_no_raw_data(project: Project) -> None:
    with pytest.raises(UserError, match=r"^no raw data in .*cifar10: define it under downloads:, or bring photos: "):
        project.split("dogs_vs_cats")


# ---- split and preprocess, on the real data --------------------------------------------------------------------


def test_cats_and_dogs(project: Project) -> None:
    """8,000 / 2,000 / 2,000, as many of either; arrays, targets and the CSV in step, and no image in two splits."""
    project.link("cifar10")
    rows = project.split("dogs_vs_cats")
    counts = {part: rows[rows["split"] == part]["label"].value_counts().to_dict() for part in PARTS}
    assert counts == {
        "train": {"cat": 4000, "dog": 4000},
        "validation": {"cat": 1000, "dog": 1000},
        "test": {"cat": 1000, "dog": 1000},
    }
    assert rows["id"].is_monotonic_increasing
    assert rows["id"].is_unique
    assert (rows["id"].str.startswith("test_batch/") == (rows["split"] == "test")).all()
    assert paths.rejected("dogs_vs_cats").read_text("utf-8") == "id,reason\n"

    folder = project.preprocess("dogs_vs_cats")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["meta.json", "samples.csv", *(f"{part}_{what}.npy" for part in PARTS for what in ("inputs", "targets"))]
    )
    batches = {path.stem: path.read_bytes() for path in paths.raw("cifar10").glob("*.bin")}
    seen = set()
    for part in PARTS:
        inputs, targets = np.load(folder / f"{part}_inputs.npy"), np.load(folder / f"{part}_targets.npy")
        members = rows[rows["split"] == part]
        assert (inputs.dtype, targets.dtype, inputs.shape) == (np.uint8, np.int64, (len(members), 3, 32, 32))
        for i, (name, label) in enumerate(zip(members["id"], members["label"], strict=True)):
            batch, number = name.split("/")
            record = batches[batch][3073 * int(number) : 3073 * (int(number) + 1)]
            assert inputs[i].tobytes() == record[1:]
            assert (("cat", 3, 0) if targets[i] == 0 else ("dog", 5, 1)) == (label, record[0], targets[i])
            seen.add(record[1:])
    assert len(seen) == 12_000

    meta = load_meta(folder)
    training = np.load(folder / "train_inputs.npy") / 255
    assert meta.mean == pytest.approx(training.mean((0, 2, 3)).tolist(), abs=5.1e-7)
    assert meta.std == pytest.approx(training.std((0, 2, 3)).tolist(), abs=5.1e-7)
    assert (meta.kind, meta.shape, meta.classes) == ("images", [3, 32, 32], ["cat", "dog"])
    assert meta.samples == {"train": 8000, "validation": 2000, "test": 2000}
    for array, sha in meta.sha256.items():
        assert hashlib.sha256((folder / f"{array}.npy").read_bytes()).hexdigest() == sha

    loaded = load_split(folder, "test")
    assert np.array_equal(loaded.inputs.numpy(), np.load(folder / "test_inputs.npy"))
    assert len(loaded) == len(loaded.targets) == 2000


def test_mnist_limited(project: Project, mnist: RawImages, capsys: pytest.CaptureFixture[str]) -> None:
    """Stratified; run again, the same to the byte; with another seed, not."""
    project.link("mnist")
    project.edit("limit:\n", "limit: 200\n")
    rows = project.split("mnist")
    assert capsys.readouterr().out.startswith("mnist: 200 train, 200 validation, 200 test\n")
    assert rows["split"].value_counts().to_dict() == dict.fromkeys(PARTS, 200)
    share = np.unique(np.array(mnist.labels), return_counts=True)[1] / 70_000 * 200
    for part in PARTS:
        found = rows[rows["split"] == part]["label"].value_counts().sort_index()
        assert found.index.tolist() == list("0123456789")
        assert np.abs(found.to_numpy() - share).max() < 2
    meta = load_meta(project.preprocess("mnist"))
    assert (meta.shape, meta.samples) == ([1, 28, 28], dict.fromkeys(PARTS, 200))
    for part in PARTS:
        targets = np.load(paths.prepared("mnist") / f"{part}_targets.npy")
        assert targets.tolist() == rows[rows["split"] == part]["label"].astype(int).tolist()

    before = project.files()
    project.split("mnist")
    assert project.files() == before
    project.edit("seed: 0", "seed: 1")
    assert not project.split("mnist").equals(rows)


@pytest.mark.parametrize(("name", "size", "other"), [("mnist", 28, 48), ("dogs_vs_cats", 32, 16)])
def test_scaled_images_are_pillows(
    project: Project, mnist: RawImages, cifar10: RawImages, name: str, size: int, other: int
) -> None:
    """All cores against one image after the other; to a larger and to a smaller size."""
    raw = mnist if name == "mnist" else cifar10
    project.link("mnist" if name == "mnist" else "cifar10")
    project.edit("limit:\n", "limit: 40\n")
    project.edit(f"image_size: {size}", f"image_size: {other}")
    rows, folder = project.split(name), project.preprocess(name)
    for part in PARTS:
        inputs = np.load(folder / f"{part}_inputs.npy")
        assert len(inputs) == 40
        for i, sample in enumerate(rows[rows["split"] == part]["id"]):
            image = Image.fromarray(raw.pixels(raw.ids.index(sample), size).transpose(1, 2, 0).squeeze())
            expected = np.asarray(ImageOps.fit(image, (other, other), Image.Resampling.BICUBIC))
            assert np.array_equal(inputs[i].transpose(1, 2, 0).squeeze(), expected)


# ---- photos of one's own -------------------------------------------------------------------------------------------


def bring(project: Project, files: dict[str, bytes]) -> Path:
    """Photos as `add-photos` leaves them, and dogs_vs_cats set to use them."""
    paths.raw("photos").mkdir(parents=True)
    project.edit("raw: cifar10", "raw: photos")
    return zipped(paths.raw("photos") / "photos.zip", files)


def photo_files(real_raw: Callable[[str], Path], count: int) -> dict[str, bytes]:
    named = enumerate(pets(real_raw("cifar10"), count))
    return {f"train/{label}.{i}.jpg": encoded(image, "JPEG", quality=95) for i, (label, image) in named}


@pytest.mark.parametrize("broken", [4, 5])
def test_up_to_one_percent_may_be_broken(
    project: Project, real_raw: Callable[[str], Path], capsys: pytest.CaptureFixture[str], broken: int
) -> None:
    """Listed with the reason, beside duplicates and other files; one more, and it stops with what was there before."""
    files = photo_files(real_raw, 400)
    names = list(files)
    for name, content in zip(
        names, [b"", b"no photo", files[names[2]][:700], b"\xff\xd8", b"GIF89a"][:broken], strict=False
    ):
        files[name] = content
    files["train/readme.txt"] = b"not counted"
    files["train/cat.1000.jpg"] = files[names[10]]
    bring(project, files)
    if broken > 4:
        in_folder(project.folder, {"data/splits/dogs_vs_cats.csv": b"as before"})
        with pytest.raises(UserError) as caught:
            project.split("dogs_vs_cats")
        assert str(caught.value).startswith(
            "dataset dogs_vs_cats: 5 of 401 images cannot be read, more than max_corrupt_fraction: 0.01 "
            "(train/cat.0.jpg: empty file; "
        )
        assert "; ...)" in str(caught.value)
        assert project.files() == {"data/splits/dogs_vs_cats.csv": hashlib.md5(b"as before").hexdigest()}
        return
    rows = project.split("dogs_vs_cats")
    rejected = pd.read_csv(paths.rejected("dogs_vs_cats"))
    reasons = dict(zip(rejected["id"], rejected["reason"], strict=True))
    assert list(reasons) == sorted(reasons)
    assert set(reasons) == {*names[:4], "train/readme.txt", "train/cat.1000.jpg"}
    assert reasons[names[0]] == "empty file"
    assert reasons[names[1]] == "not an image"
    assert reasons[names[2]].startswith("damaged: image file is truncated")
    assert reasons["train/readme.txt"] == "not an image by its name"
    assert reasons["train/cat.1000.jpg"] == "duplicate of train/cat.10.jpg"
    assert len(rows) == 396
    assert not set(rows["id"]) & set(reasons)
    said = capsys.readouterr().out
    assert said.startswith("dogs_vs_cats: 238 train, 79 validation, 79 test\n")
    assert (
        "dogs_vs_cats: 6 left out, see data/splits/dogs_vs_cats.rejected.csv:\n  train/cat.0.jpg: empty file\n" in said
    )
    meta = load_meta(project.preprocess("dogs_vs_cats"))
    assert (meta.classes, meta.shape) == (["cat", "dog"], [3, 32, 32])


def test_duplicates_are_never_in_two_splits(project: Project, real_raw: Callable[[str], Path]) -> None:
    files = photo_files(real_raw, 60)
    files |= {name.replace("train/", "copies/"): content for name, content in files.items()}
    bring(project, files)
    rows = project.split("dogs_vs_cats")
    assert len(rows) == 60
    assert rows["id"].str.startswith("copies/").all()
    folder = project.preprocess("dogs_vs_cats")
    seen = [image.tobytes() for part in PARTS for image in np.load(folder / f"{part}_inputs.npy")]
    assert len(set(seen)) == len(seen) == 60


def test_one_image_in_two_classes_is_in_neither(project: Project, real_raw: Callable[[str], Path]) -> None:
    """Nobody could tell which is right."""
    files = photo_files(real_raw, 60)
    files["train/dog.1000.jpg"] = files["train/cat.0.jpg"]
    bring(project, files)
    rows = project.split("dogs_vs_cats")
    assert len(rows) == 59
    assert not {"train/cat.0.jpg", "train/dog.1000.jpg"} & set(rows["id"])
    reasons = pd.read_csv(paths.rejected("dogs_vs_cats")).set_index("id")["reason"]
    assert reasons["train/cat.0.jpg"] == "of another class in train/dog.1000.jpg"
    assert reasons["train/dog.1000.jpg"] == "of another class in train/cat.0.jpg"


def test_photos_in_step_with_the_csv(project: Project, real_raw: Callable[[str], Path]) -> None:
    """Odd modes among them, at another size, from a zip read by several threads: as Pillow reads them one by one."""
    images = pets(real_raw("cifar10"), 40, (80, 60))
    modes = ["RGB", "L", "P", "RGB"]
    files = {f"{label}s/{i}.png": encoded(image.convert(modes[i % 4])) for i, (label, image) in enumerate(images)}
    bring(project, files)
    project.edit("image_size: 32", "image_size: 24")
    rows = project.split("dogs_vs_cats")
    folder = project.preprocess("dogs_vs_cats")
    assert load_meta(folder).classes == ["cats", "dogs"]
    for part in PARTS:
        members = rows[rows["split"] == part]
        inputs, targets = np.load(folder / f"{part}_inputs.npy"), np.load(folder / f"{part}_targets.npy")
        for i, (name, label) in enumerate(zip(members["id"], members["label"], strict=True)):
            number = int(Path(name).stem)
            image = images[number][1].convert(modes[number % 4]).convert("RGB")
            expected = np.asarray(ImageOps.fit(image, (24, 24), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
            assert np.array_equal(inputs[i], expected)
            assert (label, targets[i]) == (f"{images[number][0]}s", ["cat", "dog"].index(images[number][0]))


def with_these(project: Project, real_raw: Callable[[str], Path], change: str) -> None:
    files = photo_files(real_raw, 20)
    dogs = [name for name in files if "dog" in name]
    if change == "one class":
        files = {name: content for name, content in files.items() if name not in dogs}
    elif change == "three":
        files = {name: files[name] for name in [*dogs[:2], "train/cat.0.jpg"]}
    elif change == "no dog to be read":
        files |= dict.fromkeys(dogs, b"broken")
        project.edit("max_corrupt_fraction: 0.01", "max_corrupt_fraction: 0.6")
    elif change == "one colour":
        for i, name in enumerate(files):
            files[name] = encoded(Image.new("RGB", (9 + i, 9), "red"))
    bring(project, files)
    if change == "unknown class":
        project.edit("classes: {cifar10: [cat, dog]}", "classes: {photos: [cat, dgo]}")


def test_photos_of_one_colour_channel(project: Project, real_raw: Callable[[str], Path]) -> None:
    """Red only, as fluorescence microscopes take them: green and blue are 0 in every pixel."""
    files = {
        f"train/{label}.{i}.png": encoded(Image.merge("RGB", [image.convert("L"), *[Image.new("L", image.size)] * 2]))
        for i, (label, image) in enumerate(pets(real_raw("cifar10"), 40))
    }
    bring(project, files)
    project.split("dogs_vs_cats")
    meta = load_meta(project.preprocess("dogs_vs_cats"))
    assert isinstance(meta, ImagesMeta)
    assert (meta.mean[1:], meta.std[1:]) == ([0, 0], [1, 1])
    assert 0.1 < meta.std[0] < 0.5


def split_and_preprocess(project: Project) -> None:
    project.split("dogs_vs_cats")
    project.preprocess("dogs_vs_cats")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "one class",
            "dataset dogs_vs_cats: a classifier needs samples of two classes or more, and there is only 'cat'",
        ),
        (
            "three",
            "dataset dogs_vs_cats: validation gets 0 of 3 samples, too few for 2 classes: add samples, or raise ",
        ),
        (
            "no dog to be read",
            "dataset dogs_vs_cats: no image of class 'dog' can be read, or each is a duplicate of anot",
        ),
        ("unknown class", "raw data photos has no class 'dgo'; it has: cat, dog. Did you mean 'dog'?"),
        ("one colour", "every training image has the same colour in every pixel: there is nothing to learn from"),
    ],
)
def test_photos_that_nothing_can_be_learnt_from(
    project: Project, real_raw: Callable[[str], Path], change: str, message: str
) -> None:
    with_these(project, real_raw, change)
    with pytest.raises(UserError) as caught:
        split_and_preprocess(project)
    assert str(caught.value).startswith(message)
    assert not list(project.folder.rglob("*.partial"))


# ---- what goes wrong half-way --------------------------------------------------------------------------------------


def read_zip(place: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(place) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def without(place: Path, name: str) -> dict[str, bytes]:
    return {other: content for other, content in read_zip(place).items() if other != name}


def with_broken(place: Path, name: str) -> dict[str, bytes]:
    return read_zip(place) | {name: b"broken"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, r"raw data photos no longer has 'train/.*', which the split names: run `dvc repro split`"),
        (with_broken, r"train/.*: not an image; it was readable for the split: run `dvc repro split`"),
    ],
)
def test_prepared_data_stays_when_preprocess_fails(
    project: Project, real_raw: Callable[[str], Path], change: Callable[[Path, str], dict[str, bytes]], message: str
) -> None:
    place = bring(project, photo_files(real_raw, 40))
    rows = project.split("dogs_vs_cats")
    project.preprocess("dogs_vs_cats")
    before = project.files()
    zipped(place, change(place, rows[rows["split"] == "validation"]["id"].iloc[0]))
    with pytest.raises(UserError, match=f"^{message}$"):
        project.preprocess("dogs_vs_cats")
    assert project.files() == before
    assert len(before) == 2 + 8


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_prepared_data_stays_when_preprocess_is_interrupted(
    project: Project, real_raw: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """After all arrays were written, before the folder is complete."""
    bring(project, photo_files(real_raw, 40))
    project.split("dogs_vs_cats")
    project.preprocess("dogs_vs_cats")
    before = project.files()
    project.edit("image_size: 32", "image_size: 16")

    def interrupted(*_: Any) -> None:
        raise error

    monkeypatch.setattr(preprocess, "write_meta", interrupted)
    with pytest.raises(error):
        project.preprocess("dogs_vs_cats")
    assert project.files() == before
