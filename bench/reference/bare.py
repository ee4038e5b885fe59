"""Steps and validations of the supervised loop alone: no history, checkpoint, tracking or progress bar."""

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.loops.supervised import build_optimizer
from torchprimer.params.experiments import Supervised


def train(model: nn.Module, training: SplitArrays, validation: SplitArrays, experiment: Supervised) -> None:
    loss_function = getattr(F, experiment.loss)
    optimizer = build_optimizer(experiment, model)
    steps = -(-len(training) // (experiment.batch_size or len(training)))
    for _ in range(experiment.epochs):
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
