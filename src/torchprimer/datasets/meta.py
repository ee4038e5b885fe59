"""data/prepared/D/meta.json: what the arrays beside it are. Its bytes stand for all the data in fingerprints."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = "samples.csv"  # beside it: id, label and split of each sample, in the order of the arrays


def load_meta(folder: Path) -> dict[str, Any]:
    """Reads meta.json: kind, shape of an input, classes, fitted numbers, samples and SHA-256 of each array."""
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text("utf-8"))
    return meta


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Adds the number of samples and the checksums, and writes meta.json."""
    counts, checksums = {}, {}
    for part in ("train", "validation", "test"):
        counts[part] = len(np.load(folder / f"{part}_targets.npy", mmap_mode="r"))
        for array in ("inputs", "targets"):
            with (folder / f"{part}_{array}.npy").open("rb") as stream:
                checksums[f"{part}_{array}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    text = json.dumps({**meta, "samples": counts, "sha256": checksums}, indent=1, ensure_ascii=False)
    (folder / "meta.json").write_text(text + "\n", "utf-8")
