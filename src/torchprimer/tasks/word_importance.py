"""The words that pull a text model most to each class: what it has learnt, in a table that one can read.

No figure: the font that figures are drawn in has no Chinese letters.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import nn

from torchprimer.tasks.inference import predict

if TYPE_CHECKING:
    from torchprimer.tasks import EvaluationContext

SHOWN = 30  # words of each class


def write_words(trained: "EvaluationContext", folder: Path) -> None:
    """Writes words.csv: the words with the strongest pull to each class, the strongest first."""
    table = strongest(word_pulls(trained.model, trained.data, trained.device), trained.data, SHOWN)
    table.to_csv(folder / "words.csv", index=False)


def word_pulls(model: nn.Module, data: dict[str, Any], device: torch.device) -> torch.Tensor:
    """What a text of one word alone is taken for, and how clearly.

    Args:
        model: in eval mode, on `device`.
        data: meta.json of its dataset: words, classes.

    Returns:
        Shape (words, classes): the class's logit less the mean of the others'. With two classes that is the logarithm
        of how many times likelier the one is than the other.
    """
    logits = predict(model, torch.arange(1, len(data["words"]) + 1, dtype=torch.int32)[:, None], device)
    if logits.shape[1] == 1:  # one logit: that of the second class against the first
        return torch.cat([-logits, logits], 1)
    others = (logits.sum(1, keepdim=True) - logits) / (logits.shape[1] - 1)
    return logits - others


def strongest(pulls: torch.Tensor, data: dict[str, Any], count: int) -> pd.DataFrame:
    """The first `count` words of each class: columns class, word, pull, documents (training texts that have it)."""
    tables = []
    for number, label in enumerate(data["classes"]):
        order = pulls[:, number].sort(descending=True, stable=True).indices[:count].tolist()
        tables.append(
            pd.DataFrame(
                {
                    "class": label,
                    "word": [data["words"][i] for i in order],
                    "logit_margin": [round(float(pulls[i, number]), 4) for i in order],
                    "documents": [data["documents"][i] for i in order],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
