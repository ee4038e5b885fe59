"""Optimizers and learning rate schedulers, by their names in torch.optim."""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from torchprimer.params.experiments import Supervised

Scheduler = torch.optim.lr_scheduler.LRScheduler


def build_optimizer(experiment: "Supervised", model: nn.Module) -> torch.optim.Optimizer:
    """SGD, Adam, AdamW or RMSprop over the parameters that require gradients."""
    settings: dict[str, Any] = {"lr": experiment.lr, "weight_decay": experiment.weight_decay}
    if experiment.momentum is not None:
        settings["momentum"] = experiment.momentum
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if experiment.optimizer != "RMSprop" and next(model.parameters()).device.type in ("cpu", "cuda"):
        settings["fused"] = True  # one pass over the weights for a step
    optimizer: torch.optim.Optimizer = getattr(torch.optim, experiment.optimizer)(parameters, **settings)
    return optimizer


def build_scheduler(
    experiment: "Supervised", optimizer: torch.optim.Optimizer, steps_per_epoch: int
) -> Scheduler | None:
    """The scheduler of `experiment.scheduler`; None for a constant learning rate."""
    if experiment.scheduler is None:
        return None
    settings: dict[str, Any] = experiment.scheduler.model_dump()
    name = settings.pop("name")
    if name == "OneCycleLR":
        settings = {"max_lr": experiment.lr, "total_steps": experiment.epochs * steps_per_epoch}
        settings["cycle_momentum"] = False
    elif name == "CosineAnnealingLR":
        settings = {"T_max": experiment.epochs}
    scheduler: Scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **settings)
    return scheduler
