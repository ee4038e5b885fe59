"""Where the weights of a training start, and which of them stay as they are: transfer learning."""

from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import nn

from torchprimer import models
from torchprimer.errors import UserError

Weights = dict[str, torch.Tensor]
SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class TransferReport:
    """What a model took over.

    Attributes:
        taken: names of the tensors that came from elsewhere.
        fresh: names of those that did not: the last layers, sized to other classes.
    """

    taken: list[str]
    fresh: list[str]

    def __str__(self) -> str:
        fresh = f"; fresh: {_listed(self.fresh)}" if self.fresh else ""
        return f"{len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors taken over{fresh}"


def load_initial_weights(model: nn.Sequential, start: str, folder: Path) -> TransferReport:
    """Gives `model` the weights to start from, in place: each tensor whose name and shape fit.

    Args:
        model: as `models.build` makes it: `normalize` (takes over mean and deviation, which the weights expect), `net`.
        init_from: scratch, imagenet (torchvision's own; normalisation is then ImageNet's as well), or where `folder` is
            from, for messages.
        folder: an experiment's folder, any folder with one file of weights, or such a file.

    Raises:
        UserError: no weights there, or they fit nothing but the last layers.
    """
    net = model.get_submodule("net")
    own = net.state_dict()
    if start == "scratch":
        return TransferReport([], list(own))
    given = _imagenet(model) if start == "imagenet" else _read(_weights_file(start, folder), start)
    pixels = {key: given.pop(key) for key in list(given) if key.startswith("normalize.")}
    given = _named_as(own, net, given)
    taken = [name for name in own if name in given and given[name].shape == own[name].shape]
    fresh = [name for name in own if name not in taken]
    last = last_layers(net)
    if missing := [name for name in fresh if not name.startswith(last)]:
        reasons = [
            f"{name} ({f'{_shape(given[name])} there, {_shape(own[name])} here' if name in given else 'not there'})"
            for name in missing
        ]
        raise UserError(
            f"init_from: {start}: these weights are of another architecture: {len(missing)} of {len(own)} tensors do not "
            f"fit: {_listed(reasons)}"
        )
    with torch.no_grad():
        for name in taken:
            own[name].copy_(given[name])
        for name, values in pixels.items():
            if model.get_buffer(name).shape == values.shape:
                model.get_buffer(name).copy_(values)
    return TransferReport(taken, fresh)


def _named_as(own: Weights, net: Any, given: Weights) -> Weights:
    """The given tensors by the names that they have here: as they are, without `net.`, or translated by the net."""
    plain = {key.removeprefix("net."): tensor for key, tensor in given.items()}
    if not hasattr(net, "map_key"):
        return plain
    translated = {net.map_key(key): tensor for key, tensor in plain.items()}
    return max(plain, translated, key=lambda weights: len(weights.keys() & own.keys()))


def last_layers(net: nn.Module) -> str:
    """Prefix of what may differ between tasks: `classifier.` if the net calls it so, else its last layer."""
    if hasattr(net, "classifier"):
        return "classifier."
    layers = [name for name, part in net.named_modules() if list(part.parameters(recurse=False))]
    return f"{layers[-1]}."


def freeze(model: nn.Sequential, layers: list[str]) -> None:
    """Keeps layers as they are, in place: no gradients, and for ever in eval mode, so that batch norm's statistics
    and dropout stand still, too.

    Args:
        model: as `models.build` makes it.
        layers: names in its net, such as `features`, or `features.layer1`: with all that is inside.

    Raises:
        UserError: there is no such layer, or nothing is left to train.
    """
    net = model.get_submodule("net")
    for layer in layers:
        frozen = [p for name, p in net.named_parameters() if f"{name}.".startswith(f"{layer}.")]
        if not frozen:
            tops = ", ".join(name for name, part in net.named_children() if list(part.parameters()))
            raise UserError(f"freeze: {layer!r}: no weights of this name; at the top: {tops} (inside: NAME.NAME)")
        for parameter in frozen:
            parameter.requires_grad_(False)
        for name, part in net.named_modules():
            if f"{name}.".startswith(f"{layer}."):
                part.eval()
                part.train = MethodType(_stay, part)
    if layers and not any(parameter.requires_grad for parameter in net.parameters()):
        raise UserError(f"freeze: {', '.join(layers)}: nothing is left to train")


def _stay(module: nn.Module, _mode: bool = True) -> nn.Module:
    """`train()` of a frozen layer."""
    return module


def _weights_file(start: str, place: Path) -> Path:
    if place.is_file():
        return place
    if not place.is_dir():
        raise UserError(f"init_from: {start}: there is nothing at {place}")
    if (place / models.WEIGHTS).is_file():
        return place / models.WEIGHTS
    found = sorted(file for file in place.iterdir() if file.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        endings = ", ".join(SUFFIXES)
        raise UserError(f"init_from: {start}: one file of weights ({endings}) should be in {place}; found: {names}")
    return found[0]


def _read(file: Path, start: str) -> Weights:
    """Tensors by name; nothing in the file is executed."""
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"init_from: {start}: {file.name} is no file of weights that can be read: {reason}") from None
    for wrapper in ("state_dict", "model"):  # as many trainings save them
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    named = content if isinstance(content, dict) else {}
    weights = {key: value for key, value in named.items() if isinstance(value, torch.Tensor)}
    if not weights:
        raise UserError(f"init_from: {start}: {file.name} holds no tensors by name (a state_dict)")
    return weights


def _imagenet(model: nn.Sequential) -> Weights:
    """torchvision's weights; from now on `model` normalises as they expect it."""
    net: Any = model.net
    if not hasattr(net, "imagenet"):
        raise UserError(
            "init_from: imagenet: only model: torchvision finds such weights in torchvision; elsewhere give a path"
        )
    weights, mean, std = net.imagenet()
    for name, values in (("normalize.mean", mean), ("normalize.std", std)):
        own, published = model.get_buffer(name), torch.tensor(values).view(-1, 1, 1)
        own.copy_(published if len(own) == len(published) else published.mean())  # grey images have one channel
    return dict(weights)


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
