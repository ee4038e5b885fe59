"""Validates params.yaml before any other stage runs.

DVC deletes the outputs of a stage before it starts it, so an invalid value has to be found earlier. The output of this
stage is always the same: no stage reruns because of it.
"""

import os
from pathlib import Path

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params import Params, Torchvision


def run(params: Params) -> None:
    for name, dataset in params.datasets.items():
        references = {"raw": dataset.raw} | {f"classes.{raw}": raw for raw in getattr(dataset, "classes", {})}
        for key, raw in references.items():
            if raw not in params.downloads and not exists_or_tracked(paths.raw(raw)):
                imported = sorted({file.stem for file in paths.raw(raw).parent.glob("*.dvc")} - {*params.downloads})
                guess = did_you_mean(raw, [*imported, *params.downloads])
                raise UserError(
                    f"params.yaml: datasets.{name}.{key}: {raw!r}: neither in data/catalog.yaml "
                    f"({', '.join(params.downloads)}) nor in data/raw ({', '.join(imported) or 'no data of your own'}; "
                    f"torchprimer add-photos and add-data import data).{guess}"
                )
    downloaded = {paths.raw(raw) for raw in params.downloads}
    for name, experiment in params.experiments.items():
        init_from = experiment.init_from
        if init_from not in ("scratch", "imagenet", *params.experiments):
            folder = Path(os.path.normpath(paths.model(init_from)))
            if not downloaded & {folder, *folder.parents} and not exists_or_tracked(folder):
                raise UserError(f"params.yaml: experiments.{name}.init_from: {init_from!r}: there is no {folder}")
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


def exists_or_tracked(path: Path) -> bool:
    """Whether the path exists, or `dvc checkout` can restore it."""
    return path.exists() or path.with_name(f"{path.name}.dvc").exists()
