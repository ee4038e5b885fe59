"""Weight initialisation by name, in place of PyTorch's default.

What it teaches: with weights too small the signal vanishes on its way through the layers, too large and it explodes.
Xavier keeps its variance through linear layers (Glorot, Bengio 2010), Kaiming through ReLU (He, Zhang, Ren, Sun 2015).
"""

from torch import nn

LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


def initialize(net: nn.Module, scheme: str) -> None:
    """Initialises all linear and convolution layers again, from PyTorch's random state; biases become 0.

    Args:
        scheme: `default` (no change), `xavier` (uniform, variance 2 / (fan_in + fan_out)), `kaiming` (normal,
            variance 2 / fan_in), `normal` (std 0.01), or `ones` (weights 1, to study gradients).
    """
    if scheme == "default":
        return
    for layer in net.modules():
        if not isinstance(layer, LAYERS):
            continue
        if scheme == "xavier":
            nn.init.xavier_uniform_(layer.weight)
        elif scheme == "kaiming":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif scheme == "normal":
            nn.init.normal_(layer.weight, std=0.01)
        elif scheme == "ones":
            nn.init.ones_(layer.weight)
        else:
            raise ValueError(f"no initialisation {scheme!r}")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
