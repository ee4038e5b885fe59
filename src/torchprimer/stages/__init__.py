"""The stages of dvc.yaml: each a module with a function `run` (read, compute, write, track) and an entry in STAGES."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml, run by the module of the same name in this folder; its command is built from this object.

    The module defines `run(params)`, or `run(params, item)` for a stage with a section, or `run(params, item, tracker)`
    for a tracked one.
    """

    name: str
    section: str | None  # of params.yaml or data/catalog.yaml, whose keys are its items; None: a stage that runs once
    help: str  # the text of `torchprimer NAME --help`; its first sentence is the line in `torchprimer --help`
    example: str = ""  # an item for the example in the help; empty for a stage that runs once
    tracked: bool = False  # logs to MLflow; `run` then takes a `Tracker`, None on all DDP ranks but the first
    distributed: bool = False  # torchrun may run it in several processes (`processes` in params.yaml)
    resumable: bool = False  # an interrupted run continues where it stopped when the same command is run again


_STAGES = (
    Stage("check", None, "Validate params.yaml before any other stage runs."),
    Stage("download", "downloads", "Fetch raw data and verify the SHA-256 of every file.", "mnist"),
    Stage("split", "datasets", "Assign samples to the train, validation and test splits.", "mnist"),
    Stage("preprocess", "datasets", "Convert samples to arrays that are ready for training.", "mnist"),
    Stage("baseline", "datasets", "Score a constant predictor and a classic model.", "diabetes", tracked=True),
    Stage("extract_features", "features", "Save the outputs of frozen convolutions.", "dogs_vs_cats_vgg16_conv"),
    Stage("crossvalidate", "crossvalidate", "Train an experiment on each fold.", "diabetes_tuned", tracked=True),
    Stage("train", "experiments", "Train an experiment, or resume an interrupted training.", "mnist_cnn", tracked=True,
          distributed=True, resumable=True),
    Stage("evaluate", "experiments", "Score a trained model on the test split.", "mnist_cnn", tracked=True),
    Stage("export", "experiments", "Export a model to a folder that takes raw input.", "mnist_cnn", tracked=True),
    Stage("report", None, "Write reports/index.html, the page that compares all experiments."),
)  # fmt: skip
STAGES = {stage.name: stage for stage in _STAGES}
