"""Tab "Reviews": text classifiers on a review, with the effect of each word on the prediction."""

import functools
from collections.abc import Callable, Sequence
from html import escape

import gradio as gr
import numpy as np
import pandas as pd

from torchprimer import paths
from torchprimer.datasets.text import read_texts
from torchprimer.demo import components
from torchprimer.demo.components import Floats
from torchprimer.demo.models import Exports
from torchprimer.experiment_results import ExperimentResults
from torchprimer.params import Texts
from torchprimer.predictor.text import tokenizer

TITLE = "Reviews"
NUM_SAMPLES, LENGTHS = 8, (12, 60)  # reviews to choose from, and their minimal and maximal number of characters
TOP_WORDS = 8  # words in the list


def handles(result: ExperimentResults) -> bool:
    return result.data_kind == "text"


def segments(text: str, words: Sequence[str]) -> list[tuple[str, bool]]:
    """Splits a text into `words` (True) and the text between them (False); joined, they are the text again."""
    parts, end, lowercase = [], 0, text.lower()
    for word in words:
        start = lowercase.find(word.lower(), end)
        if start > end:
            parts.append((text[end:start], False))
        if start >= 0:
            end = start + len(word)
            parts.append((text[start:end], True))
    return [*parts, (text[end:], False)] if end < len(text) else parts


def word_effects(probability: Callable[[list[str]], Floats], parts: Sequence[tuple[str, bool]]) -> dict[str, float]:
    """Word -> how much the probability of the prediction falls when all its occurrences are removed.

    Args:
        probability: texts -> (N,).
        parts: `segments` of the text. A space replaces the word, so that its neighbours do not form a new one.
    """
    words = list(dict.fromkeys(part for part, is_word in parts if is_word))
    reduced = ["".join(" " if part == word else part for part, _ in parts) for word in words]
    probabilities = probability(["".join(part for part, _ in parts), *reduced])
    return dict(zip(words, (probabilities[0] - probabilities[1:]).tolist(), strict=True))


def highlighted_text(parts: Sequence[tuple[str, bool]], effects: dict[str, float]) -> str:
    """HTML: the text, each word coloured in proportion to its effect."""
    largest = max([1e-12, *map(abs, effects.values())])
    html = [
        components.highlight(part, effects[part] / largest, f"{100 * effects[part]:+.2f} points")
        if is_word
        else escape(part)
        for part, is_word in parts
    ]
    return f'<p class="words">{"".join(html)}</p>'


def top_words(label: str, effects: dict[str, float]) -> str:
    """HTML: the words with the largest effects."""
    words = sorted(effects, key=lambda word: -abs(effects[word]))[:TOP_WORDS]
    listed = ", ".join(f"{escape(word)} <small>{100 * effects[word]:+.1f}</small>" for word in words)
    return (
        f"<p class='note'>{components.highlight('Orange', 1)} words are evidence for <b>{escape(label)}</b>, "
        f"{components.highlight('blue', -1)} words against it. Percentage points that its probability falls without "
        f"the word: {listed}.</p>"
    )


def samples(exports: Exports, name: str) -> list[str]:
    """Short texts, evenly spaced over the test split; empty if the raw data or the split is missing."""
    dataset_name = exports.results[name].raw_dataset
    dataset = exports.results[name].params.datasets[dataset_name]
    assert isinstance(dataset, Texts)
    if not paths.split(dataset_name).is_file() or not paths.raw(dataset.raw).is_dir():
        return []
    rows = pd.read_csv(paths.split(dataset_name), dtype=str)
    texts = read_texts(paths.raw(dataset.raw), dataset).set_index("id")["text"]
    texts = texts.loc[rows["id"][rows["split"] == "test"]]
    texts = texts[texts.str.len().between(*LENGTHS)]
    return [texts.iloc[i] for i in np.linspace(0, len(texts) - 1, min(NUM_SAMPLES, len(texts))).astype(int)]


def build(exports: Exports, names: Sequence[str], selected: gr.Tab) -> None:
    @components.report_errors
    def predict(name: str, text: str) -> tuple[str, str]:
        if not text.strip():
            return "", ""
        model, description = exports[name], exports.descriptions[name]
        parts = segments(text, tokenizer(model.description["transform"]["tokenizer"])(text))
        prediction = model.predict(text)[0]
        label = prediction["prediction"]
        column = description["classes"].index(label)
        effects = word_effects(lambda texts: model.predict_raw(texts)[:, column], parts)
        table = components.prediction_table(exports, {name: prediction})
        return table, highlighted_text(parts, effects) + top_words(label, effects)

    gr.Markdown(
        "Type a review, or choose one of the test split. Each word is removed once; its effect is how much the "
        "probability of the prediction falls."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            model = gr.Dropdown(
                list(names), value=names[0], label="model", elem_id="review-model", visible=len(names) > 1
            )
            text = gr.Textbox(label="review", lines=5, max_lines=12, elem_id="review")
        with gr.Column(scale=3, min_width=320):
            predictions = gr.HTML(elem_id="review-predictions", apply_default_css=False)
            words = gr.HTML(elem_id="review-words", apply_default_css=False)
    sample_list = gr.Dataset(
        label="from the test split", components=[gr.Textbox(visible=False)], samples=[], layout="table",
        samples_per_page=NUM_SAMPLES, elem_id="review-samples", visible=False,
    )  # fmt: skip

    samples_of = functools.cache(samples)

    def show_samples(name: str) -> gr.Dataset:
        texts = samples_of(exports, name)
        return gr.Dataset(samples=[[sample] for sample in texts], visible=bool(texts))

    gr.on([selected.select, model.change], show_samples, model, sample_list, **components.LISTENER)
    sample_list.click(lambda sample: sample[0], sample_list, text, **components.LISTENER)
    gr.on([text.change, model.change], predict, [model, text], [predictions, words], **components.LISTENER)
