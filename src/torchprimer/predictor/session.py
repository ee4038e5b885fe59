"""Opening an ONNX file."""

import os
from pathlib import Path
from typing import Any


def open_session(file: Path) -> Any:
    """The onnxruntime.InferenceSession of an ONNX file, on the CPU, without telemetry."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some builds of onnxruntime send it
    import onnxruntime

    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
