"""params.yaml, entry by entry: what each kind of data, model and training takes, and what does not fit the rest."""

from pathlib import Path

import pytest

from tests.params.test_params import KINDS, MODELS, Load, cut_down, edited, file_of, reader
from torchprimer.errors import UserError

CLASSES = "    classes:\n" + "".join(f"    - '{digit}'\n" for digit in range(10))
PART = "should be a whole number from 1, or a share above 0 and below 0.5"
LOOPS = "supervised, grid_search, gradient_descent"
NO_SUCH_KEY = "takes no such key; allowed here:"
FIT = "cross_entropy, multi_margin_loss, binary_cross_entropy_with_logits"
EXPERIMENTS = (
    "own_texts, own_rnn, own_vision, own_head, own_codes, own_gan, line_search, line_gradient_descent, diabetes_tuned, "
    "bike_sharing_tuned, mnist_mlp, mnist_cnn"
)

# entry and text in it, what takes its place, the message
DO_NOT_FIT = [
    # downloads
    ("downloads.mnist", "\n    classes:", "\n    clases:",
     "downloads.mnist.clases: unknown key; allowed here: classes, columns, expected, files, format, sources. Did you "
     "mean 'classes'?"),
    ("downloads.mnist", CLASSES, "", "downloads.mnist.format: 'idx': needs classes, and train, test and pixels under "
     "expected"),
    ("downloads.line", "      - - 2\n        - 4\n", "      - - 2\n",
     "downloads.line.sources.0.rows.1: [2]: has 1 values, and there are 2 columns"),
    ("downloads.line", "- - 2\n", "- - null\n",
     "downloads.line.sources.0.rows.1.0: null: should be a number or a text; in quotes, anything is a text"),
    ("downloads.line", "- - 2\n", "- - 2011-01-01\n",
     "downloads.line.sources.0.rows.1.0: 2011-01-01: should be a number or a text; in quotes, anything is a text"),
    ("downloads.line", "      - y\n", "      - x\n", "downloads.line.sources.0.columns: ['x', 'x']: a column is "
     "named twice"),
    ("downloads.line", "      - y\n", "      - 2\n",
     "downloads.line.sources.0.columns.1: 2: should be a valid string, in quotes: '2'"),
    ("downloads.line", "format: csv", "format: keel",
     "downloads.line.files: ['line.csv']: a table made here is one file of format csv"),
    ("downloads.line", "kind: inline", "kind: inlin",
     "downloads.line.sources.0.kind: 'inlin' is not allowed; one of: npm, pip, url, inline, blobs, sklearn. Did you "
     "mean 'inline'?"),
    ("downloads.gaussians", "      - - -2.0\n        - -2.0\n", "      - - -2.0\n",
     "downloads.gaussians.sources.0.centers: [[-2.0], [2.0, 2.0]]: each centre needs the same number of coordinates"),
    ("downloads.gaussians", "std: 1.0", "std: 0", "downloads.gaussians.sources.0.std: 0: should be greater than 0"),
    ("downloads.iris", "dataset: iris", "dataset: irsi",
     "downloads.iris.sources.0.dataset: 'irsi' is not allowed; one of: iris, wine, breast_cancer. Did you mean "
     "'iris'?"),
    ("downloads.diabetes", "      sha256: 8c47d6392aa12d154ed5c34ee8c98fe7827d8554d04a4ffec1fafd75741e24fd\n    "
     "expected", "    expected",
     "downloads.diabetes.files.0.sha256: null: a file that comes from elsewhere needs its sha256"),
    ("downloads.diabetes", "format: keel", "format: csv", "downloads.diabetes.columns: "
     "['pregnancies', 'glucose', 'blood_pressure', 'skin_thickness', 'insulin', 'bm...: only KEEL's files can be "
     "without the names of their columns"),
    # datasets
    ("datasets.line", "kind: tabular", "kind: table", "datasets.line.kind: 'table' is not allowed; one of: images, "
     "tabular, text, sequences. Did you mean 'tabular'?"),
    ("datasets.line", "raw: line", "raw: mnist", "datasets.line.raw: 'mnist': is of format idx, and kind tabular "
     "reads csv or keel"),
    ("datasets.mnist", "raw: mnist", "raw: weights",
     "datasets.mnist.raw: 'weights': is of format weights, and kind images reads idx or cifar10"),
    ("datasets.line", "    pca:\n", "    pca:\n    image_size: 32\n",
     f"datasets.line.image_size: kind 'tabular' {NO_SUCH_KEY} baseline, categorical, kind, numeric, pca, raw, split, "
     "standardize, target, task, test, time, validation, zero_as_missing."),
    ("datasets.diabetes", "- pedigree", "- glucose", "datasets.diabetes.numeric: 'glucose': this column is named "
     "twice"),
    ("datasets.bike_sharing", "- hr", "- temp", "datasets.bike_sharing.categorical: 'temp': this column is named "
     "twice"),
    ("datasets.bike_sharing", "- hr", "- bikers",
     "datasets.bike_sharing.categorical: 'bikers': the target cannot be an input as well"),
    ("datasets.line", "numeric:\n    - x\n", "numeric: []\n",
     "datasets.line.numeric: []: name at least one column under numeric or categorical"),
    ("datasets.diabetes", "zero_as_missing:\n    - glucose", "zero_as_missing:\n    - glucos",
     "datasets.diabetes.zero_as_missing: 'glucos': no such column; numeric has: pregnancies, glucose, blood_pressure, "
     "skin_thickness, insulin, bmi, pedigree, age. Did you mean 'glucose'?"),
    ("datasets.bike_sharing", "time: day", "time:",
     "datasets.bike_sharing.time: null: split: time needs the name of the column to sort by"),
    ("datasets.diabetes", "time:\n", "time: age\n", "datasets.diabetes.time: 'age': split: random does not sort: set "
     "it to null"),
    ("datasets.diabetes", "validation: 0.15", "validation:",
     "datasets.diabetes.validation: null: split: random needs a number of samples here, or a share of all"),
    ("datasets.line", "test:\n", "test: 1\n", "datasets.line.test: 1: split: none holds nothing back: set it to null"),
    ("datasets.diabetes", "validation: 0.15", "validation: 0.5", f"datasets.diabetes.validation: 0.5: {PART}"),
    ("datasets.diabetes", "validation: 0.15", "validation: 0", f"datasets.diabetes.validation: 0: {PART}"),
    ("datasets.diabetes", "validation: 0.15", "validation: 15%", f"datasets.diabetes.validation: '15%': {PART}"),
    ("datasets.diabetes", "baseline: logistic", "baseline: linear",
     "datasets.diabetes.baseline: 'linear_regression': does not fit task: classification; one of: logistic_regression, "
     "gradient_boosting"),
    ("datasets.line", "baseline: linear", "baseline: logistic",
     "datasets.line.baseline: 'logistic_regression': does not fit task: regression; one of: linear_regression, "
     "gradient_boosting"),
    ("datasets.diabetes", "baseline: logistic_regression", "baseline: naive_bayes",
     "datasets.diabetes.baseline: 'naive_bayes' is not allowed; one of: logistic_regression, linear_regression, "
     "gradient_boosting."),
    ("datasets.own_texts", "text:\n", "text: review\n",
     "datasets.own_texts.label: null: name both columns, text and label, or neither"),
    ("datasets.own_texts", "label:\n", "label: stars\n",
     "datasets.own_texts.text: null: name both columns, text and label, or neither"),
    ("datasets.own_texts", "min_df: 2", "min_df: 0",
     "datasets.own_texts.min_df: 0: should be greater than or equal to 1"),
    ("datasets.own_texts", "    text:\n", "", "datasets.own_texts.text: is missing"),
    ("datasets.own_texts", "text:\n", "text: 3\n", "datasets.own_texts.text: 3: should be a valid string, in quotes: "
     "'3'"),
    ("datasets.own_texts", "tokenizer: words", "tokenizer: word",
     "datasets.own_texts.tokenizer: 'word' is not allowed; one of: chinese, words. Did you mean 'words'?"),
    # features
    ("features.own_features", "dataset: mnist", "dataset: mnits",
     "features.own_features.dataset: 'mnits': no such dataset; defined under datasets: own_texts, own_strings, line, "
     "gaussians, diabetes, bike_sharing, mnist. Did you mean 'mnist'?"),
    ("features.own_features", "experiment: own_vision", "experiment: own_visoin",
     f"features.own_features.experiment: 'own_visoin': no such experiment; there are: {EXPERIMENTS}. Did you mean "
     "'own_vision'?"),
    ("features.own_features", "own_features:", "mnist:", "features.mnist: 'mnist': a dataset has this name already"),
    ("features.own_features", "dataset: mnist", "dataset: diabetes",
     "features.own_features.dataset: 'diabetes': is of kind tabular, and features are extracted from images"),
    ("features.own_features", "experiment: own_vision", "experiment: mnist_cnn",
     "features.own_features.experiment: 'mnist_cnn': is of model cnn; one of model torchvision or efficientnet_lite "
     "has features"),
    ("features.own_features", "experiment:", "exeriment:",
     "features.own_features.exeriment: unknown key; allowed here: dataset, experiment, model. Did you mean "
     "'experiment'?"),
    ("features.own_features", "model: torchvision", "model: mlp",
     "features.own_features.model: 'mlp': should be that of experiment own_vision: torchvision"),
    # experiments: names
    ("experiments.own_gan", "scorer: mnist_cnn", "scorer: mnist_cn",
     f"experiments.own_gan.scorer: 'mnist_cn': should be one of: none, {EXPERIMENTS}. Did you mean 'mnist_cnn'?"),
    ("experiments.own_gan", "scorer: mnist_cnn", "scorer: own_codes", "experiments.own_gan.scorer: 'own_codes': "
     "should be a classifier of images; this one is for reconstruction on data of kind images"),
    ("experiments.own_gan", "scorer: mnist_cnn", "scorer: diabetes_tuned", "experiments.own_gan.scorer: "
     "'diabetes_tuned': should be a classifier of images; this one is for classification on data of kind tabular"),
    ("experiments.mnist_mlp", "scorer: none", "scorer: mnist_cnn",
     "experiments.mnist_mlp.scorer: 'mnist_cnn': only generated images are scored: set it to none"),
    ("experiments.mnist_mlp", "init_from: scratch", "init_from: scrach",
     "experiments.mnist_mlp.init_from: 'scrach': should be a path relative to models/ (a file or a folder), or one "
     "of: scratch, "
     f"imagenet, {EXPERIMENTS}. Did you mean 'scratch'?"),
    ("experiments.mnist_mlp", "init_from: scratch", "init_from: mnist_mlp",
     "experiments.mnist_mlp.init_from: 'mnist_mlp': an experiment cannot start from itself"),
    ("experiments.mnist_mlp", "mnist_mlp:", "scratch:",
     "experiments.scratch: 'scratch': this name has another meaning: choose another one"),
    # experiments: models, trainings, losses
    ("experiments.line_search", "loop: grid_search", "loop: serch",
     f"experiments.line_search.loop: 'serch' is not allowed with model 'linear'; one of: {LOOPS}. Did you mean "
     "'grid_search'?"),
    ("experiments.line_search", "loop: grid_search", "loop: adversarial",
     f"experiments.line_search.loop: 'adversarial' is not allowed with model 'linear'; one of: {LOOPS}."),
    ("experiments.line_search", "    loop: grid_search\n", "", "experiments.line_search.loop: is missing"),
    ("experiments.mnist_mlp", "loop: supervised", "loop: grid_search",
     "experiments.mnist_mlp.loop: 'grid_search' is not allowed with model 'mlp'; one of: supervised."),
    ("experiments.mnist_mlp", "loop: supervised", "loop: superviesd",
     "experiments.mnist_mlp.loop: 'superviesd' is not allowed with model 'mlp'; one of: supervised. Did you mean "
     "'supervised'?"),
    ("experiments.line_search", "model: linear", "model: mlp",
     "experiments.line_search.loop: 'grid_search' is not allowed with model 'mlp'; one of: supervised. (and 9 more "
     "mistakes)"),
    ("experiments.own_gan", "loop: adversarial", "loop: supervised",
     "experiments.own_gan.loop: 'supervised' is not allowed with model 'gan'; one of: adversarial."),
    ("experiments.line_search", "loop: grid_search", "loop: gradient_descent",
     f"experiments.line_search.weight: model 'linear' with loop 'gradient_descent' {NO_SUCH_KEY} batch_size, bias, "
     "dataset, epochs, init_from, initialization, loop, lr, model, scorer, task."),
    ("experiments.line_search", "stop: 4.0", "stop: -1.0",
     "experiments.line_search.weight.stop: -1.0: should not be below start: 0"),
    ("experiments.line_search", "step: 0.1", "step: 0.3",
     "experiments.line_search.weight.stop: 4.0: is not a whole number of steps from start; 3.9 is"),
    ("experiments.line_search", "step: 0.1", "step: 0.00001",
     "experiments.line_search.weight.step: 1e-05: gives more than 100,000 numbers: take a larger one"),
    ("experiments.line_search", "bias:\n", "bias: {start: 0.0, stop: 1.0, step: 0.0001}\n",
     "experiments.line_search.bias: {'start': 0.0, 'stop': 1.0, 'step': 0.0001}: makes 410,041 pairs with weight, at "
     "most 100,000: larger steps"),
    ("experiments.line_search", "step: 0.1", "step: 0", "experiments.line_search.weight.step: 0: should be greater "
     "than 0"),
    ("experiments.line_search", "weight: {start: 0.0", "weight: {strat: 0.0", "experiments.line_search.weight.strat: "
     "unknown key; allowed here: start, step, stop. Did you mean 'start'?"),
    ("experiments.line_gradient_descent", "bias: false", "bias: {start: 0, stop: 1, step: 1}",
     "experiments.line_gradient_descent.bias: {'start': 0, 'stop': 1, 'step': 1}: should be a valid boolean"),
    ("experiments.line_gradient_descent", "    lr: 0.01\n", "", "experiments.line_gradient_descent.lr: is missing"),
    ("experiments.line_gradient_descent", "dataset: line", "dataset: gaussians",
     "experiments.line_gradient_descent.task: 'regression': should be that of dataset gaussians: classification"),
    ("experiments.mnist_cnn", "dataset: mnist", "dataset: diabetes",
     "experiments.mnist_cnn.model: 'cnn': takes data of kind images, and dataset diabetes is of kind tabular"),
    ("experiments.mnist_mlp", "dataset: mnist", "dataset: own_texts",
     "experiments.mnist_mlp.model: 'mlp': takes data of kind images or tabular or features, and dataset own_texts is "
     "of kind text"),
    ("experiments.own_texts", "dataset: own_texts", "dataset: mnist",
     "experiments.own_texts.model: 'bag_of_words': takes data of kind text, and dataset mnist is of kind images"),
    ("experiments.own_texts", "dropout: 0.5", "dropout: 1.5", "experiments.own_texts.dropout: 1.5: should be less "
     "than 1"),
    ("experiments.own_head", "dataset: own_features", "dataset: own_feature", "experiments.own_head.dataset: "
     "'own_feature': no such "
     "dataset; defined under datasets: own_texts, own_strings, line, gaussians, diabetes, bike_sharing, mnist, "
     "own_features. Did you mean 'own_features'?"),
    ("experiments.diabetes_tuned", "loss: binary_cross_entropy_with_logits", "loss: mse_loss",
     f"experiments.diabetes_tuned.loss: 'mse_loss': does not fit model mlp on dataset diabetes; one of: {FIT}"),
    ("experiments.bike_sharing_tuned", "loss: mse_loss", "loss: cross_entropy", "experiments.bike_sharing_tuned.loss: "
     "'cross_entropy': does not fit model mlp on dataset bike_sharing; one of: mse_loss, l1_loss"),
    ("experiments.mnist_mlp", "loss: cross_entropy", "loss: nll_loss",
     f"experiments.mnist_mlp.loss: 'nll_loss': does not fit model mlp on dataset mnist; one of: {FIT}"),
    ("experiments.own_rnn", "loss: cross_entropy", "loss: binary_cross_entropy_with_logits",
     "experiments.own_rnn.loss: 'binary_cross_entropy_with_logits': does not fit model rnn on dataset own_strings; "
     "one of: cross_entropy, multi_margin_loss"),
    ("experiments.own_codes", "loss: mse_loss", "loss: cross_entropy", "experiments.own_codes.loss: 'cross_entropy': "
     "does not fit model autoencoder on dataset mnist; one of: mse_loss, l1_loss"),
    ("experiments.own_gan", "loss: mse_loss", "loss: l1_loss",
     "experiments.own_gan.loss: 'l1_loss' is not allowed; one of: binary_cross_entropy_with_logits, mse_loss. Did "
     "you mean 'mse_loss'?"),
    ("experiments.diabetes_tuned", "    epochs: 40", "    epochs: 40\n    augment: {horizontal_flip: true, "
     "max_translate: 0}",
     "experiments.diabetes_tuned.augment: {'horizontal_flip': True, 'max_translate': 0}: only images can be "
     "augmented, and dataset diabetes is of kind tabular: set it to null"),
    ("experiments.own_vision", "hidden:\n", "hidden:\n    dropout: 0.5\n", "experiments.own_vision.dropout: 0.5: "
     "comes behind each layer of hidden, and there is none; set it to 0.0"),
    ("experiments.own_vision", "hidden:\n", "hidden: 5\n", "experiments.own_vision.hidden: 5: should be a valid list"),
    # crossvalidate
    ("crossvalidate.diabetes_tuned", "diabetes_tuned:", "diabetes_tund:",
     f"crossvalidate.diabetes_tund: 'diabetes_tund': no such experiment; there are: {EXPERIMENTS}. Did you mean "
     "'diabetes_tuned'?"),
    ("crossvalidate.diabetes_tuned", "dataset: diabetes", "dataset: mnist",
     "crossvalidate.diabetes_tuned.dataset: 'mnist': should be that of experiment diabetes_tuned: diabetes"),
    ("crossvalidate.diabetes_tuned", "diabetes_tuned:\n    dataset: diabetes\n    model: mlp", "mnist_mlp:\n    "
     "dataset: mnist\n    model: mlp",
     "crossvalidate.mnist_mlp: 'mnist_mlp': only classifiers of tables are cross-validated; this is "
     "classification, data of kind images"),
    ("crossvalidate.diabetes_tuned", "diabetes_tuned:\n    dataset: diabetes\n    model: mlp", "line_search:\n    "
     "dataset: line\n    model: linear",
     "crossvalidate.line_search: 'line_search': only classifiers of tables are cross-validated; this is "
     "regression, data of kind tabular"),
    ("crossvalidate.diabetes_tuned", "model: mlp", "model: linear",
     "crossvalidate.diabetes_tuned.model: 'linear': should be that of experiment diabetes_tuned: mlp"),
    ("experiments.diabetes_tuned", "init_from: scratch", "init_from: mnist_mlp",
     "experiments.diabetes_tuned.init_from: 'mnist_mlp': is cross-validated, so it should be scratch: other weights "
     "may have seen a fold's rows"),
    ("experiments.diabetes_tuned", "    epochs: 40", "    epochs: 40\n    freeze:\n    - net",
     "experiments.diabetes_tuned.freeze: ['net']: is cross-validated, so it should be []: other weights may have "
     "seen a fold's rows"),
    ("downloads.weights", "{name: weights.pth", "{name: ../weights.pth",
     "downloads.weights.files.0.name: '../weights.pth': should be the name of a file, without a folder"),
    ("experiments.own_rnn", "    epochs: 15", "    epochs: 15\n    reduction: sum",
     "experiments.own_rnn.reduction: 'sum' is not allowed; one of: mean."),
    ("crossvalidate.diabetes_tuned", "folds: 10", "folds: 1",
     "crossvalidate.diabetes_tuned.folds: 1: should be greater than or equal to 2"),
]  # fmt: skip

OWN = {  # entries of kinds that are shown by no other entry below
    "downloads": """
  weights:
    format: weights
    sources:
    - {kind: url, url: 'https://localhost/weights.pth'}
    files:
    - {name: weights.pth, sha256: '0000000000000000000000000000000000000000000000000000000000000000'}
    expected: {}
""",
    "datasets": """
  own_texts:
    kind: text
    raw: own
    text:
    label:
    tokenizer: words
    min_df: 2
    max_vocab:
    validation: 0.1
    test: 100
    baseline: naive_bayes
  own_strings: {kind: sequences, raw: line, input: x, target: y, baseline: most_frequent_per_character}
""",
    "features": """
  own_features:
    dataset: mnist
    experiment: own_vision
    model: torchvision
""",
    "experiments": """
  own_texts:
    dataset: own_texts
    model: bag_of_words
    task: classification
    init_from: scratch
    scorer: none
    loop: supervised
    hidden: []
    dropout: 0.5
    loss: nll_loss
    optimizer: Adam
    lr: 0.01
    batch_size: 32
    epochs: 2
  own_rnn:
    dataset: own_strings
    model: rnn
    task: sequence_labelling
    init_from: scratch
    scorer: none
    loop: supervised
    cell: RNN
    embedding:
    hidden_size: 4
    output_layer: false
    loss: cross_entropy
    optimizer: Adam
    lr: 0.1
    batch_size:
    epochs: 15
  own_vision:
    dataset: mnist
    model: torchvision
    task: classification
    init_from: imagenet
    scorer: none
    loop: supervised
    architecture: resnet18
    hidden:
    freeze:
    - features
    loss: cross_entropy
    optimizer: Adam
    lr: 0.01
    batch_size: 32
    epochs: 2
  own_head:
    dataset: own_features
    model: mlp
    task: classification
    init_from: scratch
    scorer: none
    loop: supervised
    hidden: []
    activation: relu
    loss: cross_entropy
    optimizer: Adam
    lr: 0.01
    batch_size: 32
    epochs: 2
  own_codes:
    dataset: mnist
    model: autoencoder
    task: reconstruction
    init_from: ../data/raw/weights
    scorer: none
    loop: supervised
    hidden:
    - 3
    loss: mse_loss
    optimizer: Adam
    lr: 0.01
    batch_size: 32
    epochs: 2
  own_gan:
    dataset: mnist
    model: gan
    task: generation
    init_from: scratch
    scorer: mnist_cnn
    loop: adversarial
    architecture: dense
    latent_dim: 64
    generator:
    - 128
    discriminator:
    - 128
    loss: mse_loss
    lr: 0.0002
    beta1: 0.5
    batch_size: 64
    epochs: 2
""",
}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    return reader(tmp_path, monkeypatch)


def of_every_kind() -> str:
    """A params.yaml with an entry of every kind of dataset, model and training: the project's own, and OWN."""
    text = cut_down(
        downloads=("mnist", "line", "gaussians", "iris", "diabetes"),
        datasets=("line", "gaussians", "diabetes", "bike_sharing", "mnist"),
        features=(),
        experiments=(
            "line_search", "line_gradient_descent", "diabetes_tuned", "bike_sharing_tuned", "mnist_mlp", "mnist_cnn",
        ),
        crossvalidate=("diabetes_tuned",),
    )  # fmt: skip
    text = text.replace("features: {}", "features:")
    for section, entries in OWN.items():
        text = edited(f"\n{section}:\n", f"\n{section}:{entries}", text)
    return text


def test_every_kind_is_right(load: Load) -> None:
    loaded = load(of_every_kind())
    assert {dataset.kind for dataset in loaded.datasets.values()} == set(KINDS.split(", "))
    models = {experiment.model for experiment in loaded.experiments.values()}
    assert models == set(MODELS.split(", ")) - {"efficientnet_lite"}
    assert loaded.kind_and_task("own_features") == ("features", "classification")


@pytest.mark.parametrize(
    ("entry", "old", "new", "message"),
    DO_NOT_FIT,
    ids=[f"{entry}: {new.strip()[:40]}" for entry, _, new, _ in DO_NOT_FIT],
)
def test_mistake_in_an_entry(load: Load, entry: str, old: str, new: str, message: str) -> None:
    section, name = entry.split(".")
    text = of_every_kind()
    start = text.index(f"\n  {name}:\n", text.index(f"\n{section}:\n"))
    with pytest.raises(UserError) as caught:
        load(text[:start] + edited(old, new, text[start:]))
    assert str(caught.value) == f"{file_of(message)}: {message}"
