"""Figures of a regression on one feature: the fitted line, and the course of the grid search or gradient descent."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from torchprimer.evaluation import EvaluationContext, figures, predict
from torchprimer.evaluation.decision_boundary import denormalize, feature_scales, tabular_meta
from torchprimer.tasks.metrics import LOSS_NAMES

BLUE, ORANGE, RED = "tab:blue", "tab:orange", "tab:red"


def evaluate_line(context: EvaluationContext, folder: Path) -> None:
    """Writes line.png, and search.png or descent.png where the history holds the weight of each row."""
    figures.save(fitted_line(context), folder / "line.png")
    history = context.history
    if "lr" not in history:  # a grid search has candidates instead of epochs
        draw = search_surface if "bias" in history else search_curve
        figures.save(draw(history, f"{context.name}: {len(history):,} candidates"), folder / "search.png")
    elif "weight" in history:
        course = descent(history, f"{context.name}: each epoch", LOSS_NAMES[context.experiment.loss])
        figures.save(course, folder / "descent.png")


def fitted_line(context: EvaluationContext) -> Figure:
    """Predictions over the range of the feature, with the samples, and the equation if the model is a line."""
    meta, head = tabular_meta(context), context.head
    inputs = torch.cat([context.train.inputs, context.test.inputs])
    low, high = float(inputs.min()), float(inputs.max())
    margin = 0.08 * (high - low or 1.0)
    x = torch.linspace(low - margin, high + margin, 200).unsqueeze(1)
    y = head(predict(context.model, x, context.device))
    figure, axes = figures.new_axes(5.8, 4.6)
    axes.plot(denormalize(x, meta), y, color=ORANGE, linewidth=2, label=equation(context) or "the model")
    points = [("samples", context.test, BLUE)]
    if meta.held_out:
        points = [("training split", context.train, "lightgrey"), ("test split", context.test, BLUE)]
    for label, split, colour in points:
        values, targets = denormalize(split.inputs, meta)[:, 0], head(split.targets)[:, 0]
        axes.scatter(values, targets, s=60 if len(split) <= 20 else 14, color=colour, label=label, zorder=2.5)
    axes.set(xlabel=meta.features[0], ylabel=meta.target, title=context.title)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def equation(context: EvaluationContext) -> str:
    """`y = 2 x + 1`, both in the units of their columns; empty if the model is not a single linear layer."""
    layers = [layer for layer in context.model.modules() if next(layer.parameters(recurse=False), None) is not None]
    if len(layers) > 1 or not isinstance(layer := layers[0], nn.Linear):
        return ""
    meta = tabular_meta(context)
    (x_mean,), (x_std,) = feature_scales(meta)
    slope = layer.weight.item() * meta.target_std / x_std
    bias = 0.0 if layer.bias is None else layer.bias.item()
    start = bias * meta.target_std + meta.target_mean - slope * x_mean
    return f"y = {slope:.4g} x" + (f" {'-' if start < 0 else '+'} {abs(start):.4g}" if start else "")


def search_curve(history: pd.DataFrame, title: str) -> Figure:
    """The loss of each weight that was tried."""
    best = history.iloc[int(history["train_loss"].argmin())]
    figure, axes = figures.new_axes(5.8, 4.4)
    axes.plot(history["weight"], history["train_loss"], marker=".", color=BLUE, label="a weight that was tried")
    label = f"lowest: w = {best['weight']:.4g}, loss {best['train_loss']:.3g}"
    axes.plot(best["weight"], best["train_loss"], marker="*", markersize=16, color=RED, linestyle="", label=label)
    axes.set(xlabel="weight w", ylabel="mean squared error", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center")
    return figure


def search_surface(history: pd.DataFrame, title: str) -> Figure:
    """The loss of each pair of weight and bias that was tried, as a surface."""
    best = history.iloc[int(history["train_loss"].argmin())]
    grid = history.pivot(index="bias", columns="weight", values="train_loss")
    weights, biases = np.meshgrid(grid.columns, grid.index)
    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.add_subplot(projection="3d", computed_zorder=False)
    axes.plot_surface(weights, biases, grid.to_numpy(), cmap="viridis", alpha=0.75, rcount=41, ccount=41)
    label = f"lowest: w = {best['weight']:.4g}, b = {best['bias']:.4g}, loss {best['train_loss']:.3g}"
    point = ([best["weight"]], [best["bias"]], [best["train_loss"]])
    axes.scatter(*point, marker="*", s=220, color=RED, depthshade=False, label=label)
    axes.set(xlabel="weight w", zlabel="mean squared error", title=title)
    axes.set_ylabel("bias b", labelpad=9)
    axes.view_init(elev=32, azim=-60)
    axes.legend(loc="upper left")
    return figure


def descent(history: pd.DataFrame, title: str, loss: str = "mean squared error") -> Figure:
    """Weight (and bias) on the left, loss on the right, over the epochs."""
    figure = Figure(figsize=(8.2, 3.8), layout="constrained")
    figure.suptitle(title, fontsize=12)
    left, right = figure.subplots(1, 2)
    for name, colour in (("weight", BLUE), ("bias", ORANGE)):
        if name in history:
            label = f"{name}, in the end {history[name].iloc[-1]:.4f}"
            left.plot(history["epoch"], history[name], color=colour, label=label)
    left.set(xlabel="epoch", ylabel="weight and bias" if "bias" in history else "weight")
    left.legend()
    positive = history["train_loss"].where(history["train_loss"] > 0)
    right.semilogy(history["epoch"], positive, color=BLUE, label="training")
    right.set(xlabel="epoch", ylabel=loss)
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure
