"""Random changes of a whole batch of training images at once, on the device, before normalisation."""

import torch


def augment(images: torch.Tensor, *, horizontal_flip: bool, max_translate: int) -> torch.Tensor:
    """Draws anew for each image: mirrored left and right or not; moved by up to `max_translate` pixels each way, black edges.

    Args:
        images: shape (N, C, H, W), any dtype.

    Returns:
        Images of the same shape and dtype; the given ones stay as they are.
    """
    number, _, height, width = images.shape
    nothing = torch.zeros(number, dtype=torch.long, device=images.device)
    side, down, right = nothing, nothing, nothing
    padded = torch.nn.functional.pad(images, [max_translate] * 4)
    sides = padded[None]
    if horizontal_flip:
        side = torch.randint(2, (number,), device=images.device)
        sides = torch.stack((padded, padded.flip(3)))
    if max_translate:
        down, right = torch.randint(2 * max_translate + 1, (2, number), device=images.device)
    windows = sides.unfold(3, height, 1).unfold(4, width, 1)  # a view: every place where an image can be cut out
    return windows[side, torch.arange(number, device=images.device), :, down, right]
