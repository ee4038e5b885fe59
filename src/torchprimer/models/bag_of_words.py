"""Bag of words: relative frequencies of the words of a text, in any order, then linear layers.

What it teaches: a text becomes a sparse vector with an element for each word of the vocabulary, so the first layer only
sums the weights of the words in the text. Bag of words: Harris 1954; averaged word vectors before linear layers: Iyyer
et al. 2015.
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
    """Token ids of texts, int (N, L), 0 for padding -> a linear layer on their relative word frequencies.

    Equal to `nn.Linear(words, features)` on dense vectors of relative word frequencies: the product is the mean of the
    weights of a text's words. `nn.EmbeddingBag` on padded texts is not faster, and sums gradients in another order.
    """

    def __init__(self, words: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(words + 1, features))  # row 0, of padding, is not used
        self.bias = nn.Parameter(torch.empty(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As nn.Linear: uniform between -1 / sqrt(words) and 1 / sqrt(words)."""
        bound = 1 / math.sqrt(len(self.weight) - 1)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting():  # ONNX has no such operator: the dense product instead
            return frequencies(texts, len(self.weight) - 1) @ self.weight[1:] + self.bias
        is_word = texts != 0
        lengths = is_word.sum(1)
        starts = lengths.cumsum(0) - lengths
        # all words of the batch concatenated, without padding; the mean of no words is zero
        return F.embedding_bag(texts[is_word], self.weight, starts, mode="mean") + self.bias


def frequencies(texts: torch.Tensor, words: int) -> torch.Tensor:
    """Dense vectors of relative word frequencies, float32, N x `words`; zeros for a text without words."""
    is_word = (texts != 0).float()
    counts = is_word.new_zeros(len(texts), words + 1).scatter_add(1, texts.long(), is_word)
    return counts[:, 1:] / is_word.sum(1, keepdim=True).clamp(min=1)


def build(experiment: "params.BagOfWords", meta: "Meta", outputs: int) -> nn.Sequential:
    """Texts, int32 (N, L) -> each width of `hidden`, ReLU between -> `outputs` logits; log-softmax for `nll_loss`."""
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
