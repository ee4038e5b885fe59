"""Recurrent network: reads a sequence step by step and makes a prediction at each step, with a hidden state as memory.

What it teaches: the same weights at every step; the hidden state carries the past, so that the two l of `hello` can get
different predictions. Elman 1990; embeddings: Bengio et al. 2003.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.errors import UserError

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.datasets.storage import SplitArrays
    from torchprimer.params import experiments as params


class OneHot(nn.Module):
    """Indices 0 to K-1 -> one-hot vectors of length K, float32."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        return F.one_hot(indices, self.classes).float()


class ManualRNN(nn.Module):
    """The recurrence written out: state = tanh(W input + b + U state + c), from a state of zeros."""

    def __init__(self, features: int, hidden_size: int) -> None:
        super().__init__()
        self.cell = nn.RNNCell(features, hidden_size)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """(N, T, features) -> the state after each step, (N, T, hidden_size)."""
        state = sequences.new_zeros(len(sequences), self.cell.hidden_size)
        states = []
        for step in sequences.unbind(1):
            state = self.cell(step, state)
            states.append(state)
        return torch.stack(states, 1)


class TorchRNN(nn.Module):
    """The same recurrence, computed by `nn.RNN`."""

    def __init__(self, features: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(features, hidden_size, batch_first=True)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """(N, T, features) -> the state after each step, (N, T, hidden_size)."""
        states: torch.Tensor = self.rnn(sequences)[0]
        return states


def build(experiment: "params.RNN", meta: "Meta", outputs: int) -> nn.Sequential:
    """Token ids of characters, int64 (N, T) -> logits for each character, (N, T, `outputs`).

    Raises UserError if there is no output layer, and `hidden_size` is not the size of the alphabet.
    """
    hidden_size, embedding = experiment.hidden_size, experiment.embedding
    if not experiment.output_layer and hidden_size != outputs:
        raise UserError(
            f"model rnn: without an output layer the hidden state is the output, so hidden_size, {hidden_size}, must "
            f"be the number of characters, {outputs} ({' '.join(meta.classes)}); change it, or set output_layer: true"
        )
    characters = len(meta.classes)
    layers: list[nn.Module] = [nn.Embedding(characters, embedding) if embedding else OneHot(characters)]
    recurrence = {"RNNCell": ManualRNN, "RNN": TorchRNN}[experiment.cell]
    layers.append(recurrence(embedding or characters, hidden_size))
    return nn.Sequential(*layers, *([nn.Linear(hidden_size, outputs)] if experiment.output_layer else []))


@torch.inference_mode()
def epoch_probe(model: nn.Module, meta: "Meta", train_split: "SplitArrays") -> dict[str, float | str]:
    """The string predicted for the first training sample; the mode of the model (train or eval) is restored."""
    device, training = next(model.parameters()).device, model.training
    logits = model.eval()(train_split.inputs[:1].to(device))
    model.train(training)
    return {"text": "".join(meta.classes[number] for number in logits[0].argmax(-1).tolist())}
