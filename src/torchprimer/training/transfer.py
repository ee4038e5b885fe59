"""Transfer learning: initial weights of another model, and frozen layers."""

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
    """Which initial weights of a model are of another model, by key."""

    transferred: list[str]
    new: list[str]  # not copied: the last layers, for other classes

    def __str__(self) -> str:
        new = f"; new: {_join(self.new)}" if self.new else ""
        return f"{len(self.transferred)} of {len(self.transferred) + len(self.new)} tensors transferred{new}"


def load_initial_weights(model: nn.Sequential, init_from: str, path: Path) -> TransferReport:
    """Copies each tensor whose key and shape fit into `model`, in place.

    Args:
        model: from `models.build`. Its `normalize` gets the mean and standard deviation that the weights expect.
        init_from: scratch, imagenet (torchvision's weights), or the value in params.yaml that `path` is from.
        path: the folder of an experiment, any folder with one file of weights, or such a file.

    Raises:
        UserError: there are no weights, or layers other than the last do not fit.
    """
    net = model.get_submodule("net")
    state = net.state_dict()
    if init_from == "scratch":
        return TransferReport([], list(state))
    weights = _imagenet(model) if init_from == "imagenet" else _read(_weights_file(init_from, path), init_from)
    normalization = {key: weights.pop(key) for key in list(weights) if key.startswith("normalize.")}
    weights = _map_keys(state, net, weights)
    transferred = [key for key in state if key in weights and weights[key].shape == state[key].shape]
    new = [key for key in state if key not in transferred]
    last = last_layers(net)
    if unfit := [key for key in new if not key.startswith(last)]:
        shapes = {
            k: f"{_shape(weights[k])} instead of {_shape(state[k])}" if k in weights else "missing" for k in unfit
        }
        raise UserError(
            f"init_from: {init_from}: these weights are of another architecture: {len(unfit)} of {len(state)} tensors "
            f"do not fit: {_join([f'{key} ({shape})' for key, shape in shapes.items()])}"
        )
    with torch.no_grad():
        for key in transferred:
            state[key].copy_(weights[key])
        for name, values in normalization.items():
            if model.get_buffer(name).shape == values.shape:
                model.get_buffer(name).copy_(values)
    return TransferReport(transferred, new)


def _map_keys(state: Weights, net: Any, weights: Weights) -> Weights:
    """The weights by the keys of `net`: without the prefix `net.`, or translated by its `map_key`."""
    plain = {key.removeprefix("net."): tensor for key, tensor in weights.items()}
    if not hasattr(net, "map_key"):
        return plain
    translated = {net.map_key(key): tensor for key, tensor in plain.items()}
    return max(plain, translated, key=lambda candidate: len(candidate.keys() & state.keys()))


def last_layers(net: nn.Module) -> str:
    """Prefix of the layers that may differ between tasks: `classifier.` if there is one, otherwise the last layer."""
    if hasattr(net, "classifier"):
        return "classifier."
    layers = [name for name, part in net.named_modules() if list(part.parameters(recurse=False))]
    return f"{layers[-1]}."


def freeze(model: nn.Sequential, layers: list[str]) -> None:
    """Freezes layers, in place: no gradients, and permanently in eval mode, which fixes batch norm and dropout as well.

    `layers`: names in the net of the model, such as `features` or `features.layer1`, including all layers inside.
    Raises UserError if there is no such layer, or no trainable weights remain.
    """
    net = model.get_submodule("net")
    for layer in layers:
        frozen = [p for name, p in net.named_parameters() if f"{name}.".startswith(f"{layer}.")]
        if not frozen:
            top_level = ", ".join(name for name, part in net.named_children() if list(part.parameters()))
            raise UserError(
                f"freeze: {layer!r}: no weights of this name; at the top level: {top_level} (inside: NAME.NAME)"
            )
        for parameter in frozen:
            parameter.requires_grad_(False)
        for name, part in net.named_modules():
            if f"{name}.".startswith(f"{layer}."):
                part.eval()
                part.train = MethodType(lambda module, _mode=True: module, part)
    if layers and not any(parameter.requires_grad for parameter in net.parameters()):
        raise UserError(f"freeze: {', '.join(layers)}: nothing is left to train")


def _weights_file(init_from: str, path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"init_from: {init_from}: {path} does not exist")
    if (path / models.WEIGHTS).is_file():
        return path / models.WEIGHTS
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if len(files) != 1:
        names, suffixes = ", ".join(file.name for file in files) or "none", ", ".join(SUFFIXES)
        raise UserError(
            f"init_from: {init_from}: {path} must contain one file of weights ({suffixes}); it has: {names}"
        )
    return files[0]


def _read(file: Path, init_from: str) -> Weights:
    """Tensors by key; no code in the file is executed."""
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"init_from: {init_from}: {file.name} is not a readable file of weights: {reason}") from None
    for wrapper in ("state_dict", "model"):  # usual wrappers of a state_dict
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    tensors = content if isinstance(content, dict) else {}
    weights = {key: value for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    if not weights:
        raise UserError(f"init_from: {init_from}: {file.name} contains no tensors by key (a state_dict)")
    return weights


def _imagenet(model: nn.Sequential) -> Weights:
    """torchvision's weights; sets the normalisation of `model` to what they expect."""
    net: Any = model.net
    if not hasattr(net, "imagenet"):
        raise UserError("init_from: imagenet: only model: torchvision has such weights; for other models set a path")
    weights, mean, std = net.imagenet()
    for name, values in (("normalize.mean", mean), ("normalize.std", std)):
        buffer, published = model.get_buffer(name), torch.tensor(values).view(-1, 1, 1)
        buffer.copy_(published if len(buffer) == len(published) else published.mean())  # grey images have one channel
    return dict(weights)


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _join(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
