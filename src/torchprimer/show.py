"""`torchprimer show E`: what a trained model is made of; a layer's weights by their name."""

from pathlib import Path

import torch

from torchprimer import models, paths
from torchprimer.errors import UserError, did_you_mean


def show(experiment: str, tensor: str | None, out: Path | None) -> None:
    """Prints a model's layers with the shapes of their weights; or one of the weights, which `out` takes as .npy.

    Raises:
        UserError: not trained yet, or no weights of that name.
    """
    place = paths.model(experiment)
    if not (place / models.RECORD).is_file():
        raise UserError(f"{experiment} is not trained here yet: dvc repro train@{experiment}")
    model, record = models.load(place)
    weights = model.state_dict()
    if tensor is None:
        params, run = record["params"], record["run"]
        print(f"{experiment}: {params['model']} on {params['dataset']}, in {run['precision']} on {run['device']}")
        _table(model)
        return
    if tensor not in weights:
        raise UserError(
            f"{experiment} has no weights {tensor!r}; it has: {', '.join(weights)}.{did_you_mean(tensor, weights)}"
        )
    values = weights[tensor]
    if out is not None:
        import numpy as np

        with out.open("wb") as file:
            np.save(file, values.numpy())
        print(f"{tensor}: {_shape(values)} in {out}")
        return
    torch.set_printoptions(precision=4, sci_mode=False, linewidth=100)
    print(f"{tensor}: {_shape(values)}, {str(values.dtype)[6:]}")
    print(values)


def _table(model: torch.nn.Module) -> None:
    rows = [("weights", "shape", "number", "mean", "deviation", "layer")]
    kinds = {name: type(part).__name__ for name, part in model.named_modules()}
    for name, values in model.state_dict().items():
        numbers = values.double()
        spread = f"{numbers.std(correction=0):.4f}"
        layer = kinds[name.rpartition(".")[0]]
        rows.append((name, _shape(values), f"{values.numel():,}", f"{numbers.mean():.4f}", spread, layer))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    trained = sum(parameter.numel() for parameter in model.parameters())
    print(f"{trained:,} parameters")


def _shape(values: torch.Tensor) -> str:
    return " x ".join(map(str, values.shape)) or "a number"
