"""Files that are there whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, to be written as file or folder; renamed to `target` only if all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    remove(partial)
    try:
        yield partial
        if target.is_dir():
            remove(target)  # a folder cannot be renamed over another one that has files in it
        partial.replace(target)
    finally:
        remove(partial)


def remove(path: Path) -> None:
    """Deletes a file or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
