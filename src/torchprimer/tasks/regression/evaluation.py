"""Evaluation of a regression on the test split: scores in the units of the target, predictions against targets."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from torchprimer.datasets.meta import TabularMeta
from torchprimer.evaluation import EvaluationContext, figures, predict
from torchprimer.tasks.regression.linear_fit import evaluate_line
from torchprimer.tasks.regression.metrics import Doubles, regression_metrics


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes predictions.csv and the figures into `folder`; returns the scores, flat."""
    meta, head = context.meta, context.head
    assert isinstance(meta, TabularMeta)
    outputs = predict(context.model, context.test.inputs, context.device)
    targets = head(context.test.targets).numpy().astype(np.float64)[:, 0]
    predictions = head(outputs).numpy().astype(np.float64)[:, 0]
    scores = {"loss": context.mean_loss(outputs)} | regression_metrics(targets, predictions)

    table = pd.DataFrame({"id": context.ids, "label": targets.round(6), "prediction": predictions.round(6)})
    table.to_csv(folder / "predictions.csv", index=False)
    heading = f"{context.title}: R² {scores['r2']:.3f}"
    figures.save(predicted_against_true(targets, predictions, meta.target, heading), folder / "predicted.png")
    if meta.time:
        names = meta.time_column or "time", meta.target
        figures.save(timeline(pd.Series(meta.time), targets, predictions, names, heading), folder / "timeline.png")
    if meta.shape == [1]:
        evaluate_line(context, folder)
    return scores


def predicted_against_true(targets: Doubles, predictions: Doubles, name: str, title: str) -> Figure:
    """A point for each sample; on the diagonal the two are the same."""
    figure, axes = figures.new_axes(5.8, 5.4)
    ends = [min(targets.min(), predictions.min()), max(targets.max(), predictions.max())]
    axes.plot(ends, ends, color="grey", linestyle=":", linewidth=1.2, label="predicted = true")
    few = len(targets) <= 100
    axes.scatter(targets, predictions, s=36 if few else 14, alpha=0.9 if few else 0.45, linewidths=0, label="samples")
    axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def timeline(
    time: "pd.Series[Any]", targets: Doubles, predictions: Doubles, names: tuple[str, str], title: str
) -> Figure:
    """Predicted and true values over the test period; `names`: of the columns of time and target.

    Time is numbers, counted from the first, or ISO dates, counted in days; samples of the same time (the hours of a
    day) follow each other at equal distances.
    """
    label = f"{names[0]}, counted from the first of the test split"
    if not pd.api.types.is_numeric_dtype(time):
        dates = pd.to_datetime(time, format="ISO8601", utc=True)
        label = f"days since {dates.min():%Y-%m-%d %H:%M}"
        time = (dates - dates.min()) / pd.Timedelta(days=1)
    order = np.argsort(time.to_numpy(), kind="stable")
    times, first, counts = np.unique(time.to_numpy(np.float64)[order], return_index=True, return_counts=True)
    width = float(np.diff(times).min()) if len(times) > 1 else 1.0
    within = (np.arange(len(order)) - np.repeat(first, counts)) / np.repeat(counts, counts)
    x = np.repeat(times - times[0], counts) + width * within
    figure, axes = figures.new_axes(8.5, 3.8)
    axes.plot(x, targets[order], color="black", linewidth=1.3, label="true")
    axes.plot(x, predictions[order], color="tab:orange", linewidth=1.3, label="predicted")
    axes.set(xlabel=label, ylabel=names[1], title=title, xlim=(0, float(x[-1]) or 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.15 * (top - bottom))  # room for the legend
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", ncols=2)
    return figure
