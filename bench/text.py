"""Reviews: an epoch on the numbers of their words against dense vectors; rjieba against jieba on all of them."""

import itertools
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bench.data import raw
from bench.measure import Options, Result, compare, seconds_of, take_turns
from torchprimer import models, params
from torchprimer.datasets import text
from torchprimer.datasets.storage import SplitArrays, load_meta, load_split, write_meta
from torchprimer.models.bag_of_words import frequencies
from torchprimer.predictor.preprocessing import tokenizer
from torchprimer.training.optimizers import build_optimizer


def bag_of_words(options: Options) -> Result:
    """An epoch of `reviews_bow`, training steps only, the same network on both sides.

    The reference makes a dense vector of each text when it is asked for, as tutorials do; its words are numbers before.
    The note says how much longer it takes with dense vectors that lie in memory already, a gigabyte of them.
    """
    experiment = params.load().experiments["reviews_bow"].model_dump()
    training, data = _reviews(options)
    words, batch_size = len(data["words"]), experiment["batch_size"]
    vectors = torch.cat([frequencies(texts, words) for texts in training.inputs.split(512)])
    loaders: dict[str, DataLoader[Any]] = {
        "made": DataLoader(DenseTexts(training, words), batch_size, shuffle=True),
        "held": DataLoader(TensorDataset(vectors, training.targets), batch_size, shuffle=True),
    }
    losses: dict[str, float] = {}

    def ours() -> float:
        torch.manual_seed(0)
        model = models.build(experiment, data)
        batches = torch.randperm(len(training)).tensor_split(-(-len(training) // batch_size))
        pairs = ((training.inputs[batch], training.targets[batch]) for batch in batches)
        optimizer = build_optimizer(experiment, model)
        return seconds_of(lambda: losses.update(ours=_epoch(model, pairs, optimizer)))

    def reference(loader: str) -> float:
        torch.manual_seed(0)
        model = _dense_net(experiment, words, len(data["classes"]))
        optimizer = torch.optim.Adam(model.parameters(), lr=experiment["lr"])
        return seconds_of(lambda: losses.update({loader: _epoch(model, loaders[loader], optimizer)}))

    mine, theirs = take_turns(ours, lambda: reference("made"), options.repeat)
    held = min(reference("held") for _ in range(options.repeat))
    note = (
        f"{len(training):,} texts, {words:,} words; loss {losses['ours']:.3f}, dense {losses['made']:.3f}; "
        f"from vectors held in memory {held / min(mine):.1f} times as long as ours"
    )
    fair = abs(losses["ours"] - losses["made"]) < 0.02
    return compare("bag_of_words", min(mine), min(theirs), at_least=10.0, note=note, fair=fair)


class DenseTexts(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The share of each word in a text, counted one by one when the text is asked for."""

    def __init__(self, texts: SplitArrays, words: int) -> None:
        self.documents = [[number - 1 for number in text if number] for text in texts.inputs.tolist()]
        self.targets, self.words = texts.targets, words

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        document = self.documents[index]
        vector = torch.zeros(self.words)
        for word in document:
            vector[word] += 1 / len(document)
        return vector, self.targets[index]


def tokenizing(options: Options) -> Result:
    """Every review, repeats and all, cut into words; both with their dictionaries loaded."""
    import jieba

    dataset = params.load().datasets["reviews"]
    assert isinstance(dataset, params.Texts)
    reviews = [review for review in text.read_texts(raw("reviews", options), dataset)["text"] if review]
    cut = tokenizer("chinese")
    cut(reviews[0])
    jieba.setLogLevel("ERROR")
    jieba.initialize()

    def reference(review: str) -> list[str]:
        return [word for word in jieba.cut(review) if any(letter.isalnum() for letter in word)]

    same = sum(cut(review) == reference(review) for review in reviews[:1000]) / 1000
    mine, theirs = take_turns(
        lambda: seconds_of(lambda: [cut(review) for review in reviews]),
        lambda: seconds_of(lambda: [reference(review) for review in reviews]),
        options.repeat,
    )
    note = f"{len(reviews):,} reviews, {same:.1%} of the first 1,000 cut alike"
    return compare("tokenizing", min(mine), min(theirs), at_least=5.0, note=note, fair=same > 0.95)


def _reviews(options: Options) -> tuple[SplitArrays, dict[str, Any]]:
    """The training split, prepared whole, whatever `limit` says, and its meta.json."""
    folder = options.temporary / "reviews"
    if not folder.is_dir():
        dataset = params.load().datasets["reviews"]
        assert isinstance(dataset, params.Texts)
        source = raw("reviews", options)
        rows, _ = text.split_rows(source, dataset, name="reviews", seed=0, limit=None)
        folder.mkdir()
        write_meta(folder, text.prepare(source, dataset, rows, folder))
    return load_split(folder, "train"), load_meta(folder)


def _dense_net(experiment: dict[str, Any], words: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width, following in itertools.pairwise([words, *experiment["hidden"], classes]):
        layers += [nn.Linear(width, following), nn.ReLU(), nn.Dropout(experiment["dropout"])]
    return nn.Sequential(*layers[:-2], nn.LogSoftmax(1))


def _epoch(
    model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], optimizer: torch.optim.Optimizer
) -> float:
    """One pass; returns the mean loss of its batches."""
    losses = []
    model.train()
    for inputs, targets in batches:
        optimizer.zero_grad()
        loss = F.nll_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses).mean().item()
