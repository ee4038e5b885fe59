"""MNIST as tutorials train it: torchvision's dataset, transforms one by one, `loss.item()` every step."""

import time
from pathlib import Path

import pandas as pd
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Subset

from bench.reference.torchvision_here import datasets, transforms

Sample = tuple[torch.Tensor, int]
Loader = DataLoader[Sample]


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 10, kernel_size=5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(10, 20, kernel_size=5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(320, 10),
    )


MODELS = {"mnist_mlp": mlp, "mnist_cnn": cnn}


def loaders(raw: Path, folder: Path, rows: pd.DataFrame, batch_size: int) -> tuple[Loader, Loader]:
    """Training and validation samples, the same as ours: `rows` names them as train/00000 ..."""
    if not folder.exists():  # torchvision looks for the files of MNIST in this place
        (folder / "MNIST").mkdir(parents=True)
        (folder / "MNIST" / "raw").symlink_to(raw.resolve(), target_is_directory=True)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    dataset = datasets.MNIST(str(folder), train=True, transform=transform)
    training, validation = (
        Subset(dataset, [int(name.split("/")[1]) for name in rows.loc[rows["split"] == part, "id"]])
        for part in ("train", "validation")
    )
    return DataLoader(training, batch_size=batch_size, shuffle=True), DataLoader(validation, batch_size=1000)


def train(
    model: nn.Module,
    train_loader: Loader,
    validation_loader: Loader,
    *,
    epochs: int,
    lr: float,
    momentum: float,
) -> list[tuple[float, float]]:
    """Seconds and validation accuracy of each epoch."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    history = []
    for _ in range(epochs):
        started = time.perf_counter()
        model.train()
        running_loss = 0.0
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        model.eval()
        correct = total = 0
        with torch.no_grad():
            for images, labels in validation_loader:
                correct += (model(images).argmax(1) == labels).sum().item()
                total += len(labels)
        history.append((time.perf_counter() - started, correct / total))
    return history
