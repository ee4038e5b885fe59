"""`torchprimer add-data`: copies tables and texts of the user to data/raw/ and adds them to DVC."""

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
EXPECTED = "give one table (.csv, .tsv, or KEEL's .dat), or a .txt file for each of two classes or more"


def add_data(sources: list[Path], name: str) -> None:
    """Copies a table, or a text file for each class, to data/raw/<name>/ and runs `dvc add` on it.

    Raises:
        UserError: files that do not exist or are not text, a name that a download or other data has.
    """
    files = validate_files(sources)
    target = target_dir(name)
    if not already_imported(files, target):
        with atomic_write(target) as folder:
            folder.mkdir()
            for file_name, file in files.items():
                shutil.copyfile(file, folder / file_name)
    dvc_add(target, "files")
    print(f"{', '.join(files)} in {target.relative_to(paths.project())}")
    print(f"next: git add data/raw, and a dataset with `raw: {name}` in params.yaml: see docs/your-own-data.md")


def validate_files(sources: list[Path]) -> dict[str, Path]:
    """The files by their new names: the suffix in lower case, as the readers expect it.

    Raises:
        UserError: one is missing, empty or not of text, or together they are neither a table nor classes of texts.
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
                f"{file} ends in {file.suffix or 'nothing'}: {EXPECTED}; a spreadsheet has to be saved as CSV, photos go "
                "by `torchprimer add-photos`"
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


def already_imported(files: dict[str, Path], target: Path) -> bool:
    """Whether data/raw/<name> already has exactly these files; nothing is overwritten.

    Raises:
        UserError: it has other files, or DVC tracks other files there.
    """
    shown, dvc_file = target.relative_to(paths.project()), target.with_suffix(".dvc")
    remedy = f"choose another --name, or delete {shown} and {shown}.dvc first"
    if target.exists():
        existing = {path.relative_to(target).as_posix(): sha256(path) for path in target.rglob("*") if path.is_file()}
        if existing != {name: sha256(file) for name, file in files.items()}:
            raise UserError(f"{shown} exists already, with other data in it: {remedy}")
        return True
    if dvc_file.exists():
        raise UserError(f"{shown}.dvc exists already, without its data, which `dvc checkout {shown}` brings: {remedy}")
    return False


def target_dir(name: str) -> Path:
    """data/raw/<name>.

    Raises:
        UserError: the name is not valid, or a download has it.
    """
    from torchprimer.params import load

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UserError(f"--name {name}: letters, digits and _ only, a letter first")
    if name in load().downloads:
        raise UserError(f"--name {name}: data/raw/{name} comes from downloads: in params.yaml; choose another name")
    return paths.raw(name)


def dvc_add(target: Path, what: str) -> None:
    """`dvc add`, which writes <target>.dvc beside it.

    Raises:
        UserError: with DVC's reason; `what` stays in `target`.
    """
    shown = target.relative_to(paths.project())
    command = [sys.executable, "-m", "dvc", "add", str(shown)]
    result = subprocess.run(command, cwd=paths.project(), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = (
            " ".join(line for line in result.stderr.splitlines() if line.startswith("ERROR")) or result.stderr.strip()
        )
        raise UserError(f"the {what} are in {shown}, but `dvc add` failed: {reason}")
