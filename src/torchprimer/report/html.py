"""reports/index.html: one page that carries all it needs (figures, charts, script) and opens from a file, offline."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from torchprimer import paths
from torchprimer.params import Params
from torchprimer.report import charts, vega
from torchprimer.report.findings import generators, notes
from torchprimer.report.images import Embedded, Picture, embed, pictures
from torchprimer.report.summaries import Entry, about, entries

if TYPE_CHECKING:
    from markupsafe import Markup

COLUMNS = {  # of the table: heading -> its class
    "experiment": "", "test score": "", "baselines": "", "dataset": "", "model": "", "seconds": "number",
    "parameters": "number", "model size": "number", "params": "",
}  # fmt: skip
WORDS = 15  # of each class

Found = list[tuple[Picture, Embedded]]


def page(params: Params) -> str:
    """The whole page as HTML: made of params.yaml, metrics/, the sizes of models/*.export, and their commit."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"markdown": markdown, "breakable": breakable}
    every, said = entries(params), about(params)
    with ThreadPoolExecutor() as pool:  # Pillow lets other threads work while it encodes
        figures = list(pool.map(lambda entry: [(each, embed(each)) for each in pictures(entry.name)], every))
    found = dict(zip((entry.name for entry in every), figures, strict=True))
    origins = dict.fromkeys(entry.raw_dataset for entry in every)
    among = {origin: [entry for entry in every if entry.raw_dataset == origin] for origin in origins}
    return environment.from_string(source("page.html")).render(
        entries=every,
        columns=COLUMNS.items(),
        sections=[section(name, said[name], shown, found) for name, shown in among.items()],
        losers=[entry for entry in every if entry.loses],
        compared=sum(bool(entry.score and entry.baselines) for entry in every),
        made=provenance(),
        settings=lambda entry: breakable("; ".join(f"{key} {value}" for key, value in entry.settings.items())),
        css=Markup(source("page.css")),
        javascript=Markup(source("page.js")),
        vega=Markup(vega.script()),
    )


def section(name: str, said: str, among: Sequence[Entry], found: dict[str, Found]) -> dict[str, Any]:
    """What the template shows of one dataset."""
    drawn = charts.curves(among)
    return {
        "name": name,
        "about": said,
        "entries": among,
        "notes": notes(among),
        "charts": [*specs(drawn), *fold_specs(among, charts.colours(drawn))],
        "colours": charts.colours(drawn),
        "generators": generators(among),
        "experiments": [
            {"entry": entry, "pictures": found[entry.name], "words": strongest_words(entry.name)} for entry in among
        ],
    }


def specs(drawn: Sequence[charts.Curves]) -> Iterator[dict[str, Any]]:
    for curves in drawn:
        kinds = [of for of in curves.columns.values() if of]
        yield {
            "title": curves.title,
            "kinds": f"{kinds[0]} solid, {kinds[1]} dashed" if kinds else "",
            "names": ", ".join(entry.name for entry in curves.entries),
            "spec": charts.chart(curves, charts.colours(drawn), page=True),
        }


def fold_specs(among: Sequence[Entry], colours: dict[str, str]) -> Iterator[dict[str, Any]]:
    for entry in among:
        if entry.folds:
            title = f"Cross-validation of {entry.name}"
            spec = charts.folds(entry, colours[entry.name])
            yield {"title": title, "kinds": entry.cross_validated, "names": entry.name, "spec": spec}


def strongest_words(experiment: str) -> dict[str, list[dict[str, Any]]]:
    """Class -> its first rows of words.csv: word, pull, documents; empty if there is no such file."""
    file = paths.metrics(experiment) / "test" / "words.csv"
    if not file.is_file():
        return {}
    table = pd.read_csv(file, keep_default_na=False)  # "null" is a word too
    return {str(label): rows.head(WORDS).to_dict("records") for label, rows in table.groupby("class", sort=False)}  # type: ignore[misc]


def markdown(text: str) -> "Markup":
    """A sentence with `names` in backticks, as HTML."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def breakable(text: str) -> "Markup":
    """Names that may go on in the next line after each underscore."""
    from markupsafe import Markup

    return Markup("_<wbr>").join(text.split("_"))


def provenance() -> str:
    """The DVC experiment, if there is one, and the commit that last touched what the page is made of.

    Not the commit that is checked out, and no time of day: the page stays the same to the byte as long as params.yaml
    and metrics/ and their history do.
    """
    made = ["params.yaml", "metrics"]
    last = git("log", "-1", "--format=%h of %cs", "--", *made)
    changed = git("status", "--porcelain", "--", *made)
    said = f"Made from commit {last}" if last else "Made from files that are in no commit"
    if last and changed:
        said += ", with changes that are not committed yet"
    name = os.environ.get("DVC_EXP_NAME")
    return f"{said}; DVC experiment {name}." if name else f"{said}."


def git(*arguments: str) -> str:
    """What git says; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=paths.project(), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def source(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
