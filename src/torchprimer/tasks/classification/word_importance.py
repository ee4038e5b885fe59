"""The most important words of a text classifier for each class, as a table: figures have no font for Chinese."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import nn

from torchprimer.datasets.meta import TextMeta
from torchprimer.tasks.inference import predict

if TYPE_CHECKING:
    from torchprimer.tasks.base import EvaluationContext

NUM_WORDS = 30  # words of each class


def write_top_words(context: "EvaluationContext", folder: Path) -> None:
    """Writes words.csv: the words with the largest logit margin of each class, largest first."""
    assert isinstance(context.meta, TextMeta)
    table = top_words(logit_margins(context.model, context.meta, context.device), context.meta, NUM_WORDS)
    table.to_csv(folder / "words.csv", index=False)


def logit_margins(model: nn.Module, meta: TextMeta, device: torch.device) -> torch.Tensor:
    """How clearly a text of one word alone is classified.

    Args:
        model: in eval mode, on `device`.
        meta: of its dataset: words, classes.

    Returns:
        Shape (words, classes): the logit of the class minus the mean logit of the other classes. With two classes that
        is the logarithm of the odds.
    """
    logits = predict(model, torch.arange(1, len(meta.words) + 1, dtype=torch.int32)[:, None], device)
    if logits.shape[1] == 1:  # one logit: that of the second class against the first
        return torch.cat([-logits, logits], 1)
    mean_of_rest = (logits.sum(1, keepdim=True) - logits) / (logits.shape[1] - 1)
    return logits - mean_of_rest


def top_words(margins: torch.Tensor, meta: TextMeta, count: int) -> pd.DataFrame:
    """The first `count` words of each class: columns class, word, logit_margin, documents (training texts with the word)."""
    tables = []
    for number, label in enumerate(meta.classes):
        order = margins[:, number].sort(descending=True, stable=True).indices[:count].tolist()
        tables.append(
            pd.DataFrame(
                {
                    "class": label,
                    "word": [meta.words[i] for i in order],
                    "logit_margin": [round(float(margins[i, number]), 4) for i in order],
                    "documents": [meta.documents[i] for i in order],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
