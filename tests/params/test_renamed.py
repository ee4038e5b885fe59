"""Old names in params.yaml and data/catalog.yaml: the error says the new name, wherever the old one stands."""

from pathlib import Path

import pytest

from torchprimer import params, paths
from torchprimer.errors import UserError

RENAMED = [  # a line of params.yaml, what someone with an old file has in its place, the error
    ("    loop: supervised\n", "    training: supervised\n", ".training: this key is now called loop"),
    ("    init_from: scratch\n", "    start: scratch\n", ".start: this key is now called init_from"),
    ("    scorer: none\n", "    judge: none\n", ".judge: this key is now called scorer"),
    ("    latent_dim: ", "    noise: ", "experiments.mnist_gan.noise: this key is now called latent_dim"),
    ("    output_layer: ", "    readout: ", "experiments.hello_rnn_cell.readout: this key is now called output_layer"),
    ("    input_padding: ", "    pad: ", ".pad: this key is now called input_padding"),
    ("    upscale: ", "    enlarge: ", ".enlarge: this key is now called upscale"),
    ("    max_holdout_fraction: ", "    max_share: ", "datasets.mnist.max_share: this key is now called "
     "max_holdout_fraction"),
    ("    max_corrupt_fraction: ", "    max_bad_share: ", ".max_bad_share: this key is now called "
     "max_corrupt_fraction"),
    ("    zero_as_missing: ", "    zero_is_missing: ", ".zero_is_missing: this key is now called zero_as_missing"),
    ("    min_df: ", "    min_documents: ", "datasets.reviews.min_documents: this key is now called min_df"),
    ("    max_vocab:", "    max_words:", "datasets.reviews.max_words: this key is now called max_vocab"),
    ("weight: {start: 0.0, stop: 4.0", "weight: {first: 0.0, last: 4.0", ".line_search.weight.first: this key is now "
     "called start"),
    ("bias: {start: -1.0, stop: 3.0", "bias: {first: -1.0, last: 3.0", ".line_search_2d.bias.first: this key is now "
     "called start"),
    ("horizontal_flip: true", "flip: true", ".augment.flip: this key is now called horizontal_flip"),
    ("max_translate: 4", "shift: 4", ".augment.shift: this key is now called max_translate"),
    ("loop: grid_search", "loop: search", "experiments.line_search.loop: 'search' is now called grid_search"),
    ("loop: gradient_descent", "loop: descent", ".loop: 'descent' is now called gradient_descent"),
    ("model: bag_of_words", "model: text", "experiments.reviews_bow.model: 'text' is now called bag_of_words"),
    ("    model: torchvision\n    task", "    model: vision\n    task", ".model: 'vision' is now called torchvision"),
    ("kind: blobs", "kind: clouds", "downloads.gaussians.sources.0.kind: 'clouds' is now called blobs"),
    ("processes: 1\n", "processes: 1\ntensorboard: true\n",
     "params.yaml: tensorboard: this key is gone: set the environment variable TORCHPRIMER_TENSORBOARD=1 instead"),
    ("\ndatasets:\n", "\ndownloads: {}\n\ndatasets:\n",
     "params.yaml: downloads: this section is in data/catalog.yaml now: move its entries there"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "old", "message"), RENAMED, ids=[old.strip()[:30] for _, old, _ in RENAMED])
def test_an_old_name_is_told_with_the_new_one(
    line: str, old: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"params.yaml": paths.params().read_text("utf-8"), "data/catalog.yaml": paths.catalog().read_text("utf-8")}
    file = next(file for file, text in texts.items() if line in text)
    texts[file] = texts[file].replace(line, old, 1)
    (tmp_path / "data").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    with pytest.raises(UserError) as raised:
        params.load()
    assert str(raised.value).endswith(message)


@pytest.mark.parametrize(
    ("line", "value", "message"),
    [
        ("limit:\n", f"limit: {'9' * 30}\n", "limit: 999999999999999999999999999999: should be less than or equal to"),
        ("seed: 0\n", f"seed: {'9' * 5000}\n", "params.yaml is not valid YAML: Exceeds the limit"),
        ("lr:\n", f"lr: {'9' * 400}\n", "lr: "),
        ("lr:\n", f"lr: {'[' * 100_000}\n", "params.yaml is not valid: its values are nested more than 50"),
    ],
    ids=["limit of 30 digits", "integer of 5,000 digits", "float of 400 digits", "100,000 brackets"],
)
def test_values_that_no_library_can_hold(
    line: str, value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = paths.params().read_text("utf-8")
    (tmp_path / "params.yaml").write_text(text.replace(line, value, 1), "utf-8")
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    with pytest.raises(UserError) as raised:
        params.load()
    assert message in str(raised.value)
    assert len(str(raised.value)) < 500
