"""What a regression makes of the test split: scores in the target's own units, predictions against what was true."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from torchprimer.datasets.meta import TabularMeta

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from torchprimer.tasks.base import EvaluationContext

Array = npt.NDArray[np.float64]


def evaluate(context: "EvaluationContext", folder: Path) -> dict[str, float]:
    """Writes predictions.csv and the figures into `folder`; returns the scores, flat.

    Data of one feature is drawn with its line as well, data split by time as a course over the test period.
    """
    from torchprimer.tasks import figures
    from torchprimer.tasks.inference import predict

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
        course = timeline(pd.Series(meta.time), targets, predictions, names, heading)
        figures.save(course, folder / "timeline.png")
    if meta.shape == [1]:
        from torchprimer.tasks.regression.linear_fit import evaluate_line

        evaluate_line(context, folder)
    return scores


def regression_metrics(targets: Array, predictions: Array) -> dict[str, float]:
    """Mean squared error, its root, mean absolute error, and coefficient of determination.

    Args:
        targets, predictions: shape (N,), in original units.

    Returns:
        mse, rmse, mae, r2 (1 - squared errors / squared deviations from the mean; 0 where nothing deviates).
    """
    errors = predictions - targets
    squares, spread = float((errors**2).sum()), float(((targets - targets.mean()) ** 2).sum())
    mse = squares / len(targets)
    r2 = 1 - squares / spread if spread else 0.0
    return {"mse": mse, "rmse": mse**0.5, "mae": float(np.abs(errors).mean()), "r2": r2}


def predicted_against_true(targets: Array, predictions: Array, name: str, title: str) -> "Figure":
    """A point for each sample; on the diagonal the two are the same."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.8, 5.4), layout="constrained")
    axes = figure.add_subplot()
    ends = [min(targets.min(), predictions.min()), max(targets.max(), predictions.max())]
    axes.plot(ends, ends, color="grey", linestyle=":", linewidth=1.2, label="predicted = true")
    few = len(targets) <= 100
    axes.scatter(targets, predictions, s=36 if few else 14, alpha=0.9 if few else 0.45, linewidths=0, label="samples")
    axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def timeline(
    time: "pd.Series[Any]", targets: Array, predictions: Array, names: tuple[str, str], title: str
) -> "Figure":
    """Predicted and true values over the test period.

    Args:
        time: numbers, counted from the first here, or ISO dates, counted in days; samples of the same time (the hours
            of a day) follow each other at equal distances.
        names: of the time's column and of the target.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

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
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x, targets[order], color="black", linewidth=1.3, label="true")
    axes.plot(x, predictions[order], color="tab:orange", linewidth=1.3, label="predicted")
    axes.set(xlabel=label, ylabel=names[1], title=title, xlim=(0, float(x[-1]) or 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.15 * (top - bottom))  # room for the legend
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", ncols=2)
    return figure
