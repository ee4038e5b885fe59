"""Evaluation of a generator: its samples over the epochs, its losses, and the metrics of a classifier, the scorer.

The scorer is trained on the same data. Its features give the Fréchet distance (Heusel et al. 2017, there with
Inception's features), so distances compare only under the same scorer.
"""

from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from torchprimer.errors import UserError
from torchprimer.evaluation import EvaluationContext, figures
from torchprimer.evaluation.figures import Floats, Integers
from torchprimer.image_grid import Bytes, enlarge, image_grid

Doubles = npt.NDArray[np.float64]
CONFIDENT = 0.9  # minimum probability of a confident prediction of the scorer
SEED = 1  # of the noise for the metrics; samples saved during training use other noise
WIDTH = 700  # approximate width of pictures, in pixels


class ImageGenerator(Protocol):  # noise (N, Z) -> uint8 images (N, C, H, W)
    def noise(self, count: int, seed: int) -> torch.Tensor: ...
    def images(self, noise: torch.Tensor) -> torch.Tensor: ...


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes samples.png, epochs.png, training.gif, losses.png and, with a scorer, classes.csv and classes.png.

    Returns:
        generator_loss and discriminator_loss of the last epoch. With a scorer also, of as many generated images as the
        test split has, confident_fraction (with a probability of at least 90 %), class_entropy (bits) and
        frechet_distance ([::2] of both); `..._real`: the same of the test images, the distance of [::2] to [1::2].
        Both distances are of one sample size, since their bias depends on it.
    """
    samples = cast(Bytes, context.artifacts.get("samples"))
    if samples is None or samples.shape[1:] != (64, *context.meta.shape):
        raise UserError(f"models/{context.name}/samples.npy is missing or damaged: `dvc repro train@{context.name}`")
    last = context.history.iloc[-1]
    grid(samples[-1]).save(folder / "samples.png")
    write_gif(samples, folder / "training.gif")
    figures.save(over_epochs(samples, f"{context.name}: the same noise over the epochs"), folder / "epochs.png")
    figures.save(losses(context.history, context.experiment.loss, f"{context.name}: losses"), folder / "losses.png")
    scores = {name: float(last[name]) for name in ("generator_loss", "discriminator_loss")}
    if context.scorer is None:
        return scores

    generator = cast(ImageGenerator, context.model.get_submodule("net"))
    generated = generator.images(generator.noise(len(context.test), SEED))
    probabilities, features = score_with_classifier(context.scorer, generated, context.device)
    real_probabilities, real_features = score_with_classifier(context.scorer, context.test.inputs, context.device)
    classes = context.meta.classes
    frequencies = pd.DataFrame({"class": classes})
    frequencies["generated"] = class_frequencies(probabilities.argmax(1), len(classes))
    frequencies["real"] = class_frequencies(real_probabilities.argmax(1), len(classes))
    frequencies.to_csv(folder / "classes.csv", index=False)
    figures.save(class_bars(frequencies, f"{context.title}: classes by the scorer"), folder / "classes.png")
    return {
        "frechet_distance": frechet_distance(features[::2], real_features[::2]),
        "confident_fraction": float((probabilities.max(1) >= CONFIDENT).mean()),
        "class_entropy": entropy(frequencies["generated"].to_numpy()),
        "frechet_distance_real": frechet_distance(real_features[::2], real_features[1::2]),
        "confident_fraction_real": float((real_probabilities.max(1) >= CONFIDENT).mean()),
        "class_entropy_real": entropy(frequencies["real"].to_numpy()),
    } | scores


@torch.inference_mode()
def score_with_classifier(classifier: nn.Module, images: torch.Tensor, device: torch.device) -> tuple[Floats, Doubles]:
    """Probabilities (N, K) of uint8 images (N, C, H, W), and their features (N, F): inputs of the last linear layer.

    Raises:
        UserError: the classifier has no linear layer, or cannot take images of this shape.
    """
    linear = [layer for layer in classifier.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise UserError("scorer: this classifier has no linear layer to take features from; name another under scorer:")
    features: list[torch.Tensor] = []
    hook = linear[-1].register_forward_pre_hook(lambda _layer, inputs: features.append(inputs[0].float().cpu()))
    try:
        logits = torch.cat([classifier(batch.to(device)).float().cpu() for batch in images.split(500)])
    except RuntimeError as error:
        shape = " x ".join(map(str, images.shape[1:]))
        reason = f"it cannot take images of {shape}; name a classifier of the same dataset ({error})"
        raise UserError(f"scorer: {reason}") from None
    finally:
        hook.remove()
    return logits.softmax(1).numpy(), torch.cat(features).flatten(1).double().numpy()


def frechet_distance(one: Doubles, other: Doubles) -> float:
    """Squared Fréchet distance of the normal distributions with mean and covariance of two samples (N, F), (M, F).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)); the root's trace is that of (C1^(1/2) C2 C1^(1/2))^(1/2), which is
    symmetric, so eigenvalues are real.
    """
    means = one.mean(0) - other.mean(0)
    first, second = (np.atleast_2d(np.cov(sample, rowvar=False)) for sample in (one, other))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(means @ means + np.trace(first) + np.trace(second) - 2 * common)


def class_frequencies(predictions: Integers, classes: int) -> Doubles:
    """Relative frequency of each class among the predictions (N,); shape (`classes`,), sums to 1."""
    return np.bincount(predictions, minlength=classes) / len(predictions)


def entropy(probabilities: Doubles) -> float:
    """In bits: 0 if all are of one class, log2(K) if K classes are equally frequent."""
    present = probabilities[probabilities > 0]
    return float(-(present * np.log2(present)).sum()) + 0.0  # not -0.0


def tiles(images: Bytes, columns: int) -> Bytes:
    """Images (N, C, H, W) in rows of `columns`, as one image (height, width, C); grey images as black on white."""
    return image_grid((255 - images if images.shape[1] == 1 else images).transpose(0, 2, 3, 1), columns)


def grid(images: Bytes, width: int = WIDTH) -> Image.Image:
    """Images (64, C, H, W) in 8 rows, enlarged by an integer factor or reduced to fit `width` pixels."""
    image = enlarge(tiles(images, 8).squeeze(), width)
    if image.width > width:
        return image.resize((width, width * image.height // image.width), Image.Resampling.LANCZOS)
    return image


def write_gif(samples: Bytes, file: Path, frames: int = 30) -> None:
    """Samples (epochs, 64, C, H, W) -> an animated GIF, at most `frames` of the epochs, the last one held."""
    epochs = evenly_spaced(len(samples), frames)
    font, colours = ImageFont.load_default(20), 16 if samples.shape[2] == 1 else 64
    pictures = []
    for epoch in epochs:
        picture = grid(samples[epoch], WIDTH * 2 // 3)
        frame = Image.new(picture.mode, (picture.width, picture.height + 28), "white")
        frame.paste(picture, (0, 28))
        ImageDraw.Draw(frame).text((4, 2), f"epoch {epoch + 1}", fill="black", font=font)
        pictures.append(frame.quantize(colours, dither=Image.Dither.NONE))
    durations = [400] * (len(pictures) - 1) + [3000]
    pictures[0].save(file, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True)


def evenly_spaced(count: int, maximum: int) -> list[int]:
    """At most `maximum` of the indices 0 to count - 1, evenly spaced, including the first and the last."""
    return sorted({round(number) for number in np.linspace(0, count - 1, min(count, maximum))})


def over_epochs(samples: Bytes, title: str) -> Figure:
    """Samples (epochs, 64, C, H, W): a column for each of 10 noise vectors, a row for each of up to 10 epochs."""
    epochs = evenly_spaced(len(samples), 10)
    picture = tiles(np.concatenate([samples[epoch, :10] for epoch in epochs]), 10)
    side = picture.shape[0] / len(epochs)
    figure, axes = figures.new_axes(6.4, 0.59 * len(epochs) + 0.45)
    axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
    axes.set_yticks([side * (row + 0.5) for row in range(len(epochs))], [str(epoch + 1) for epoch in epochs])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(ylabel="epoch", title=title)
    return figure


def losses(history: pd.DataFrame, loss: str, title: str) -> Figure:
    """Both losses, and below them the discriminator's scores of real and generated images, over the epochs."""
    least_squares = loss == "mse_loss"
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    figure.suptitle(title)
    upper, lower = figure.subplots(2, sharex=True)
    marker = "o" if len(history) == 1 else ""
    curves = {"generator_loss": "generator", "discriminator_loss": "discriminator"}
    scores = {"real_score": "real images", "fake_score": "generated images"}
    undecided = (0.25, "1/4") if least_squares else (np.log(2), "ln 2")
    for axes, labels, (value, text) in ((upper, curves, undecided), (lower, scores, (0.5, "1/2"))):
        for column, label in labels.items():
            axes.plot(history["epoch"], history[column], marker=marker, label=label)
        axes.grid(alpha=0.3)
        axes.axhline(value, color="grey", linestyle=":", label=f"undecided: {text}")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, fontsize=8)
    upper.set(ylabel="mean squared error" if least_squares else "cross-entropy (nats)")
    lower.set(xlabel="epoch", ylabel="the discriminator's score" if least_squares else "the discriminator's\nP(real)")
    lower.xaxis.get_major_locator().set_params(integer=True)
    return figure


def class_bars(frequencies: pd.DataFrame, title: str) -> Figure:
    """Columns class, generated, real: two bars for each class."""
    figure, axes = figures.new_axes(6.4, 3.6)
    x = np.arange(len(frequencies))
    for offset, column, label in ((-0.2, "generated", "generated images"), (0.2, "real", "real images")):
        axes.bar(x + offset, 100 * frequencies[column], 0.4, label=label)
    axes.set_xticks(x, figures.drawable(list(frequencies["class"])))
    if frequencies["class"].str.len().max() > 4:
        axes.tick_params(axis="x", labelrotation=45)
    axes.set(xlabel="class predicted by the scorer", ylabel="share of all images (%)", title=title)
    axes.margins(y=0.2)
    axes.legend(fontsize=8, ncols=2, loc="upper center")
    return figure
