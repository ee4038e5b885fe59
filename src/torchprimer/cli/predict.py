"""`torchprimer predict E INPUT...`: what an exported model answers to raw input; on onnxruntime, without PyTorch."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torchprimer import paths
from torchprimer.cli import formatting
from torchprimer.cli.inputs import Given, gather
from torchprimer.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torchprimer.predictor import Answer, Predictor


def predict(experiment: str, arguments: Sequence[str], form: formatting.Form, top: int | None, out: Path | None) -> int:
    """Prints the answer to each input; what cannot be used is named on standard error, and the rest is done.

    Args:
        experiment: its name, or the path of a folder that `export` made.
        arguments: files, folders, texts, `column=value`, or - for standard input: see given.py.
        top: so many of the most probable classes; None: one in a table, all of them in CSV and JSON.
        out: a folder for what an autoencoder makes of each image.

    Returns:
        The exit code: 0, or 1 if anything could not be used.

    Raises:
        UserError: no such model, one that takes no input, or options that it has no use for.
    """
    model = open_model(experiment)
    _check(model, experiment, top, out)
    columns = [column["name"] for column in model.description["columns"]] if model.kind == "tabular" else []
    if text := model.description["transform"].get("text_column"):
        columns = [text]
    inputs, complaints = gather(arguments, model.kind, columns)
    if not inputs and not complaints:
        raise UserError("nothing to predict: standard input is empty")
    for complaint in complaints:
        print(f"torchprimer: {complaint}", file=sys.stderr)
    answers = _answers(model, inputs, complaints, form, out)
    if form == "json":
        formatting.print_json(_as_json(given, answer, top) for given, answer in answers)
    elif form == "csv":
        columns = list(dict.fromkeys(name for given in inputs for name in _columns(given)))
        formatting.print_csv((_row(given, _flat(answer, top)) for given, answer in answers), columns)
    else:
        rows = [{"input": given.name, **_cells(answer, top)} for given, answer in answers]
        formatting.print_table(rows, cut="end" if model.kind in ("text", "sequences") else "start")
    return 1 if complaints else 0


def open_model(experiment: str) -> "Predictor":
    """The exported model of an experiment of this project; or one in a folder anywhere, given by its path.

    Raises:
        UserError: not exported yet, no such experiment, or no export folder.
    """
    place = Path(experiment)
    if not (place / "model.json").is_file():
        if "." in experiment or "/" in experiment or os.sep in experiment:
            raise UserError(f"{experiment} is no folder that export made: there is no model.json in it")
        try:
            place = paths.export(experiment)
        except UserError as error:
            raise UserError(f"{error}, or give the path of an export folder") from None
        if not (place / "model.json").is_file():
            raise _missing(experiment)
    from torchprimer.predictor import Predictor

    return Predictor(place)


def _missing(experiment: str) -> UserError:
    from torchprimer.params import load

    if experiment in (known := load().experiments):
        return UserError(f"{experiment} is not exported here yet: dvc repro export@{experiment}")
    guess = did_you_mean(experiment, known)
    return UserError(f"no experiment '{experiment}' in params.yaml; `torchprimer list` shows all of them.{guess}")


def _check(model: "Predictor", experiment: str, top: int | None, out: Path | None) -> None:
    if model.kind == "generator":
        raise UserError(f"{experiment} makes images out of noise: torchprimer generate {experiment} out.png")
    if top is not None and not model.classes:
        raise UserError(f"--top is for classifiers, and {experiment} has no classes: leave it out")
    if out is not None and model.kind != "autoencoder":
        raise UserError(f"--out is for autoencoders, and {experiment} makes no images: leave it out")


def _answers(
    model: "Predictor", inputs: Sequence[Given], complaints: list[str], form: str, out: Path | None
) -> Iterator[tuple[Given, "Answer"]]:
    """Each input with its answer, as they come; a complaint is printed, and added to `complaints`."""
    from tqdm import tqdm

    from torchprimer.predictor import InvalidInput

    streams = form != "table" and sys.stdout.isatty()  # the answers themselves show how far it is
    bar = tqdm(
        total=len(inputs), desc=model.description["experiment"], delay=1, disable=True if streams else None, leave=False
    )
    with bar:
        for number, (given, answer) in enumerate(zip(inputs, model.each(given.value for given in inputs), strict=True)):
            if isinstance(answer, InvalidInput):
                reason = str(answer).removeprefix(f"input {number}: ")
                complaints.append(f"{given.place}: {reason}" if given.place else reason)
                bar.write(f"torchprimer: {complaints[-1]}", file=sys.stderr)
            else:
                yield given, answer if model.kind != "autoencoder" else _with_file(answer, number + 1, given, out)
            bar.update()


def _with_file(answer: "Answer", number: int, given: Given, out: Path | None) -> "Answer":
    """An autoencoder's answer with its image in a file of `out`, numbered: several inputs may have one name."""
    if out is None:
        return {"mse": answer["mse"]}
    from PIL import Image

    from torchprimer.atomic import atomic_write

    place = out / f"{number:04d}-{Path(given.name).stem}.png"
    with atomic_write(place) as file:
        Image.fromarray(answer["prediction"]).save(file, "PNG")
    return {"prediction": str(place), "mse": answer["mse"]}


# ---- one answer in each form -----------------------------------------------------------------------------------------


def _as_json(given: Given, answer: "Answer", top: int | None) -> dict[str, object]:
    if top:
        answer = {**answer, "probabilities": dict(_ranked(answer, top))}
    return {"input": given.value, **answer}


def _flat(answer: "Answer", top: int | None) -> dict[str, object]:
    """With p_CLASS of every class; or prediction, probability, prediction_2, probability_2 ... of the `top` ones."""
    flat = dict(answer)
    probabilities = flat.pop("probabilities", {})
    if top is None:
        return flat | {f"p_{label}": probability for label, probability in probabilities.items()}
    for place, (label, probability) in enumerate(_ranked(answer, top), 1):
        end = f"_{place}" if place > 1 else ""
        flat |= {f"prediction{end}": label, f"probability{end}": probability}
    return flat


def _ranked(answer: "Answer", top: int) -> list[tuple[str, float]]:
    """The most probable classes with their probabilities, best first."""
    return sorted(answer.get("probabilities", {}).items(), key=lambda pair: -pair[1])[:top]


def _columns(given: Given) -> dict[str, str]:
    """What was given, as columns of a CSV: those of its table, or one."""
    return given.value if isinstance(given.value, dict) else {"input": given.value}


def _row(given: Given, answer: dict[str, object]) -> dict[str, object]:
    """What was given, and the answer; a column that is called like one of the answer's gets another name."""
    columns = {name if name not in answer else f"{name} (given)": value for name, value in _columns(given).items()}
    return columns | answer


def _cells(answer: "Answer", top: int | None) -> dict[str, str]:
    """As people read it: the most probable class, or a column for each of the `top`."""
    ranked = _ranked(answer, top or 1)
    if top is not None:
        return {f"{place}.": f"{label} {probability:.4f}" for place, (label, probability) in enumerate(ranked, 1)}
    cells = {name: value if isinstance(value, str) else f"{value:.6g}" for name, value in _flat(answer, 0).items()}
    return cells | ({"probability": f"{ranked[0][1]:.4f}"} if ranked else {})
