"""Generator and discriminator: one step against NumPy, resuming, and scores that see what is wrong with a generator."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.datasets.meta import Meta
from torchprimer.datasets.storage import SplitArrays
from torchprimer.errors import UserError
from torchprimer.evaluation import EvaluationContext
from torchprimer.export.onnx import check_parity, export_onnx
from torchprimer.loops.adversarial import train
from torchprimer.models.gan import GAN, scaled
from torchprimer.params import Experiment, experiments
from torchprimer.tasks.generation import evaluation as generation
from torchprimer.training import EpochMetrics, TrainResult
from torchprimer.training.device import make_reproducible

CPU = torch.device("cpu")
DIGITS = make_meta(kind="images", shape=[1, 28, 28], classes=list("0123456789"), mean=[0.1307], std=[0.3081])
KEYS: dict[str, Any] = {
    "model": "gan", "architecture": "dense", "latent_dim": 16, "generator": [32], "discriminator": [24],
    "loss": "binary_cross_entropy_with_logits", "lr": 0.001, "beta1": 0.5, "batch_size": 64, "epochs": 4,
}  # fmt: skip
DENSE = make_experiment(**KEYS)
CONVOLUTIONAL = make_experiment(
    **KEYS | {"architecture": "convolutional", "generator": [16, 8], "discriminator": [8, 16]}
)


def change(experiment: Experiment, **keys: Any) -> Experiment:
    return experiment.model_copy(update=keys)


@pytest.fixture(scope="module")
def digits(real_raw: Callable[[str], Path]) -> SplitArrays:
    """2,000 digits."""
    folder = real_raw("mnist")
    images = np.fromfile(folder / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)[:2000]
    labels = np.fromfile(folder / "train-labels-idx1-ubyte", np.uint8)[8:2008].astype(np.int64)
    return SplitArrays(torch.from_numpy(images.copy()), torch.from_numpy(labels))


def some(split: SplitArrays, count: int) -> SplitArrays:
    return SplitArrays(split.inputs[:count], split.targets[:count])


def build(experiment: Experiment, meta: Meta = DIGITS) -> GAN:
    make_reproducible(0, threads=1)
    gan = models.build(experiment, meta).get_submodule("net")
    assert isinstance(gan, GAN)
    return gan


def fit(
    training: SplitArrays, experiment: Experiment, checkpoint: Path | None = None, on_epoch: Any = lambda row: None,
    precision: torch.dtype = torch.float32,
) -> tuple[TrainResult, nn.Module]:  # fmt: skip
    make_reproducible(0, threads=1)
    model = models.build(experiment, DIGITS)
    assert isinstance(experiment, experiments.GAN)
    outcome = train(
        model, training, training, experiment, device=CPU, precision=precision, on_epoch=on_epoch,
        checkpoint=checkpoint,
    )  # fmt: skip
    return outcome, model


# ---- the networks ----------------------------------------------------------------------------------------------------


def test_architectures() -> None:
    def weights(network: nn.Module) -> list[tuple[int, ...]]:
        return [tuple(weight.shape) for weight in network.parameters() if weight.ndim > 1]

    dense = build(change(DENSE, latent_dim=96, generator=[1024, 1024], discriminator=[256, 256]))
    assert weights(dense.generator) == [(1024, 96), (1024, 1024), (784, 1024)]
    assert weights(dense.discriminator) == [(256, 784), (256, 256), (1, 256)]
    convolutional = build(change(CONVOLUTIONAL, latent_dim=96, generator=[64, 32], discriminator=[32, 64]))
    assert weights(convolutional.generator) == [(64 * 7 * 7, 96), (64, 32, 4, 4), (32, 1, 4, 4)]
    assert weights(convolutional.discriminator) == [(32, 1, 4, 4), (64, 32, 4, 4), (1, 64 * 7 * 7)]
    norms = [[type(layer).__name__ for layer in network].count("BatchNorm2d")  # type: ignore[attr-defined]
             for network in (convolutional.generator, convolutional.discriminator)]  # fmt: skip
    assert norms == [2, 1]  # all but the generator's last layer and the discriminator's first
    deviations = [weight.std().item() for weight in convolutional.parameters() if weight.ndim == 4]
    assert deviations == pytest.approx([0.02] * 4, rel=0.1)


@pytest.mark.parametrize("experiment", [DENSE, CONVOLUTIONAL], ids=lambda experiment: experiment.architecture)
@pytest.mark.parametrize("shape", [[1, 28, 28], [3, 32, 32], [3, 12, 20]])
def test_any_size_and_colour(experiment: Experiment, shape: list[int]) -> None:
    gan = build(experiment, make_meta(kind="images", shape=shape))
    images = gan(torch.randn(5, 16))
    assert images.shape == (5, *shape)
    assert 0 <= images.min() < images.max() <= 1
    assert gan.discriminator(scaled(gan.images(gan.noise(5, seed=0)))).shape == (5, 1)


def test_images_that_cannot_be_halved() -> None:
    with pytest.raises(UserError, match="30 x 28 pixels cannot be halved 2 times; use fewer numbers under generator"):
        build(CONVOLUTIONAL, make_meta(kind="images", shape=[1, 30, 28]))
    with pytest.raises(UserError, match="cannot be halved 3 times; use fewer numbers under discriminator"):
        build(change(CONVOLUTIONAL, discriminator=[8, 8, 8]))


def test_pixels_there_and_back() -> None:
    """The generator's range is -1..1, a pixel's 0..255: every one of the 256 values survives the way and back."""
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    gan = GAN(nn.Identity(), nn.Identity(), 1)
    gan.register_parameter("somewhere", nn.Parameter(torch.zeros(1)))
    assert torch.equal(gan.images(scaled(pixels)), pixels)
    assert (scaled(pixels).min(), scaled(pixels).max()) == (-1, 1)


def test_each_image_is_of_its_own_noise_alone() -> None:
    """Batch norm in eval: what else is in the batch does not matter; and looking does not change the training mode."""
    gan = build(CONVOLUTIONAL).train()
    gan(torch.randn(64, 16))
    noise = gan.noise(6, seed=3)
    before = gan.state_dict()["generator.2.running_mean"].clone()
    assert torch.equal(gan.images(noise)[2:3], gan.images(noise[2:3]))
    assert torch.equal(before, gan.state_dict()["generator.2.running_mean"])
    assert gan.generator.training
    assert torch.equal(noise, gan.noise(6, seed=3))
    assert not torch.equal(noise, gan.noise(6, seed=4))


@pytest.mark.parametrize("experiment", [DENSE, CONVOLUTIONAL], ids=lambda experiment: experiment.architecture)
def test_exported_generator_makes_the_same_images(experiment: Experiment, tmp_path: Path) -> None:
    model = models.build(experiment, DIGITS).eval()
    noise = torch.randn(9, 16)
    export_onnx(model, noise[:2], tmp_path / "model.onnx", ("noise", "images"))
    assert check_parity(model, tmp_path / "model.onnx", noise, classes=False) <= 1e-4


# ---- the loop --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["binary_cross_entropy_with_logits", "mse_loss"])
def test_one_step_is_the_formula(digits: SplitArrays, loss: str) -> None:
    """A single batch: losses, scores, all gradients and Adam's first step, derived by hand and computed by NumPy."""
    n = 40
    experiment = change(DENSE, loss=loss, batch_size=n, epochs=1, lr=0.01)
    training = some(digits, n)
    start = {name: w.double().numpy().copy() for name, w in build(experiment).state_dict().items()}
    outcome, model = fit(training, experiment)
    build(experiment)  # brings PyTorch's random state to where training began
    order = torch.randperm(n)
    noise = torch.randn(n, 16).double().numpy()
    real = training.inputs[order].double().flatten(1).numpy() / 127.5 - 1

    def discriminate(weights: dict[str, Any], images: Any) -> tuple[Any, Any, Any]:
        before = images @ weights["discriminator.1.weight"].T + weights["discriminator.1.bias"]
        hidden = np.where(before > 0, before, 0.2 * before)
        return before, hidden, hidden @ weights["discriminator.3.weight"].T + weights["discriminator.3.bias"]

    def probability(logits: Any) -> Any:
        return 1 / (1 + np.exp(-logits))

    def value_and_slope(logits: Any, target: int) -> tuple[float, Any]:
        """Mean loss, and its derivative by each logit."""
        if loss == "mse_loss":
            return ((logits - target) ** 2).mean(), 2 * (logits - target) / n
        p = probability(logits)
        return -np.log(p if target else 1 - p).mean(), (p - target) / n

    def adam(weight: Any, gradient: Any) -> Any:
        return weight - 0.01 * gradient / (np.abs(gradient) + 1e-8)

    g1, g2, d1, d2 = "generator.0", "generator.2", "discriminator.1", "discriminator.3"
    before_g = noise @ start[f"{g1}.weight"].T + start[f"{g1}.bias"]
    hidden_g = np.maximum(before_g, 0)
    fake = np.tanh(hidden_g @ start[f"{g2}.weight"].T + start[f"{g2}.bias"])
    gradients: dict[str, Any] = {f"{d}.{kind}": 0.0 for d in (d1, d2) for kind in ("weight", "bias")}
    values, logits = [], []
    for images, target in ((real, 1), (fake, 0)):
        before, hidden, out = discriminate(start, images)
        value, slope = value_and_slope(out, target)
        slope = slope / 2
        below = slope @ start[f"{d2}.weight"] * np.where(before > 0, 1, 0.2)
        gradients[f"{d2}.weight"] += slope.T @ hidden
        gradients[f"{d2}.bias"] += slope.sum(0)
        gradients[f"{d1}.weight"] += below.T @ images
        gradients[f"{d1}.bias"] += below.sum(0)
        values.append(value)
        logits.append(out)
    after = start | {name: adam(start[name], gradient) for name, gradient in gradients.items()}

    before, _, out = discriminate(after, fake)  # the generator plays against the discriminator as it is now
    generator_value, slope = value_and_slope(out, 1)
    below = slope @ after[f"{d2}.weight"] * np.where(before > 0, 1, 0.2) @ after[f"{d1}.weight"] * (1 - fake**2)
    deeper = below @ start[f"{g2}.weight"] * (before_g > 0)
    gradients |= {f"{g2}.weight": below.T @ hidden_g, f"{g2}.bias": below.sum(0)}
    gradients |= {f"{g1}.weight": deeper.T @ noise, f"{g1}.bias": deeper.sum(0)}
    after |= {name: adam(start[name], gradients[name]) for name in gradients if name.startswith("generator")}

    for name, weight in model.get_submodule("net").named_parameters():
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad, gradients[name], atol=2e-6, rtol=1e-4, err_msg=name)
        certain = np.abs(gradients[name]) > 1e-5  # Adam's first step is all sign: rounding decides it near 0
        assert certain.mean() > 0.5
        np.testing.assert_allclose(weight.detach()[certain], after[name][certain], atol=2e-5, err_msg=name)
    row = outcome.history[0]
    assert row["discriminator_loss"] == pytest.approx(sum(values) / 2, rel=1e-4)
    assert row["generator_loss"] == pytest.approx(generator_value, rel=1e-3)
    scores = [(out if loss == "mse_loss" else probability(out)).mean() for out in logits]
    assert [row["real_score"], row["fake_score"]] == pytest.approx(scores, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("experiment", [DENSE, CONVOLUTIONAL], ids=lambda experiment: experiment.architecture)
@pytest.mark.parametrize("last", [2, 4])
def test_interrupted_training_ends_the_same(
    digits: SplitArrays, experiment: Experiment, last: int, tmp_path: Path
) -> None:
    """Both networks, both optimisers, random state, history and samples go on where they were, to the bit."""
    training = some(digits, 300)
    whole, _ = fit(training, experiment)

    def interrupt(row: EpochMetrics) -> None:
        if row["epoch"] == last:
            raise KeyboardInterrupt

    file = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(training, experiment, file, interrupt)
    heard: list[EpochMetrics] = []
    resumed, _ = fit(training, experiment, file, heard.append)
    assert [row["epoch"] for row in heard] == [1, 2, 3, 4]
    assert whole.weights.keys() == resumed.weights.keys()
    assert all(torch.equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)
    assert whole.history == resumed.history
    assert np.array_equal(whole.artifacts["samples"], resumed.artifacts["samples"])


def test_outcome_is_what_happened(digits: SplitArrays) -> None:
    heard: list[EpochMetrics] = []
    outcome, _ = fit(some(digits, 300), CONVOLUTIONAL, on_epoch=heard.append)
    assert heard == outcome.history
    assert outcome.best_epoch == len(heard) == 4
    samples = outcome.artifacts["samples"]
    assert (samples.shape, samples.dtype) == ((4, 64, 1, 28, 28), np.uint8)
    fresh = models.build(CONVOLUTIONAL, DIGITS)
    fresh.load_state_dict(outcome.weights)
    gan = fresh.get_submodule("net")
    assert isinstance(gan, GAN)
    assert np.array_equal(gan.images(gan.noise(64, seed=0)), samples[-1])
    assert not np.array_equal(samples[0], samples[-1])
    assert 0 < heard[-1]["fake_score"] < heard[-1]["real_score"] < 1  # type: ignore[operator]


def test_bfloat16_trains_too(digits: SplitArrays) -> None:
    outcome, model = fit(some(digits, 300), CONVOLUTIONAL, precision=torch.bfloat16)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    exact, _ = fit(some(digits, 300), CONVOLUTIONAL)
    assert outcome.history[0]["discriminator_loss"] == pytest.approx(exact.history[0]["discriminator_loss"], rel=0.05)
    assert outcome.history[0]["discriminator_loss"] != exact.history[0]["discriminator_loss"]


def test_diverging_training_says_so(digits: SplitArrays) -> None:
    with pytest.raises(UserError, match=r"losses of generator and discriminator .* training diverged; lower lr"):
        fit(some(digits, 300), change(DENSE, lr=1e30))


# ---- the scores ------------------------------------------------------------------------------------------------------


def test_frechet_distance_against_scipy() -> None:
    """The definition, with a general matrix square root; correlated features, unequal numbers of samples."""
    from scipy.linalg import sqrtm

    random = np.random.default_rng(0)
    one = random.normal(size=(300, 12)) @ random.normal(size=(12, 12))
    other = random.normal(size=(200, 12)) @ random.normal(size=(12, 12)) + random.normal(size=12)
    first, second = np.cov(one.T), np.cov(other.T)
    expected = np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert generation.frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert generation.frechet_distance(other, one) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_closed_form() -> None:
    """The same points, stretched by s and moved by d: |d|^2 + (s - 1)^2 tr(C); also of fewer samples than features."""
    for samples, features in ((500, 6), (5, 20), (2, 1)):
        one = np.random.default_rng(0).normal(size=(samples, features))
        one -= one.mean(0)
        expected = 4 * features + 0.5**2 * one.var(0, ddof=1).sum()
        assert generation.frechet_distance(one, 1.5 * one + 2) == pytest.approx(expected, rel=1e-6)
        assert generation.frechet_distance(one, one) == pytest.approx(0, abs=1e-6)


def test_entropy() -> None:
    assert generation.entropy(np.array([0.25, 0.25, 0.5])) == 1.5
    assert generation.entropy(np.full(8, 1 / 8)) == 3
    assert str(generation.entropy(np.array([0.0, 1.0]))) == "0.0"
    assert generation.class_frequencies(np.array([2, 0, 2, 2]), 4).tolist() == [0.25, 0, 0.75, 0]


@pytest.fixture(scope="module")
def scorer(digits: SplitArrays) -> nn.Module:
    """A small convolutional net after a few epochs."""
    from torchprimer.loops.supervised import train as train_classifier

    experiment = make_experiment(
        model="cnn", channels=[8, 16], kernel_size=5, padding=0, hidden=[32], optimizer="Adam", lr=0.003, batch_size=64,
        epochs=4,
    )  # fmt: skip
    make_reproducible(0, threads=1)
    model = models.build(experiment, DIGITS)
    halves = (
        SplitArrays(digits.inputs[:1500], digits.targets[:1500]),
        SplitArrays(digits.inputs[1500:], digits.targets[1500:]),
    )
    train_classifier(model, *halves, experiment, device=CPU, precision=torch.float32, on_epoch=lambda row: None)
    return model.eval()


def test_judge_gives_its_last_features(scorer: nn.Module, digits: SplitArrays) -> None:
    probabilities, features = generation.score_with_classifier(scorer, digits.inputs[:700], CPU)
    last = [layer for layer in scorer.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        logits = last(torch.from_numpy(features).float())
        np.testing.assert_allclose(probabilities, scorer(digits.inputs[:700]).softmax(1), atol=1e-5)
    np.testing.assert_allclose(probabilities, logits.softmax(1), atol=1e-5)
    assert not last._forward_pre_hooks


def test_unsuitable_judges(scorer: nn.Module) -> None:
    with pytest.raises(UserError, match="scorer: this classifier has no linear layer"):
        generation.score_with_classifier(nn.Sequential(nn.Flatten()), torch.zeros(2, 1, 28, 28, dtype=torch.uint8), CPU)
    with pytest.raises(UserError, match="scorer: it cannot take images of 3 x 32 x 32; name a classifier of the same"):
        generation.score_with_classifier(scorer, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), CPU)


class Replay(GAN):
    """A generator that gives out given images, whatever the noise."""

    def __init__(self, given: torch.Tensor) -> None:
        super().__init__(nn.Identity(), nn.Identity(), 1)
        self.given = given

    def images(self, noise: torch.Tensor) -> torch.Tensor:
        return self.given[: len(noise)]


def make_context(
    net: GAN, digits: SplitArrays, scorer: nn.Module | None, samples: Any, loss: str = "mse_loss"
) -> EvaluationContext:
    epochs = np.arange(1, len(samples) + 1)
    columns = ("generator_loss", "discriminator_loss", "real_score", "fake_score")
    return EvaluationContext(
        name="digits",
        model=nn.Sequential(OrderedDict(net=net)),
        record=make_record(change(DENSE, loss=loss), DIGITS),
        history=pd.DataFrame({"epoch": epochs} | {name: 1 / (epochs + i) for i, name in enumerate(columns)}),
        train=digits,
        test=SplitArrays(digits.inputs[1000:], digits.targets[1000:]),
        ids=[str(i) for i in range(1000)],
        artifacts={"samples": samples},
        scorer=scorer,
        device=CPU,
    )


def test_scores_see_what_is_wrong(scorer: nn.Module, digits: SplitArrays, tmp_path: Path) -> None:
    """Other real digits, ones alone (collapsed in classes), one digit of each class (collapsed within), noise."""
    samples = np.zeros((2, 64, 1, 28, 28), np.uint8)
    ones = digits.inputs[:1000][digits.targets[:1000] == 1]
    of_each = digits.inputs[[int((digits.targets == number).nonzero()[0]) for number in range(10)]]
    given = {
        "real": digits.inputs[:1000],
        "ones": ones.repeat(20, 1, 1, 1),
        "of_each": of_each.repeat(100, 1, 1, 1),
        "noise": torch.randint(256, (1000, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)),
    }
    scores = {}
    for name, images in given.items():
        (tmp_path / name).mkdir()
        scores[name] = generation.evaluate(make_context(Replay(images), digits, scorer, samples), tmp_path / name)
    distance, entropy = ({name: s[key] for name, s in scores.items()} for key in ("frechet_distance", "class_entropy"))
    assert entropy["ones"] < 0.3
    assert entropy["of_each"] > 3
    assert entropy["real"] == pytest.approx(np.log2(10), abs=0.05)
    assert distance["real"] < 0.1 * min(distance["ones"], distance["of_each"], distance["noise"])
    assert distance["real"] == pytest.approx(scores["real"]["frechet_distance_real"], rel=0.9)
    assert scores["real"]["confident_fraction"] == pytest.approx(scores["real"]["confident_fraction_real"], abs=0.05)
    shares = pd.read_csv(tmp_path / "ones" / "classes.csv")
    assert shares["generated"].argmax() == 1
    assert shares[["generated", "real"]].sum().tolist() == pytest.approx([1, 1])
    with torch.no_grad():
        sure = scorer(given["noise"]).softmax(1).amax(1) >= 0.9
    assert scores["noise"]["confident_fraction"] == pytest.approx(sure.double().mean().item(), abs=1e-9)


def test_distances_compare_samples_of_one_size(scorer: nn.Module, digits: SplitArrays, tmp_path: Path) -> None:
    """A generator that returns the second half of the test images has exactly the distance of the real halves."""
    real = digits.inputs[1000:]
    images = torch.empty_like(real)
    images[::2] = real[1::2]
    images[1::2] = real[::2]
    samples = np.zeros((2, 64, 1, 28, 28), np.uint8)
    scores = generation.evaluate(make_context(Replay(images), digits, scorer, samples), tmp_path)
    assert scores["frechet_distance"] == pytest.approx(scores["frechet_distance_real"], rel=1e-6)
    assert scores["frechet_distance_real"] > 0


@pytest.mark.parametrize("samples", [None, np.zeros((2, 3))])
def test_samples_that_are_missing_or_damaged(digits: SplitArrays, samples: Any, tmp_path: Path) -> None:
    context = make_context(Replay(digits.inputs), digits, None, np.zeros((2, 64, 1, 28, 28), np.uint8))
    context = replace(context, artifacts={} if samples is None else {"samples": samples})
    with pytest.raises(UserError, match=r"models/digits/samples\.npy is missing or damaged: `dvc repro train@digits`"):
        generation.evaluate(context, tmp_path)


# ---- the pictures ----------------------------------------------------------------------------------------------------


def test_pictures_are_drawn(digits: SplitArrays, scorer: nn.Module, tmp_path: Path) -> None:
    """With and without a judge, one epoch and many; the same bytes again; the film has a frame for each epoch."""
    given = {"one": 1, "many": 40, "again": 40}
    for name, epochs in given.items():
        (tmp_path / name).mkdir()
        samples = digits.inputs[: 64 * 20].numpy().reshape(20, 64, 1, 28, 28)[np.arange(epochs) % 20]
        scores = generation.evaluate(
            make_context(Replay(digits.inputs), digits, None if epochs == 1 else scorer, samples), tmp_path / name
        )
        assert scores["generator_loss"] == 1 / epochs
    assert set(scores) >= {"frechet_distance", "confident_fraction", "class_entropy", "discriminator_loss"}
    pictures = {"samples.png", "epochs.png", "losses.png", "training.gif"}
    assert {file.name for file in (tmp_path / "one").iterdir()} == pictures
    assert {file.name for file in (tmp_path / "many").iterdir()} == pictures | {"classes.csv", "classes.png"}
    for file in (tmp_path / "many").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    with Image.open(tmp_path / "many" / "training.gif") as film:
        assert film.n_frames == 30  # type: ignore[attr-defined]
        assert film.info["loop"] == 0


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 128, 128)])
def test_grid_shows_each_image_at_its_place(shape: tuple[int, ...]) -> None:
    images = np.zeros((64, *shape), np.uint8)
    images[:] = 3 * np.arange(64).reshape(64, 1, 1, 1)
    picture = np.asarray(generation.grid(images))
    side = picture.shape[1] / 8
    assert 600 < picture.shape[1] == picture.shape[0] <= 700
    for number in range(64):
        row, column = divmod(number, 8)
        middle = picture[int((row + 0.5) * side), int((column + 0.5) * side)]
        assert (middle == (255 - 3 * number if shape[0] == 1 else 3 * number)).all()


def test_evenly_spaced() -> None:
    assert generation.evenly_spaced(3, 8) == [0, 1, 2]
    assert generation.evenly_spaced(20, 4) == [0, 6, 13, 19]
    assert generation.evenly_spaced(1, 8) == [0]
