"""Errors that the command line prints as one line: what is wrong, where, what is allowed, what to do."""

import datetime
import json
import re
from typing import TYPE_CHECKING, Any

from torchprimer.predictor.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["UserError", "describe", "did_you_mean"]

TAGS = ("kind", "model", "loop", "name")  # keys whose value decides which other keys a section takes


def describe(error: "ValidationError", given: Any, patterns: dict[str, str], name: str) -> str:
    """One line for the first mistake that pydantic found in `given`, and how many more there are.

    Args:
        patterns: what to say of a text that does not match, by regular expression.
        name: the one that keys have to match.
    """
    details = error.errors(include_url=False)
    first = details[0]
    context: dict[str, Any] = first.get("ctx", {})
    kind = first["type"]
    path, value = _locate(first["loc"], given, missing=kind == "missing")
    if kind in ("unknown_key", "key_error"):
        path, text = f"{path}.{context['key']}".lstrip("."), first["msg"]
        if kind == "unknown_key" and (tags := _tags(first["loc"], value)):
            text = text.replace("unknown key", f"{' with '.join(tags)} takes no such key")
        if "given" in context:
            text = f"{_shown(context['given'])}: {text}"
    elif kind == "value_error":
        path, text = context["path"], f"{_shown(context['given'])}: {first['msg']}"
    elif kind == "missing":
        text = "is missing"
    elif kind == "union_tag_not_found":
        path, text = f"{path}.{context['discriminator']}".replace("'", ""), "is missing"
    elif kind in ("literal_error", "union_tag_invalid"):
        allowed = str(context.get("expected") or context["expected_tags"]).replace(" or ", ", ").replace("'", "")
        if kind == "union_tag_invalid":
            key, section = context["discriminator"].strip("'"), value
            path, value = f"{path}.{key}", section[key]
        else:
            key, section = str(first["loc"][-1]), _locate(first["loc"][:-1], given, missing=False)[1]
        by = f" with model '{section['model']}'" if key == "loop" else ""
        text = f"{_shown(value)} is not allowed{by}; one of: {allowed}.{did_you_mean(value, allowed.split(', '))}"
    elif first["loc"][-1:] == ("[key]",):
        text = f"as a name, it {patterns[name]}"
    elif kind in ("dict_type", "model_type", "model_attributes_type"):
        text = f"{_shown(value)}: should be a mapping, `key: value` on each line"
    elif kind == "string_pattern_mismatch":
        text = f"{_shown(value)}: {patterns[context['pattern']]}"
    else:
        says = re.sub(r"^(Input|String|List) | after validation, not \d+$", "", first["msg"])
        text = f"{_shown(value)}: {says}"
        if kind == "string_type" and isinstance(value, bool | int | float):
            text += f", in quotes: '{json.dumps(value)}'"
    more = len(details) - 1
    return (
        (f"{path}: " if path else "") + text + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")
    )


def _shown(value: object) -> str:
    """A value as one writes it in YAML, and not more of it than fits into a message."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    if isinstance(value, datetime.date):
        text = str(value)  # as YAML has it
    return text if len(text) <= 80 else f"{text[:77]}..."


def _tags(location: tuple[int | str, ...], section: Any) -> list[str]:
    """What decided which keys a section takes, as far as pydantic got: `model 'linear'`, `loop 'grid_search'`."""
    if not isinstance(section, dict):
        return []
    return [f"{tag} '{section[tag]}'" for tag in TAGS if tag in section and section[tag] in location]


def _locate(location: tuple[int | str, ...], given: Any, *, missing: bool) -> tuple[str, Any]:
    """The path as it stands in the file (pydantic adds the names of union members) and the value found there."""
    path: list[str] = []
    tags = list(TAGS)
    for position, part in enumerate(location):
        if isinstance(given, dict) and (tag := next((tag for tag in tags if given.get(tag) == part), None)):
            tags.remove(tag)  # the name of a union member; a key may have the same: `text` in a dataset of kind text
            continue
        inside = (isinstance(given, dict) and part in given) or (
            isinstance(given, list) and isinstance(part, int) and part < len(given)
        )
        if inside:
            given, tags = given[part], list(TAGS)
            path.append(str(part))
        elif missing and position == len(location) - 1:
            path.append(str(part))
    return ".".join(path), given
