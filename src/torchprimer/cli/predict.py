"""`torchprimer predict E INPUT...` and `generate E OUT`: exported models on onnxruntime, without PyTorch."""

import math
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchprimer import paths
from torchprimer.atomic import atomic_write
from torchprimer.cli import formatting
from torchprimer.cli.inputs import InputReader, PredictInput, collect_inputs, find_reader
from torchprimer.errors import UserError, did_you_mean
from torchprimer.image_grid import enlarge, image_grid

if TYPE_CHECKING:
    from torchprimer.predictor import Prediction, Predictor

    Pairs = Iterable[tuple[PredictInput, Prediction]]

JPEG = {"quality": 95}
FORMATS: dict[str, dict[str, Any]] = {".png": {}, ".jpg": JPEG, ".jpeg": JPEG, ".webp": {"lossless": True}}  # options
WIDTH = 700  # pixels; a narrower grid is enlarged


def predict(
    experiment: str, arguments: Sequence[str], output_format: formatting.OutputFormat, top: int | None, out: Path | None
) -> int:
    """Prints the prediction for each input; inputs that cannot be used are reported on standard error.

    Args:
        experiment: its name, or the path of an export folder.
        arguments: files, folders, texts, `column=value`, or - for standard input: see inputs.py.
        top: the number of most probable classes to print; None: one in a table, all of them in CSV and JSON.
        out: the folder for the images that an autoencoder reconstructs.

    Returns the exit code, 1 if an input could not be used; UserError: no such model, or options that do not fit it.
    """
    model = open_model(experiment)
    reader = find_reader(model.kind)
    if reader is None:
        raise UserError(f"{experiment} takes no input, it generates images: torchprimer generate {experiment} out.png")
    if top is not None and not model.classes:
        raise UserError(f"--top is for classifiers, and {experiment} has no classes: omit it")
    if out is not None and not reader.outputs_images:
        raise UserError(f"--out is for autoencoders, and {experiment} outputs no images: omit it")
    inputs, errors = collect_inputs(arguments, reader, reader.columns(model.description))
    if not inputs and not errors:
        raise UserError("nothing to predict: standard input is empty")
    for error in errors:
        print(f"torchprimer: {error}", file=sys.stderr)
    streams = output_format != "table" and sys.stdout.isatty()  # the printed predictions show the progress
    predictions = _predictions(model, reader, inputs, errors, out, streams)
    if output_format == "json":
        formatting.print_json(_json_record(item, prediction, top) for item, prediction in predictions)
    elif output_format == "csv":
        formatting.print_csv(_csv_records(inputs, predictions, top))
    else:
        rows = [{"input": item.name, **_cells(prediction, top)} for item, prediction in predictions]
        formatting.print_table(rows, truncate_at=reader.truncate_at)
    return 1 if errors else 0


def open_model(experiment: str) -> "Predictor":
    """The exported model of an experiment, or in an export folder; UserError: there is none, or it is damaged."""
    from torchprimer.predictor import Predictor

    folder = Path(experiment)
    if (folder / "model.json").is_file():
        return Predictor(folder)
    if "." in experiment or "/" in experiment or os.sep in experiment:
        raise UserError(f"{experiment} is not an export folder: it has no model.json")
    try:
        folder = paths.export(experiment)
    except UserError as error:
        raise UserError(f"{error}, or give the path of an export folder") from None
    if (folder / "model.json").is_file():
        try:
            return Predictor(folder)
        except UserError as error:
            raise UserError(f"{error} (dvc repro export@{experiment})") from None
    from torchprimer.params import load

    if experiment in (known := load().experiments):
        raise UserError(f"{experiment} is not exported yet: dvc repro export@{experiment}")
    guess = did_you_mean(experiment, known)
    raise UserError(f"no experiment '{experiment}' in params.yaml; `torchprimer list` shows all of them.{guess}")


def _predictions(
    model: "Predictor",
    reader: InputReader,
    inputs: list[PredictInput],
    errors: list[str],
    out: Path | None,
    quiet: bool,
) -> "Pairs":
    """Each input with its prediction, one by one; an error is printed and appended to `errors`."""
    from tqdm import tqdm

    from torchprimer.predictor import InvalidInput

    name, disable = model.description["experiment"], quiet or None  # None: disabled unless on a terminal
    with tqdm(total=len(inputs), desc=name, delay=1, disable=disable, leave=False) as bar:
        predictions = model.iter_predict(item.value for item in inputs)
        for number, (item, prediction) in enumerate(zip(inputs, predictions, strict=True)):
            if isinstance(prediction, InvalidInput):
                reason = str(prediction).removeprefix(f"input {number}: ")
                errors.append(f"{item.location}: {reason}" if item.location else reason)
                bar.write(f"torchprimer: {errors[-1]}", file=sys.stderr)
            elif reader.outputs_images:
                yield item, _with_file(prediction, number + 1, item, out)
            else:
                yield item, prediction
            bar.update()


def _with_file(prediction: "Prediction", number: int, item: PredictInput, out: Path | None) -> "Prediction":
    """A predicted image's error, and if there is `out`, the image in a numbered file: two inputs may have one name."""
    if out is None:
        return {"mse": prediction["mse"]}
    from PIL import Image

    path = out / f"{number:04d}-{Path(item.name).stem}.png"
    with atomic_write(path) as file:
        Image.fromarray(prediction["prediction"]).save(file, "PNG")
    return {"prediction": str(path), "mse": prediction["mse"]}


# ---- one prediction in each format -----------------------------------------------------------------------------------


def _json_record(item: PredictInput, prediction: "Prediction", top: int | None) -> dict[str, object]:
    if top:
        prediction = {**prediction, "probabilities": dict(_ranked(prediction, top))}
    return {"input": item.value, **prediction}


def _csv_records(inputs: Sequence[PredictInput], predictions: "Pairs", top: int | None) -> Iterator[dict[str, object]]:
    """Records with the same columns for all inputs, those of the tables first; a column that one lacks is empty."""
    names = list(dict.fromkeys(name for item in inputs for name in item.columns))
    columns: dict[str, str] = {}
    for item, prediction in predictions:
        record = _flat(prediction, top)
        columns = columns or _rename(names, record)
        yield {columns[name]: item.columns.get(name) for name in names} | record


def _rename(names: Sequence[str], reserved: Collection[str]) -> dict[str, str]:
    """Names of input columns in the output: ` (input)` follows a name that a column of the prediction has."""
    columns = {name: name for name in names}
    for name in reserved:
        if name in columns:
            while columns[name] in reserved or columns[name] in names:
                columns[name] += " (input)"
    return columns


def _flat(prediction: "Prediction", top: int | None) -> dict[str, object]:
    """With p_CLASS for every class; or prediction, probability, prediction_2, probability_2 ... for the `top` ones."""
    flat = dict(prediction)
    probabilities = flat.pop("probabilities", {})
    if top is None:
        return flat | {f"p_{label}": probability for label, probability in probabilities.items()}
    for rank, (label, probability) in enumerate(_ranked(prediction, top), 1):
        suffix = f"_{rank}" if rank > 1 else ""
        flat |= {f"prediction{suffix}": label, f"probability{suffix}": probability}
    return flat


def _ranked(prediction: "Prediction", top: int) -> list[tuple[str, float]]:
    """The most probable classes with their probabilities, best first."""
    return sorted(prediction.get("probabilities", {}).items(), key=lambda pair: -pair[1])[:top]


def _cells(prediction: "Prediction", top: int | None) -> dict[str, str]:
    """For a table: the most probable class, or a column for each of the `top` classes."""
    ranked = _ranked(prediction, top or 1)
    if top is not None:
        return {f"{rank}.": f"{label} {probability:.4f}" for rank, (label, probability) in enumerate(ranked, 1)}
    cells = {name: value if isinstance(value, str) else f"{value:.6g}" for name, value in _flat(prediction, 0).items()}
    return cells | ({"probability": f"{ranked[0][1]:.4f}"} if ranked else {})


# ---- generate --------------------------------------------------------------------------------------------------------


def generate(experiment: str, count: int, seed: int, out: Path) -> None:
    """Writes a grid of `count` images; UserError: not a generator, unsupported file format, or `out` is a folder."""
    from PIL import Image

    if (suffix := out.suffix.lower()) not in FORMATS:
        raise UserError(f"{out}: the file name must end in one of: {', '.join(FORMATS)}")
    if out.is_dir():
        raise UserError(f"{out} is a folder: name a file")
    model = open_model(experiment)
    if model.noise_size is None:
        raise UserError(f"{experiment} is not a generator{_generators()}")
    images = model.generate(count, seed)
    if count == 1:
        image = enlarge(images[0], width=0)
    else:  # about as many rows as columns
        image = enlarge(image_grid(images, math.ceil(math.sqrt(count)), gray=128), WIDTH)
    with atomic_write(out) as file:
        image.save(file, Image.registered_extensions()[suffix], **FORMATS[suffix])
    number = "1 image" if count == 1 else f"{count:,} images"
    print(f"{out}: {number} from {model.description['experiment']}, seed {seed}, {image.width} x {image.height} pixels")


def _generators() -> str:
    """The generators of this project, as the end of a message; empty outside a project."""
    from torchprimer.params import load

    try:
        paths.project()
    except UserError:
        return ""
    names = [name for name, experiment in load().experiments.items() if experiment.generates]
    return f"; generators are: {', '.join(names)}"
