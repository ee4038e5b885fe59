"""reports/index.html: one self-contained page (figures, charts, scripts) that opens from a file, offline."""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from rich.filesize import decimal

from torchprimer import paths
from torchprimer.atomic import Json
from torchprimer.params import Params
from torchprimer.report import charts, vega
from torchprimer.report.findings import all_findings, generator_scores
from torchprimer.report.images import Embedded, embed, figures_of
from torchprimer.report.summaries import Summary, by_dataset, dataset_descriptions, summarize


def render(params: Params) -> str:
    """The page as HTML, from params.yaml, metrics/ and the sizes of models/*.export.

    It names no commit, date, host or duration, so it stays the same to the byte while its inputs do.
    """
    summaries, descriptions = summarize(params, seconds={}), dataset_descriptions(params)
    with ThreadPoolExecutor() as pool:  # Pillow releases the GIL while it encodes
        embedded = pool.map(lambda summary: list(map(embed, figures_of(summary.name))), summaries)
        figures = dict(zip((summary.name for summary in summaries), embedded, strict=True))
    return render_template(
        "page.html", (markdown, decimal), autoescape=True,
        summaries=summaries,
        sections=[section(name, descriptions[name], group, figures) for name, group in by_dataset(summaries).items()],
        below=[summary for summary in summaries if summary.below_baseline],
        compared=sum(summary.difference is not None for summary in summaries),
        settings=lambda summary: "; ".join(f"{key} {value}" for key, value in summary.settings.items()),
        css=Markup(read_source("page.css")),
        javascript=Markup(read_source("page.js")),
        vega=Markup(vega.script()),
    )  # fmt: skip


def render_template(
    name: str, filters: Sequence[Callable[..., Any]], *, autoescape: bool = False, **variables: Any
) -> str:
    """A template of this folder with its variables."""
    environment = Environment(autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {function.__name__: function for function in filters}
    return environment.from_string(read_source(name)).render(variables)


def section(
    dataset: str, description: str, summaries: Sequence[Summary], figures: Mapping[str, list[Embedded]]
) -> Json:
    """The variables of the template for one dataset."""
    curves = charts.curves(summaries)
    colours = charts.colours(curves)
    entries = [
        {"summary": summary, "figures": figures[summary.name], "words": top_words(words_file(summary.name), 15)}
        for summary in summaries
    ]
    return {
        "name": dataset, "description": description, "summaries": summaries, "experiments": entries,
        "findings": all_findings(summaries), "generators": generator_scores(summaries), "colours": colours,
        "charts": [
            *(curve_chart(chart, colours) for chart in curves),
            *(fold_chart(summary, colours[summary.name]) for summary in summaries if summary.folds),
        ],
    }  # fmt: skip


def curve_chart(curves: charts.Curves, colours: Mapping[str, str]) -> Json:
    solid, dashed = curves.columns.values() if len(curves.columns) > 1 else ("", "")
    names = ", ".join(summary.name for summary in curves.summaries)
    legend = f"{solid} solid, {dashed} dashed" if solid else ""
    return {"title": curves.title, "legend": legend, "names": names, "spec": charts.chart(curves, colours, page=True)}


def fold_chart(summary: Summary, colour: str) -> Json:
    legend = f"{summary.cross_validation()}{'; hollow: baseline' if 'baseline_accuracy_mean' in summary.folds else ''}"
    title, spec = f"Cross-validation of {summary.name}", charts.folds(summary, colour)
    return {"title": title, "legend": legend, "names": summary.name, "spec": spec}


def words_file(experiment: str) -> Path:
    return paths.metrics(experiment) / "test" / "words.csv"


def top_words(file: Path, count: int) -> dict[str, list[Json]]:
    """Class -> the first `count` rows of words.csv: word, logit_margin, documents; empty if the file is missing."""
    if not file.is_file():
        return {}
    table = pd.read_csv(file, keep_default_na=False)  # "null" is a word
    groups = table.groupby("class", sort=False)
    return {str(label): rows.head(count).to_dict("records") for label, rows in groups}  # type: ignore[misc]


def markdown(text: str) -> Markup:
    """HTML of a sentence with `names` in backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def read_source(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
