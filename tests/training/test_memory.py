"""Models that no memory can hold are refused before anything is allocated; the estimate against counts by hand."""

import resource
from typing import Any

import pytest
import torch

from tests.objects import load_experiment, make_experiment, make_meta
from torchprimer.errors import UserError
from torchprimer.training import memory
from torchprimer.training.memory import check_memory, memory_limit

CPU = torch.device("cpu")
DIGITS = make_meta(kind="images", shape=[1, 28, 28], classes=list("0123456789"), samples={"train": 50_000})
TABLE = make_meta(kind="tabular", shape=[8], classes=["no", "yes"], samples={"train": 500})
HELLO = make_meta(kind="sequences", shape=[5], classes=list("ehlo"), samples={"train": 1})


@pytest.mark.parametrize(
    ("name", "changes", "meta", "needed"),
    [
        ("mnist_mlp", {"hidden": [10_000_000, 10_000_000]}, DIGITS, r"745,[0-9,.]+ GiB"),
        ("mnist_cnn", {"channels": [10_000_000_000]}, DIGITS, r"[0-9,.]+ GiB"),
        ("mnist_cnn", {"channels": [10_000_000_000] * 2}, DIGITS, r"more than 8 EiB"),
        ("mnist_cnn", {"channels": [1_000_000]}, DIGITS, r"[0-9,.]+ GiB"),
        ("mnist_gan", {"latent_dim": 10**12}, DIGITS, r"[0-9,.]+ GiB"),
        ("mnist_dcgan", {"discriminator": [1_000_000]}, DIGITS, r"[0-9,.]+ GiB"),
        ("hello_embedding", {"embedding": 10**12}, HELLO, r"[0-9,.]+ GiB"),
    ],
)
def test_sizes_that_nothing_can_hold(name: str, changes: Any, meta: Any, needed: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=rf"activations of a batch need {needed}, and this machine has [0-9.]+ GiB: "):
        check_memory(load_experiment(name, **changes), meta, CPU)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB


def test_estimate_is_the_count_by_hand() -> None:
    """8 inputs, 3000 units, 2 logits, a batch of 100: weights twice, and the outputs of four layers."""
    experiment = make_experiment(model="mlp", hidden=[3000], batch_size=100)
    weights, outputs = 8 * 3000 + 3000 + 3000 * 2 + 2, 8 + 3000 + 3000 + 2
    assert memory._estimate(experiment, TABLE, 100) == 4 * (2 * weights + 100 * outputs)


def test_what_fits_is_trained_from_the_same_random_state() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    check_memory(make_experiment(model="mlp", hidden=[3000]), TABLE, CPU)
    assert torch.equal(torch.rand(1), expected)
    assert memory_limit(CPU) > 2**28
