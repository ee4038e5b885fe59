"""MODEL.md: a model card (Mitchell et al. 2019) for people, of what model.json says and nothing else."""

import json
from collections.abc import Mapping
from typing import Any

from torchprimer.predictor.preprocessing import MISSING

Json = Mapping[str, Any]
SHOWN = 30  # classes or categories that are listed; of more, the first


def card(model: Json, example: Json) -> str:
    """Markdown.

    Args:
        model: model.json.
        example: a row of example.json.
    """
    sections = {
        f"# {model['experiment']}": _what(model),
        "## How to call it": _call(model, example),
        "## What goes in": _input(model),
        "## Data": _data(model),
        "## Scores": _scores(model),
        "## Limits": "\n".join(f"- {limit}" for limit in _limits(model)),
        "## Training": _training(model),
    }
    return "\n\n".join(f"{heading}\n\n{text}" for heading, text in sections.items()) + "\n"


def _what(model: Json) -> str:
    net = f"A net of the family `{model['model']}` with {_number(model['parameters'], 'trained parameter')}"
    if model["extractor"]:
        net += f", behind the frozen `{model['extractor']}`, which turns images into features"
    return f"{_task(model)} {net}."


def _task(model: Json) -> str:
    classes, transform = model["classes"], model["transform"]
    match model["kind"]:
        case "generator":
            return f"Makes images, {_pixels(transform['shape'])}, each of {transform['latent_dim']} numbers of noise."
        case "autoencoder":
            code = _number(model["params"]["hidden"][-1], "number")
            return f"Takes an image through a code of {code}, and gives back what is left of it."
        case "sequences":
            return f"Turns a string of {_number(transform['length'], 'character')} into another, one by one."
        case "tabular":
            columns = f"the column `{model['target']}` of a table from {_number(len(model['columns']), 'other')}"
            among = (
                f": one of {len(classes)} classes, {_listed(classes)}" if classes else ", as a number in its own units"
            )
            return f"Predicts {columns}{among}."
        case kind:
            thing = {"images": "an image", "text": "a text"}[kind]
            return f"Says which of {len(classes)} classes {thing} is of: {_listed(classes)}."


def _call(model: Json, example: Json) -> str:
    kind = model["kind"]
    imports, lines = ["from predictor import Predictor"], ['model = Predictor(".")  # this folder']
    if "image" in example:
        imports = ["import base64", "import json", "from pathlib import Path", "", *imports]
        lines += [
            'example = json.loads(Path("example.json").read_text("utf-8"))[0]',
            'image = base64.b64decode(example["image"])  # or a path, a PIL.Image, an array of uint8',
            "answer = model.predict(image)[0]  # several: a list of them",
        ]
    elif kind == "generator":
        imports = ["from PIL import Image", "", *imports]
        lines += [
            "images = model.generate(64, seed=1)  # uint8, the same for the same seed",
            'Image.fromarray(images[0]).save("first.png")',
        ]
    else:
        given = example["text"] if "text" in example else dict(example)
        shown = json.dumps(given, ensure_ascii=False, indent=4 if isinstance(given, dict) else None)
        lines += [f"answer = model.predict({shown})[0]  # several: a list of them"]
        if kind == "tabular":
            lines[-1] = lines[-1].replace("a list of them", "a list of such rows, or a DataFrame")
    if kind == "autoencoder":
        lines.append('print(answer["prediction"].shape, answer["mse"])')
    elif kind != "generator":
        more = ', answer["probabilities"]' if model["classes"] and kind != "sequences" else ""
        lines.append(f'print(answer["prediction"]{more})')
    code = "\n".join([*imports, "", *lines])
    return (
        "This folder needs nothing else of the project that it is from: Python 3.11 or newer, and the packages in "
        "requirements.txt. In this folder:\n\n"
        f"```python\n{code}\n```\n\n"
        f"{_answers(model)}"
    )


def _answers(model: Json) -> str:
    if model["kind"] == "generator":
        return (
            "`model.generate_from(noise)` makes them of noise of your own, (N, "
            f"{model['transform']['latent_dim']}) numbers, normally distributed around 0 with deviation 1."
        )
    classes = "the most probable class, and the probability of each" if model["classes"] else ""
    what = {
        "autoencoder": "an image, uint8, and its mean squared error (pixels as 0..1)",
        "sequences": "a string",
    }.get(model["kind"], classes or f"a number, in the units of `{model['target']}`")
    return (
        f"The answer is {what}. An input that cannot be used raises a `InvalidInput`, which says what is wrong with it."
    )


def _input(model: Json) -> str:
    transform = model["transform"]
    if model["kind"] == "generator":
        return "Nothing but a number of images and a seed, or noise."
    if model["kind"] == "sequences":
        letters = " ".join(f"`{character}`" for character in transform["alphabet"])
        return f"Strings of exactly {transform['length']} characters, out of {letters}."
    if model["kind"] == "text":
        cut = (
            "cut by rjieba, as Chinese is" if transform["tokenizer"] == "chinese" else "letters and digits, lower case"
        )
        return f"Texts of any length. It knows {len(transform['words']):,} words ({cut}); others are skipped."
    if model["kind"] == "tabular":
        return _table_input(transform)
    grey = transform["shape"][0] == 1
    text = (
        f"Image files (JPEG, PNG and others) of any size. Each is turned upright, made {'grey' if grey else 'RGB'}, "
        f"scaled and cut from the middle to {_pixels(transform['shape'], colour=False)}; where it is transparent, "
        "white shows through."
    )
    if "mean" in transform:
        means = ", ".join(f"{mean:.2f}" for mean in transform["mean"])
        text += f" The training images have a mean brightness of {means}{'' if grey else ' (red, green, blue)'}, "
        text += "where 0 is black and 1 is white."
        if grey and (transform["mean"][0] < 0.3 or transform["mean"][0] > 0.7):
            these, those = ("dark", "light") if transform["mean"][0] < 0.3 else ("light", "dark")
            ink = "such as ink on paper" if those == "light" else "such as chalk on a board"
            text += f" So they are mostly {these}: invert an image that is mostly {those}, {ink}, before it goes in."
    return text


def _table_input(transform: Json) -> str:
    rows = ["| column | takes | where it is missing |", "|---|---|---|"]
    for name, fitted in transform["numeric"].items():
        scaled = (fitted["mean"], fitted["std"]) != (0.0, 1.0)
        usual = f"; in training {fitted['mean']:.4g} ± {fitted['std']:.4g}" if scaled else ""
        zero = " (0 counts as missing)" if name in transform["zero_as_missing"] else ""
        rows.append(f"| {name} | a number{usual} | the median, {fitted['median']:.4g}{zero} |")
    for name, categories in transform["categorical"].items():
        numbers = all(category.isdecimal() for category in categories)
        ordered = sorted(categories, key=int) if numbers else categories
        stands = next((category for category in categories if category.lower() in MISSING), None)
        missing = "as any other value: none of these" if stands is None else f"as {stands!r}, one of these"
        listed = " ".join(_listed(ordered).replace("|", "\\|").split())
        rows.append(f"| {name} | {listed} | {missing} |")
    text = "\n".join(rows) + "\n\nOther columns are not read."
    if transform["pca"] is not None:
        text += f" The model sees {_number(len(transform['features']), 'principal component')} of them."
    return text


def _data(model: Json) -> str:
    samples = model["samples"]
    named = f"Dataset `{model['dataset']}`"
    if model["images_of"]:
        named += f" (what a frozen net sees in the images of `{model['images_of']}`)"
    named += f", made of the raw data `{model['raw']}`" + (f" ({model['source']})" if model["source"] else "")
    if not model["held_out"]:
        return (
            f"{named}: {_number(samples['train'], 'sample')}, too few to hold any back. Training, validation and test "
            "are the same."
        )
    chosen = "the validation split chose the epoch"
    if model["params"]["loop"] == "grid_search":
        chosen = "the validation split only looked on"
    elif not model["scores"]["validation"]:
        chosen = "the validation split was not needed"
    text = "\n".join(["| split | samples |", "|---|---|", *(f"| {part} | {n:,} |" for part, n in samples.items())])
    return (
        f"{named}:\n\n{text}\n\nThe training split fitted the weights, and whatever else is "
        f"fitted; {chosen}; the test split chose nothing."
        + (f" It is what came last, by `{model['time_column']}`." if model["time_column"] else "")
    )


def _scores(model: Json) -> str:
    splits = {split: scores for split, scores in model["scores"].items() if scores}
    rows = [f"| score | {' | '.join(splits)} |", "|---" * (1 + len(splits)) + "|"]
    for name in dict.fromkeys(name for scores in splits.values() for name in scores):
        cells = (_score(scores[name]) if name in scores else "" for scores in splits.values())
        rows.append(f"| {name} | {' | '.join(cells)} |")
    text = "\n".join(rows)
    if "true_positives" in model["scores"]["test"]:
        text += f"\n\nPositive is `{model['classes'][1]}`, the second class."
    if model["kind"] == "generator" and model["params"]["scorer"] != "none":
        text += (
            f"\n\nA classifier, `{model['params']['scorer']}`, judged the images; `_real` is what it says of real ones."
        )
    if model["classes"] is None and model["kind"] == "tabular":
        text += f"\n\n`rmse` and `mae` are in the units of `{model['target']}`; `loss` is in those of training."
    return text


def _score(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _limits(model: Json) -> list[str]:
    kind, classes = model["kind"], model["classes"]
    limits = []
    if model["limit"] is not None:
        limits.append(
            f"Of a reduced run, with at most {model['limit']} samples of each split: it shows that the pipeline works, "
            "and is of no use."
        )
    if not model["held_out"]:
        limits.append(
            "It was never tried on anything that it was not trained on: its scores say what it has learnt by heart."
        )
    if kind in ("images", "text"):
        things = {"images": "An image", "text": "A text"}[kind]
        limits.append(
            f"{things} of anything else gets one of its {len(classes)} classes as well, often with a high probability."
        )
    if kind == "images":
        size = _pixels(model["transform"]["shape"])
        limits.append(
            f"It sees {size}: what is too small to be seen at that size is lost, and so is what lies at the edges."
        )
    if kind == "text":
        limits.append("A text without a word that it knows gets an answer that means nothing.")
        if model["model"] == "bag_of_words":
            limits.append("It does not see the order of the words: to it, irony and negation are hardly there.")
    if kind == "tabular":
        limits.append("Far from the values that it was trained on, its answers are guesses.")
        if model["transform"]["categorical"]:
            limits.append("A category that the training rows lack counts as none of those above.")
    if kind == "autoencoder":
        limits.append("What is unlike the training images comes back as something like them.")
    if kind == "generator":
        limits.append("Its images are like those it was trained on; some show nothing that one could name.")
    if classes and kind != "sequences":
        limits.append("Probabilities are those of the net: nobody has calibrated them.")
    return [*limits, "Made to learn from. Not for decisions about people, nor for any that matter."]


def _training(model: Json) -> str:
    run = model["run"]
    settings = {key: value for key, value in model["params"].items() if value not in (None, [], "none")}
    lines = [f"{key}: {_yaml(value)}" for key, value in settings.items()]
    return (
        f"Trained on {run['device']} in {run['precision']}, seed {run['seed']}, with "
        f"{' and '.join(f'{name} {version}' for name, version in model['versions'].items())}:\n\n"
        "```yaml\n" + "\n".join(lines) + "\n```\n\n"
        f"The ONNX file gives the answers of the PyTorch model: the largest difference over "
        f"{_number(model['proven_on'], 'sample')} was {model['largest_difference_to_pytorch']:.0e}. It takes "
        f"`{model['input']['name']}`, {model['input']['dtype']} of shape {_shape(model['input']['shape'])}, and gives "
        f"`{model['output']['name']}`, {model['output']['dtype']} of shape {_shape(model['output']['shape'])}."
    )


def _yaml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "")


def _shape(sizes: list[int]) -> str:
    return " x ".join("N" if i == 0 else "any" if size < 0 else str(size) for i, size in enumerate(sizes))


def _pixels(shape: list[int], *, colour: bool = True) -> str:
    channels, height, width = shape
    return f"{width} x {height} pixels{', grey' if colour and channels == 1 else ''}"


def _number(count: int, of: str) -> str:
    return f"{count:,} {of}{'' if count == 1 else 's'}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
