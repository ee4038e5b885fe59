"""Bag of words: how often each word is in a text, whatever the order, then linear layers.

What it teaches: a text becomes a vector with a place for each word of the vocabulary, nearly all of it zeros, so the
first layer adds up the weights of the words that are there and skips the rest. Bag of words: Harris 1954; averaged
word vectors before linear layers: Iyyer et al. 2015.
"""

import itertools
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.datasets.meta import TextMeta

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


class BagOfWords(nn.Module):
    """The numbers of a text's words, int, N x L (0: padding) -> a linear layer on their relative frequencies.

    Equal to `nn.Linear(words, features)` on dense vectors that hold, for each word, its share of the text's words:
    the mean of the weights of the words of a text is that product, without the zeros. A text without words gives the
    bias.
    """

    def __init__(self, words: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(words + 1, features))  # row 0, padding, is never read
        self.bias = nn.Parameter(torch.empty(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As nn.Linear starts: uniform up to 1 / sqrt(words) both ways."""
        bound = 1 / math.sqrt(len(self.weight) - 1)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting():  # ONNX has no such operator: there it is the dense product
            return frequencies(texts, len(self.weight) - 1) @ self.weight[1:] + self.bias
        known = texts != 0
        lengths = known.sum(1)
        starts = lengths.cumsum(0) - lengths
        # all words of the batch in a row, without the padding; of no words the mean is zero
        return F.embedding_bag(texts[known], self.weight, starts, mode="mean") + self.bias


def frequencies(texts: torch.Tensor, words: int) -> torch.Tensor:
    """Dense vectors: the share of each word among the words of a text, float32, N x `words`; no words, all zeros."""
    known = (texts != 0).float()
    counts = known.new_zeros(len(texts), words + 1).scatter_add(1, texts.long(), known)
    return counts[:, 1:] / known.sum(1, keepdim=True).clamp(min=1)


def build(experiment: "params.BagOfWords", meta: "Meta", outputs: int) -> nn.Sequential:
    """Texts (int32, N x L) -> each width of `hidden`, ReLU between -> `outputs` logits; log-softmax for `nll_loss`."""
    assert isinstance(meta, TextMeta)  # the only kind of data that the schema allows
    widths = [*experiment.hidden, outputs]
    layers: list[nn.Module] = [BagOfWords(len(meta.words), widths[0])]
    for width, following in itertools.pairwise(widths):
        layers.append(nn.ReLU())
        if experiment.dropout:
            layers.append(nn.Dropout(experiment.dropout))
        layers.append(nn.Linear(width, following))
    if experiment.loss == "nll_loss":
        layers.append(nn.LogSoftmax(1))
    return nn.Sequential(*layers)
