"""Random changes of a whole batch of training images at once, on the device, before normalisation."""

import torch


def augment(images: torch.Tensor, *, flip: bool, shift: int) -> torch.Tensor:
    """Draws anew for each image: mirrored left and right or not; moved by up to `shift` pixels each way, black edges.

    Args:
        images: shape (N, C, H, W), any dtype.

    Returns:
        Images of the same shape and dtype; the given ones stay as they are.
    """
    number, _, height, width = images.shape
    if flip:
        mirrored = torch.randint(2, (number, 1, 1, 1), device=images.device, dtype=torch.bool)
        images = torch.where(mirrored, images.flip(3), images)
    if shift:
        padded = torch.nn.functional.pad(images, (shift, shift, shift, shift))
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: every place where an image can be cut out
        down, right = torch.randint(2 * shift + 1, (2, number), device=images.device)
        images = windows[torch.arange(number, device=images.device), :, down, right]
    return images
