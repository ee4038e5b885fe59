"""The error of denoised images of the test split."""

from pathlib import Path

import torch

from torchprimer.tasks import figures
from torchprimer.tasks.base import EvaluationContext
from torchprimer.tasks.inference import predict
from torchprimer.tasks.reconstruction.evaluation import originals_over_reconstructions


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    split = context.task.targets(context.test)
    outputs, images = predict(context.model, split.inputs, context.device), split.targets.float() / 255
    error = torch.nn.functional.mse_loss(outputs, images).item()
    pairs = originals_over_reconstructions(images[:20].numpy(), outputs[:20].numpy(), context.title)
    figures.save(pairs, folder / "denoised.png")
    return {"loss": error, "mse": error}
