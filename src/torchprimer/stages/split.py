"""Writes data/splits/D.csv: one row per sample (id, label, split), and beside it the rejected samples with reasons."""

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.datasets import get_kind
from torchprimer.params import Params


def run(params: Params, name: str) -> None:
    dataset = params.datasets[name]
    rows, rejected = get_kind(dataset.kind).split_rows(
        paths.raw(dataset.raw), dataset, name=name, seed=params.seed, limit=params.limit
    )
    with atomic_write(paths.split(name)) as file:
        rows.to_csv(file, index=False)
    with atomic_write(paths.rejected(name)) as file:
        rejected.to_csv(file, index=False)
    counts = rows["split"].value_counts()
    splits = [split for split in ("train", "validation", "test", "all") if split in counts]
    print(f"{name}: " + ", ".join(f"{counts[split]:,} {split}" for split in splits))
    if len(rejected):
        print(f"{name}: {len(rejected):,} left out, see {paths.rejected(name).relative_to(paths.project())}:")
        for row in rejected.head(10).itertuples():
            print(f"  {row.id}: {row.reason}")
        if len(rejected) > 10:
            print("  ...")
