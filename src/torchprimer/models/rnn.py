"""Recurrent network: reads a sequence step by step and answers at each, with a memory of what it has read.

What it teaches: the same weights at every step; the state is all that is known of the past, so that the two l of
`hello` can get different answers. Elman 1990; embeddings: Bengio et al. 2003.
"""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from torchprimer.errors import UserError

if TYPE_CHECKING:
    from torchprimer.datasets.meta import Meta
    from torchprimer.params import experiments as params


class OneHot(nn.Module):
    """Numbers 0 to K-1 -> vectors of K places, a 1 at the number's place and 0 elsewhere, float32."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return F.one_hot(numbers, self.classes).float()


class ManualRNN(nn.Module):
    """The recurrence by hand: state = tanh(W input + b + U state + c), from a state of zeros."""

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


class Layer(nn.Module):
    """The same recurrence by PyTorch's own loop."""

    def __init__(self, features: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(features, hidden_size, batch_first=True)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """(N, T, features) -> the state after each step, (N, T, hidden_size)."""
        states: torch.Tensor = self.rnn(sequences)[0]
        return states


def build(experiment: "params.RNN", meta: "Meta", outputs: int) -> nn.Sequential:
    """Numbers of characters (int64, N x T) -> logits for each character, (N, T, `outputs`).

    Raises:
        UserError: without an output layer the state is the answer, and it is not as wide as the alphabet.
    """
    hidden_size, embedding = experiment.hidden_size, experiment.embedding
    if not experiment.output_layer and hidden_size != outputs:
        raise UserError(
            f"model rnn: without an output layer the state itself is the answer, so hidden_size, {hidden_size}, has to be "
            f"the number of characters, {outputs} ({' '.join(meta.classes)}); change it, or set output_layer: true"
        )
    characters = len(meta.classes)
    layers: list[nn.Module] = [nn.Embedding(characters, embedding) if embedding else OneHot(characters)]
    recurrence = {"RNNCell": ManualRNN, "RNN": Layer}[experiment.cell]
    layers.append(recurrence(embedding or characters, hidden_size))
    if experiment.output_layer:
        layers.append(nn.Linear(hidden_size, outputs))
    return nn.Sequential(*layers)


def strings(numbers: torch.Tensor, alphabet: list[str]) -> list[str]:
    """Shape (N, T), numbers of characters -> N strings."""
    return ["".join(alphabet[i] for i in row) for row in numbers.tolist()]


@torch.inference_mode()
def greedy_decode(model: nn.Module, inputs: torch.Tensor, alphabet: list[str]) -> str:
    """What the model makes of the first of `inputs`, (N, T), as it is now; it stays in the mode that it is in."""
    device, training = next(model.parameters()).device, model.training
    logits = model.eval()(inputs[:1].to(device))
    model.train(training)
    return strings(logits.argmax(-1), alphabet)[0]
