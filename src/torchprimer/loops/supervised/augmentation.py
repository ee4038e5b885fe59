"""Random augmentation of a whole batch of images at once, on the device, before normalisation."""

import torch


def augment(images: torch.Tensor, *, horizontal_flip: bool, max_translate: int) -> torch.Tensor:
    """Flips each image with probability 1/2, and shifts it by up to `max_translate` pixels each way, with black edges.

    Args:
        images: shape (N, C, H, W), any dtype; not modified.

    Returns:
        Images of the same shape and dtype.
    """
    number, _, height, width = images.shape
    zeros = torch.zeros(number, dtype=torch.long, device=images.device)
    flipped, down, right = zeros, zeros, zeros
    padded = torch.nn.functional.pad(images, [max_translate] * 4)
    variants = padded[None]
    if horizontal_flip:
        flipped = torch.randint(2, (number,), device=images.device)
        variants = torch.stack((padded, padded.flip(3)))
    if max_translate:
        down, right = torch.randint(2 * max_translate + 1, (2, number), device=images.device)
    windows = variants.unfold(3, height, 1).unfold(4, width, 1)  # a view: every position of a crop
    return windows[flipped, torch.arange(number, device=images.device), :, down, right]
