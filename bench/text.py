"""Reviews: an epoch on word numbers against dense vectors; rjieba against jieba on all of them."""

import itertools
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bench.data import prepared, raw
from bench.measure import Options, Result, compare, seconds_of, take_turns
from torchprimer import models, params
from torchprimer.datasets.meta import TextMeta
from torchprimer.datasets.storage import SplitArrays, load_meta, load_split
from torchprimer.datasets.text import read_texts
from torchprimer.loops.supervised import build_optimizer
from torchprimer.models.bag_of_words import frequencies
from torchprimer.params.experiments import BagOfWords
from torchprimer.predictor.text import tokenizer


def bag_of_words(options: Options) -> Result:
    """An epoch of `reviews_bow`, training steps only, the same network on both sides.

    The reference makes a dense vector of a text when the text is read, as tutorials do, from word numbers. The note
    compares ours with an epoch on dense vectors that are in memory already: one gigabyte.
    """
    experiment = params.load().experiments["reviews_bow"]
    assert isinstance(experiment, BagOfWords)
    folder = prepared("reviews", options)
    train, data = load_split(folder, "train"), load_meta(folder)
    assert isinstance(data, TextMeta)
    vocabulary_size, batch_size = len(data.words), experiment.batch_size or len(train)
    vectors = torch.cat([frequencies(texts, vocabulary_size) for texts in train.inputs.split(512)])
    loaders: dict[str, DataLoader[Any]] = {
        "on demand": DataLoader(DenseTexts(train, vocabulary_size), batch_size, shuffle=True),
        "in memory": DataLoader(TensorDataset(vectors, train.targets), batch_size, shuffle=True),
    }
    losses: dict[str, float] = {}

    def ours() -> float:
        torch.manual_seed(0)
        model = models.build(experiment, data)
        batches = torch.randperm(len(train)).tensor_split(-(-len(train) // batch_size))
        pairs = ((train.inputs[batch], train.targets[batch]) for batch in batches)
        optimizer = build_optimizer(experiment, model)
        return seconds_of(lambda: losses.update(ours=_epoch(model, pairs, optimizer)))

    def reference(vectors: str) -> float:
        torch.manual_seed(0)
        model = _dense_net(experiment, vocabulary_size, len(data.classes))
        optimizer = torch.optim.Adam(model.parameters(), lr=experiment.lr)
        return seconds_of(lambda: losses.update({vectors: _epoch(model, loaders[vectors], optimizer)}))

    our_seconds, reference_seconds = take_turns(ours, lambda: reference("on demand"), options.repeat)
    in_memory = min(reference("in memory") for _ in range(options.repeat))
    note = (
        f"{len(train):,} texts, {vocabulary_size:,} words; loss {losses['ours']:.3f}, dense {losses['on demand']:.3f}; "
        f"from vectors in memory {in_memory / min(our_seconds):.1f} times as long as ours"
    )
    fair = abs(losses["ours"] - losses["on demand"]) < 0.02
    return compare("bag_of_words", min(our_seconds), min(reference_seconds), at_least=10.0, note=note, fair=fair)


class DenseTexts(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The relative frequency of each word of the vocabulary in a text, counted one by one when the text is read."""

    def __init__(self, texts: SplitArrays, vocabulary_size: int) -> None:
        self.documents = [[number - 1 for number in text if number] for text in texts.inputs.tolist()]
        self.targets, self.vocabulary_size = texts.targets, vocabulary_size

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        document = self.documents[index]
        vector = torch.zeros(self.vocabulary_size)
        for word in document:
            vector[word] += 1 / len(document)
        return vector, self.targets[index]


def tokenizing(options: Options) -> Result:
    """Cuts every review into words, duplicates included; both tokenizers have loaded their dictionaries."""
    import jieba

    dataset = params.load().datasets["reviews"]
    assert isinstance(dataset, params.Texts)
    texts = read_texts(raw("reviews", options), dataset)["text"]
    reviews = [review for review in texts if review][: options.limit]
    cut = tokenizer("chinese")
    cut(reviews[0])
    jieba.setLogLevel("ERROR")
    jieba.initialize()

    def cut_with_jieba(review: str) -> list[str]:
        return [word for word in jieba.cut(review) if any(letter.isalnum() for letter in word)]

    sample = reviews[:1000]
    equal_fraction = sum(cut(review) == cut_with_jieba(review) for review in sample) / len(sample)
    our_seconds, reference_seconds = take_turns(
        lambda: seconds_of(lambda: [cut(review) for review in reviews]),
        lambda: seconds_of(lambda: [cut_with_jieba(review) for review in reviews]),
        options.repeat,
    )
    note = f"{len(reviews):,} reviews, {equal_fraction:.1%} of the first {len(sample):,} cut alike"
    fair = equal_fraction > 0.95
    return compare("tokenizing", min(our_seconds), min(reference_seconds), at_least=5.0, note=note, fair=fair)


def _dense_net(experiment: BagOfWords, vocabulary_size: int, classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise([vocabulary_size, *experiment.hidden, classes]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(experiment.dropout)]
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
