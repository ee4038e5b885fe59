"""Evaluation of a sequence labeller: metrics of characters and strings, predictions, and a figure of the progress."""

from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure

from torchprimer.evaluation import EvaluationContext, figures, predict

MONOSPACED = "DejaVu Sans Mono"
MAX_LINES, MAX_LENGTH = 16, 16  # outputs beside the curve, and characters of one


def evaluate(context: EvaluationContext, folder: Path) -> dict[str, float]:
    """Writes predictions.csv (input, target, prediction) and spelling.png into `folder`.

    Returns:
        loss; accuracy: fraction of correct characters; sequence_accuracy: fraction of strings without an error.
    """
    test, alphabet = context.test, context.meta.classes
    logits = predict(context.model, test.inputs, context.device)
    predictions = logits.argmax(-1)
    is_correct = predictions == test.targets
    columns = {"input": test.inputs, "target": test.targets, "prediction": predictions}
    texts = {name: decode(indices, alphabet) for name, indices in columns.items()}
    pd.DataFrame({"id": context.ids} | texts).to_csv(folder / "predictions.csv", index=False)
    figure = spelling(context.history, texts["input"][0], texts["target"][0], context.title)
    figures.save(figure, folder / "spelling.png")
    return {
        "loss": context.mean_loss(logits),
        "accuracy": is_correct.float().mean().item(),
        "sequence_accuracy": is_correct.all(1).float().mean().item(),
    }


def spelling(history: pd.DataFrame, text: str, target: str, title: str) -> Figure:
    """The loss of each epoch, and the column `text`, the model's output for `text`, whenever it changes."""
    epochs, texts = history["epoch"].astype(int).tolist(), history["text"].astype(str).tolist()
    changes = [i for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]]
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=[3, 1])
    axes.plot(epochs, history["train_loss"], color="tab:blue", label="loss in training")
    if target in texts:
        first = epochs[texts.index(target)]
        axes.axvline(first, color="tab:green", linestyle="--", label=f"first correct after epoch {first}")
    axes.set(xlabel="epoch", ylabel="mean loss of a character", title=title, ylim=(0, None))
    axes.legend(loc="upper right")
    axes.grid(alpha=0.3)
    beside.axis("off")
    if figures.has_glyphs(text + target, [MONOSPACED]) and len(target) <= MAX_LENGTH:
        lines = [f"{text} -> {target}", "", "after epoch"]
        lines += [f"{epochs[i]:>5}  {texts[i]}" for i in changes[:MAX_LINES]]
        lines += [f"{len(changes) - MAX_LINES:>5}  more changes"] if len(changes) > MAX_LINES else []
        beside.text(0, 0.98, "\n".join(lines), family=MONOSPACED, fontsize=9, va="top")
    return figure


def decode(indices: torch.Tensor, alphabet: list[str]) -> list[str]:
    """Indices of characters, shape (N, T) -> N strings."""
    return ["".join(alphabet[i] for i in row) for row in indices.tolist()]
