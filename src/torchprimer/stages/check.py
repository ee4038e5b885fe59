"""Checks params.yaml before any work is done.

By the time a stage could complain, DVC has deleted its outputs. So this stage comes before all others; its output is
always the same, so that nothing reruns because of it.
"""

import os
from pathlib import Path

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Images, Params, Torchvision


def run(params: Params) -> None:
    for name, dataset in params.datasets.items():
        named = {"raw": dataset.raw}
        if isinstance(dataset, Images):
            named |= {f"classes.{raw}": raw for raw in dataset.classes}
        for key, raw in named.items():
            if raw not in params.downloads and not _is_here(paths.raw(raw)):
                own = sorted({place.stem for place in paths.raw(raw).parent.glob("*.dvc")} - {*params.downloads})
                guess = did_you_mean(raw, [*own, *params.downloads])
                raise UserError(
                    f"params.yaml: datasets.{name}.{key}: {raw!r}: neither under downloads: "
                    f"({', '.join(params.downloads)}) nor in data/raw ({', '.join(own) or 'nothing of your own'}; "
                    f"torchprimer add-photos and add-data bring it there).{guess}"
                )
    for name, experiment in params.experiments.items():
        if experiment.init_from in ("scratch", "imagenet", *params.experiments):
            continue
        place = Path(os.path.normpath(paths.model(experiment.init_from)))
        downloaded = {paths.raw(raw) for raw in params.downloads}
        if not downloaded & {place, *place.parents} and not _is_here(place):
            raise UserError(f"params.yaml: experiments.{name}.init_from: {experiment.init_from!r}: there is no {place}")
    for name, experiment in params.experiments.items():
        if isinstance(experiment, Torchvision):
            from torchprimer.models.torchvision import check_architecture

            try:
                check_architecture(experiment.architecture)
            except UserError as error:
                raise UserError(f"params.yaml: experiments.{name}.{error}") from None
    if params.device not in ("auto", "cpu"):
        from torchprimer.training.device import select_device

        select_device(params.device)
    with atomic_write(paths.params_checked()) as file:
        file.write_text("params.yaml was read and checked\n", "utf-8")


def _is_here(place: Path) -> bool:
    """Whether it is there, or DVC can bring it."""
    return place.exists() or place.with_name(f"{place.name}.dvc").exists()
