"""The words that pull a text model most to each class: what it has learnt, in a table that one can read.

No figure: the font that figures are drawn in has no Chinese letters.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import nn

from torchprimer.datasets.meta import TextMeta
from torchprimer.tasks.inference import predict

if TYPE_CHECKING:
    from torchprimer.tasks.base import EvaluationContext

SHOWN = 30  # words of each class


def write_words(context: "EvaluationContext", folder: Path) -> None:
    """Writes words.csv: the words with the strongest pull to each class, the strongest first."""
    assert isinstance(context.meta, TextMeta)
    table = strongest(word_pulls(context.model, context.meta, context.device), context.meta, SHOWN)
    table.to_csv(folder / "words.csv", index=False)


def word_pulls(model: nn.Module, meta: TextMeta, device: torch.device) -> torch.Tensor:
    """What a text of one word alone is taken for, and how clearly.

    Args:
        model: in eval mode, on `device`.
        meta: of its dataset: words, classes.

    Returns:
        Shape (words, classes): the class's logit less the mean of the others'. With two classes that is the logarithm
        of how many times likelier the one is than the other.
    """
    logits = predict(model, torch.arange(1, len(meta.words) + 1, dtype=torch.int32)[:, None], device)
    if logits.shape[1] == 1:  # one logit: that of the second class against the first
        return torch.cat([-logits, logits], 1)
    others = (logits.sum(1, keepdim=True) - logits) / (logits.shape[1] - 1)
    return logits - others


def strongest(pulls: torch.Tensor, meta: TextMeta, count: int) -> pd.DataFrame:
    """The first `count` words of each class: columns class, word, pull, documents (training texts that have it)."""
    tables = []
    for number, label in enumerate(meta.classes):
        order = pulls[:, number].sort(descending=True, stable=True).indices[:count].tolist()
        tables.append(
            pd.DataFrame(
                {
                    "class": label,
                    "word": [meta.words[i] for i in order],
                    "logit_margin": [round(float(pulls[i, number]), 4) for i in order],
                    "documents": [meta.documents[i] for i in order],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
