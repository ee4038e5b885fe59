"""The fingerprint of a training run, a hash of its inputs: runs with the same fingerprint give the same weights."""

import hashlib
import json
import re
from pathlib import Path

from torchprimer.models import Record


def fingerprint(record: Record, project: Path) -> str:
    """SHA-256 (hex) of a run's params, data digest, package versions, and the code in `deps` of `train` in dvc.yaml."""
    from ruamel.yaml import YAML

    digest = hashlib.sha256()
    inputs = record.model_dump(mode="json", exclude={"data", "fingerprint"})
    digest.update(json.dumps(inputs, sort_keys=True).encode())
    stages = YAML(typ="safe").load((project / "dvc.yaml").read_text("utf-8"))["stages"]
    for dependency in stages["train"]["do"]["deps"]:
        if dependency.startswith("src/"):
            name = re.sub(r"\$\{item\.(\w+)\}", lambda match: str(getattr(record.params, match[1])), dependency)
            code = project / name
            for file in sorted(code.rglob("*.py")) if code.is_dir() else [code]:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def hash_path(path: Path) -> str:
    """SHA-256 (hex) of a file, or of the contents of all files in a folder, concatenated."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(inside for inside in path.rglob("*") if inside.is_file()):
        digest.update(file.read_bytes())
    return digest.hexdigest()
