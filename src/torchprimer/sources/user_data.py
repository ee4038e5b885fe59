"""`torchprimer add-data`: tables and texts of your own, put under data/raw/, where DVC keeps them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.errors import UserError
from torchprimer.sources import sha256

TABLES, TEXTS = (".csv", ".tsv", ".dat"), ".txt"
WANTED = "give one table (.csv, .tsv, or KEEL's .dat), or a .txt file for each of two classes or more"


def add_data(places: list[Path], name: str) -> None:
    """Copies a table, or a text file for each class, to data/raw/<name>/ and gives the folder to `dvc add`.

    Raises:
        UserError: files that are not there or not of text, a name that a download has, or other data of that name.
    """
    files = usable(places)
    target = free_place(name)
    if not is_there(files, target):
        with atomic_write(target) as folder:
            folder.mkdir()
            for own_name, file in files.items():
                shutil.copyfile(file, folder / own_name)
    give_to_dvc(target, "files")
    print(f"{', '.join(files)} in {target.relative_to(paths.project())}")
    print(f"next: git add data/raw, and a dataset with `raw: {name}` in params.yaml: see docs/your-own-data.md")


def usable(places: list[Path]) -> dict[str, Path]:
    """The given files by the names that they get: their own, the ending in lower case, as the readers look for it.

    Raises:
        UserError: one is missing, empty or not of text, or together they are neither a table nor classes of texts.
    """
    files: dict[str, Path] = {}
    for place in places:
        file = place.expanduser()
        if not file.exists():
            raise UserError(f"{file} does not exist: {WANTED}")
        if file.is_dir():
            raise UserError(f"{file} is a folder: {WANTED}; a folder of photos goes by `torchprimer add-photos`")
        if file.suffix.lower() not in (*TABLES, TEXTS):
            raise UserError(
                f"{file} ends in {file.suffix or 'nothing'}: {WANTED}; a spreadsheet has to be saved as CSV, photos go "
                "by `torchprimer add-photos`"
            )
        check_text(file)
        name = f"{file.stem}{file.suffix.lower()}"
        if twin := next((known for known in files if known.lower() == name.lower()), None):
            raise UserError(f"{files[twin]} and {file} have the same name: each needs its own")
        files[name] = file
    endings = [Path(name).suffix for name in files]
    if not (len(files) == 1 and endings[0] in TABLES) and not (len(files) > 1 and set(endings) == {TEXTS}):
        raise UserError(f"{', '.join(files)}: {WANTED}")
    return files


def check_text(file: Path) -> None:
    """Reads a file once, line by line, however large it is.

    Raises:
        UserError: it is not UTF-8, or there is nothing in it.
    """
    empty = True
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise UserError(f"{file} is not UTF-8 (line {number}): save it as UTF-8 first") from None
            if "\0" in text:
                raise UserError(f"{file} is not a text file: line {number} has a zero byte in it")
            empty = empty and not text.strip()
    if empty:
        raise UserError(f"{file} is empty")


def is_there(files: dict[str, Path], target: Path) -> bool:
    """Whether data/raw/<name> holds these very files already; nothing is overwritten.

    Raises:
        UserError: it holds others, or DVC knows of others.
    """
    shown, tracked = target.relative_to(paths.project()), target.with_suffix(".dvc")
    other = f"choose another --name, or delete {shown} and {shown}.dvc first"
    if target.exists():
        there = {path.relative_to(target).as_posix(): sha256(path) for path in target.rglob("*") if path.is_file()}
        if there != {name: sha256(file) for name, file in files.items()}:
            raise UserError(f"{shown} is there already, and has other data in it: {other}")
        return True
    if tracked.exists():
        raise UserError(f"{shown}.dvc is there already, without its data, which `dvc checkout {shown}` brings: {other}")
    return False


def free_place(name: str) -> Path:
    """data/raw/<name>.

    Raises:
        UserError: the name is not a name, or a download has it.
    """
    from torchprimer.params import load

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UserError(f"--name {name}: letters, digits and _ only, a letter first")
    if name in load().downloads:
        raise UserError(f"--name {name}: data/raw/{name} comes from downloads: in params.yaml; choose another name")
    return paths.raw(name)


def give_to_dvc(target: Path, what: str) -> None:
    """`dvc add`, which writes <target>.dvc beside it.

    Raises:
        UserError: DVC's reason; `what` is in `target` all the same.
    """
    shown = target.relative_to(paths.project())
    command = [sys.executable, "-m", "dvc", "add", str(shown)]
    added = subprocess.run(command, cwd=paths.project(), capture_output=True, text=True, check=False)
    if added.returncode != 0:
        reason = (
            " ".join(line for line in added.stderr.splitlines() if line.startswith("ERROR")) or added.stderr.strip()
        )
        raise UserError(f"the {what} are in {shown}, but `dvc add` failed: {reason}")
