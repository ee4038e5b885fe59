"""Files that tests/test_extending.py and tests/test_extending_data.py add to a copy of the project, and how."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd

from tests.clone import Clone

FOLDER = Path(__file__).parent


def add_file(clone: Clone, addition: str, file: str) -> None:
    """Copies a file of tests/additions into the copy."""
    (clone.folder / file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FOLDER / addition, clone.folder / file)


def add_entry(clone: Clone, section: str, entry: str) -> None:
    """Puts an entry first in a section of params.yaml, or of data/catalog.yaml."""
    file = "data/catalog.yaml" if section == "downloads" else "params.yaml"
    clone.replace(file, f"\n{section}:\n", f"\n{section}:\n\n{entry}")


def add_to_union(clone: Clone, module: str, union: str, name: str) -> None:
    """`Union = A | B` in a module of params/ becomes `Union = Name | A | B`."""
    file = clone.folder / "src/torchprimer/params" / module
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
