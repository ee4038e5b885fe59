"""A review, what the models of texts take it for, and the words that decided."""

import functools
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from torchprimer import paths
from torchprimer.demo import components
from torchprimer.demo.models import Exports, Known
from torchprimer.params import Texts

if TYPE_CHECKING:
    import gradio as gr

Floats = npt.NDArray[np.float32]

TITLE = "Reviews"
SAMPLES_FILE, LENGTHS = 8, (12, 60)  # reviews to pick from, and how many characters they have
DECISIVE = 8  # words that are listed


def wanted(known: Known) -> bool:
    return known.kind == "text"


def pieces(text: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """The text cut into its `words`, True, and what stands between them, False. Joined, they are the text again.

    Args:
        words: in their order, as a tokenizer found them: perhaps in lower case.
    """
    found, done, low = [], 0, text.lower()
    for word in words:
        start = low.find(word.lower(), done)
        if start > done:
            found.append((text[done:start], False))
        if start >= 0:
            done = start + len(word)
            found.append((text[start:done], True))
    return [*found, (text[done:], False)] if done < len(text) else found


def effects(probability: Callable[[list[str]], Floats], cut: Sequence[tuple[str, bool]]) -> dict[str, float]:
    """How much the probability of an answer falls when a word is left out, wherever it stands; for each word.

    Args:
        probability: texts -> (N,).
        cut: `pieces` of the text. A space takes the place of a word, so that its neighbours do not become one.
    """
    words = list(dict.fromkeys(piece for piece, is_word in cut if is_word))
    without = ["".join(" " if piece == word else piece for piece, _ in cut) for word in words]
    probabilities = probability(["".join(piece for piece, _ in cut), *without])
    return dict(zip(words, (probabilities[0] - probabilities[1:]).tolist(), strict=True))


def highlighted(cut: Sequence[tuple[str, bool]], falls: dict[str, float]) -> str:
    """HTML: the text, its words the stronger in colour the more they matter."""
    most = max([1e-12, *map(abs, falls.values())])
    parts = [
        components.mark(piece, falls[piece] / most, f"{100 * falls[piece]:+.2f} points") if is_word else escape(piece)
        for piece, is_word in cut
    ]
    return f'<p class="words">{"".join(parts)}</p>'


def decisive(label: str, falls: dict[str, float]) -> str:
    """HTML: the words that matter most, and how much."""
    words = sorted(falls, key=lambda word: -abs(falls[word]))[:DECISIVE]
    listed = ", ".join(f"{escape(word)} <small>{100 * falls[word]:+.1f}</small>" for word in words)
    return (
        f"<p class='note'>{components.mark('Orange', 1)} words speak for <b>{escape(label)}</b>, "
        f"{components.mark('blue', -1)} ones against it. By so many points its probability falls without them: {listed}.</p>"
    )


def samples(exports: Exports, name: str) -> list[str]:
    """Short texts of the test split, evenly from all of it; none if the raw data is not here."""
    import pandas as pd

    from torchprimer.datasets.text import read_texts

    dataset_name = exports.known[name].dataset
    dataset = exports.params.datasets[dataset_name]
    assert isinstance(dataset, Texts)
    if not paths.split(dataset_name).is_file() or not paths.raw(dataset.raw).is_dir():
        return []
    rows = pd.read_csv(paths.split(dataset_name), dtype=str)
    texts = read_texts(paths.raw(dataset.raw), dataset).set_index("id")["text"]
    texts = texts.loc[rows["id"][rows["split"] == "test"]]
    texts = texts[texts.str.len().between(*LENGTHS)]
    return [texts.iloc[i] for i in np.linspace(0, len(texts) - 1, min(SAMPLES_FILE, len(texts))).astype(int)]


def build(exports: Exports, names: Sequence[str], selected: "gr.Tab") -> None:
    import gradio as gr

    from torchprimer.predictor.preprocessing import tokenizer

    @components.said
    def look(name: str, text: str) -> tuple[str, str]:
        if not text.strip():
            return "", ""
        model, description = exports[name], exports.descriptions[name]
        cut = pieces(text, tokenizer(model.description["transform"]["tokenizer"])(text))
        answer = model.predict(text)[0]
        number = description["classes"].index(answer["prediction"])
        falls = effects(lambda texts: model.outputs(texts)[:, number], cut)
        return components.answers(exports, {name: answer}), highlighted(cut, falls) + decisive(
            answer["prediction"], falls
        )

    gr.Markdown(
        "Type a review, or pick one of the test split. Each word is left out once: the more the answer falls without "
        "it, the more it decided."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            model = gr.Dropdown(
                list(names), value=names[0], label="model", elem_id="review-model", visible=len(names) > 1
            )
            text = gr.Textbox(label="review", lines=5, max_lines=12, elem_id="review")
        with gr.Column(scale=3, min_width=320):
            answer = gr.HTML(elem_id="review-answer", apply_default_css=False)
            words = gr.HTML(elem_id="review-words", apply_default_css=False)
    picks = gr.Dataset(
        label="from the test split", components=[gr.Textbox(visible=False)], samples=[], layout="table",
        samples_per_page=SAMPLES_FILE, elem_id="review-samples", visible=False,
    )  # fmt: skip

    samples_of = functools.cache(samples)

    def offer(name: str) -> gr.Dataset:
        there = samples_of(exports, name)
        return gr.Dataset(samples=[[sample] for sample in there], visible=bool(there))

    gr.on([selected.select, model.change], offer, model, picks, **components.LISTENER)
    picks.click(lambda picked: picked[0], picks, text, **components.LISTENER)
    gr.on([text.change, model.change], look, [model, text], [answer, words], **components.LISTENER)
