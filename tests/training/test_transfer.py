"""Initial weights against the papers' formulas; weights taken over from elsewhere; frozen layers that stand still."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from tests.objects import make_experiment, make_meta, make_record
from torchprimer import models
from torchprimer.errors import UserError
from torchprimer.loops.supervised import build_optimizer
from torchprimer.models.efficientnet_lite import EfficientNetLite
from torchprimer.models.torchvision import torchvision_models
from torchprimer.params.experiments import Supervised
from torchprimer.training.initialization import initialize
from torchprimer.training.transfer import freeze, last_layers, load_initial_weights


def model_of(classes: int, seed: int, **changes: Any) -> nn.Sequential:
    """ResNet-18 for images of 32 pixels; its normalisation differs with the seed."""
    experiment = make_experiment(**({"model": "torchvision", "architecture": "resnet18"} | changes))
    names, mean = list("abcdefgh"[:classes]), [seed / 10] * 3
    meta = make_meta(kind="images", shape=[3, 32, 32], classes=names, mean=mean, std=[0.2] * 3)
    torch.manual_seed(seed)
    return models.build(experiment, meta)


def images(number: int = 4) -> torch.Tensor:
    return torch.randint(256, (number, 3, 32, 32), dtype=torch.uint8)


# ---- initial weights -----------------------------------------------------------------------------------------------

WIDE = 300, 500  # inputs and outputs
FANS = {  # fan_in, fan_out: receptive field times channels
    nn.Linear: (300, 500),
    nn.Conv2d: (300 * 9, 500 * 9),
}


@pytest.mark.parametrize("kind", FANS)
@pytest.mark.parametrize("how", ["xavier", "kaiming", "normal"])
def test_variance_of_the_formulas(kind: type[nn.Module], how: str) -> None:
    layer: Any = nn.Linear(*WIDE) if kind is nn.Linear else nn.Conv2d(*WIDE, 3)
    fan_in, fan_out = FANS[kind]  # type: ignore[index]
    torch.manual_seed(0)
    initialize(nn.Sequential(nn.ReLU(), layer), how)
    variance = {"xavier": 2 / (fan_in + fan_out), "kaiming": 2 / fan_in, "normal": 0.01**2}[how]
    weights = layer.weight.detach().double()
    assert abs(weights.var().item() / variance - 1) < 0.02
    assert abs(weights.mean().item()) < variance**0.5 / 100
    edge = (3 * variance) ** 0.5  # where a uniform distribution ends; 8 % of a normal one lie beyond
    beyond = (weights.abs() > edge).double().mean().item()
    assert beyond == 0 if how == "xavier" else abs(beyond - 0.0833) < 0.005
    assert not layer.bias.any()


def test_signal_survives_twenty_layers() -> None:
    """What the formulas are for: variance 1 in, about 1 out; He et al. with ReLU, Glorot and Bengio without."""
    torch.manual_seed(0)
    signal = torch.randn(500, 400)
    for how, activation in (("kaiming", nn.ReLU()), ("xavier", nn.Identity())):
        net = nn.Sequential(*(part for _ in range(20) for part in (nn.Linear(400, 400), activation)))
        initialize(net, how)
        strength = net(signal).square().mean().item()
        assert 0.3 < strength < 3, how
        initialize(net, "normal")
        assert net(signal).square().mean().item() < 1e-8


def test_ones_and_default() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Conv2d(2, 2, 1, bias=False))
    before = copy.deepcopy(net.state_dict())
    initialize(net, "default")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    initialize(net, "ones")
    assert (net[0].weight == 1).all()
    assert not net[0].bias.any()
    assert (net[2].weight == 1).all()


# ---- weights from elsewhere ----------------------------------------------------------------------------------------


def trained(folder: Path, model: nn.Sequential) -> Path:
    folder.mkdir(parents=True)
    experiment = make_experiment(model="torchvision", architecture="resnet18")
    record = make_record(experiment, make_meta(kind="images", shape=[3, 32, 32]))
    models.save(model.state_dict(), record, folder)
    return folder


def test_from_another_experiment(tmp_path: Path) -> None:
    """Everything but the last layer, which has other classes; the normalisation too, which the weights expect."""
    source, model = model_of(8, 1), model_of(2, 2)
    own = copy.deepcopy(model.state_dict())
    report = load_initial_weights(model, "cifar8", trained(tmp_path / "cifar8", source))
    assert report.new == ["classifier.weight", "classifier.bias"]
    assert str(report) == "120 of 122 tensors transferred; new: classifier.weight, classifier.bias"
    for name, tensor in model.state_dict().items():
        kept = name.startswith("net.classifier")
        assert torch.equal(tensor, (own if kept else source.state_dict())[name]), name


def test_from_scratch_is_untouched() -> None:
    model = model_of(2, 3)
    own = copy.deepcopy(model.state_dict())
    assert load_initial_weights(model, "scratch", Path("nowhere")).transferred == []
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("naming", ["ours", "plain", "torchvision", "wrapped"])
def test_from_a_file(tmp_path: Path, suffix: str, naming: str) -> None:
    """A path to a file or to its folder; keys as this project, torchvision or other trainings have them."""
    source, model = model_of(2, 1), model_of(2, 2)
    weights: dict[str, Any] = {key: t for key, t in source.state_dict().items() if key.startswith("net.")}
    if naming == "plain":
        weights = {key.removeprefix("net."): tensor for key, tensor in weights.items()}
    elif naming == "torchvision":
        renamed = {"net.features.": "", "net.classifier.": "fc."}
        weights = {
            next(key.replace(ours, theirs) for ours, theirs in renamed.items() if key.startswith(ours)): tensor
            for key, tensor in weights.items()
        }
        assert "layer1.0.conv1.weight" in weights
    elif naming == "wrapped" and suffix == "pth":
        weights = {"epoch": 3, "state_dict": weights}
    (tmp_path / "mine").mkdir()
    file = tmp_path / "mine" / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(weights, file)
    else:
        save_file({key: tensor.contiguous() for key, tensor in weights.items()}, file)
    for place in (file, file.parent):
        assert load_initial_weights(model, "../mine", place).new == []
        assert torch.equal(model.net.features.layer4[0].conv1.weight, source.net.features.layer4[0].conv1.weight)
        assert torch.equal(model.net.classifier.weight, source.net.classifier.weight)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    model = model_of(2, 2)
    folder = trained(tmp_path / "vgg", model_of(2, 1, architecture="vgg11"))
    with pytest.raises(
        UserError, match=r"init_from: vgg: these weights are of another architecture: 120 of 122 .*missing\)"
    ):
        load_initial_weights(model, "vgg", folder)
    narrow = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    narrow["net.features.layer1.0.conv1.weight"] = narrow["net.features.layer1.0.conv1.weight"][:8].contiguous()
    save_file(narrow, tmp_path / "narrow.safetensors")
    with pytest.raises(UserError, match=r"layer1.0.conv1.weight \(8 x 64 x 3 x 3 instead of 64 x 64 x 3 x 3\)"):
        load_initial_weights(model, "narrow", tmp_path / "narrow.safetensors")


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    model = model_of(2, 2)
    with pytest.raises(UserError, match="x does not exist"):
        load_initial_weights(model, "../x", tmp_path / "x")
    with pytest.raises(UserError, match=r"must contain one file of weights \(.*\); it has: none"):
        load_initial_weights(model, "../x", tmp_path)
    for name in ("a.pth", "b.safetensors"):
        (tmp_path / name).write_bytes(b"no weights at all")
        with pytest.raises(UserError, match=f"{name} is not a readable file of weights"):
            load_initial_weights(model, "x", tmp_path / name)
    with pytest.raises(UserError, match=r"it has: a.pth, b.safetensors"):
        load_initial_weights(model, "x", tmp_path)
    for content in (b"root:x:0:0:root:/root:/bin/bash\n", b"seed: 0\nlr:\n", b"."):  # IndexError inside of torch.load
        (tmp_path / "a.pth").write_bytes(content)
        with pytest.raises(UserError, match=r"init_from: x: a.pth is not a readable file of weights"):
            load_initial_weights(model, "x", tmp_path / "a.pth")
    torch.save([1, 2], tmp_path / "a.pth")
    with pytest.raises(UserError, match="contains no tensors by key"):
        load_initial_weights(model, "x", tmp_path / "a.pth")
    torch.save({"net": Path("code that would run")}, tmp_path / "a.pth")  # an object, not a tensor
    with pytest.raises(UserError, match="is not a readable file of weights"):
        load_initial_weights(model, "x", tmp_path / "a.pth")


def test_imagenet_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's file of 1,000 classes, where torch.hub keeps it; normalisation becomes ImageNet's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    zoo = torchvision_models()
    address = zoo.get_model_weights("resnet18").DEFAULT.url
    theirs = zoo.resnet18(weights=None).state_dict()
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(theirs, tmp_path / "hub" / "checkpoints" / address.rpartition("/")[2])
    model = model_of(2, 5)
    assert load_initial_weights(model, "imagenet", Path("nowhere")).new == ["classifier.weight", "classifier.bias"]
    assert torch.equal(model.net.features.conv1.weight, theirs["conv1.weight"])
    torch.testing.assert_close(model.normalize.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(model.normalize.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))


def test_imagenet_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(UserError, match=r"weights of resnet18 cannot be downloaded .* put it into .*checkpoints"):
        load_initial_weights(model_of(2, 5), "imagenet", Path("nowhere"))
    lite = nn.Sequential()
    lite.add_module("net", EfficientNetLite(2))
    with pytest.raises(UserError, match="only model: torchvision has such weights"):
        load_initial_weights(lite, "imagenet", Path("nowhere"))


def test_last_layers() -> None:
    assert last_layers(EfficientNetLite(2)) == "_fc."
    assert last_layers(model_of(2, 0).net) == "classifier."
    assert last_layers(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Softmax(1))) == "2."


# ---- frozen layers -------------------------------------------------------------------------------------------------


def sgd(**changes: Any) -> Supervised:
    experiment = make_experiment(model="linear", lr=0.1, **changes)
    assert isinstance(experiment, Supervised)
    return experiment


def step(model: nn.Sequential) -> None:
    """An optimiser's step as the loop does it, in train mode."""
    optimizer = build_optimizer(sgd(momentum=0.9, weight_decay=0.1), model)
    for _ in range(2):
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(images()), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()


def test_frozen_layers_stand_still() -> None:
    """Weights (in spite of weight decay), batch norm's statistics; not those of the layers that are not frozen."""
    model = model_of(2, 4)
    freeze(model, ["features.conv1", "features.bn1", "features.layer1"])
    frozen = ("net.features.conv1.", "net.features.bn1.", "net.features.layer1.", "normalize.")
    before = copy.deepcopy(model.state_dict())
    step(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith(frozen), name
    optimized = build_optimizer(sgd(), model)
    given = {id(parameter) for group in optimized.param_groups for parameter in group["params"]}
    assert given == {id(p) for name, p in model.named_parameters() if not name.startswith(frozen)}


def test_frozen_features_do_not_depend_on_the_batch() -> None:
    model = model_of(2, 4)
    freeze(model, ["features"])
    again = copy.deepcopy(model)
    for one in (model, again):
        one.train()
        one.net.train()
        one.net.features.train()
        few = images(3)
        with torch.no_grad():
            torch.testing.assert_close(
                one.net.extract(one.normalize(few))[:1], one.net.extract(one.normalize(few[:1])), rtol=1e-4, atol=1e-5
            )
        assert one.net.classifier.training


def test_names_are_whole() -> None:
    """`features.features.1`, a ReLU, is not `features.features.11`, a convolution."""
    model = model_of(2, 4, architecture="vgg11")
    freeze(model, ["features.features.11"])
    frozen = [name for name, parameter in model.net.named_parameters() if not parameter.requires_grad]
    assert frozen == ["features.features.11.weight", "features.features.11.bias"]
    with pytest.raises(UserError, match=r"freeze: 'features.features.1': no weights of this name"):
        freeze(model, ["features.features.1"])


def test_freezing_what_is_not_there() -> None:
    model = model_of(2, 4)
    with pytest.raises(
        UserError, match=r"freeze: 'layer1': no weights of this name; at the top level: features, classifier \("
    ):
        freeze(model, ["layer1"])
    with pytest.raises(UserError, match="nothing is left to train"):
        freeze(model, ["features", "classifier"])
    fresh = model_of(2, 4)
    freeze(fresh, [])
    assert all(parameter.requires_grad for parameter in fresh.parameters())
