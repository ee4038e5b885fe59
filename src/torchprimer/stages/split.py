"""Writes data/splits/D.csv: one row per sample (id, label, split), and beside it what was left out and why."""

from torchprimer import paths
from torchprimer.datasets.images import open_raw, split_images
from torchprimer.files import replacing
from torchprimer.params import Params


def run(params: Params, name: str) -> None:
    dataset = params.datasets[name]
    raw = open_raw(paths.raw(dataset.raw))
    rows, rejected = split_images(raw, dataset, name=name, seed=params.seed, limit=params.limit)
    with replacing(paths.split(name)) as file:
        rows.to_csv(file, index=False)
    with replacing(paths.rejected(name)) as file:
        rejected.to_csv(file, index=False)
    counts = rows["split"].value_counts()
    print(f"{name}: " + ", ".join(f"{counts[part]:,} {part}" for part in ("train", "validation", "test")))
    if len(rejected):
        print(f"{name}: {len(rejected):,} files left out, see {paths.rejected(name).relative_to(paths.project())}:")
        for row in rejected.head(10).itertuples():
            print(f"  {row.id}: {row.reason}")
        if len(rejected) > 10:
            print("  ...")
