"""The commands about trained models."""

from pathlib import Path
from typing import Annotated

import typer

from torchprimer.errors import UserError

PANEL = "Trained models"

app = typer.Typer()

Model = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Name of an experiment, or path of an export folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object per line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV; the default unless standard output is a terminal.")]


@app.command(
    "list",
    rich_help_panel=PANEL,
    epilog="Examples:\n\n  torchprimer list\n  torchprimer list mnist dogs_vs_cats\n  torchprimer list --json",
)
def list_(
    datasets: Annotated[
        list[str] | None, typer.Argument(metavar="DATASET", help="Only experiments on these datasets.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List all experiments with their scores and state.

    Scores are on the validation split, by which the best epoch and the
    champion of each dataset are chosen, and on the test split, which no
    choice is based on. The last column shows the champion, or the stage that
    is still to run, and datasets without a test split, whose scores are on
    training rows. Size is that of the exported model.onnx.
    """
    from torchprimer.cli.formatting import resolve_format
    from torchprimer.cli.list import list_experiments
    from torchprimer.params import load

    output_format = resolve_format(as_json=as_json, as_csv=as_csv)
    list_experiments(load(), datasets or [], output_format)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n\n  torchprimer show mnist_cnn\n  torchprimer show mnist_cnn net.0.weight\n"
    "  torchprimer show mnist_cnn net.0.weight --out filters.npy",
)
def show(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Name of an experiment.")],
    weights: Annotated[
        str | None, typer.Argument(metavar="WEIGHTS", help="Name of a weight tensor: print its values instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Write the values of WEIGHTS to this file.")
    ] = None,
) -> None:
    """Describe one experiment: data, params, scores, files, layers."""
    from torchprimer.cli.show import show_experiment, show_weights
    from torchprimer.cli.stages import require_key
    from torchprimer.params import load

    params = load()
    require_key(experiment, "experiments", params.experiments)
    if weights is not None:
        show_weights(experiment, weights, out)
    elif out is not None:
        raise UserError("--out writes the values of one weight tensor: name it as WEIGHTS")
    else:
        show_experiment(params, experiment)


@app.command(
    rich_help_panel=PANEL,
    epilog="""Examples:

  torchprimer predict mnist_cnn digit.png more_digits/ --top 3
  torchprimer predict dogs_vs_cats_cnn ~/Photos --csv > predictions.csv
  torchprimer predict reviews_bow '房间很干净' more_reviews.txt
  torchprimer predict bike_sharing_tuned hours.csv
  torchprimer predict hours_logistic hours=2.5
  find . -name '*.png' | torchprimer predict mnist_cnn -
  torchprimer predict /somewhere/mnist_cnn.export digit.png""",
)
def predict(
    experiment: Model,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="See above.")],
    top: Annotated[int | None, typer.Option(min=1, max=1000, help="Print the TOP most probable classes.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the images that an autoencoder reconstructs here.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> int:
    """Predict with a trained model: images, table rows, texts.

    INPUT depends on what the model was trained on:
    images: an image file, or a folder with images; - for one path per line
    tables: a CSV with column names in its first line (extra columns are
    ignored); - for a CSV; column=value ... for one row
    texts: a text; a .txt file with one text per line; a CSV with a column
    "text"; - for one text per line
    - stands for standard input.

    Predictions are a table on a terminal, otherwise CSV: the input, the
    prediction, and for a classifier p_CLASS, the probability of each class.
    JSON Lines have the keys "input", "prediction", "probabilities".

    Inputs that cannot be used are reported on standard error; the others are
    predicted, and the exit code is 1.
    """
    from torchprimer.cli.formatting import resolve_format
    from torchprimer.cli.predict import predict

    return predict(experiment, inputs, resolve_format(as_json=as_json, as_csv=as_csv), top, out)


@app.command(
    rich_help_panel=PANEL,
    epilog="Examples:\n\n  torchprimer generate mnist_dcgan --count 64 --seed 1 out.png\n"
    "  torchprimer generate mnist_gan digit.png",
)
def generate(
    experiment: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .png, .jpg or .webp file.")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Number of images.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the latent vectors.")] = 0,
) -> None:
    """Sample images from a trained generator.

    Several images are arranged in a grid; a single image keeps its size.
    The same seed gives the same images.
    """
    from torchprimer.cli.generate import generate

    generate(experiment, count, seed, out)


@app.command(rich_help_panel=PANEL, epilog="Examples:\n\n  torchprimer demo\n  torchprimer demo --port 8000")
def demo(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 7860) -> None:
    """Serve a web page to try the exported models.

    Draw a digit, drop a photo, type a review, set the weather of a day, move
    the latent vector of a generator. Ctrl-C stops the server. It needs
    Gradio, which `make demo` installs.
    """
    from torchprimer.demo import serve

    serve(port)
