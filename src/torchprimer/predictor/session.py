"""Opening an ONNX file."""

import os
from pathlib import Path
from typing import Any


def open_session(file: Path, threads: int = 0) -> Any:
    """The onnxruntime.InferenceSession of an ONNX file, on the CPU, without telemetry; `threads` 0: one per core."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some builds of onnxruntime send it
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
