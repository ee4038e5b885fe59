"""The adversarial training loop, for GANs.

The discriminator learns to tell real images from generated ones, the generator learns to be classified as real
(Goodfellow et al. 2014, the non-saturating loss). With squared errors in place of cross-entropy: least squares GAN
(Mao et al. 2017).
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.loops import progress_bar
from torchprimer.models.gan import GAN, scaled
from torchprimer.training import EpochMetrics, TrainResult
from torchprimer.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from torchprimer.params import experiments as params

USES_NUMPY = False
METRICS = ("generator_loss", "discriminator_loss", "real_score", "fake_score")  # in the history
NUM_PREVIEWS = 64  # images generated after each epoch, always from the same noise


def train(
    model: nn.Module,
    train_split: SplitArrays,
    _validation_split: SplitArrays,
    experiment: "params.GAN",
    *,
    device: torch.device,
    precision: torch.dtype,
    on_epoch: Callable[[EpochMetrics], None],
    checkpoint: Path | None = None,
    title: str = "",
    epoch_probe: Callable[[nn.Module], EpochMetrics] | None = None,
) -> TrainResult:
    """Trains `model.net`, a GAN, in place; arguments and errors as in loops/supervised.

    Returns:
        The weights of the last epoch (no loss tells which epoch has the best images), the history, and the artifact
        `samples`: the images generated after each epoch, uint8, shape (epochs, 64, C, H, W).
    """
    gan = cast(GAN, model.to(device).get_submodule("net"))
    generator, discriminator = gan.generator, gan.discriminator
    loss_function = getattr(F, experiment.loss)
    least_squares = experiment.loss == "mse_loss"
    on_cpu, betas = device.type == "cpu", (experiment.beta1, 0.999)
    adam: dict[str, Any] = {"lr": experiment.lr, "betas": betas, "fused": on_cpu or None}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)
    autocast = torch.autocast(device.type, precision, enabled=precision != torch.float32)
    steps = -(-len(train_split) // experiment.batch_size)
    parts = {"model": model, "generator": generator_optimizer, "discriminator": discriminator_optimizer}
    state = Checkpoint(checkpoint, parts, device)
    progress = state.load()
    history: list[EpochMetrics] = progress.get("history", [])
    epoch_seconds: list[float] = progress.get("epoch_seconds", [])
    samples: list[torch.Tensor] = progress.get("samples", [])
    for row in history:
        on_epoch(row)

    for epoch in range(len(history) + 1, experiment.epochs + 1):
        started = time.perf_counter()
        totals = torch.zeros(4, device=device)
        model.train()
        batches, label = torch.randperm(len(train_split)).tensor_split(steps), f"{title} {epoch}/{experiment.epochs}"
        for batch in progress_bar(batches, label, history, "_loss"):
            real = scaled(train_split.inputs[batch].to(device))
            noise = torch.randn(len(real), gan.latent_dim, device=device)
            ones, zeros = torch.ones(len(real), 1, device=device), torch.zeros(len(real), 1, device=device)

            with autocast:
                fake = generator(noise)
                real_logits, fake_logits = discriminator(real).float(), discriminator(fake.detach()).float()
            discriminator_loss = (loss_function(real_logits, ones) + loss_function(fake_logits, zeros)) / 2
            discriminator_optimizer.zero_grad()
            discriminator_loss.backward()
            discriminator_optimizer.step()

            with autocast:
                generator_loss = loss_function(discriminator(fake).float(), ones)
            generator_optimizer.zero_grad()
            # through the discriminator, whose weights get no gradient
            generator_loss.backward(inputs=list(generator.parameters()))
            generator_optimizer.step()

            scores = [logits if least_squares else logits.sigmoid() for logits in (real_logits, fake_logits)]
            means = [generator_loss, discriminator_loss, scores[0].mean(), scores[1].mean()]
            totals.add_(torch.stack(means).detach(), alpha=len(real))

        samples.append(gan.images(gan.noise(NUM_PREVIEWS, seed=0)))
        row = {"epoch": epoch, "lr": experiment.lr}
        row |= dict(zip(METRICS, (totals / len(train_split)).tolist(), strict=True))
        row |= epoch_probe(model) if epoch_probe else {}
        epoch_seconds.append(round(time.perf_counter() - started, 3))
        if not math.isfinite(totals.sum().item()):
            raise UserError(
                f"{title}: the losses of generator and discriminator are {row['generator_loss']} and "
                f"{row['discriminator_loss']} after epoch {epoch}, the training diverged; lower lr"
            )
        history.append(row)
        state.save(history=history, samples=samples, epoch_seconds=epoch_seconds)
        on_epoch(row)
    weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return TrainResult(weights, history, len(history), epoch_seconds, {"samples": torch.stack(samples).numpy()})
