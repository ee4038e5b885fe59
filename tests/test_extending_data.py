"""A kind of data as CONTRIBUTING describes it, and a family of models for it, added in a copy of the project."""

import json

import numpy as np

from tests.additions import add_entry, add_file, add_to_union, changed_files, scores
from tests.clone import Clone

SERIES_DATASET = """class Series(StrictModel):
    kind: Literal["series"]
    raw: Name
    validation: SplitSize
    test: SplitSize
    baseline: Literal["logistic_regression"]

    task: ClassVar[str] = "classification"
    held_out: ClassVar[bool] = True
    formats: ClassVar[tuple[str, ...]] = ("csv",)


"""
SERIES_INPUT = '''class Series(Input):
    """A str of numbers, such as `0.5 1 -2`; several: a list of them."""

    def to_array(self, batch: list[Any]) -> Array:
        return encode_series(batch, self.transform)


'''
CONV1D_PARAMS = """class Conv1d(Supervised):
    model: Literal["conv1d"]
    channels: PositiveInt

    kinds: ClassVar[tuple[str, ...]] = ("series",)


"""
WAVES_DATASET = """  waves:
    kind: series
    raw: waves
    validation: 0.2
    test: 0.2
    baseline: logistic_regression

"""
WAVES_CONV = """  waves_conv:
    dataset: waves
    model: conv1d
    task: classification
    init_from: scratch
    scorer: none
    channels: 4
    loop: supervised
    loss: cross_entropy
    optimizer: Adam
    lr: 0.05
    batch_size: 16
    epochs: 30

"""


def waves_download() -> str:
    """60 series of 12 numbers that rise or fall, with noise, as an inline source of params.yaml."""
    random = np.random.default_rng(0)
    rows = ""
    for i in range(60):
        values = np.linspace(0, 1, 12)[:: 1 if i % 2 else -1] + random.normal(0, 0.1, 12)
        rows += (
            f"      - - '{' '.join(f'{value:.3f}' for value in values)}'\n        - {'rises' if i % 2 else 'falls'}\n"
        )
    return (
        "  waves:\n    format: csv\n    sources:\n    - kind: inline\n      columns:\n      - values\n      - label\n"
        f"      rows:\n{rows}    files:\n    - name: waves.csv\n    expected: {{samples: 60}}\n\n"
    )


def test_a_kind_of_data(extended: Clone) -> None:
    add_file(extended, "series.py", "src/torchprimer/datasets/series.py")
    extended.replace("src/torchprimer/params/datasets.py", "class Sequences(", f"{SERIES_DATASET}class Sequences(")
    add_to_union(extended, "datasets.py", "Dataset", "Series")
    add_file(extended, "series_input.py", "src/torchprimer/predictor/series.py")
    file = "src/torchprimer/predictor/inputs.py"
    extended.replace(file, "from .tabular import", "from .series import encode_series\nfrom .tabular import")
    extended.replace(file, "def _type_name(", f"{SERIES_INPUT}def _type_name(")
    extended.replace(file, '    "noise": Noise,', '    "noise": Noise,\n    "series": Series,')
    assert changed_files(extended) == {
        "src/torchprimer/datasets/series.py", "src/torchprimer/params/datasets.py",
        "src/torchprimer/predictor/series.py", file,
    }  # fmt: skip

    add_file(extended, "conv1d.py", "src/torchprimer/models/conv1d.py")
    extended.replace("src/torchprimer/params/experiments.py", "class CNN(", f"{CONV1D_PARAMS}class CNN(")
    add_to_union(extended, "experiments.py", "Other", "Conv1d")
    assert changed_files(extended) == {"src/torchprimer/models/conv1d.py", "src/torchprimer/params/experiments.py"}

    for section, entry in (("downloads", waves_download()), ("datasets", WAVES_DATASET), ("experiments", WAVES_CONV)):
        add_entry(extended, section, entry)
    extended.replace("params.yaml", "\nepochs: 2\n", "\nepochs: 30\n")
    extended("torchprimer repro export@waves_conv baseline@waves report")
    assert scores(extended, "waves_conv")["accuracy"] > 0.9
    rising = " ".join(f"{value:.2f}" for value in np.linspace(0, 1, 12))
    answer = extended(f"python src/torchprimer predict waves_conv '{rising}' --json").stdout
    assert json.loads(answer)["prediction"] == "rises"
    assert "takes 12" in extended("python src/torchprimer predict waves_conv '1 2 3'", fails=True).stderr
