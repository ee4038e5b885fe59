"""torchvision's classifiers and EfficientNet-Lite0: one training step each, sizes, names, ONNX, features."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models, paths
from torchprimer.datasets.meta import FeaturesMeta, Meta
from torchprimer.datasets.storage import SAMPLES_FILE, load_meta, write_meta
from torchprimer.errors import UserError
from torchprimer.export.onnx import check_parity, export_onnx
from torchprimer.models import mlp, torchvision
from torchprimer.models.efficientnet_lite import EfficientNetLite, SameConv2d, upscaled
from torchprimer.params import experiments as params
from torchprimer.stages import extract_features
from torchprimer.training.transfer import freeze, load_initial_weights

SMALLEST = {  # side in pixels, not much above what each architecture's layers leave anything of
    "resnet18": 32,
    "alexnet": 64,
    "vgg16": 32,
    "squeezenet1_0": 32,
    "densenet161": 32,
    "inception_v3": 75,
    "googlenet": 32,
    "shufflenet_v2_x1_0": 32,
    "mobilenet_v2": 32,
    "resnext50_32x4d": 32,
    "wide_resnet50_2": 32,
    "mnasnet1_0": 32,
}


def pets(side: int, channels: int = 3) -> Meta:
    mean, std = [0.5, 0.4, 0.3][:channels], [0.2, 0.2, 0.3][:channels]
    return make_meta(
        kind="images", shape=[channels, side, side], classes=["cat", "dog", "fox"], raw="zoo", mean=mean, std=std
    )


def experiment_of(architecture: str, **changes: Any) -> params.Torchvision:
    experiment = make_experiment(model="torchvision", architecture=architecture, **changes)
    assert isinstance(experiment, params.Torchvision)
    return experiment


def build(architecture: str, side: int, channels: int = 3, seed: int = 0, **changes: Any) -> nn.Sequential:
    torch.manual_seed(seed)
    return models.build(experiment_of(architecture, **changes), pets(side, channels))


def pixels(side: int, number: int = 2, channels: int = 3) -> torch.Tensor:
    return torch.randint(256, (number, channels, side, side), dtype=torch.uint8)


@pytest.mark.parametrize(("architecture", "side"), SMALLEST.items())
def test_one_training_step(architecture: str, side: int) -> None:
    """Forward, loss, backward, optimiser: a gradient for every tensor, and both parts move."""
    model = build(architecture, side, seed=2)  # a seed with which SqueezeNet's last ReLU lets something through
    images, targets = pixels(side), torch.tensor([0, 2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    logits = model(images)
    assert logits.shape == (2, 3)
    F.cross_entropy(logits, targets).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    optimizer.step()
    for part in ("net.features", "net.classifier"):
        moved = [not torch.equal(p, before[name]) for name, p in model.named_parameters() if name.startswith(part)]
        assert any(moved), part


def test_same_answers_as_torchvision() -> None:
    """The two parts together are torchvision's own net, and `map_key` finds each of its tensors."""
    zoo = torchvision.torchvision_models()
    for architecture, side in (("resnet18", 40), ("squeezenet1_0", 40), ("vgg11", 40), ("vit_b_32", 64)):
        settings = {"image_size": side} if architecture.startswith("vit") else {}
        theirs = zoo.get_model(architecture, weights=None, num_classes=3, **settings).eval()
        net = torchvision.build(experiment_of(architecture), pets(side), 3).eval()
        net.load_state_dict({net.map_key(name): tensor for name, tensor in theirs.state_dict().items()})
        images = torch.randn(2, 3, side, side)
        with torch.no_grad():
            torch.testing.assert_close(net(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_own_classifier_on_the_features_own_size() -> None:
    """VGG at 32 pixels: 512 features, not 49 times the same; from 224 pixels on, 7 x 7 of them."""
    small = build("vgg11", 32, hidden=[20], dropout=0.5).net.classifier
    assert [tuple(p.shape) for p in small.parameters() if p.ndim > 1] == [(20, 512), (3, 20)]
    assert [layer.p for layer in small if isinstance(layer, nn.Dropout)] == [0.5]
    large = build("vgg11", 256, hidden=[]).net.classifier
    assert [tuple(p.shape) for p in large.parameters() if p.ndim > 1] == [(3, 512 * 7 * 7)]
    pooled = build("squeezenet1_0", 64, hidden=[]).net.classifier  # a map of 3 x 3, which torchvision pools at the end
    assert [tuple(p.shape) for p in pooled.parameters() if p.ndim > 1] == [(3, 512)]


def test_unknown_architecture() -> None:
    with pytest.raises(UserError, match=r"'resnet19' is not .* Did you mean 'resnet1[0-9]*'\? One of: alexnet"):
        torchvision.check_architecture("resnet19")
    with pytest.raises(UserError, match="fcn_resnet50"):  # segmentation
        torchvision.check_architecture("fcn_resnet50")
    torchvision.check_architecture("resnet18")


def test_image_size_is_checked() -> None:
    with pytest.raises(UserError, match="inception_v3: images of 32 x 32 pixels are too small; set min_input_size: 80"):
        build("inception_v3", 32)
    with pytest.raises(UserError, match=r"vit_b_16: images of 40 x 40 .* patch size.*set min_input_size: 224"):
        build("vit_b_16", 40)
    with pytest.raises(UserError, match=r"images of 15 x 15 pixels are too small.* upscale: 3 or more"):
        models.build(make_experiment(model="efficientnet_lite", upscale=2), pets(15))
    assert build("inception_v3", 32, min_input_size=80).eval()(pixels(32)).shape == (2, 3)


def test_grey_images() -> None:
    model = build("resnet18", 32, channels=1).eval()
    grey = pixels(32, channels=1)
    with torch.no_grad():
        normalised = model.normalize(grey)
        torch.testing.assert_close(model(grey), model.net(normalised.repeat(1, 3, 1, 1)))


def test_small_images_are_scaled_up() -> None:
    """To `min_input_size`, no further; larger ones (photos, with the same experiment) stay as they are."""
    net = build("shufflenet_v2_x0_5", 32, min_input_size=48).net
    for side, expected in ((32, 48), (48, 48), (64, 64)):
        assert net.prepare(torch.randn(1, 3, side, side)).shape[-2:] == (expected, expected)
    slope = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    scaled = net.prepare(slope)[0, 0, 7]
    torch.testing.assert_close(scaled.diff()[4:-4], torch.full((39,), 32 / 48 / 31))  # a slope is still one


@pytest.mark.parametrize("min_input_size", [None, 48])
def test_onnx(tmp_path: Path, min_input_size: int | None) -> None:
    """Scaling inside the model is exported with it."""
    model = build("shufflenet_v2_x0_5", 32, min_input_size=min_input_size).eval()
    images = pixels(32, 6)
    export_onnx(model, images[:2], tmp_path / "model.onnx", ("images", "logits"))
    assert check_parity(model, tmp_path / "model.onnx", images, classes=True) < 1e-5


def test_efficientnet_enlarges_images() -> None:
    """So many times, but no further than to what its weights were made on."""
    assert [upscaled(side, 2) for side in (32, 100, 128, 224, 300)] == [64, 200, 224, 224, 300]
    net = EfficientNetLite(3, upscale=2).eval()
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        got = net(images)
        net.upscale = 1
        torch.testing.assert_close(got, net(nn.functional.interpolate(images, scale_factor=2, mode="bilinear")))


def test_efficientnet_onnx(tmp_path: Path) -> None:
    model = models.build(make_experiment(model="efficientnet_lite", upscale=2, dropout=0.2), pets(32)).eval()
    export_onnx(model, pixels(32), tmp_path / "model.onnx", ("images", "logits"))
    assert check_parity(model, tmp_path / "model.onnx", pixels(32, 6), classes=True) < 1e-5


def test_efficientnet_is_the_published_one(real_raw: Callable[[str], Path]) -> None:
    """Every key and shape of the published weights, and the published architecture's logits."""
    folder = real_raw("efficientnet_lite0")
    (file,) = folder.glob("*.pth")
    weights = torch.load(file, weights_only=True)
    net = EfficientNetLite(1000).eval()
    assert {k: t.shape for k, t in net.state_dict().items()} == {k: t.shape for k, t in weights.items()}
    net.load_state_dict(weights)
    with torch.inference_mode():
        logits = net(torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64))[0]
    assert logits.argmax() == 782
    # what PyPI's efficientnet-lite-pytorch 0.1.0 makes of the same image, with image_size=64
    expected = torch.tensor([-0.459169, -0.127022, 0.936314, 0.626070, 0.809393])
    torch.testing.assert_close(logits[:5], expected, rtol=0, atol=1e-4)

    model = models.build(make_experiment(model="efficientnet_lite", dropout=0.2), pets(32))
    assert load_initial_weights(model, "../data/raw/efficientnet_lite0", folder).new == ["_fc.weight", "_fc.bias"]
    torch.testing.assert_close(  # what they expect of pixels: TensorFlow's (x - 127) / 128
        model.normalize(torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(1, 3, 1, 3))[0, 0, 0],
        torch.tensor([-127 / 128, 0.0, 1.0]),
    )


def test_same_padding_against_its_definition() -> None:
    """TensorFlow's rule, pixel by pixel: output i sees what starts at i * stride - floor(total padding / 2)."""
    for size, kernel, stride in ((7, 3, 2), (8, 3, 2), (9, 5, 2), (10, 5, 2), (6, 5, 1), (2, 5, 2)):
        convolution = SameConv2d(1, 1, kernel, stride)
        image = torch.randn(1, 1, size, size)
        outputs = -(-size // stride)
        before = max((outputs - 1) * stride + kernel - size, 0) // 2
        got = convolution(image)
        assert got.shape[-1] == outputs
        for row in range(outputs):
            for column in range(outputs):
                total = 0.0
                for i in range(kernel):
                    for j in range(kernel):
                        y, x = row * stride - before + i, column * stride - before + j
                        if 0 <= y < size and 0 <= x < size:
                            total += (image[0, 0, y, x] * convolution.weight[0, 0, i, j]).item()
                assert abs(got[0, 0, row, column].item() - total) < 1e-5


def test_dropped_blocks_keep_the_mean() -> None:
    net = EfficientNetLite(3)
    block: Any = net._blocks[-2]
    assert block.residual
    torch.manual_seed(0)
    images = torch.randn(1, 192, 2, 2).expand(4000, -1, -1, -1)
    block.train()
    for norm in (block._bn0, block._bn1, block._bn2):
        norm.eval()
    with torch.no_grad():
        change = block(images) - images
        kept = change.abs().amax((1, 2, 3)) > 0
        assert abs(1 - kept.float().mean().item() - 0.2 * 14 / 16) < 0.02
        block.eval()
        torch.testing.assert_close(change[kept][0] * (1 - 0.2 * 14 / 16), (block(images[:1]) - images[:1])[0])


def test_torchvision_is_imported_once_and_for_all() -> None:
    zoo = torchvision.torchvision_models()
    assert torchvision.torchvision_models() is zoo is sys.modules["torchvision.models"]


@pytest.mark.parametrize("size", [32, 80])
def test_features_once_are_the_whole_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """An MLP with the classifier's weights says of the features what the whole net says of the images.

    Also if these are larger than what the features were learnt on: then of the net that is built for this size.
    """
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    data = pets(size)
    source = paths.prepared("pets")
    source.mkdir(parents=True)
    torch.manual_seed(1)
    parts = {"train": 5, "validation": 3, "test": 4}
    for part, number in parts.items():
        np.save(source / f"{part}_inputs.npy", pixels(size, number).numpy())
        np.save(source / f"{part}_targets.npy", np.arange(number) % 3)
    ids = [f"{part}{i}" for part, number in parts.items() for i in range(number)]
    pd.DataFrame({"id": ids, "label": "cat", "split": "train"}).to_csv(source / SAMPLES_FILE, index=False)
    write_meta(source, data)
    experiment = experiment_of("vgg11", hidden=[30], dropout=0.5)
    learnt = build("vgg11", 32, hidden=[30], dropout=0.5).eval()
    freeze(learnt, ["features"])
    paths.model("pets_vgg").mkdir(parents=True)
    models.save(learnt.state_dict(), make_record(experiment, pets(32)), paths.model("pets_vgg"))
    model = build("vgg11", size, hidden=[30], dropout=0.5).eval()
    model.net.features.load_state_dict(learnt.net.features.state_dict())

    class Section:
        dataset, experiment = "pets", "pets_vgg"

    class Params:
        device, precision, threads = "cpu", "float32", 1
        features: dict[str, type] = {"pets_features": Section}  # noqa: RUF012

    extract_features.run(Params, "pets_features")  # type: ignore[arg-type]
    folder = paths.prepared("pets_features")
    meta = load_meta(folder)
    assert isinstance(meta, FeaturesMeta)
    assert (meta.shape, meta.samples) == ([512 if size == 32 else 512 * 2 * 2], parts)
    assert (meta.classes, meta.image_shape) == (data.classes, data.shape)
    assert (folder / SAMPLES_FILE).read_bytes() == (source / SAMPLES_FILE).read_bytes()
    head = mlp.build(params.MLP.model_validate(make_experiment(model="mlp", hidden=[30], dropout=0.5)), meta, 3)
    head.load_state_dict(model.net.classifier.state_dict())
    head.eval()
    for part in parts:
        rows = np.load(folder / f"{part}_inputs.npy")
        assert rows.dtype == np.float32
        with torch.no_grad():
            whole = model(torch.from_numpy(np.load(source / f"{part}_inputs.npy")))
            torch.testing.assert_close(head(torch.from_numpy(rows)), whole, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.load(folder / f"{part}_targets.npy"), np.load(source / f"{part}_targets.npy"))

    fitting = np.load(source / "test_inputs.npy")
    np.save(source / "test_inputs.npy", pixels(16, 4).numpy())
    write_meta(source, pets(16))
    with pytest.raises(UserError, match=r"pets_vgg was trained on images of \[3, 32, 32\] .* \[3, 16, 16\]"):
        extract_features.run(Params, "pets_features")  # type: ignore[arg-type]
    assert load_meta(folder) == meta

    computes_shapes = extract_features.Extractor.forward

    def forward(extractor: Any, images: torch.Tensor) -> torch.Tensor:
        if images.is_meta or torch.compiler.is_exporting():
            return computes_shapes(extractor, images)
        raise RuntimeError("out of memory")

    np.save(source / "test_inputs.npy", fitting)
    write_meta(source, data)  # the images fit again: another cause is told as it is
    monkeypatch.setattr(extract_features.Extractor, "forward", forward)
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        extract_features.run(Params, "pets_features")  # type: ignore[arg-type]
    assert load_meta(folder) == meta
