"""Optimisers and learning rate schedulers by the names that torch.optim gives them."""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from torchprimer.params.experiments import Supervised

Scheduler = torch.optim.lr_scheduler.LRScheduler


def build_optimizer(experiment: "Supervised", model: nn.Module) -> torch.optim.Optimizer:
    """SGD, Adam, AdamW or RMSprop over the parameters that are to be trained; the rest keep their values."""
    settings: dict[str, Any] = {"lr": experiment.lr, "weight_decay": experiment.weight_decay}
    if experiment.momentum is not None:
        settings["momentum"] = experiment.momentum
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if experiment.optimizer != "RMSprop" and next(model.parameters()).device.type in ("cpu", "cuda"):
        settings["fused"] = True  # all of a step in one pass over the weights
    optimizer: torch.optim.Optimizer = getattr(torch.optim, experiment.optimizer)(trained, **settings)
    return optimizer


def build_scheduler(
    experiment: "Supervised", optimizer: torch.optim.Optimizer, steps_per_epoch: int
) -> Scheduler | None:
    """The scheduler that `experiment.scheduler` describes; None for a learning rate that stays as it is."""
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
