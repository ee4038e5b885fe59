"""data/prepared/D: the arrays as training and evaluation read them, the same for every kind of data, and meta.json.

meta.json says what the arrays are; its bytes stand for all the data in fingerprints.
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchprimer.datasets.meta import Meta, parse_meta

if TYPE_CHECKING:
    import torch

SAMPLES_FILE = "samples.csv"  # beside it: id, label and split of each sample, in the order of the arrays


def load_meta(folder: Path) -> Meta:
    """Reads meta.json."""
    return parse_meta(json.loads((folder / "meta.json").read_text("utf-8")))


def write_meta(folder: Path, meta: Meta) -> None:
    """Adds the number of samples, the SHA-256 of each array and of the validation samples; writes meta.json."""
    with (folder / SAMPLES_FILE).open(encoding="utf-8", newline="") as stream:
        held = [(row["id"], row["label"]) for row in csv.DictReader(stream) if row["split"] in ("validation", "all")]
    who = hashlib.sha256(json.dumps(held).encode()).hexdigest()
    counts, checksums = {}, {}
    for part in ("train", "validation", "test"):
        counts[part] = len(np.load(folder / f"{part}_targets.npy", mmap_mode="r"))
        for array in ("inputs", "targets"):
            with (folder / f"{part}_{array}.npy").open("rb") as stream:
                checksums[f"{part}_{array}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    complete = meta.model_copy(update={"samples": counts, "sha256": checksums, "validation_samples": who})
    (folder / "meta.json").write_text(complete.model_dump_json(indent=1) + "\n", "utf-8")


@dataclass(frozen=True)
class SplitArrays:
    """The samples of one split, on the CPU; large arrays stay on disk, mapped into memory.

    Attributes:
        inputs: shape (N, ...), as prepared (images: uint8, N x C x H x W).
        targets: int64 class numbers, shape (N,), sequences (N, T); regression: float32, (N, 1).
    """

    inputs: "torch.Tensor"
    targets: "torch.Tensor"

    def __len__(self) -> int:
        return len(self.targets)


def load_split(folder: Path, part: str) -> SplitArrays:
    """Opens `train`, `validation` or `test` of a prepared dataset."""
    import torch

    # mode "c": PyTorch wants memory that it could write to; what it wrote would never reach the file
    inputs = np.load(folder / f"{part}_inputs.npy", mmap_mode="c")
    return SplitArrays(torch.from_numpy(inputs), torch.from_numpy(np.load(folder / f"{part}_targets.npy")))
