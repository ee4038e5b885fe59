"""The supervised training loop.

Stochastic gradient descent on mini-batches (Robbins, Monro 1951; Bottou 1998). The weights of the epoch with the best
validation score are the result (early stopping: Prechelt 1998).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.loops import progress_bar
from torchprimer.loops.supervised.augmentation import augment
from torchprimer.loops.supervised.distributed import DataParallelGroup
from torchprimer.tasks import get_task
from torchprimer.tasks.base import Objective
from torchprimer.training import EpochMetrics, TrainResult
from torchprimer.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torchprimer.params import experiments as params

USES_NUMPY = False
VALIDATION_BATCH = 512  # samples


def train(
    model: nn.Module,
    train_split: SplitArrays,
    validation_split: SplitArrays,
    experiment: "params.Supervised",
    *,
    device: torch.device,
    precision: torch.dtype,
    on_epoch: Callable[[EpochMetrics], None],
    checkpoint: Path | None = None,
    title: str = "",
    epoch_probe: Callable[[nn.Module], EpochMetrics] | None = None,
) -> TrainResult:
    """Trains `model` in place, from the current random state of PyTorch.

    Args:
        model: inputs of a batch -> outputs, (N, classes) or of the shape of the targets.
        train_split, validation_split: inputs (N, ...) as the model takes them; targets (N,) int64 class indices, (N, 1)
            float32 numbers, or (N, T) int64 characters.
        precision: torch.float32, or torch.bfloat16 for autocast.
        on_epoch: called with each new row of the history; after a resumption first with those before it.
        checkpoint: file for the state between epochs. If it exists, training resumes from it.
        title: text in front of the progress bar.
        epoch_probe: computes further values for the row of an epoch from the model.

    Returns:
        The weights of the epoch with the best validation score (ties: the lower loss), and the history.

    Raises:
        UserError: the loss is not finite, or batch norm would get a batch of a single sample.
    """
    model.to(device).train()
    task = get_task(experiment.task)
    objective = task.objective(experiment)
    optimizer = build_optimizer(experiment, model)
    autocast = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    samples = min(experiment.samples_per_epoch or len(train_split), len(train_split))
    steps = -(-samples // (experiment.batch_size or samples))
    smallest = 2 if any(isinstance(layer, _BatchNorm) and layer.training for layer in model.modules()) else 1
    if samples // steps < smallest:
        raise UserError(
            f"{title}: batch norm needs 2 samples or more in each batch, and {samples:,} samples in batches of at most "
            f"{experiment.batch_size or samples} leave a batch of one; set a larger batch_size"
        )
    shards, sum_reduction = samples // steps // smallest, objective.sum_reduction
    group = DataParallelGroup(model, device, max_shards=shards, sum_reduction=sum_reduction)
    scheduler = build_scheduler(experiment, optimizer, steps)
    per_step = isinstance(scheduler, torch.optim.lr_scheduler.OneCycleLR)
    parts = {"model": model, "optimizer": optimizer} | ({"scheduler": scheduler} if scheduler else {})
    state = Checkpoint(checkpoint, parts, device)
    progress = state.load()
    history: list[EpochMetrics] = progress.get("history", [])
    epoch_seconds: list[float] = progress.get("epoch_seconds", [])
    best: dict[str, torch.Tensor] = progress.get("best", {})
    for row in history:
        on_epoch(row)

    for epoch in range(len(history) + 1, experiment.epochs + 1):
        if stopped_early(history, experiment.early_stopping, task.selection_metric):
            break
        started = time.perf_counter()
        lr = optimizer.param_groups[0]["lr"]
        group.seed_epoch(epoch)
        total_loss, count = torch.zeros(2, device=device)
        model.train()
        order = torch.randperm(len(train_split))[:samples]
        group.broadcast(order)
        batches, label = order.tensor_split(steps), f"{title} {epoch}/{experiment.epochs}"  # sizes differ by at most 1
        for batch in progress_bar(batches, label, history, "validation_", disable=None if group.is_main else True):
            batch = group.shard(batch)  # the whole batch, unless torchrun started several processes
            inputs, targets = train_split.inputs[batch].to(device), train_split.targets[batch].to(device)
            if experiment.augment:
                inputs = augment(inputs, **experiment.augment.model_dump())
            targets = objective.targets(inputs, targets)
            optimizer.zero_grad()
            with autocast:
                outputs = group.net(inputs)
                loss = objective.loss(outputs, targets)
            loss.backward()
            optimizer.step()
            if scheduler and per_step:
                scheduler.step()
            # on the device: .item() would wait for the device in every step
            total_loss.add_(loss.detach(), alpha=1 if sum_reduction else len(targets))
            count += objective.count(outputs.detach(), targets)
        group.all_reduce_sum(total_loss, count)
        group.broadcast(*model.buffers())

        scores = score(model, validation_split, objective, device, precision, group)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(scores["loss"])
        elif scheduler and not per_step:
            scheduler.step()
        train_scores = objective.result(count.item(), train_split.targets[order])
        row = {"epoch": epoch, "lr": lr, "train_loss": total_loss.item() / samples}
        row |= {f"train_{name}": value for name, value in train_scores.items()}
        row |= {f"validation_{name}": value for name, value in scores.items()}
        row |= epoch_probe(model) if epoch_probe else {}
        epoch_seconds.append(round(time.perf_counter() - started, 3))
        if not math.isfinite(total_loss.item() + scores["loss"]):
            raise UserError(
                f"{title}: the loss is {row['train_loss']} on the training split and {scores['loss']} on the "
                f"validation split after epoch {epoch}, the training diverged; lower lr"
            )
        history.append(row)
        if best_epoch(history, task.selection_metric) == epoch:
            best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        if group.is_main:
            state.save(history=history, best=best, epoch_seconds=epoch_seconds)
        on_epoch(row)
    return TrainResult(best, history, best_epoch(history, task.selection_metric), epoch_seconds)


@torch.inference_mode()
def score(
    model: nn.Module,
    split: SplitArrays,
    objective: Objective,
    device: torch.device,
    precision: torch.dtype,
    group: DataParallelGroup | None = None,
) -> dict[str, float]:
    """Mean loss and score over a split, in eval mode: without dropout, batch norm with its running statistics."""
    model.eval()
    total_loss, count = torch.zeros(2, device=device)
    batches = zip(split.inputs.split(VALIDATION_BATCH), split.targets.split(VALIDATION_BATCH), strict=True)
    for inputs, targets in list(batches)[group.rank :: group.world_size] if group else batches:
        inputs = inputs.to(device)
        targets = objective.targets(inputs, targets.to(device))
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            outputs = model(inputs)
            total_loss += objective.loss(outputs, targets) * (1 if objective.sum_reduction else len(targets))
        count += objective.count(outputs, targets)
    if group:
        group.all_reduce_sum(total_loss, count)
    return {"loss": total_loss.item() / len(split)} | objective.result(count.item(), split.targets)


def best_epoch(history: list[EpochMetrics], metric: str | None) -> int:
    """The epoch with the best validation score (`selection_metric` of the task), the lower loss among equals."""

    def selection_key(row: EpochMetrics) -> tuple[float, float]:
        score = 0.0 if metric in (None, "loss") else float(row[f"validation_{metric}"])
        return score, -float(row["validation_loss"])

    return int(max(history, key=selection_key)["epoch"])


def stopped_early(history: list[EpochMetrics], patience: int | None, metric: str | None) -> bool:
    """Whether the last `patience` epochs brought no improvement."""
    return patience is not None and len(history) > 0 and len(history) - best_epoch(history, metric) >= patience


def build_optimizer(experiment: "params.Supervised", model: nn.Module) -> torch.optim.Optimizer:
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
    experiment: "params.Supervised", optimizer: torch.optim.Optimizer, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """The scheduler of `experiment.scheduler`; None for a constant learning rate."""
    if experiment.scheduler is None:
        return None
    settings: dict[str, Any] = experiment.scheduler.model_dump()
    name = settings.pop("name")
    if name == "OneCycleLR":
        total_steps = experiment.epochs * steps_per_epoch
        settings = {"max_lr": experiment.lr, "total_steps": total_steps, "cycle_momentum": False}
    elif name == "CosineAnnealingLR":
        settings = {"T_max": experiment.epochs}
    scheduler: torch.optim.lr_scheduler.LRScheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **settings)
    return scheduler
