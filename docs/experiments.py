"""Makes docs/experiments.md and docs/figures/ out of params.yaml and metrics/: `make docs`, after `dvc repro`.

What an experiment shows is the comment above it in params.yaml; every number is read from metrics/.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from torchprimer import params, paths
from torchprimer.evaluation import figures

DOCS = Path(__file__).parent
SCORES = {  # what a test.json is summed up by, the first that it has
    "accuracy": "accuracy",
    "r2": "R²",
    "frechet_distance": "Fréchet distance",
    "mse": "mean squared error",
}
FIGURES = (  # of metrics/E/test, the first that is there
    "search", "descent", "timeline", "probability", "boundary", "spelling", "reconstructions", "epochs", "mistakes",
    "confusion",
)  # fmt: skip
COMPARED = {  # several experiments in one chart: heading, its experiments, a column of the history, name of the axis
    "line_fits": (
        "Loss over epochs, four ways to descend",
        ("line_gradient_descent", "line_sgd", "line_minibatch", "line_autograd"),
        "train_loss", "mean squared error",
    ),
    "mnist_nets": (
        "MNIST, accuracy on the validation split",
        ("mnist_linear", "mnist_relu", "mnist_batchnorm", "mnist_dropout", "mnist_mlp"),
        "validation_accuracy", "accuracy",
    ),
    "dogs_vs_cats": (
        "Dogs and cats, accuracy on the validation split",
        ("dogs_vs_cats_cnn", "dogs_vs_cats_resnet18_scratch", "dogs_vs_cats_resnet18", "dogs_vs_cats_vgg16",
         "dogs_vs_cats_vgg16_features", "dogs_vs_cats_efficientnet_lite0"),
        "validation_accuracy", "accuracy",
    ),
}  # fmt: skip


def sections() -> dict[str, dict[str, str]]:
    """Heading -> experiment -> the comment above it, as params.yaml has them."""
    text = paths.params().read_text("utf-8")
    text = text[text.index("\nexperiments:\n") : text.index("\n# ==== crossvalidate")]
    found: dict[str, dict[str, str]] = {}
    comment: list[str] = []
    heading = ""
    for line in text.splitlines():
        if title := re.fullmatch(r"  # ---- (.+?) -+", line):
            heading, comment = title[1], []
        elif line.startswith("  # "):
            comment.append(line.removeprefix("  # "))
        elif name := re.fullmatch(r"  (\w+):", line):
            found.setdefault(heading, {})[name[1]] = " ".join(comment)
            comment = []
        elif not line:
            comment = []
    return found


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return content


def score(values: dict[str, float]) -> tuple[str, str]:
    """Name and value of the one score that stands for all."""
    key = next(key for key in SCORES if key in values)
    return SCORES[key], f"{values[key]:.4f}" if key in ("accuracy", "r2") else f"{values[key]:.4g}"


def row(name: str, shows: str, dataset: str) -> str:
    """A line of the table."""
    test, training = (read(paths.metrics(name) / f"{part}.json") for part in ("test", "train"))
    what, value = score(test)
    folds = paths.metrics(name) / "folds.json"
    if folds.is_file():
        of = read(folds)
        value += f"; 10-fold {of['accuracy_mean']:.4f} ± {of['accuracy_std']:.4f}"
    baseline = ""
    if paths.baseline(dataset).is_file() and what in ("accuracy", "R²"):
        key = next(key for key, title in SCORES.items() if title == what)
        fitted = read(paths.baseline(dataset))
        baseline = ", ".join(f"{model.replace('_', ' ')} {scores[key]:.4f}" for model, scores in fitted.items())
    cells = (
        f"**`{name}`**<br>{shows}", f"`{dataset}`", f"{what} {value}", baseline,
        f"{training['seconds']:.0f}" if training["seconds"] >= 1 else "<1", f"{training['parameters']:,}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def picture(name: str) -> str | None:
    """Copies the telling figure of an experiment; returns its line of Markdown."""
    for kind in FIGURES:
        file = paths.metrics(name) / "test" / f"{kind}.png"
        if file.is_file():
            shutil.copyfile(file, DOCS / "figures" / f"{name}.png")
            return f"![{name}: {kind}](figures/{name}.png)"
    return None


def compare(name: str) -> None:
    """Draws histories of several experiments on top of each other."""
    title, experiments, column, axis = COMPARED[name]
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for experiment in experiments:
        if not (paths.metrics(experiment) / "history.csv").is_file():
            continue
        history = pd.read_csv(paths.metrics(experiment) / "history.csv")
        axes.plot(history["epoch"], history[column], label=experiment)
    if column.endswith("loss"):
        axes.set_yscale("log")
    axes.set(title=title, xlabel="epoch", ylabel=axis)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    figures.save(figure, DOCS / "figures" / f"{name}.png")


def main() -> None:
    (DOCS / "figures").mkdir(exist_ok=True)
    experiments = params.load().experiments
    lines = [
        "# The experiments",
        "",
        "Made by `make docs` out of params.yaml and metrics/; not to be edited. Each is trained by",
        "`dvc repro evaluate@NAME`, and with another number by",
        "`dvc exp run -S experiments.NAME.lr=0.05 evaluate@NAME`.",
        "Scores are of the test split, which chose nothing; beside them what a model that ignores its input and a",
        "classic one of scikit-learn reach on the same rows. Seconds are those of all epochs.",
    ]
    drawn = {experiment: name for name, (_, group, _, _) in COMPARED.items() for experiment in group}
    for heading, found in sections().items():
        lines += ["", f"## {heading[0].upper()}{heading[1:]}", ""]
        lines += ["| experiment | data | test score | baselines | seconds | weights |", "|---|---|---|---|---|---|"]
        trained = [name for name in found if (paths.metrics(name) / "test.json").is_file()]
        lines += [row(name, found[name], experiments[name].dataset) for name in trained]
        if missing := [f"`{name}`" for name in found if name not in trained]:
            lines += ["", f"Not trained yet: {', '.join(missing)}."]
        for name in dict.fromkeys(drawn[name] for name in trained if name in drawn):
            compare(name)
            lines += ["", f"![{COMPARED[name][0]}](figures/{name}.png)"]
        pictures = [(name, picture(name)) for name in trained]
        lines += [line for name, shown in pictures if shown for line in ("", f"`{name}`", "", shown)]
    (DOCS / "experiments.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
