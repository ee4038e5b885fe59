"""What the stages took when they last ran; nothing depends on it but the order and the plan of the next run."""

import json
from pathlib import Path

from torchprimer.atomic import Json, write_json
from torchprimer.runner.process import Outcome


class History:
    """stage -> seconds, cores (mean number of busy ones), peak_memory (bytes).

    Args:
        file: JSON of the stages that have run here; written by `record`.
        published: JSON of the seconds of each training on the machine of the published scores, for a first run.
    """

    def __init__(self, file: Path, published: Path) -> None:
        self.file = file
        self.stages = _read(file)
        self.published = {f"train@{name}": float(seconds) for name, seconds in _read(published).items()}

    def record(self, name: str, outcome: Outcome) -> None:
        """Writes how a stage ran."""
        self.stages[name] = {
            "seconds": round(outcome.seconds, 2), "cores": round(outcome.cores, 2), "peak_memory": outcome.peak_memory,
        }  # fmt: skip
        write_json(self.file, self.stages)

    @property
    def seconds(self) -> dict[str, float]:
        return self.published | {name: stage["seconds"] for name, stage in self.stages.items()}

    @property
    def peak_memory(self) -> dict[str, int]:
        return {name: stage["peak_memory"] for name, stage in self.stages.items()}


def _read(file: Path) -> Json:
    try:
        content: Json = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):  # missing or damaged: it can be done without
        return {}
    return content
