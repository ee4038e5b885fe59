"""`torchprimer add-data` and `add-photos`: copy data of the user to data/raw/ and add it to DVC."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets.csv_io import decode_lines
from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.errors import UserError
from torchprimer.sources import sha256

TABLES, TEXTS = (".csv", ".tsv", ".dat"), ".txt"
EXPECTED = "give one table (.csv, .tsv, or KEEL's .dat), or a .txt file for each of two classes or more"


def add_data(sources: list[Path], name: str) -> None:
    """Copies a table, or a text file for each class, to data/raw/<name>/ and runs `dvc add` on it.

    Raises UserError for files that do not exist or are not text, and a name that a download or other data has.
    """
    files = validate_files(sources)
    print(f"{', '.join(files)} in {_import(files, target_dir(name), 'files')}")
    print(f"next: git add data/raw, and a dataset with `raw: {name}` in params.yaml: see docs/your-own-data.md")


def add_photos(path: Path, name: str) -> None:
    """Copies a zip (as it is) or a folder (the photos in it) to data/raw/<name>/ and runs `dvc add` on it.

    Raises UserError for no photos, photos of one class only, and a name that a download or other data has.
    """
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path} does not exist: give a zip or a folder of photos")
    target = target_dir(name)
    photos = ImageFolder(path)
    if len(photos.classes) < 2:
        raise UserError(
            f"{path} has photos of one class only ('{photos.classes[0]}'): name them like cat.12.jpg and dog.7.jpg, "
            "or put each class into a folder of its own"
        )
    if target.resolve() in (path.resolve(), *path.resolve().parents):
        raise UserError(f"{path} lies in {target}, where it would be copied to: give the photos from elsewhere")
    files = {"photos.zip": path} if path.is_file() else {file: path / file for file in photos.ids}
    shown = _import(files, target, "photos")
    counts = ", ".join(f"{count:,} {label}" for label, count in sorted(Counter(photos.labels).items()))
    print(f"{len(photos.ids):,} photos in {shown}: {counts}")
    if photos.skipped:
        endings = Counter(PurePosixPath(file).suffix or "no ending" for file in photos.skipped).most_common(5)
        listed = ", ".join(f"{count} {ending}" for ending, count in endings)
        print(f"{len(photos.skipped):,} other files left out: {listed}")
    print("next: git add data/raw, and train on them, for example")
    print(f"  dvc exp run -S datasets.dogs_vs_cats.raw={name} -S datasets.dogs_vs_cats.image_size=128")


def validate_files(sources: list[Path]) -> dict[str, Path]:
    """The files by their new names: the suffix in lower case, as the readers expect it.

    Raises UserError if one is missing, empty or not of text, or together they are neither a table nor classes of texts.
    """
    files: dict[str, Path] = {}
    for path in sources:
        file = path.expanduser()
        if not file.exists():
            raise UserError(f"{file} does not exist: {EXPECTED}")
        if file.is_dir():
            raise UserError(f"{file} is a folder: {EXPECTED}; a folder of photos goes by `torchprimer add-photos`")
        if file.suffix.lower() not in (*TABLES, TEXTS):
            raise UserError(
                f"{file} ends in {file.suffix or 'nothing'}: {EXPECTED}; a spreadsheet has to be saved as CSV, photos "
                "go by `torchprimer add-photos`"
            )
        check_text(file)
        name = f"{file.stem}{file.suffix.lower()}"
        if twin := next((known for known in files if known.lower() == name.lower()), None):
            raise UserError(f"{files[twin]} and {file} have the same name: each needs its own")
        files[name] = file
    endings = [Path(name).suffix for name in files]
    if not (len(files) == 1 and endings[0] in TABLES) and not (len(files) > 1 and set(endings) == {TEXTS}):
        raise UserError(f"{', '.join(files)}: {EXPECTED}")
    return files


def check_text(file: Path) -> None:
    """Raises UserError if a file is not UTF-8, or there is nothing in it."""
    lines = decode_lines(file.read_bytes(), str(file))
    for number, line in enumerate(lines, 1):
        if "\0" in line:
            raise UserError(f"{file} is not a text file: line {number} has a zero byte in it")
    if not any(line.strip() for line in lines):
        raise UserError(f"{file} is empty")


def target_dir(name: str) -> Path:
    """data/raw/<name>. Raises UserError if the name is not valid, or a download has it."""
    from torchprimer.params import load

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UserError(f"--name {name}: letters, digits and _ only, a letter first")
    if name in load().downloads:
        raise UserError(f"--name {name}: data/raw/{name} comes from data/catalog.yaml; choose another name")
    return paths.raw(name)


def _import(files: dict[str, Path], target: Path, what: str) -> Path:
    """Copies `files`, by their new names, to `target`, and runs `dvc add`; returns `target`, relative to the project.

    Raises UserError if other files are there, which are not overwritten, or `dvc add` fails; `target` then stays.
    """
    shown = target.relative_to(paths.project())
    if not _already_imported(files, target, shown):
        with atomic_write(target) as folder:
            folder.mkdir()
            for name, file in tqdm(files.items(), desc="copying", delay=1, disable=None, leave=False):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name)
    command = [sys.executable, "-m", "dvc", "add", str(shown)]
    result = subprocess.run(command, cwd=paths.project(), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        errors = " ".join(line for line in result.stderr.splitlines() if line.startswith("ERROR"))
        raise UserError(f"the {what} are in {shown}, but `dvc add` failed: {errors or result.stderr.strip()}")
    return shown


def _already_imported(files: dict[str, Path], target: Path, shown: Path) -> bool:
    remedy = f"choose another --name, or delete {shown} and {shown}.dvc first"
    if target.exists():
        existing = {path.relative_to(target).as_posix(): sha256(path) for path in target.rglob("*") if path.is_file()}
        if existing != {name: sha256(file) for name, file in files.items()}:
            raise UserError(f"{shown} exists already, with other data in it: {remedy}")
        return True
    if target.with_suffix(".dvc").exists():
        raise UserError(f"{shown}.dvc exists already, without its data, which `dvc checkout {shown}` brings: {remedy}")
    return False
