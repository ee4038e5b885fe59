"""Supervised learning: the loop itself.

Stochastic gradient descent on mini-batches (Robbins, Monro 1951; Bottou 1998), the epoch with the best validation
score kept (early stopping: Prechelt 1998).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from torchprimer.datasets.prepared import Split
from torchprimer.errors import UserError
from torchprimer.training.augment import augment
from torchprimer.training.checkpoint import load_checkpoint, save_checkpoint
from torchprimer.training.optimizers import build_optimizer, build_scheduler

Row = dict[str, float]  # one epoch: epoch, lr, train_loss, train_accuracy, validation_loss, ..., epoch_seconds


def train(
    model: nn.Module,
    training: Split,
    validation: Split,
    params: dict[str, Any],
    *,
    device: torch.device,
    precision: torch.dtype,
    on_epoch: Callable[[Row], None],
    checkpoint: Path | None = None,
    title: str = "",
) -> tuple[dict[str, torch.Tensor], list[Row]]:
    """Trains `model` in place, from PyTorch's current random state.

    Args:
        params: loss, optimizer, lr, momentum, weight_decay, scheduler, batch_size, epochs, early_stopping, augment.
        precision: torch.float32, or torch.bfloat16 for autocast.
        on_epoch: called with each new row of the history.
        checkpoint: written after every epoch; if it is there already, training goes on from it, to the same weights
            to the bit as without the interruption.
        title: shown in front of the progress bar.

    Returns:
        The weights of the epoch with the highest validation accuracy (ties: the lower loss), and the history.

    Raises:
        UserError: the loss is no longer a number.
    """
    model.to(device)
    loss_function = getattr(F, params["loss"])
    optimizer = build_optimizer(params, model)
    autocast = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    steps = -(-len(training) // params["batch_size"])
    scheduler = build_scheduler(params, optimizer, steps)
    per_step = isinstance(scheduler, torch.optim.lr_scheduler.OneCycleLR)
    history: list[Row] = []
    best: dict[str, torch.Tensor] = {}
    if checkpoint and checkpoint.is_file():
        progress = load_checkpoint(checkpoint, model, optimizer, scheduler, device)
        history, best = progress["history"], progress["best"]

    for epoch in range(len(history) + 1, params["epochs"] + 1):
        if stopped_early(history, params["early_stopping"]):
            break
        started = time.perf_counter()
        lr = optimizer.param_groups[0]["lr"]
        total_loss = torch.zeros((), device=device)
        correct = torch.zeros((), device=device)
        model.train()
        bar = tqdm(total=steps, desc=f"{title} {epoch}/{params['epochs']}", disable=None, leave=False)
        bar.set_postfix_str(describe(history))
        for batch in torch.randperm(len(training)).tensor_split(steps):  # equal, so none of a single sample
            inputs, targets = training.inputs[batch].to(device), training.targets[batch].to(device)
            if params["augment"]:
                inputs = augment(inputs, **params["augment"])
            optimizer.zero_grad()
            with autocast:
                logits = model(inputs)
                loss = loss_function(logits, targets)
            loss.backward()
            optimizer.step()
            if scheduler and per_step:
                scheduler.step()
            total_loss.add_(loss.detach(), alpha=len(targets))  # on the device: .item() would wait for it every step
            correct += (logits.detach().argmax(1) == targets).sum()
            bar.update()
        bar.close()

        validation_loss, validation_accuracy = score(model, validation, loss_function, device, precision)
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step(validation_loss)
        elif scheduler and not per_step:
            scheduler.step()
        row = {
            "epoch": epoch,
            "lr": lr,
            "train_loss": total_loss.item() / len(training),
            "train_accuracy": correct.item() / len(training),
            "validation_loss": validation_loss,
            "validation_accuracy": validation_accuracy,
            "epoch_seconds": round(time.perf_counter() - started, 3),
        }
        if not math.isfinite(row["train_loss"]):
            raise UserError(
                f"{title}: the loss is {row['train_loss']} after epoch {epoch}, the training diverged; lower lr"
            )
        history.append(row)
        if best_epoch(history) == epoch:
            best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        if checkpoint:
            save_checkpoint(checkpoint, model, optimizer, scheduler, device, {"history": history, "best": best})
        on_epoch(row)
    return best, history


@torch.inference_mode()
def score(
    model: nn.Module,
    data: Split,
    loss_function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    device: torch.device,
    precision: torch.dtype,
) -> tuple[float, float]:
    """Mean loss and accuracy over a split, with dropout off and batch norm's running statistics."""
    model.eval()
    total_loss = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    for inputs, targets in zip(data.inputs.split(512), data.targets.split(512), strict=True):
        inputs, targets = inputs.to(device), targets.to(device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = model(inputs)
            total_loss += loss_function(logits, targets) * len(targets)
        correct += (logits.argmax(1) == targets).sum()
    return total_loss.item() / len(data), correct.item() / len(data)


def best_epoch(history: list[Row]) -> int:
    """The number of the epoch with the highest validation accuracy, the lower validation loss among equals."""
    return int(max(history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))["epoch"])


def stopped_early(history: list[Row], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought nothing better."""
    return patience is not None and len(history) > 0 and len(history) - best_epoch(history) >= patience


def describe(history: list[Row]) -> str:
    """The last epoch in a few words, for the progress bar."""
    if not history:
        return ""
    row = history[-1]
    return f"loss {row['validation_loss']:.4f}, accuracy {row['validation_accuracy']:.4f} (validation)"
