"""The error of the negatives of the test split."""

from pathlib import Path

import torch

from torchprimer.evaluation import EvaluationContext, figures, predict
from torchprimer.tasks.reconstruction.evaluation import originals_over_reconstructions


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    inputs = context.test.inputs
    outputs, negatives = predict(context.model, inputs, context.device), 1 - inputs.float() / 255
    error = torch.nn.functional.mse_loss(outputs, negatives).item()
    pairs = originals_over_reconstructions(negatives[:20].numpy(), outputs[:20].numpy(), context.title)
    figures.save(pairs, folder / "negatives.png")
    return {"loss": error, "mse": error}
