"""Figures of a classifier of one or two features: its probabilities over the whole range of the features."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from torchprimer.datasets.meta import NumericColumn, TabularMeta
from torchprimer.evaluation import EvaluationContext, figures, predict

Array = npt.NDArray[np.float64]
MAX_POINTS = 2000  # per split: more would only hide each other
TRAINING = "training split"
SIDE = 300  # grid points per axis


def plot_boundary(context: EvaluationContext, folder: Path) -> None:
    """Writes boundary.png for two features; for one feature probability.png, and its values as predict_at.csv."""
    meta = tabular_meta(context)
    if meta.shape == [2]:
        figures.save(boundary(context), folder / "boundary.png")
    elif meta.shape == [1]:
        query = query_points(denormalize(context.train.inputs, meta))
        probs = pd.DataFrame(probabilities(context, query).round(6), columns=[f"p_{name}" for name in meta.classes])
        probs.insert(0, meta.features[0], query[:, 0].round(6))
        probs.to_csv(folder / "predict_at.csv", index=False)
        figures.save(curve(context, float(query[-1, 0])), folder / "probability.png")


def tabular_meta(context: EvaluationContext) -> TabularMeta:
    """The metadata of the context's dataset, a table."""
    assert isinstance(context.meta, TabularMeta)
    return context.meta


def feature_scales(meta: TabularMeta) -> tuple[Array, Array]:
    """Mean and standard deviation of each standardised feature, 0 and 1 of the others; shape (F,) each."""
    columns = [meta.numeric.get(name, NumericColumn()) for name in meta.features]
    return np.array([column.mean for column in columns]), np.array([column.std for column in columns])


def denormalize(inputs: torch.Tensor, meta: TabularMeta) -> Array:
    """Prepared inputs (N, F) -> values in the units of their columns."""
    mean, std = feature_scales(meta)
    values: Array = inputs.double().numpy() * std + mean
    return values


def probabilities(context: EvaluationContext, values: Array) -> Array:
    """Probability of every class, shape (N, K), for values (N, F) in the units of their columns."""
    mean, std = feature_scales(tabular_meta(context))
    inputs = torch.from_numpy(((values - mean) / std).astype(np.float32))
    probs: Array = context.head(predict(context.model, inputs, context.device)).double().numpy()
    return probs


def query_points(values: Array) -> Array:
    """Up to 21 evenly spaced values (N, 1) over the range of a feature, and one beyond: hours 1, 2, 3 -> 1, 2, 3, 4."""
    low, high = values.min(), values.max()
    steps = max(1, min(21, len(np.unique(values))) - 1)
    step = (high - low) / steps or 1.0
    query: Array = low + step * np.arange(steps + 2)[:, None]
    return query


def boundary(context: EvaluationContext) -> Figure:
    """The plane in the colour of the most probable class, paler with less confidence; boundaries; the points on top."""
    meta, splits = tabular_meta(context), visible_points(context)
    values = np.concatenate([points for points, _ in splits.values()])
    low, high = values.min(0), values.max(0)
    margin = 0.06 * np.where(high > low, high - low, 1.0)
    (left, bottom), (right, top) = low - margin, high + margin
    x, y = np.meshgrid(np.linspace(left, right, SIDE), np.linspace(bottom, top, SIDE))
    probs = probabilities(context, np.stack([x, y], 2).reshape(-1, 2)).reshape(SIDE, SIDE, -1)
    confidence = (probs.max(2) * probs.shape[2] - 1) / (probs.shape[2] - 1)  # 0: all equal, 1: certain
    hues = colours(len(meta.classes))
    figure, axes = figures.new_axes(6.4, 5.2)
    shade = 1 - (0.06 + 0.4 * confidence[..., None]) * (1 - hues[probs.argmax(2)])  # white, tinted
    axes.imshow(shade, origin="lower", extent=(left, right, bottom, top), aspect="auto", interpolation="bilinear")
    for number in range(probs.shape[2]):
        lead = probs[..., number] - np.delete(probs, number, 2).max(2)  # over the best other class
        if lead.min() < 0 < lead.max():
            axes.contour(x, y, lead, levels=[0], colors="black", linewidths=1.2)
    handles = []
    for label, (values, targets) in splits.items():
        size, alpha, edge = (12, 0.5, "none") if label == TRAINING else (30, 1.0, "black")
        x, y = values.T
        axes.scatter(x, y, s=size, alpha=alpha, c=hues[targets], edgecolors=edge, linewidths=0.7)
        style = {"marker": "o", "color": "grey", "markersize": size**0.5, "markeredgecolor": edge}
        handles.append(Line2D([], [], linestyle="", label=label, **style))
    for name, hue in zip(figures.drawable(meta.classes), hues, strict=True):
        handles.append(Line2D([], [], linestyle="", marker="s", color=hue, label=name))
    xlabel, ylabel = axis_names(meta)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=context.title)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)))
    return figure


def curve(context: EvaluationContext, query: float) -> Figure:
    """Probability of the second of two classes (with more classes: of each) over the feature, marked at `query`."""
    meta, splits = tabular_meta(context), visible_points(context)
    values = np.concatenate([*(points for points, _ in splits.values()), [[query]]])
    margin = 0.06 * (values.max() - values.min())
    x = np.linspace(values.min() - margin, values.max() + margin, SIDE)[:, None]
    probs, at_query = probabilities(context, x), probabilities(context, np.array([[query]]))[0]
    hues, feature, target = colours(len(meta.classes)), meta.features[0], meta.target
    classes, binary = figures.drawable(meta.classes), len(meta.classes) == 2
    figure, axes = figures.new_axes(6.4, 4.6)
    for number, name in enumerate(classes):
        if binary and number == 0:
            continue
        axes.plot(x, probs[:, number], color=hues[number], linewidth=2, label=f"P({target} = {name})")
        label = f"P({target} = {name}) at {feature} = {query:.4g}: {at_query[number]:.3f}"
        axes.plot(query, at_query[number], marker="*", markersize=15, color=hues[number], linestyle="", label=label)
    for label, (values, targets) in splits.items():
        size, alpha = (60, 1.0) if len(targets) <= 20 else (14, 0.3 if label == TRAINING else 0.6)
        for number, name in enumerate(classes):
            points = values[targets == number, 0]
            height = np.full_like(points, number if binary else 0)
            style = {"s": size, "alpha": alpha, "color": hues[number], "zorder": 2.5}
            axes.scatter(points, height, **style, label=f"{label}: {target} = {name}")
    axes.axhline(0.5, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel=axis_names(meta)[0], ylabel="probability", title=context.title, ylim=(-0.06, 1.06))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def visible_points(context: EvaluationContext) -> dict[str, tuple[Array, npt.NDArray[np.int64]]]:
    """Label of a split -> values (N, F) and targets (N,) of the points to draw; one split if nothing is held out."""
    meta, points = tabular_meta(context), {}
    splits = {TRAINING: context.train, "test split": context.test} if meta.held_out else {"samples": context.test}
    for label, split in splits.items():
        subset = slice(None, None, math.ceil(len(split) / MAX_POINTS))
        points[label] = denormalize(split.inputs[subset], meta), split.targets[subset].numpy()
    return points


def axis_names(meta: TabularMeta) -> list[str]:
    """Names of the features; principal components with their share of the variance."""
    if not meta.explained_variance:
        return list(meta.features)
    ratios = zip(meta.features, meta.explained_variance, strict=True)
    return [f"{name} ({ratio:.0%} of the variance)" for name, ratio in ratios]


def colours(count: int) -> Array:
    """RGB of each class, shape (count, 3)."""
    return np.array([mpl.colormaps["tab10"](number % 10)[:3] for number in range(count)])
