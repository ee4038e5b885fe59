"""Models by name: built from their params, saved to a folder, rebuilt from that folder alone.

A model takes inputs as they are prepared and returns logits (regression: values in the units it was trained in).
Images arrive as uint8; `normalize`, the first layer, holds the training split's mean and deviation, so that they
travel with the weights and into every export.
"""

import json
from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from torchprimer.errors import UserError

WEIGHTS, RECORD = "model.safetensors", "experiment.json"


class Normalize(nn.Module):
    """uint8 images, N x C x H x W -> float32, (pixel / 255 - mean) / std per channel."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.to(torch.float32, copy=True)
        return pixels.mul_(1 / (255 * self.std)).sub_(self.mean / self.std)  # in place: a third of the time


class OutputHead(nn.Module):
    """Behind a model: logits -> probabilities of every class (..., K); regression -> values in original units, float64.

    What an autoencoder or a generator makes is passed on as it is.
    """

    def __init__(self, params: dict[str, Any], data: dict[str, Any]) -> None:
        super().__init__()
        self.made = params["model"] in ("autoencoder", "gan")
        self.regression = data["task"] == "regression"
        self.binary = params.get("loss") == "binary_cross_entropy_with_logits"
        self.mean, self.std = data.get("target_mean", 0.0), data.get("target_std", 1.0)

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        if self.made:
            return outputs
        if self.regression:
            return outputs.double().mul(self.std).add(self.mean)  # float32 has no room for 1,700,000,007
        if self.binary:  # one logit: that of the second class
            return torch.cat([torch.sigmoid(-outputs), torch.sigmoid(outputs)], -1)
        return outputs.softmax(-1)


def build(params: dict[str, Any], data: dict[str, Any]) -> nn.Sequential:
    """The model that `params` ask for, with fresh weights from PyTorch's random state.

    Args:
        params: an experiment of params.yaml; `model` names the file of this folder that builds it.
        data: meta.json of the prepared dataset.

    Raises:
        UserError: the architecture does not fit the data.
    """
    family = import_module(f"{__name__}.{params['model']}")
    binary = params.get("loss") == "binary_cross_entropy_with_logits" and params["model"] != "gan"
    if binary and len(data["classes"]) != 2:
        raise UserError(
            f"loss: binary_cross_entropy_with_logits is for two classes, and there are {len(data['classes'])}: "
            f"{', '.join(data['classes'][:5])} ...; use cross_entropy"
        )
    single = data["task"] == "regression" or binary
    net: nn.Module = family.build(params, data, 1 if single else len(data["classes"]))
    if data["kind"] != "images" or params["model"] == "gan":
        return nn.Sequential(OrderedDict(net=net))
    mean, std = getattr(family, "PIXELS", None) or (data["mean"], data["std"])  # weights from elsewhere expect theirs
    return nn.Sequential(OrderedDict(normalize=Normalize(mean, std), net=net))


def save(weights: dict[str, torch.Tensor], record: dict[str, Any], folder: Path) -> None:
    """Writes weights and record (`params`, `data`, ...) into an existing folder."""
    from safetensors.torch import save_file

    save_file({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    (folder / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


def load(folder: Path) -> tuple[nn.Sequential, dict[str, Any]]:
    """Rebuilds a trained model, in eval mode on the CPU, and its record, from nothing but the folder."""
    from safetensors.torch import load_file

    record = load_record(folder)
    model = build(record["params"], record["data"])
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval(), record


def load_record(folder: Path) -> dict[str, Any]:
    """What the folder says of its model: experiment, params, run control, data, fingerprint, versions."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
    return record
