"""Mistakes in params.yaml in words: path, value, what is allowed, a guess at the typo; the new names of old keys."""

import datetime
import json
import re
from typing import Any

from pydantic import ValidationError

from torchprimer.errors import UserError, did_you_mean
from torchprimer.params.base import NAME, PATTERNS

TAGS = ("kind", "model", "loop", "name")  # keys whose value decides which other keys a section takes
RENAMED_KEYS = {  # path of the section (* is any key) -> old key -> new key
    "experiments.*": {
        "training": "loop", "start": "init_from", "judge": "scorer", "noise": "latent_dim", "readout": "output_layer",
        "pad": "input_padding", "enlarge": "upscale", "resize": "min_input_size",
    },
    "experiments.*.augment": {"flip": "horizontal_flip", "shift": "max_translate"},
    "experiments.*.weight": {"first": "start", "last": "stop"},
    "experiments.*.bias": {"first": "start", "last": "stop"},
    "datasets.*": {
        "max_share": "max_holdout_fraction", "max_bad_share": "max_corrupt_fraction",
        "zero_is_missing": "zero_as_missing", "min_documents": "min_df", "max_words": "max_vocab",
    },
}  # fmt: skip
RENAMED_VALUES = {  # path of the section -> key -> old value -> new value
    "experiments.*": {
        "model": {"text": "bag_of_words", "vision": "torchvision"},
        "loop": {"search": "grid_search", "descent": "gradient_descent"},
    },
    "downloads.*.sources.*": {"kind": {"clouds": "blobs"}},
}
REMOVED = {"": {"tensorboard": "set the environment variable TORCHPRIMER_TENSORBOARD=1 instead"}}


def check_renamed(content: Any, file: str, path: tuple[str, ...] = ()) -> None:
    """Raises UserError for the first old key or value in the file: its path, and what it is called now."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    pattern = ".".join("*" if position % 2 else part for position, part in enumerate(path))
    keys, values, removed = RENAMED_KEYS.get(pattern, {}), RENAMED_VALUES.get(pattern, {}), REMOVED.get(pattern, {})
    for key, value in ((str(key), value) for key, value in items):
        full = f"{file}: {'.'.join((*path, key))}"
        if key in removed:
            raise UserError(f"{full}: this key is gone: {removed[key]}")
        if key in keys and keys[key] not in content:
            raise UserError(f"{full}: this key is now called {keys[key]}")
        if isinstance(value, str) and value in values.get(key, {}):
            raise UserError(f"{full}: {value!r} is now called {values[key][value]}")
        check_renamed(value, file, (*path, key))


def describe(error: ValidationError, content: Any) -> str:
    """One line for the first error in `content`, params.yaml as it was parsed, and the number of further errors."""
    first, *more = error.errors(include_url=False)
    plural = "s" if len(more) > 1 else ""
    return _describe(first, content) + (f" (and {len(more)} more mistake{plural})" if more else "")


def _describe(detail: Any, content: Any) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    error_type, location, message = detail["type"], detail["loc"], detail["msg"]
    path, value = _locate(location, content, missing=error_type == "missing")
    match error_type:
        case "unknown_key" | "key_error":
            path = f"{path}.{context['key']}".lstrip(".")
            if error_type == "unknown_key" and (tags := _tags(location, value)):
                message = message.replace("unknown key", f"{' with '.join(tags)} takes no such key")
            text = f"{_yaml(context['value'])}: {message}" if "value" in context else message
        case "value_error":
            path, text = context["path"], f"{_yaml(context['value'])}: {message}"
        case "missing":
            text = "is missing"
        case "union_tag_not_found":
            path, text = f"{path}.{context['discriminator']}".replace("'", ""), "is missing"
        case "literal_error" | "union_tag_invalid":
            path, text = _not_allowed(detail, content, path, value)
        case "dict_type" | "model_type" | "model_attributes_type":
            text = f"{_yaml(value)}: should be a mapping, `key: value` on each line"
        case _ if location[-1:] == ("[key]",):
            text = f"as a name, it {PATTERNS[NAME]}"
        case "string_pattern_mismatch":
            text = f"{_yaml(value)}: {PATTERNS[context['pattern']]}"
        case _:
            text = f"{_yaml(value)}: {re.sub(r'^(Input|String|List) | after validation, not [0-9]+$', '', message)}"
            if error_type == "string_type" and isinstance(value, bool | int | float):
                text += f", in quotes: '{json.dumps(value)}'"
    return f"{path}: {text}" if path else text


def _not_allowed(detail: Any, content: Any, path: str, value: Any) -> tuple[str, str]:
    """Path and text of a value that is none of those allowed."""
    context = detail["ctx"]
    allowed = str(context.get("expected") or context["expected_tags"]).replace(" or ", ", ").replace("'", "")
    if detail["type"] == "union_tag_invalid":
        key, section = context["discriminator"].strip("'"), value
        path, value = f"{path}.{key}", section[key]
    else:
        key, section = str(detail["loc"][-1]), _locate(detail["loc"][:-1], content, missing=False)[1]
    model = f" with model '{section['model']}'" if key == "loop" else ""
    return path, f"{_yaml(value)} is not allowed{model}; one of: {allowed}.{did_you_mean(value, allowed.split(', '))}"


def _yaml(value: object) -> str:
    """A value as YAML writes it, cut to what fits into a message."""
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    if isinstance(value, datetime.date):
        text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _tags(location: tuple[int | str, ...], section: Any) -> list[str]:
    """The keys that decide which keys the section takes, as far as pydantic read them: `model 'linear'`."""
    if not isinstance(section, dict):
        return []
    return [f"{tag} '{section[tag]}'" for tag in TAGS if tag in section and section[tag] in location]


def _locate(location: tuple[int | str, ...], content: Any, *, missing: bool) -> tuple[str, Any]:
    """The path as the file has it (pydantic adds the names of union members), and the value there."""
    path: list[str] = []
    tags = list(TAGS)
    for position, part in enumerate(location):
        if isinstance(content, dict) and (tag := next((tag for tag in tags if content.get(tag) == part), None)):
            tags.remove(tag)  # the name of a union member; a key may have the same: `text` in a dataset of kind text
            continue
        keys = content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
        if part in keys:
            content, tags = content[part], list(TAGS)
            path.append(str(part))
        elif missing and position == len(location) - 1:
            path.append(str(part))
    return ".".join(path), content
