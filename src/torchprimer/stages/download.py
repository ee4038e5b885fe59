"""Brings one raw source into data/raw/, byte for byte as published."""

from torchprimer import paths
from torchprimer.params import Params
from torchprimer.sources import fetch


def run(params: Params, name: str) -> None:
    origin = fetch(params.downloads[name], paths.raw(name))
    print(f"{name}: {len(params.downloads[name].files)} files, checksums right ({origin})")
