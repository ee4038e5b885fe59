"""data/prepared/D: the arrays of a dataset, of the same form for every kind of data, and meta.json.

meta.json describes the arrays and has their checksums; fingerprints hash its bytes instead of the arrays.
"""

import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from torchprimer.datasets.meta import Meta, parse_meta
from torchprimer.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import torch

SAMPLES_FILE = "samples.csv"  # beside it: id, label and split of each sample, in the order of the arrays


def load_meta(folder: Path) -> Meta:
    """Reads meta.json. Raises UserError if it is damaged, FileNotFoundError if there is none."""
    try:
        return parse_meta(json.loads((folder / "meta.json").read_text("utf-8")))
    except (ValueError, AttributeError, ImportError):  # not UTF-8, JSON, an object, a known kind, or its fields
        raise _damaged(folder, "meta.json", "not the description of a dataset") from None


def _damaged(folder: Path, file: str, reason: object) -> UserError:
    stage = "extract_features" if (folder / "extractor").is_dir() else "preprocess"
    return UserError(f"{folder / file} is damaged ({reason}): run `dvc repro {stage}@{folder.name}`")


def save_array(file: Path, array: npt.NDArray[Any]) -> None:
    """Writes a .npy file. On a full disk the OSError has an `errno`, which numpy's lacks."""
    with create_array(file, array.dtype, array.shape) as memory:
        memory[...] = array


@contextlib.contextmanager
def create_array(file: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Iterator[npt.NDArray[Any]]:
    """A new .npy file, mapped into memory."""
    array = np.lib.format.open_memmap(file, mode="w+", dtype=np.dtype(dtype), shape=shape)
    if hasattr(os, "posix_fallocate"):  # else writing to a mapped file on a full disk ends the process
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    yield array
    array.flush()


def write_meta(folder: Path, meta: Meta) -> None:
    """Adds the number of samples, the SHA-256 of each array and of the validation samples; writes meta.json."""
    with (folder / SAMPLES_FILE).open(encoding="utf-8", newline="") as stream:
        rows = [(row["id"], row["label"]) for row in csv.DictReader(stream) if row["split"] in ("validation", "all")]
    validation_digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    counts, checksums = {}, {}
    for split in ("train", "validation", "test"):
        counts[split] = len(np.load(folder / f"{split}_targets.npy", mmap_mode="r"))
        for array in ("inputs", "targets"):
            with (folder / f"{split}_{array}.npy").open("rb") as stream:
                checksums[f"{split}_{array}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    complete = meta.model_copy(update={"samples": counts, "sha256": checksums, "validation_samples": validation_digest})
    (folder / "meta.json").write_text(complete.model_dump_json(indent=1) + "\n", "utf-8")


def load_samples(folder: Path) -> "pd.DataFrame":
    """Reads samples.csv: id, label and split of each sample, as texts. Raises as `load_meta`."""
    import pandas as pd

    samples, meta = pd.DataFrame(columns=["split"]), load_meta(folder)
    with contextlib.suppress(ValueError):  # not UTF-8, or not a table
        samples = pd.read_csv(folder / SAMPLES_FILE, dtype=str, keep_default_na=False)
    counts = dict(samples["split"].value_counts()) if "split" in samples else {}
    if counts != (meta.samples if meta.held_out else {"all": meta.samples["train"]}):
        raise _damaged(folder, SAMPLES_FILE, f"meta.json has {meta.samples} samples")
    return samples


@dataclass(frozen=True)
class SplitArrays:
    """The samples of one split, on the CPU; large arrays stay on disk, mapped into memory."""

    inputs: "torch.Tensor"  # (N, ...), as prepared; images: uint8 (N, C, H, W)
    targets: "torch.Tensor"  # int64 class indices, (N,), of sequences (N, T); regression: float32, (N, 1)

    def __len__(self) -> int:
        return len(self.targets)


def load_split(folder: Path, split: str) -> SplitArrays:
    """Opens `train`, `validation` or `test` of a prepared dataset. Raises as `load_meta`, of the arrays as well."""
    import torch

    meta = load_meta(folder)
    samples = meta.samples.get(split, 0)
    inputs = open_array(folder, f"{split}_inputs.npy", (samples, *meta.shape), meta.dtype)
    targets = np.array(open_array(folder, f"{split}_targets.npy", (samples,), None))
    if meta.classes and not (targets.min() >= 0 and targets.max() < len(meta.classes)):
        raise _damaged(folder, f"{split}_targets.npy", f"a class that is not one of {len(meta.classes)}")
    return SplitArrays(torch.from_numpy(inputs), torch.from_numpy(targets))


def open_array(folder: Path, file: str, shape: tuple[int, ...], dtype: str | None) -> npt.NDArray[Any]:
    """Maps an array into memory; `shape` may lack further dimensions."""
    try:
        # mode "c": PyTorch needs writable memory; what is written does not reach the file
        array: npt.NDArray[Any] = np.lib.format.open_memmap(folder / file, mode="c")
    except ValueError as error:  # truncated, not an array, or one of Python objects, which are never unpickled
        raise _damaged(folder, file, error) from None
    if array.shape[: len(shape)] != shape or dtype not in (None, array.dtype.name):
        raise _damaged(folder, file, f"{array.dtype} of shape {array.shape}, and meta.json says {dtype} {shape}")
    return array
