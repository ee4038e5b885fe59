"""Keys and values of params.yaml that have a new name: an old one gets an error that says the new one."""

from typing import Any

from torchprimer.errors import UserError

KEYS = {  # path of the section (* is any key) -> old key -> new key
    "experiments.*": {
        "training": "loop",
        "start": "init_from",
        "judge": "scorer",
        "noise": "latent_dim",
        "readout": "output_layer",
        "pad": "input_padding",
        "enlarge": "upscale",
        "resize": "min_input_size",
    },
    "experiments.*.augment": {"flip": "horizontal_flip", "shift": "max_translate"},
    "experiments.*.weight": {"first": "start", "last": "stop"},
    "experiments.*.bias": {"first": "start", "last": "stop"},
    "datasets.*": {
        "max_share": "max_holdout_fraction",
        "max_bad_share": "max_corrupt_fraction",
        "zero_is_missing": "zero_as_missing",
        "min_documents": "min_df",
        "max_words": "max_vocab",
    },
}
VALUES = {  # path of the section -> key -> old value -> new value
    "experiments.*": {
        "model": {"text": "bag_of_words", "vision": "torchvision"},
        "loop": {"search": "grid_search", "descent": "gradient_descent"},
    },
    "downloads.*.sources.*": {"kind": {"clouds": "blobs"}},
}
REMOVED = {"": {"tensorboard": "set the environment variable TORCHPRIMER_TENSORBOARD=1 instead"}}


def check_renamed(content: Any, file: str, path: tuple[str, ...] = ()) -> None:
    """Looks through the whole file.

    Raises:
        UserError: the first old key or value: its path, and what it is called now.
    """
    if isinstance(content, list):
        for number, item in enumerate(content):
            check_renamed(item, file, (*path, str(number)))
    if not isinstance(content, dict):
        return
    pattern = ".".join("*" if position % 2 else part for position, part in enumerate(path))
    keys, values, removed = KEYS.get(pattern, {}), VALUES.get(pattern, {}), REMOVED.get(pattern, {})
    for key, value in content.items():
        shown = ".".join((*path, str(key)))
        if key in removed:
            raise UserError(f"{file}: {shown}: this key is gone: {removed[key]}")
        if key in keys and keys[key] not in content:
            raise UserError(f"{file}: {shown}: this key is now called {keys[key]}")
        if isinstance(value, str) and value in values.get(key, {}):
            raise UserError(f"{file}: {shown}: {value!r} is now called {values[key][value]}")
        check_renamed(value, file, (*path, str(key)))
