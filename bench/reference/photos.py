"""Photos as tutorials feed them: ImageFolder, every JPEG decoded and scaled anew in every epoch."""

from pathlib import Path

from torch.utils.data import DataLoader

from bench.reference.torchvision_here import datasets, transforms


def epoch(folder: Path, size: int, batch_size: int) -> int:
    """One pass over the photos of `folder`, one folder per class; returns how many came."""
    transform = transforms.Compose(
        [
            transforms.Resize(size),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    loader = DataLoader(datasets.ImageFolder(str(folder), transform), batch_size=batch_size, shuffle=True)
    return sum(len(labels) for _, labels in loader)
