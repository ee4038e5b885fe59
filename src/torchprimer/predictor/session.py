"""How an ONNX file is opened."""

import os
from pathlib import Path
from typing import Any


def open_session(file: Path) -> Any:
    """The onnxruntime.InferenceSession of an ONNX file, on the CPU; nobody outside hears of it."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some builds of onnxruntime call home
    import onnxruntime

    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
