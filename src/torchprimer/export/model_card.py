"""Renders MODEL.md from model.json and an example, by the Jinja templates here and in the folders of the tasks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from torchprimer.predictor.tabular import MISSING

MAX_NAMES = 30  # classes or categories that are listed


def render_model_card(model: Mapping[str, Any], example: Mapping[str, Any]) -> str:
    """Markdown of model.json and of a row of example.json."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1]), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "count": count,
        "names": list_names,
        "missing_category": missing_category,
        "number": "{:.4g}".format,
        "round2": "{:.2f}".format,
        "python": to_python,
        "yaml": lambda value: json.dumps(value, ensure_ascii=False).replace('"', ""),
        "pixels": lambda shape: f"{shape[2]} x {shape[1]} pixels{', gray' if shape[0] == 1 else ''}",
        "shape": lambda sizes: " x ".join("N" if i == 0 else "any" if n < 0 else str(n) for i, n in enumerate(sizes)),
    }
    splits = {split: scores for split, scores in model["scores"].items() if scores}
    names = dict.fromkeys(name for scores in splits.values() for name in scores)
    variables = {"model": model, "example": example}
    kinds = [f"export/inputs/{kind}.md.j2" for kind in (model["input"]["kind"], "default")]
    tasks = [f"tasks/{model['params']['task']}/model_card.md.j2", "export/model_card.md.j2"]
    return environment.select_template(tasks).render(
        **variables,
        input=environment.select_template(kinds).make_module(variables),
        splits=list(splits),
        scores=[(name, [format_score(scores.get(name)) for scores in splits.values()]) for name in names],
    )


def format_score(value: float | None) -> str:
    """Four significant digits; integers in full; empty for None."""
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def count(number: int, noun: str) -> str:
    """`1 number`, `1,000 numbers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_names(names: Sequence[str]) -> str:
    """The first `MAX_NAMES` names as code on one line; decimal numbers in numeric order."""
    if all(name.isdecimal() for name in names):
        names = sorted(names, key=int)
    listed = ", ".join(f"`{name}`" for name in names[:MAX_NAMES])
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return " ".join(f"{listed}{more}".split())


def missing_category(categories: Sequence[str]) -> str:
    """How a missing value of a categorical column is encoded."""
    name = next((category for category in categories if category.lower() in MISSING), None)
    return "encoded as none of these" if name is None else f"the category {name!r}"


def to_python(value: object) -> str:
    """A raw input as Python source."""
    return json.dumps(value, ensure_ascii=False, indent=4 if isinstance(value, Mapping) else None)
