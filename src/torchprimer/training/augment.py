"""Random changes of a whole batch of training images at once, on the device, before normalisation."""

import torch


def augment(images: torch.Tensor, *, flip: bool, shift: int) -> torch.Tensor:
    """Draws anew for each image: mirrored left and right or not; moved by up to `shift` pixels each way, black edges.

    Args:
        images: shape (N, C, H, W), any dtype.

    Returns:
        A new tensor of the same shape and dtype.
    """
    number, _, height, width = images.shape
    rows = torch.arange(height, device=images.device).expand(number, height)
    columns = torch.arange(width, device=images.device).expand(number, width)
    if flip:
        mirrored = torch.randint(2, (number, 1), device=images.device, dtype=torch.bool)
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if shift:
        images = torch.nn.functional.pad(images, (shift, shift, shift, shift))
        rows = rows + torch.randint(2 * shift + 1, (number, 1), device=images.device)
        columns = columns + torch.randint(2 * shift + 1, (number, 1), device=images.device)
    which = torch.arange(number, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
