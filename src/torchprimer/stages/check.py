"""Checks params.yaml before any work is done.

By the time a stage could complain, DVC has deleted its outputs. So this stage comes before all others; its output is
always the same, so that nothing reruns because of it.
"""

from torchprimer import paths
from torchprimer.errors import UserError, did_you_mean
from torchprimer.files import replacing
from torchprimer.params import Params


def run(params: Params) -> None:
    for name, dataset in params.datasets.items():
        folder = paths.raw(dataset.raw)
        if dataset.raw not in params.downloads and not folder.exists() and not folder.with_suffix(".dvc").exists():
            known, guess = ", ".join(params.downloads), did_you_mean(dataset.raw, params.downloads)
            raise UserError(
                f"params.yaml: datasets.{name}.raw: {dataset.raw!r}: neither under downloads: ({known}) nor in "
                f"data/raw (torchprimer add-photos brings photos there).{guess}"
            )
    if params.device not in ("auto", "cpu"):
        from torchprimer.training.device import select_device

        select_device(params.device)
    with replacing(paths.params_checked()) as file:
        file.write_text("params.yaml was read and checked\n", "utf-8")
