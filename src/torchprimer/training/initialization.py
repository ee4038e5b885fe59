"""Initial weights by name, for what PyTorch starts otherwise.

What it teaches: weights too small and the signal dies on its way through the layers, too large and it explodes.
Xavier keeps its variance through linear layers (Glorot, Bengio 2010), Kaiming through ReLU (He, Zhang, Ren, Sun 2015).
"""

from torch import nn

LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


def initialize(net: nn.Module, how: str) -> None:
    """Draws the weights of all linear and convolution layers anew, from PyTorch's random state; biases become 0.

    Args:
        how: `default` (nothing is touched), `xavier` (uniform, variance 2 / (fan_in + fan_out)), `kaiming` (normal,
            variance 2 / fan_in), `normal` (deviation 0.01), or `ones` (weights 1, for looking at gradients).
    """
    if how == "default":
        return
    for layer in net.modules():
        if not isinstance(layer, LAYERS):
            continue
        if how == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        elif how == "kaiming":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif how == "normal":
            nn.init.normal_(layer.weight, std=0.01)
        elif how == "ones":
            nn.init.ones_(layer.weight)
        else:
            raise ValueError(f"no initialisation {how!r}")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
