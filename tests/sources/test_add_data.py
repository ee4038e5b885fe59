"""`torchprimer add-data`: tables and texts that people bring, from the file to the prepared arrays."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clone import PROJECT, Clone
from torchprimer import paths
from torchprimer.errors import UserError
from torchprimer.sources.user_data import EXPECTED, add_data

TABLE = """
  flowers:
    kind: tabular
    raw: flowers
    task: classification
    target: target
    numeric:
    - petal length (cm)
    - petal width (cm)
    categorical: []
    zero_as_missing: []
    standardize: true
    pca:
    split: random
    time:
    validation: 0.2
    test: 0.2
    baseline: logistic_regression
"""
TEXTS = """
  prose_or_code:
    kind: text
    raw: lines
    text:
    label:
    tokenizer: words
    min_df: 2
    max_vocab:
    validation: 20
    test: 20
    baseline: naive_bayes
"""


@pytest.fixture
def iris(real_raw: Callable[[str], Path], tmp_path: Path) -> Path:
    """Flowers in a CSV, as somebody might have called it."""
    file = tmp_path / "my flowers.CSV"
    file.write_bytes((real_raw("iris") / "iris.csv").read_bytes())
    return file


@pytest.fixture
def lines(tmp_path: Path) -> list[Path]:
    """Lines of prose and lines of code: this project's own."""
    prose, code = tmp_path / "prose.txt", tmp_path / "code.TXT"
    prose.write_bytes((PROJECT / "README.md").read_bytes())
    code.write_bytes(b"".join(file.read_bytes() for file in sorted((PROJECT / "src/torchprimer").glob("*.py"))))
    return [prose, code]


def test_a_table_from_the_file_to_the_arrays(clone: Clone, iris: Path) -> None:
    done = clone(f"python src/torchprimer add-data '{iris}' --name flowers")
    assert (done.stdout, done.stderr) == (
        "my flowers.csv in data/raw/flowers\n"
        "next: git add data/raw, and a dataset with `raw: flowers` in params.yaml: see docs/your-own-data.md\n",
        "",
    )
    assert (PROJECT / "docs" / "your-own-data.md").is_file()
    raw = clone.folder / "data" / "raw" / "flowers"
    clone("dvc checkout --allow-missing")  # takes away what DVC does not know, as `dvc exp run` does at its start
    assert {file.name: file.read_bytes() for file in raw.iterdir()} == {"my flowers.csv": iris.read_bytes()}
    assert "up to date" in clone("dvc status data/raw/flowers.dvc").stdout
    clone("git add data/raw")
    assert clone("git status --porcelain").stdout == "M  data/raw/.gitignore\nA  data/raw/flowers.dvc\n"

    clone.replace("params.yaml", "\ndatasets:\n", f"\ndatasets:\n{TABLE}")
    (clone.folder / "dvc.lock").unlink()  # DVC would write it anew after every stage, whole
    clone("dvc repro preprocess@flowers")
    meta = json.loads((clone.folder / "data" / "prepared" / "flowers" / "meta.json").read_text("utf-8"))
    assert meta["classes"] == ["setosa", "versicolor", "virginica"]
    assert sum(meta["samples"].values()) == 150


def test_texts_from_the_files_to_the_arrays(clone: Clone, lines: list[Path]) -> None:
    done = clone(f"python src/torchprimer add-data {lines[0]} {lines[1]} --name lines")
    assert done.stdout.startswith("prose.txt, code.txt in data/raw/lines\n")
    clone.replace("params.yaml", "\ndatasets:\n", f"\ndatasets:\n{TEXTS}")
    (clone.folder / "dvc.lock").unlink()
    clone("dvc repro preprocess@prose_or_code")
    meta = json.loads((clone.folder / "data" / "prepared" / "prose_or_code" / "meta.json").read_text("utf-8"))
    assert meta["classes"] == ["code", "prose"]
    assert "import" in meta["words"]


def test_the_same_name_again(clone: Clone, iris: Path) -> None:
    """The same data: nothing happens. Other data: refused, whether what it would replace is there or in DVC's cache."""
    add = f"python src/torchprimer add-data '{iris}' --name flowers"
    clone(add)
    raw, tracked = clone.folder / "data" / "raw" / "flowers", clone.folder / "data" / "raw" / "flowers.dvc"
    known = tracked.read_bytes()
    clone(add)
    assert tracked.read_bytes() == known

    before = iris.read_bytes()
    iris.write_bytes(before.replace(b"setosa", b"sativa"))
    other = "choose another --name, or delete data/raw/flowers and data/raw/flowers.dvc first"
    done = clone(add, fails=True)
    assert done.stderr == f"torchprimer: data/raw/flowers exists already, with other data in it: {other}\n"
    assert {file.name: file.read_bytes() for file in raw.iterdir()} == {"my flowers.csv": before}

    (raw / "my flowers.csv").unlink()
    raw.rmdir()
    done = clone(add, fails=True)
    assert done.stderr == (
        "torchprimer: data/raw/flowers.dvc exists already, without its data, which `dvc checkout data/raw/flowers` "
        f"brings: {other}\n"
    )
    clone("dvc checkout data/raw/flowers")
    assert (raw / "my flowers.csv").read_bytes() == before
    assert tracked.read_bytes() == known

    tracked.unlink()
    (raw / "my flowers.csv").unlink()
    raw.rmdir()
    clone(add)
    assert (raw / "my flowers.csv").read_bytes() == iris.read_bytes()


def test_a_failed_dvc_add_can_be_repeated(clone: Clone, iris: Path) -> None:
    """DVC is busy: its own words are passed on, the data is there, and the same command goes on."""
    (clone.folder / ".dvc" / "config.local").rename(clone.folder / ".dvc" / "away")
    (clone.folder / ".dvc" / "config.local").write_text("[no section\n", "utf-8")
    add = f"python src/torchprimer add-data '{iris}' --name flowers"
    done = clone(add, fails=True)
    assert done.stderr.startswith("torchprimer: the files are in data/raw/flowers, but `dvc add` failed: ERROR: ")
    assert "Traceback" not in done.stderr
    (clone.folder / ".dvc" / "away").replace(clone.folder / ".dvc" / "config.local")
    clone(add)
    assert (clone.folder / "data" / "raw" / "flowers.dvc").is_file()


MISTAKES: list[tuple[list[str], str, str]] = [  # what is given, under which name, the message
    (["none.csv"], "own", f"{{place}}/none.csv does not exist: {EXPECTED}"),
    (["folder"], "own",
     f"{{place}}/folder is a folder: {EXPECTED}; a folder of photos goes by `torchprimer add-photos`"),
    (["photo.jpg"], "own",
     f"{{place}}/photo.jpg ends in .jpg: {EXPECTED}; a spreadsheet has to be saved as CSV, photos go by `torchprimer "
     "add-photos`"),
    (["table.xlsx"], "own",
     f"{{place}}/table.xlsx ends in .xlsx: {EXPECTED}; a spreadsheet has to be saved as CSV, photos go by `torchprimer "
     "add-photos`"),
    (["photo.csv"], "own", "{place}/photo.csv is not UTF-8 (line 1): save it as UTF-8"),
    (["latin1.csv"], "own", "{place}/latin1.csv is not UTF-8 (line 3): save it as UTF-8"),
    (["utf16.csv"], "own", "{place}/utf16.csv is not UTF-8 (line 1): save it as UTF-8"),
    (["zeros.csv"], "own", "{place}/zeros.csv is not a text file: line 2 has a zero byte in it"),
    (["empty.csv"], "own", "{place}/empty.csv is empty"),
    (["blank.csv"], "own", "{place}/blank.csv is empty"),
    (["pos.txt", "empty.txt"], "own", "{place}/empty.txt is empty"),
    (["pos.txt"], "own", f"pos.txt: {EXPECTED}"),
    (["good.csv", "pos.txt"], "own", f"good.csv, pos.txt: {EXPECTED}"),
    (["good.csv", "folder/other.csv"], "own", f"good.csv, other.csv: {EXPECTED}"),
    (["pos.txt", "folder/pos.txt"], "own",
     "{place}/pos.txt and {place}/folder/pos.txt have the same name: each needs its own"),
    (["pos.txt", "folder/Pos.TXT"], "own",
     "{place}/pos.txt and {place}/folder/Pos.TXT have the same name: each needs its own"),
    (["good.csv"], "mnist", "--name mnist: data/raw/mnist comes from data/catalog.yaml; choose another name"),
    (["good.csv"], "my data", "--name my data: letters, digits and _ only, a letter first"),
    (["good.csv"], "../data", "--name ../data: letters, digits and _ only, a letter first"),
    (["good.csv"], "there",
     "data/raw/there exists already, with other data in it: choose another --name, or delete data/raw/there and "
     "data/raw/there.dvc first"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "name", "message"), MISTAKES, ids=[f"{' '.join(given)} {name}" for given, name, _ in MISTAKES]
)
def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], name: str, message: str) -> None:
    """One line each, and what is in data/raw stays as it was."""
    (tmp_path / "folder").mkdir()
    good = "a,b\n1,2\nGrüße,3\n"
    for file, content in {
        "photo.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF",
        "photo.csv": b"\xff\xd8\xff\xe0\0\x10JFIF",
        "table.xlsx": b"PK\3\4",
        "latin1.csv": good.encode("latin-1"),
        "utf16.csv": good.encode("utf-16"),
        "zeros.csv": b"a,b\n\0,1\n",
        "empty.csv": b"",
        "blank.csv": b"\xef\xbb\xbf\r\n \r\n",
        "empty.txt": b"\n",
        "pos.txt": b"good\n",
        "folder/pos.txt": b"better\n",
        "folder/Pos.TXT": b"better\n",
        "good.csv": good.encode(),
        "folder/other.csv": good.encode(),
        "project/dvc.yaml": b"",
        "project/params.yaml": paths.params().read_bytes(),
        "project/data/catalog.yaml": paths.catalog().read_bytes(),
        "project/data/raw/there/mine.csv": b"a\n1\n",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    monkeypatch.chdir(tmp_path / "project")
    paths.project.cache_clear()
    with pytest.raises(UserError) as caught:
        add_data([tmp_path / file for file in given], name)
    assert str(caught.value) == message.format(place=tmp_path)
    kept = sorted(file.relative_to(tmp_path).as_posix() for file in (tmp_path / "project" / "data").rglob("*"))
    there = ["project/data/raw", "project/data/raw/there", "project/data/raw/there/mine.csv"]
    assert kept == ["project/data/catalog.yaml", *there]
