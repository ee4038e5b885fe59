"""Steps and validations of the supervised loop alone: no history, checkpoint, tracking or progress bar."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.training.optimizers import build_optimizer


def train(model: nn.Module, training: SplitArrays, validation: SplitArrays, params: dict[str, Any]) -> None:
    loss_function = getattr(F, params["loss"])
    optimizer = build_optimizer(params, model)
    steps = -(-len(training) // params["batch_size"])
    for _ in range(params["epochs"]):
        model.train()
        for batch in torch.randperm(len(training)).tensor_split(steps):
            optimizer.zero_grad()
            loss = loss_function(model(training.inputs[batch]), training.targets[batch])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            for inputs, targets in zip(
                torch.split(validation.inputs, 512), torch.split(validation.targets, 512), strict=True
            ):
                logits = model(inputs)
                loss_function(logits, targets)
                (logits.argmax(1) == targets).sum()
