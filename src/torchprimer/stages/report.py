"""Writes reports/index.html: all experiments compared on one page."""

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.params import Params
from torchprimer.report.html import render


def run(params: Params) -> None:
    with atomic_write(paths.report()) as file:
        file.write_text(render(params), "utf-8")
    print(f"{paths.report().relative_to(paths.project())}: {paths.report().stat().st_size / 1e6:.1f} MB")
