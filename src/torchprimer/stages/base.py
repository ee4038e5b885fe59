"""The description of a pipeline stage; the command line builds one command from each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml, run by the module of the same name in this folder.

    The module defines `run(params)`, or `run(params, item)` for a stage with a section, or `run(params, item, tracker)`
    for a tracked one.

    Attributes:
        name: of the stage in dvc.yaml, of its module and of its command.
        section: the section of params.yaml whose keys are its items; None for a stage that runs once.
        help: the text of `torchprimer NAME --help`; its first sentence is the line in `torchprimer --help`.
        example: an item for the example in the help; empty for a stage that runs once.
        tracked: whether it logs to MLflow; `run` then takes a `Tracker`, which is None on all DDP ranks but the first.
        distributed: whether torchrun may run it in several processes (the run control `processes`).
        resumable: whether an interrupted run continues where it stopped when the same command is run again.
    """

    name: str
    section: str | None
    help: str
    example: str = ""
    tracked: bool = False
    distributed: bool = False
    resumable: bool = False
