"""Optimisers and learning rate schedulers by the names that torch.optim gives them."""

from typing import Any

import torch
from torch import nn

Scheduler = torch.optim.lr_scheduler.LRScheduler


def build_optimizer(params: dict[str, Any], model: nn.Module) -> torch.optim.Optimizer:
    """SGD, Adam, AdamW or RMSprop over the parameters that are to be trained; the rest keep their values."""
    settings = {"lr": params["lr"], "weight_decay": params["weight_decay"]}
    if params["momentum"] is not None:
        settings["momentum"] = params["momentum"]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if params["optimizer"] != "RMSprop" and next(model.parameters()).device.type in ("cpu", "cuda"):
        settings["fused"] = True  # all of a step in one pass over the weights
    optimizer: torch.optim.Optimizer = getattr(torch.optim, params["optimizer"])(trained, **settings)
    return optimizer


def build_scheduler(params: dict[str, Any], optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Scheduler | None:
    """The scheduler that `params["scheduler"]` describes; None for a learning rate that stays as it is."""
    if params["scheduler"] is None:
        return None
    settings = dict(params["scheduler"])
    name = settings.pop("name")
    if name == "OneCycleLR":
        settings = {"max_lr": params["lr"], "total_steps": params["epochs"] * steps_per_epoch}
        settings["cycle_momentum"] = False
    elif name == "CosineAnnealingLR":
        settings = {"T_max": params["epochs"]}
    scheduler: Scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **settings)
    return scheduler
