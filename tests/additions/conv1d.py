"""One convolution over time, the mean of each channel, a linear layer. Waibel et al. 1989."""

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


def build(experiment: "params.Conv1d", meta: "Meta", outputs: int) -> nn.Sequential:
    """Series (N, T) -> `outputs` logits."""
    return nn.Sequential(
        nn.Unflatten(1, (1, meta.shape[0])),
        nn.Conv1d(1, experiment.channels, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(experiment.channels, outputs),
    )
