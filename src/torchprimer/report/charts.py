"""Learning curves of several experiments in one Altair chart: interactive in the report, PNG in the docs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from torchprimer import paths
from torchprimer.atomic import Json
from torchprimer.experiment_results import read_table
from torchprimer.report.summaries import Summary
from torchprimer.tasks.metrics import HEADLINE_METRICS, LOSS_NAMES

MAX_POINTS = 250  # per curve
LOG_SCALE_RATIO = 200  # the axis is logarithmic if largest / smallest value exceeds this
PALETTE = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b79a20", "#b279a2", "#ff9da6", "#9d755d", "#8c8c8c",
    "#17becf", "#d62790",
)  # fmt: skip


@dataclass(frozen=True)
class Curves:
    """The data of one chart; `columns` of the histories -> label in the legend, empty for a single column.

    The first column is drawn solid, the second dashed.
    """

    title: str
    axis: str
    summaries: tuple[Summary, ...]
    columns: dict[str, str]

    def table(self) -> pd.DataFrame:
        """Columns experiment, epoch, split (training, validation, generator, ...), value (5 significant digits)."""
        tables = []
        for summary in self.summaries:
            epochs = summary.history.iloc[:: -(-len(summary.history) // MAX_POINTS)]
            for column, label in self.columns.items():
                values = epochs[column].map(lambda value: float(f"{value:.5g}"))
                rows = {"experiment": summary.name, "epoch": epochs["epoch"], "split": label, "value": values}
                tables.append(pd.DataFrame(rows).dropna())
        return pd.concat(tables, ignore_index=True)


def curves(summaries: Iterable[Summary]) -> list[Curves]:
    """The charts of one dataset: scores, one chart of losses for each loss function, losses and scores of GANs."""
    columns = {summary.name: set(summary.history) for summary in summaries}
    trained = [summary for summary in summaries if "lr" in columns[summary.name]]  # a grid search has no epochs

    def with_column(column: str, candidates: Iterable[Summary] = trained) -> tuple[Summary, ...]:
        return tuple(summary for summary in candidates if column in columns[summary.name])

    split = "the validation split" if all(summary.held_out for summary in trained) else "training rows"
    charts = []
    for metric in HEADLINE_METRICS:
        column = f"validation_{metric.validation_name}"
        if column != "validation_loss":
            title = f"{metric.label[:1].upper()}{metric.label[1:]}"
            charts.append(Curves(f"{title} on {split}", title, with_column(column), {column: ""}))
    labels_of = {
        "Loss": {"validation_loss": "validation", "train_loss": "training"},
        "Adversarial loss": {"generator_loss": "generator", "discriminator_loss": "discriminator"},
    }
    for title, labels in labels_of.items():
        for loss in dict.fromkeys(map(loss_name, trained)):
            group = with_column(next(iter(labels)), [summary for summary in trained if loss_name(summary) == loss])
            charts.append(Curves(f"{title}: {loss}", loss, group, labels))
    scores = {"fake_score": "generated images", "real_score": "real images"}
    axis = "score (1/2: cannot tell them apart)"
    charts.append(Curves("Score of the discriminator", axis, with_column("fake_score"), scores))
    return [chart for chart in charts if chart.summaries]


def loss_name(summary: Summary) -> str:
    return LOSS_NAMES[getattr(summary.params.experiments[summary.name], "loss", "mse_loss")]


def chart(curves: Curves, colours: Mapping[str, str], *, page: bool) -> Json:
    """A Vega-Lite specification; `colours` of the experiments.

    `page`: as wide as its container, without title and legend (the page has one legend for all charts of a dataset),
    with a parameter `picked`, the experiment to highlight. Otherwise 560 points wide.
    """
    table = curves.table()
    names = [summary.name for summary in curves.summaries]
    labels = [label for label in curves.columns.values() if label]
    positive = table["value"][table["value"] > 0]
    logarithmic = len(positive) > 1 and positive.max() / positive.min() > LOG_SCALE_RATIO
    if logarithmic:
        table = table[table["value"] > 0]  # a logarithmic axis cannot show 0
    legend = None if page else alt.Legend(title=None, orient="right", labelLimit=260)
    first, last = int(table["epoch"].min()), int(table["epoch"].max())
    ticks = list(range(first, last + 1)) if last - first < 12 else alt.Undefined
    epochs = alt.Axis(values=ticks, format="d", grid=False, tickCount=8)
    scale = alt.Scale(type="log", nice=False) if logarithmic else alt.Scale(zero=False)
    colour_scale = alt.Scale(domain=names, range=[colours[name] for name in names])
    encoding: Json = {
        "x": alt.X("epoch:Q", title="epoch", axis=epochs, scale=alt.Scale(zero=False, nice=False)),
        "y": alt.Y("value:Q", title=curves.axis, scale=scale),
        "color": alt.Color("experiment:N", scale=colour_scale, legend=legend),
        "tooltip": [
            alt.Tooltip("experiment:N"),
            *([alt.Tooltip("split:N", title="curve")] if labels else []),
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("value:Q", title=curves.axis, format=".5~g"),
        ],
    }
    if labels:
        dash_scale = alt.Scale(domain=labels, range=[[1, 0], [4, 3]][: len(labels)])
        dash_legend = alt.Legend(title=None, orient="right", symbolType="stroke", symbolStrokeColor="#666")
        encoding["strokeDash"] = alt.StrokeDash("split:N", scale=dash_scale, legend=None if page else dash_legend)
    base = alt.Chart(table)
    lines = base.mark_line(strokeWidth=1.8, clip=True)
    if not page:
        spec: Json = lines.encode(**encoding).properties(width=560, height=330, title=curves.title).to_dict()
        return spec
    opacity = alt.when("picked == '' || datum.experiment == picked").then(alt.value(1)).otherwise(alt.value(0.08))
    hover = base.mark_circle(size=90, opacity=0).encode(**{key: encoding[key] for key in ("x", "y", "tooltip")})
    return for_page(alt.layer(lines.encode(**encoding, opacity=opacity), hover))


def folds(summary: Summary, colour: str) -> Json:
    """The accuracy on each fold of a cross-validation, and their mean; hollow points: the baseline on the same fold."""
    file = paths.metrics(summary.name) / "folds.csv"
    table = read_table(file, f"crossvalidate@{summary.name}", "fold").round(5)
    x, scale = alt.X("fold:O", axis=alt.Axis(labelAngle=0)), alt.Scale(zero=False)
    base = alt.Chart(table)
    layers: list[Any] = [base.mark_rule(strokeDash=[4, 3], color=colour).encode(y="mean(accuracy):Q")]
    for column, filled in (("accuracy", True), ("baseline_accuracy", False)):
        if column in table:
            points = base.mark_point(size=90, opacity=1, color=colour, filled=filled)
            y = alt.Y(f"{column}:Q", title="Accuracy", scale=scale)
            layers.append(points.encode(x=x, y=y, tooltip=["fold:O", f"{column}:Q"]))
    return for_page(alt.layer(*layers))


def for_page(chart: alt.LayerChart | alt.FacetChart) -> Json:
    """The specification of a chart as wide as its container, with the parameter that the report's legend sets."""
    picked = alt.param(name="picked", value="")
    return chart.add_params(picked).properties(width="container", height=260).to_dict()


def colours(charts: Sequence[Curves]) -> dict[str, str]:
    """Experiment -> colour, the same in all of these charts."""
    names = dict.fromkeys(summary.name for chart in charts for summary in chart.summaries)
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
