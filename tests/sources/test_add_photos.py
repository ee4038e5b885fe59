"""`torchprimer add-photos`: photos that people bring, from a zip or a folder to data/raw, where DVC keeps them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.clone import Clone
from tests.datasets.test_image_folder import encoded, in_folder, pets, zipped
from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.sources.user_data import add_photos


@pytest.fixture(scope="module")
def cat(real_raw: Callable[[str], Path]) -> Image.Image:
    """One real cat, 120 x 90."""
    return pets(real_raw("cifar10"), 1, (120, 90))[0][1]


def four(cat: Image.Image) -> dict[str, bytes]:
    return {f"{label}.{i}.png": encoded(cat) for label in ("cat", "dog") for i in range(2)}


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "folder"])
def test_add_photos(clone: Clone, tmp_path: Path, cat: Image.Image, as_zip: bool) -> None:
    files = four(cat) | {"readme.txt": b"", "also.txt": b"", "__MACOSX/._cat.0.png": b""}
    place = zipped(tmp_path / "my photos.zip", files) if as_zip else in_folder(tmp_path / "my photos", files)
    done = clone(f"python src/torchprimer add-photos '{place}' --name mine")
    assert done.stderr == ""
    assert done.stdout == (
        "4 photos in data/raw/mine: 2 cat, 2 dog\n"
        "2 other files left out: 2 .txt\n"
        "next: git add data/raw, and train on them, for example\n"
        "  dvc exp run -S datasets.dogs_vs_cats.raw=mine -S datasets.dogs_vs_cats.image_size=128\n"
    )
    raw = clone.folder / "data" / "raw" / "mine"
    brought = {path.name: path.read_bytes() for path in raw.iterdir()}
    assert brought == ({"photos.zip": place.read_bytes()} if as_zip else four(cat))
    clone("dvc checkout --allow-missing")  # takes away what DVC does not know, as `dvc exp run` does at its start
    assert {path.name for path in raw.iterdir()} == set(brought)
    clone("git add data/raw")
    assert clone("git status --porcelain").stdout == "M  data/raw/.gitignore\nA  data/raw/mine.dvc\n"
    assert "up to date" in clone("dvc status data/raw/mine.dvc").stdout


MISTAKES: list[tuple[str, str, str]] = [  # what is given, under which name, the message
    ("nothing", "photos", "{place} does not exist: give a zip or a folder of photos"),
    ("one.zip", "photos",
     "{place} has photos of one class only ('cat'): name them like cat.12.jpg and dog.7.jpg, or put each class into "
     "a folder of its own"),
    ("text.txt", "photos", "{place} is not a zip that can be read: File is not a zip file"),
    ("good.zip", "mnist",
     "--name mnist: data/raw/mnist comes from data/catalog.yaml; choose another name"),
    ("good.zip", "my photos", "--name my photos: letters, digits and _ only, a letter first"),
    ("good.zip", "../photos", "--name ../photos: letters, digits and _ only, a letter first"),
]  # fmt: skip


def prepared_mistakes(folder: Path, cat: Image.Image) -> None:
    zipped(folder / "one.zip", {"train/cat.1.png": encoded(cat), "train/cat.2.png": encoded(cat)})
    (folder / "text.txt").write_text("no photos")
    zipped(folder / "good.zip", four(cat))


@pytest.mark.parametrize(("given", "name", "message"), MISTAKES)
def test_add_photos_that_are_none(
    tmp_path: Path, cat: Image.Image, monkeypatch: pytest.MonkeyPatch, given: str, name: str, message: str
) -> None:
    """What was there under that name stays."""
    prepared_mistakes(tmp_path, cat)
    here = tmp_path / "project"
    files = {"params.yaml": paths.params().read_bytes(), "data/catalog.yaml": paths.catalog().read_bytes()}
    in_folder(here, {"dvc.yaml": b"", "data/raw/photos/photos.zip": b"as before", **files})
    monkeypatch.chdir(here)
    paths.project.cache_clear()
    with pytest.raises(UserError) as caught:
        add_photos(tmp_path / given, name)
    assert str(caught.value) == message.format(place=tmp_path / given)
    assert sorted(path.relative_to(here / "data").as_posix() for path in (here / "data").rglob("*")) == [
        "catalog.yaml",
        "raw",
        "raw/photos",
        "raw/photos/photos.zip",
    ]
    with pytest.raises(
        UserError, match=r"lies in .*data/raw/photos, where it would be copied to: give the photos from"
    ):
        add_photos(zipped(here / "data/raw/photos/photos.zip", four(cat)), "photos")


def test_add_photos_mistake_on_the_command_line(clone: Clone, tmp_path: Path) -> None:
    done = clone(f"python src/torchprimer add-photos {tmp_path / 'train.zip'}", fails=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"torchprimer: {tmp_path / 'train.zip'} does not exist: give a zip or a folder of photos\n"


def test_add_photos_without_dvc_says_where_they_are(
    tmp_path: Path, cat: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is no DVC repository: the photos are not lost, and DVC's own words are passed on."""
    own_params = paths.params().read_text("utf-8")
    in_folder(tmp_path, {"dvc.yaml": b"", "params.yaml": own_params.encode()})
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    with pytest.raises(UserError, match=r"^the photos are in data/raw/photos, but `dvc add` failed: ERROR: "):
        add_photos(zipped(tmp_path / "good.zip", four(cat)), "photos")
    assert (tmp_path / "data/raw/photos/photos.zip").is_file()


def test_other_photos_of_that_name_stay(clone: Clone, tmp_path: Path, cat: Image.Image) -> None:
    """The same once more is no mistake; others would take their place."""
    ours = zipped(tmp_path / "ours.zip", four(cat))
    other = zipped(tmp_path / "other.zip", four(cat) | {"dog.7.png": encoded(cat)})
    clone(f"python src/torchprimer add-photos {ours}")
    clone(f"python src/torchprimer add-photos {ours}")
    done = clone(f"python src/torchprimer add-photos {other}", fails=True)
    assert done.stderr == (
        "torchprimer: data/raw/photos exists already, with other data in it: choose another --name, or delete "
        "data/raw/photos and data/raw/photos.dvc first\n"
    )
    assert (clone.folder / "data" / "raw" / "photos" / "photos.zip").read_bytes() == ours.read_bytes()
