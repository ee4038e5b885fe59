"""Evaluation of an autoencoder: reconstruction error, originals beside reconstructions, latent vectors."""

from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from torchprimer.evaluation import EvaluationContext, figures, predict
from torchprimer.evaluation.figures import Floats, Integers

MAX_POINTS = 3000  # of a scatter plot: more would hide each other


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes latents.csv, reconstructions.png and latents.png into `folder`.

    Returns:
        loss: the training loss on the test split; mse: mean squared error of a pixel, 0..1; mse_pca: the error of as
        many principal components (of the training split) as a latent vector has numbers: the best linear code.
    """
    classes, inputs, targets = context.meta.classes, context.test.inputs, context.test.targets.numpy()
    normalize, encoder, decoder = map(context.model.get_submodule, ("normalize", "net.encoder", "net.decoder"))
    latents = predict(torch.nn.Sequential(normalize, encoder), inputs, context.device)
    reconstructions, images = predict(decoder, latents, context.device), inputs.float() / 255
    errors = (reconstructions - images).square().flatten(1).mean(1)
    scores = {
        "loss": getattr(F, context.experiment.loss)(reconstructions, images).item(),
        "mse": errors.mean().item(),
        "mse_pca": pca_error(context.train.inputs, inputs, latents.shape[1]),
    }
    columns = {"id": context.ids, "label": [classes[number] for number in targets]}
    columns |= {f"latent_{number}": values.round(5) for number, values in enumerate(latents.T.numpy(), 1)}
    pd.DataFrame(columns | {"mse": errors.numpy().round(6)}).to_csv(folder / "latents.csv", index=False)
    chosen = one_by_class(targets, 20)
    title = f"{context.title}: mean squared error {scores['mse']:.4f}"
    pairs = originals_over_reconstructions(images[chosen].numpy(), reconstructions[chosen].numpy(), title)
    figures.save(pairs, folder / "reconstructions.png")
    figures.save(scatter(latents.numpy(), targets, classes, f"{context.title}: latent vectors"), folder / "latents.png")
    return scores


def pca_error(training: torch.Tensor, test: torch.Tensor, components: int) -> float:
    """Mean squared error of a pixel, 0..1, after principal components of `training`; of uint8 images (N, C, H, W)."""
    from sklearn.decomposition import PCA

    train_rows, test_rows = (images.flatten(1).numpy() / np.float32(255) for images in (training, test))
    pca = PCA(min(components, *train_rows.shape), random_state=0).fit(train_rows)
    return float(np.square(pca.inverse_transform(pca.transform(test_rows)) - test_rows).mean())


def one_by_class(targets: Integers, count: int) -> npt.NDArray[np.intp]:
    """Row numbers of `count` samples, or all if there are fewer: the first of each class, the second of each, ..."""
    rank = pd.Series(targets).groupby(targets).cumcount()
    return np.lexsort((targets, rank))[:count]


def originals_over_reconstructions(images: Floats, reconstructions: Floats, title: str, columns: int = 10) -> Figure:
    """Images (N, C, H, W), 0..1, in rows of `columns`, each row with its reconstructions beneath."""
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(8.5, 1.95 * rows + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for cell in axes.flat:
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set_visible(False)
    for number, pair in enumerate(zip(images, reconstructions, strict=True)):
        row, column = divmod(number, columns)
        for below, image in enumerate(pair):
            pixels, colours = image.transpose(1, 2, 0).squeeze(), "gray_r" if len(image) == 1 else None
            axes[2 * row + below, column].imshow(pixels, cmap=colours, vmin=0, vmax=1)
    for row in range(rows):
        axes[2 * row, 0].set_ylabel("original", fontsize=8)
        axes[2 * row + 1, 0].set_ylabel("reconstruction", fontsize=8)
    return figure


def scatter(latents: Floats, targets: Integers, classes: list[str], title: str) -> Figure:
    """Codes (N, K), a colour for each class: every pair of the first three numbers; a code of one number: by class."""
    chosen = np.random.default_rng(0).permutation(len(latents))[:MAX_POINTS]
    latents, targets = latents[chosen], targets[chosen]
    pairs = list(combinations(range(min(latents.shape[1], 3)), 2)) or [(0, 0)]
    figure = Figure(figsize=(8.4, 8.0) if len(pairs) > 1 else (7.2, 5.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    colours = mpl.colormaps["tab10" if len(classes) <= 10 else "tab20"]
    grid = figure.subplots(*((2, 2) if len(pairs) > 1 else (1, 1)), squeeze=False)
    for axes, (first, second) in zip(grid.flat, pairs, strict=False):
        down = targets if first == second else latents[:, second]
        for number, name in enumerate(figures.drawable(classes)):
            is_member = targets == number
            style = {"s": 5, "color": colours(number % colours.N), "linewidth": 0}
            axes.scatter(latents[is_member, first], down[is_member], label=name, **style)
        axes.set(xlabel=f"code {first + 1}", ylabel="class" if first == second else f"code {second + 1}")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if len(pairs) > 1:
        grid[1, 1].axis("off")
        grid[1, 1].legend(handles, labels, title="class", markerscale=4, loc="center", ncols=2)
    else:
        grid[0, 0].legend(handles, labels, title="class", markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
