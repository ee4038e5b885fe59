"""Supervised learning: the loop itself.

Stochastic gradient descent on mini-batches (Robbins, Monro 1951; Bottou 1998), the epoch with the best validation
score kept (early stopping: Prechelt 1998).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.tasks import get_task
from torchprimer.tasks.base import Objective
from torchprimer.training import Row, TrainResult
from torchprimer.training.augmentation import augment
from torchprimer.training.checkpoint import Checkpoint
from torchprimer.training.distributed import DataParallelGroup
from torchprimer.training.optimizers import build_optimizer, build_scheduler

if TYPE_CHECKING:
    from torchprimer.params import experiments as params


def train(
    model: nn.Module,
    training: SplitArrays,
    validation: SplitArrays,
    experiment: "params.Supervised",
    *,
    device: torch.device,
    precision: torch.dtype,
    on_epoch: Callable[[Row], None],
    checkpoint: Path | None = None,
    title: str = "",
    watch: Callable[[nn.Module], Row] | None = None,
) -> TrainResult:
    """Trains `model` in place, from PyTorch's current random state.

    Args:
        model: inputs of a batch -> logits, (N, classes) or as `targets`.
        training, validation: inputs (N, ...) as the model takes them; targets (N,) int64 class numbers, (N, 1) float32
            numbers, (N, T) int64 characters, or what an autoencoder is to give back.
        experiment: loss, reduction, optimizer, lr, momentum, weight_decay, scheduler, batch_size, samples_per_epoch,
            epochs, early_stopping, augment.
        precision: torch.float32, or torch.bfloat16 for autocast.
        on_epoch: called with each new row of the history.
        checkpoint: where the state is kept between epochs; if it is there already, training goes on from it, to the
            same weights to the bit as without the interruption, and `on_epoch` first hears of the epochs before.
        title: shown in front of the progress bar.
        watch: looks at the model after each epoch; what it sees is added to the row.

    Returns:
        The weights of the epoch with the best validation score (ties: the lower loss), and the history.

    Raises:
        UserError: the loss is no longer a number, or batch norm would get a batch of a single sample.
    """
    model.to(device).train()
    objective = get_task(experiment.task).objective(experiment)
    optimizer = build_optimizer(experiment, model)
    autocast = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    samples = min(experiment.samples_per_epoch or len(training), len(training))
    steps = -(-samples // (experiment.batch_size or samples))
    needed = 2 if any(isinstance(layer, _BatchNorm) and layer.training for layer in model.modules()) else 1
    if samples // steps < needed:
        raise UserError(
            f"{title}: batch norm needs 2 samples or more in each batch, and {samples:,} samples in batches of at most "
            f"{experiment.batch_size or samples} leave one alone; set a larger batch_size"
        )
    together = DataParallelGroup(model, device, shares=samples // steps // needed, summed=objective.sum_reduction)
    scheduler = build_scheduler(experiment, optimizer, steps)
    per_step = isinstance(scheduler, torch.optim.lr_scheduler.OneCycleLR)
    parts = {"model": model, "optimizer": optimizer} | ({"scheduler": scheduler} if scheduler else {})
    state = Checkpoint(checkpoint, parts, device)
    progress = state.load()
    history: list[Row] = progress.get("history", [])
    best: dict[str, torch.Tensor] = progress.get("best", {})
    for row in history:
        on_epoch(row)

    for epoch in range(len(history) + 1, experiment.epochs + 1):
        if stopped_early(history, experiment.early_stopping):
            break
        started = time.perf_counter()
        lr = optimizer.param_groups[0]["lr"]
        total_loss = torch.zeros((), device=device)
        count = torch.zeros((), device=device)
        model.train()
        quiet = None if together.first else True  # None: where it is no terminal
        bar = tqdm(total=steps, desc=f"{title} {epoch}/{experiment.epochs}", disable=quiet, leave=False)
        bar.set_postfix_str(describe(history))
        order = torch.randperm(len(training))[:samples]
        together.agree(order)
        for batch in order.tensor_split(steps):  # of equal size but for one sample
            batch = together.share(batch)  # all of it, unless torchrun has started several processes
            inputs, targets = training.inputs[batch].to(device), training.targets[batch].to(device)
            if experiment.augment:
                inputs = augment(inputs, **experiment.augment.model_dump())
            optimizer.zero_grad()
            with autocast:
                outputs = together.net(inputs)
                loss = objective.loss(outputs, targets)
            loss.backward()
            optimizer.step()
            if scheduler and per_step:
                scheduler.step()
            # on the device: .item() would wait for it every step
            total_loss.add_(loss.detach(), alpha=1 if objective.sum_reduction else len(targets))
            count += objective.count(outputs.detach(), targets)
            bar.update()
        bar.close()
        together.total(total_loss, count)
        together.agree(*model.buffers())

        scores = score(model, validation, objective, device, precision, together)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(scores["loss"])
        elif scheduler and not per_step:
            scheduler.step()
        row = {"epoch": epoch, "lr": lr, "train_loss": total_loss.item() / samples}
        row |= {
            f"train_{name}": value for name, value in objective.result(count.item(), training.targets[order]).items()
        }
        row |= {f"validation_{name}": value for name, value in scores.items()}
        row |= (watch(model) if watch else {}) | {"epoch_seconds": round(time.perf_counter() - started, 3)}
        if not math.isfinite(total_loss.item() + scores["loss"]):
            raise UserError(
                f"{title}: the loss is {row['train_loss']} on the training split and {scores['loss']} on the "
                f"validation split after epoch {epoch}, the training diverged; lower lr"
            )
        history.append(row)
        if best_epoch(history) == epoch:
            best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        if together.first:
            state.save(history=history, best=best)
        on_epoch(row)
    return TrainResult(best, history, best_epoch(history))


@torch.inference_mode()
def score(
    model: nn.Module,
    data: SplitArrays,
    objective: Objective,
    device: torch.device,
    precision: torch.dtype,
    together: DataParallelGroup | None = None,
) -> dict[str, float]:
    """Mean loss and the score over a split, with dropout off and batch norm's running statistics."""
    model.eval()
    total_loss = torch.zeros((), device=device)
    count = torch.zeros((), device=device)
    batches = zip(data.inputs.split(512), data.targets.split(512), strict=True)
    for inputs, targets in list(batches)[together.rank :: together.count] if together else batches:
        inputs, targets = inputs.to(device), targets.to(device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            outputs = model(inputs)
            total_loss += objective.loss(outputs, targets) * (1 if objective.sum_reduction else len(targets))
        count += objective.count(outputs, targets)
    if together:
        together.total(total_loss, count)
    return {"loss": total_loss.item() / len(data)} | objective.result(count.item(), data.targets)


def best_epoch(history: list[Row]) -> int:
    """The number of the epoch with the best validation score, the lower validation loss among equals."""

    def merit(row: Row) -> tuple[float, float]:
        score = row.get("validation_accuracy", row.get("validation_r2", 0))
        return float(score), -float(row["validation_loss"])

    return int(max(history, key=merit)["epoch"])


def stopped_early(history: list[Row], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought nothing better."""
    return patience is not None and len(history) > 0 and len(history) - best_epoch(history) >= patience


def describe(history: list[Row]) -> str:
    """The last epoch in a few words, for the progress bar."""
    if not history:
        return ""
    seen = {key.removeprefix("validation_"): value for key, value in history[-1].items() if key.startswith("valid")}
    return ", ".join(f"{key} {value:.4f}" for key, value in seen.items()) + " (validation)"
