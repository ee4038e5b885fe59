"""Atomic writes: a file or folder exists completely or not at all, also after a power cut."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

Json = dict[str, Any]  # the content of a JSON file


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, to be written as file or folder; renamed to `target` if the block succeeds.

    What it contains is on the disk before the rename. Temporary paths of processes that were killed are deleted.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    remove(partial)
    for path in target.parent.glob(".*.partial"):
        pid = path.name.split(".")[-2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            remove(path)
    try:
        yield partial
        for path in (*sorted(partial.rglob("*"), reverse=True), partial):
            _sync(path)
        if target.is_dir():
            remove(target)  # a folder cannot replace another one that has files in it
        partial.replace(target)
        _sync(target.parent)
    finally:
        remove(partial)


def write_json(target: Path, content: object) -> None:
    """Writes a JSON file atomically."""
    with atomic_write(target) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def remove(path: Path) -> None:
    """Deletes a file, or a folder with its content; does nothing if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Writes a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
