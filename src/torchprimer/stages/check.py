"""Checks params.yaml before any work is done.

By the time a stage could complain, DVC has deleted its outputs. So this stage comes before all others; its output is
always the same, so that nothing reruns because of it.
"""

from torchprimer import paths
from torchprimer.files import replacing
from torchprimer.params import Params


def run(params: Params) -> None:
    if params.device not in ("auto", "cpu"):
        from torchprimer.training.device import select_device

        select_device(params.device)
    with replacing(paths.params_checked()) as file:
        file.write_text("params.yaml was read and checked\n", "utf-8")
