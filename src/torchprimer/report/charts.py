"""Learning curves on top of each other, by Altair: the same charts on the page, where one can point at them, and as PNG
in the docs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from torchprimer import paths
from torchprimer.report.summaries import Entry

POINTS = 250  # of a curve: more would not be seen
LOGARITHMIC = 200  # from this quotient of largest and smallest value on, the axis is
PALETTE = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b79a20", "#b279a2", "#ff9da6", "#9d755d", "#8c8c8c",
    "#17becf", "#d62790",
)  # fmt: skip
NAMES = {  # what losses measure
    "binary_cross_entropy_with_logits": "cross-entropy",
    "cross_entropy": "cross-entropy",
    "nll_loss": "cross-entropy",
    "multi_margin_loss": "margin",
    "mse_loss": "mean squared error",
    "l1_loss": "mean absolute error",
}


@dataclass(frozen=True)
class Curves:
    """What is drawn in one chart.

    Attributes:
        columns: of the histories -> what they are called in the legend; empty if there is but one. The first is drawn
            solid, the second dashed.
    """

    title: str
    axis: str
    entries: tuple[Entry, ...]
    columns: dict[str, str]

    def table(self) -> pd.DataFrame:
        """Columns experiment, epoch, of (what it is of: training, validation ...), value; five digits of it."""
        tables = []
        for entry in self.entries:
            found = history(entry)
            found = found.iloc[:: -(-len(found) // POINTS)]
            for column, of in self.columns.items():
                values = found[column].map(lambda value: float(f"{value:.5g}"))
                rows = {"experiment": entry.name, "epoch": found["epoch"], "of": of, "value": values}
                tables.append(pd.DataFrame(rows).dropna())
        return pd.concat(tables, ignore_index=True)


def history(entry: Entry) -> pd.DataFrame:
    """metrics/E/history.csv: a row for each epoch; without rows if it is missing."""
    file = paths.metrics(entry.name) / "history.csv"
    return pd.read_csv(file) if file.is_file() else pd.DataFrame()


def curves(entries: Iterable[Entry]) -> list[Curves]:
    """The charts of one dataset: its scores, its losses by what they measure, its games of generators."""
    descents = [entry for entry in entries if entry.params.experiments[entry.name].loop != "grid_search"]
    columns = {entry.name: set(history(entry)) for entry in descents}

    def having(column: str, among: Iterable[Entry] = descents) -> tuple[Entry, ...]:
        return tuple(entry for entry in among if column in columns[entry.name])

    split = "the validation split" if held_out(descents) else "all samples"
    charts = [
        Curves(f"{title} on {split}", title, having(f"validation_{measure}"), {f"validation_{measure}": ""})
        for measure, title in (("accuracy", "Accuracy"), ("r2", "R²"))
    ]
    for title, columns_of in (
        ("Loss", {"validation_loss": "validation", "train_loss": "training"}),
        ("Losses of the game", {"generator_loss": "generator", "discriminator_loss": "discriminator"}),
    ):
        for measured in dict.fromkeys(map(loss, descents)):
            among = having(next(iter(columns_of)), [entry for entry in descents if loss(entry) == measured])
            charts.append(Curves(f"{title}: {measured}", measured, among, columns_of))
    of = {"fake_score": "generated images", "real_score": "real images"}
    charts.append(Curves("What the discriminator takes for real", "score, 1/2: undecided", having("fake_score"), of))
    return [drawn for drawn in charts if drawn.entries]


def held_out(entries: Sequence[Entry]) -> bool:
    """Whether there is a validation split, or too few samples for one."""
    datasets = entries[0].params.datasets if entries else {}
    return not any(
        datasets[entry.raw_dataset].kind == "sequences" or getattr(datasets[entry.raw_dataset], "split", "") == "none"
        for entry in entries
    )


def loss(entry: Entry) -> str:
    return NAMES[getattr(entry.params.experiments[entry.name], "loss", "mse_loss")]


def chart(drawn: Curves, colours: dict[str, str], *, page: bool) -> dict[str, Any]:
    """A chart of Altair, as the JSON object that Vega-Lite draws.

    Args:
        colours: of each experiment.
        page: as wide as its place, without title and legend (the page has its own, for all charts of a dataset), with
            a parameter `picked`: the experiment that is not to be dimmed. Else 640 points wide, for a picture.
    """
    import altair as alt

    table = drawn.table()
    names, kinds = [entry.name for entry in drawn.entries], [of for of in drawn.columns.values() if of]
    positive = table["value"][table["value"] > 0]
    logarithmic = len(positive) > 1 and positive.max() / positive.min() > LOGARITHMIC
    if logarithmic:
        table = table[table["value"] > 0]  # an exact 0 has no place on such an axis
    legend = None if page else alt.Legend(title=None, orient="right", labelLimit=260)
    first, last = int(table["epoch"].min()), int(table["epoch"].max())
    every = list(range(first, last + 1)) if last - first < 12 else alt.Undefined
    epochs = alt.Axis(values=every, format="d", grid=False, tickCount=8)
    scale = alt.Scale(type="log", nice=False) if logarithmic else alt.Scale(zero=False)
    hues = alt.Scale(domain=names, range=[colours[name] for name in names])
    encoding: dict[str, Any] = {
        "x": alt.X("epoch:Q", title="epoch", axis=epochs, scale=alt.Scale(zero=False, nice=False)),
        "y": alt.Y("value:Q", title=drawn.axis, scale=scale),
        "color": alt.Color("experiment:N", scale=hues, legend=legend),
        "tooltip": [
            alt.Tooltip("experiment:N"),
            *([alt.Tooltip("of:N", title="of")] if kinds else []),
            alt.Tooltip("epoch:Q"),
            alt.Tooltip("value:Q", title=drawn.axis, format=".5~g"),
        ],
    }
    if kinds:
        dashes = alt.Scale(domain=kinds, range=[[1, 0], [4, 3]][: len(kinds)])
        shown = None if page else alt.Legend(title=None, orient="right", symbolType="stroke", symbolStrokeColor="#666")
        encoding["strokeDash"] = alt.StrokeDash("of:N", scale=dashes, legend=shown)
    base = alt.Chart(table)
    lines = base.mark_line(strokeWidth=1.8, clip=True)
    if not page:
        return as_json(lines.encode(**encoding).properties(width=560, height=330, title=drawn.title))
    bright = alt.when("picked == '' || datum.experiment == picked").then(alt.value(1)).otherwise(alt.value(0.08))
    near = base.mark_circle(size=90, opacity=0).encode(**{key: encoding[key] for key in ("x", "y", "tooltip")})
    return for_page(alt.layer(lines.encode(**encoding, opacity=bright), near))


def folds(entry: Entry, colour: str) -> dict[str, Any]:
    """The score of each fold of a cross-validation, and their mean."""
    import altair as alt

    table = pd.read_csv(paths.metrics(entry.name) / "folds.csv").round(5)
    y = alt.Y("accuracy:Q", title="Accuracy", scale=alt.Scale(zero=False))
    points = alt.Chart(table).mark_circle(size=90, opacity=1, color=colour)
    mean = alt.Chart(table).mark_rule(strokeDash=[4, 3], color=colour).encode(y="mean(accuracy):Q")
    return for_page(
        alt.layer(
            mean, points.encode(x=alt.X("fold:O", axis=alt.Axis(labelAngle=0)), y=y, tooltip=["fold:O", "accuracy:Q"])
        )
    )


def for_page(drawn: Any) -> dict[str, Any]:
    """As wide as its place, with the parameter that the page's legend sets."""
    import altair as alt

    return as_json(drawn.add_params(alt.param(name="picked", value="")).properties(width="container", height=260))


def as_json(drawn: Any) -> dict[str, Any]:
    spec: dict[str, Any] = drawn.to_dict()
    return spec


def colours(drawn: Iterable[Curves]) -> dict[str, str]:
    """Name of each experiment in these charts -> its colour, the same in all of them."""
    names = dict.fromkeys(entry.name for curves in drawn for entry in curves.entries)
    return {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(names)}
