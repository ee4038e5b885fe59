"""The commands for users: trained models, your own data, MLflow. Each one imports what it needs when it runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from torchprimer.cli.formatting import resolve_format
from torchprimer.errors import UserError

PIPELINE, MODELS, DATA, MLFLOW = "Pipeline", "Trained models", "Your own data", "MLflow"  # panels of the help

app = typer.Typer()

Function = TypeVar("Function", bound=Callable[..., Any])
Model = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Name of an experiment, or path of an export folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON Lines, one object per line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV; the default unless standard output is a terminal.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")]
RawName = Annotated[str, typer.Option(help="Name of the data under data/raw.")]


def command(panel: str, *examples: str, name: str | None = None) -> Callable[[Function], Function]:
    """Adds a function to `app`; the command has the name of the function if not told otherwise."""
    title = "Examples" if len(examples) > 1 else "Example"
    lines = "\n".join(f"  {example}" for example in examples)
    return app.command(name, rich_help_panel=panel, epilog=f"{title}:\n\n{lines}")


@command(PIPELINE, "torchprimer repro", "torchprimer repro mnist_cnn", "torchprimer repro train@mnist_cnn --force")
def repro(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="TARGET", help="A stage, a group of stages, or a name: all of its stages."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Run stages that are up to date, too.")] = False,
    single_item: Annotated[
        bool, typer.Option("--single-item", "-s", help="Not the stages that the targets depend on.")
    ] = False,
    downstream: Annotated[bool, typer.Option(help="The targets and all stages that depend on them.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="After a failure run what does not depend on it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and the time it would take.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, max=10_000, help="Stages at a time (default: one per core).")
    ] = None,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="PATTERN=N", help="At most N such stages at a time.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster: tcp://HOST:8786.")
    ] = None,
    set_param: Annotated[
        list[str] | None, typer.Option("--set-param", "-S", metavar="KEY=VALUE", help="Change params.yaml, then run.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Save the result as a DVC experiment.")] = None,
    temp: Annotated[bool, typer.Option("--temp", help="Run in a copy of the workspace.")] = False,
) -> int:
    """Run all stages that are out of date, several at a time.

    It means the same as `dvc repro`, and leaves the same dvc.lock. Stages
    start in processes that have imported the large packages already. Those
    that the longest chain of other stages waits for come first. Ctrl-C stops
    them all; the next run continues.

    With -S it runs an experiment, as `dvc exp run` does, and saves it for
    `dvc exp show`.
    """
    from torchprimer.runner.pipeline import Selection
    from torchprimer.runner.run import Options, repro

    selection = Selection(targets or (), force=force, single_item=single_item, downstream=downstream)
    options = Options(jobs, keep_going, dry_run, limits or (), scheduler)
    if not (set_param or name or temp):
        return repro(selection, options)
    from torchprimer.runner import experiments
    from torchprimer.runner.run import FOLDER

    if dry_run:
        raise UserError("--dry-run cannot be used with -S, --name or --temp: it changes nothing")
    if not temp:
        return experiments.run(name, set_param or (), lambda: repro(selection, options))
    flags = {"--force": force, "--single-item": single_item, "--downstream": downstream, "--keep-going": keep_going}
    values = {"--jobs": [jobs] if jobs else [], "--limit": limits, "--set-param": set_param}
    arguments = [flag for flag, given in flags.items() if given]
    arguments += [f"{option}={value}" for option, given in values.items() for value in given or ()]
    arguments += [f"--scheduler={scheduler}"] if scheduler else []
    return experiments.run_in_copy(name, [*arguments, "--", *(targets or ())], FOLDER)


@command(MODELS, "torchprimer list", "torchprimer list mnist dogs_vs_cats", "torchprimer list --json", name="list")
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
    from torchprimer.cli.show import list_experiments
    from torchprimer.params import load

    list_experiments(load(), datasets or [], resolve_format(as_json=as_json, as_csv=as_csv))


@command(
    MODELS,
    "torchprimer show mnist_cnn",
    "torchprimer show mnist_cnn net.0.weight",
    "torchprimer show mnist_cnn net.0.weight --out filters.npy",
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
    elif out is None:
        show_experiment(params, experiment)
    else:
        raise UserError("--out writes the values of one weight tensor: name it as WEIGHTS")


@command(
    MODELS,
    "torchprimer predict mnist_cnn digit.png more_digits/ --top 3",
    "torchprimer predict dogs_vs_cats_cnn ~/Photos --csv > predictions.csv",
    "torchprimer predict reviews_bow '房间很干净' more_reviews.txt",
    "torchprimer predict bike_sharing_tuned hours.csv",
    "torchprimer predict hours_logistic hours=2.5",
    "find . -name '*.png' | torchprimer predict mnist_cnn -",
    "torchprimer predict /somewhere/mnist_cnn.export digit.png",
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
    from torchprimer.cli.predict import predict

    return predict(experiment, inputs, resolve_format(as_json=as_json, as_csv=as_csv), top, out)


@command(
    MODELS, "torchprimer generate mnist_dcgan --count 64 --seed 1 out.png", "torchprimer generate mnist_gan digit.png"
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
    from torchprimer.cli.predict import generate

    generate(experiment, count, seed, out)


@command(MODELS, "torchprimer demo", "torchprimer demo --port 8000")
def demo(port: Port = 7860) -> None:
    """Serve a web page to try the exported models.

    Draw a digit, drop a photo, type a review, set the weather of a day, move
    the latent vector of a generator. Ctrl-C stops the server. It needs
    Gradio, which `make demo` installs.
    """
    from torchprimer.demo import serve

    serve(port)


@command(DATA, "torchprimer add-photos ~/Downloads/train.zip", "torchprimer add-photos ~/flowers --name flowers")
def add_photos(
    path: Annotated[
        Path, typer.Argument(metavar="ZIP_OR_FOLDER", help="Files named CLASS.NUMBER.jpg, or a folder per class.")
    ],
    name: RawName = "photos",
) -> None:
    """Import your own photos from a zip file or a folder."""
    from torchprimer.sources.user_data import add_photos

    add_photos(path, name)


@command(
    DATA,
    "torchprimer add-data ~/wine.csv --name wine",
    "torchprimer add-data ~/mails/spam.txt ~/mails/ham.txt --name mails",
)
def add_data(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="One CSV, or a text file for each class.")],
    name: RawName,
) -> None:
    """Import your own table or texts."""
    from torchprimer.sources.user_data import add_data

    add_data(files, name)


@command(MLFLOW, "torchprimer ui", "torchprimer ui --port 5001")
def ui(port: Port = 5000) -> None:
    """Open MLflow's web pages: all runs as a table, their curves, the registered models.

    The server listens on 127.0.0.1 until Ctrl-C. If MLFLOW_TRACKING_URI names
    a server, its address is printed instead. The menu Views has a table for
    each group of runs: classifiers, regression, generators, champions, folds.
    """
    from torchprimer.tracking.ui import ui

    ui(port)


@command(MLFLOW, "torchprimer sync")
def sync() -> None:
    """Log results of the workspace that MLflow lacks.

    Results that DVC restores from its cache or pulls from a remote are not
    logged until `sync` runs.
    """
    from torchprimer.tracking.sync import sync

    sync()
