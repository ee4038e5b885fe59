"""Texts: reviews as published, words as scikit-learn counts them, a bag of words that is a dense layer, its export."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from torch import nn

from tests.objects import make_meta
from torchprimer import models, params
from torchprimer.datasets import text
from torchprimer.datasets.meta import Meta, TextMeta
from torchprimer.datasets.storage import SAMPLES_FILE, load_split, write_meta
from torchprimer.errors import UserError
from torchprimer.export.onnx import check_parity, export_onnx
from torchprimer.models.bag_of_words import BagOfWords, frequencies
from torchprimer.params import Texts
from torchprimer.predictor.text import encode_texts, tokenizer
from torchprimer.tasks import get_task
from torchprimer.tasks.classification.evaluation import logit_margins, top_words


def described(**changed: Any) -> Texts:
    given = {
        "kind": "text",
        "raw": "texts",
        "text": None,
        "label": None,
        "tokenizer": "words",
        "min_df": 1,
        "max_vocab": None,
        "validation": 0.25,
        "test": 0.25,
        "baseline": "naive_bayes",
    }
    return Texts.model_validate(given | changed)


def the_reviews() -> Texts:
    dataset = params.load().datasets["reviews"]
    assert isinstance(dataset, Texts)
    return dataset


def split_up(raw: Path, dataset: Texts, limit: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    return text.KIND.split_rows(raw, dataset, name="texts", seed=0, limit=limit)


def prepared(raw: Path, dataset: Texts, folder: Path) -> tuple[pd.DataFrame, TextMeta]:
    rows, _ = split_up(raw, dataset)
    folder.mkdir(exist_ok=True)
    meta = text.KIND.prepare(raw, dataset, rows, folder)
    rows.to_csv(folder / SAMPLES_FILE, index=False)
    write_meta(folder, meta)
    return rows, meta


@pytest.fixture(scope="module")
def reviews(
    real_raw: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, pd.DataFrame, TextMeta, Path]:
    """Raw folder, rows, meta and prepared arrays of the Chinese reviews."""
    folder = tmp_path_factory.mktemp("reviews")
    raw = real_raw("reviews")
    rows, meta = prepared(raw, the_reviews(), folder)
    return raw, rows, meta, folder


def lines_of(raw: Path, label: str) -> list[str]:
    return [line.strip() for line in (raw / f"{label}.txt").read_text("utf-8").split("\n")]


def content(raw: Path, ids: pd.Series) -> list[str]:
    lines = {label: lines_of(raw, label) for label in ("neg", "pos")}
    return [lines[label][int(number) - 1] for label, number in (name.split("/") for name in ids)]


def test_reviews_are_as_published(reviews: Any) -> None:
    raw, rows, _, _ = reviews
    assert Counter(rows["label"]) == {"neg": 9031, "pos": 8332}
    assert Counter(rows["split"]) == {"train": 13891, "validation": 1736, "test": 1736}
    texts = content(raw, rows["id"])
    assert len(set(texts)) == len(texts)
    assert rows["id"].is_monotonic_increasing
    in_both = set(lines_of(raw, "neg")) & set(lines_of(raw, "pos")) - {""}
    assert len(in_both) == 47
    assert not in_both & set(texts)
    assert set(texts) == (set(lines_of(raw, "neg")) | set(lines_of(raw, "pos"))) - in_both - {""}


def test_each_text_left_out_has_its_reason(reviews: Any) -> None:
    raw, rows, _, _ = reviews
    again, rejected = split_up(raw, the_reviews())
    pd.testing.assert_frame_equal(rows, again)
    reasons = rejected["reason"].str.replace(r"(neg|pos)/\d+.*", "", regex=True).str.strip()
    assert Counter(reasons) == {"duplicate of": 17535, "of another class in": 225, "no text": 1}
    assert len(rows) + len(rejected) == 35123 + 1
    for row in rejected[rejected["reason"] != "no text"].iloc[::500].itertuples():
        there = pd.Series([row.id, row.reason.split()[-1]])
        assert len(set(content(raw, there))) == 1


def test_words_are_those_of_count_vectorizer(reviews: Any) -> None:
    """scikit-learn's own bag of words, fitted on the training reviews: same words, same counts in every test review."""
    from sklearn.feature_extraction.text import CountVectorizer

    raw, rows, meta, folder = reviews
    texts = {part: content(raw, rows["id"][rows["split"] == part]) for part in ("train", "test")}
    counter = CountVectorizer(analyzer=tokenizer("chinese"), min_df=2)
    in_training = counter.fit_transform(texts["train"])
    assert set(meta.words) == set(counter.get_feature_names_out())
    place = [counter.vocabulary_[word] for word in meta.words]
    assert meta.documents == np.asarray((in_training > 0).sum(0)).ravel()[place].tolist()
    assert meta.documents == sorted(meta.documents, reverse=True)
    expected = counter.transform(texts["test"][::5])[:, place].toarray()
    test = load_split(folder, "test").inputs[::5]
    assert test.dtype == torch.int32
    got = np.stack([np.bincount(row, minlength=len(place) + 1)[1:] for row in test.numpy()])
    assert np.array_equal(got, expected)
    shares = expected / np.maximum(expected.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(frequencies(test, len(place)), shares, atol=1e-6)


def test_numbers_are_in_the_order_of_the_text(reviews: Any) -> None:
    raw, rows, meta, folder = reviews
    members = rows[rows["split"] == "validation"]
    inputs = load_split(folder, "validation")
    assert meta.classes == ["neg", "pos"]
    assert inputs.targets.tolist() == [meta.classes.index(label) for label in members["label"]]
    longest = max(int((load_split(folder, part).inputs > 0).sum(1).max()) for part in ("train", "validation", "test"))
    assert meta.shape == [longest] == [inputs.inputs.shape[1]]
    for row, review in list(zip(inputs.inputs.tolist(), content(raw, members["id"]), strict=True))[::200]:
        words = [word for word in tokenizer("chinese")(review) if word in set(meta.words)]
        assert [meta.words[number - 1] for number in row if number] == words
        assert row == encode_texts([review], meta.model_dump())[0].tolist() + [0] * (longest - len(words))


def test_each_of_four_words_is_a_quarter() -> None:
    """The text-book example."""
    assert tokenizer("chinese")("我爱北京天安门!") == ["我", "爱", "北京", "天安门"]
    meta = {"tokenizer": "chinese", "words": ["上海", "天安门", "我", "北京", "爱"]}
    numbers = encode_texts(["我 爱 北京 天安门", "上海", ""], meta)
    assert numbers.tolist() == [[3, 5, 4, 2], [1, 0, 0, 0], [0, 0, 0, 0]]
    shares = frequencies(torch.from_numpy(numbers), 5)
    assert shares.tolist() == [[0, 0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_words_of_other_languages() -> None:
    cut = tokenizer("words")
    assert cut("It's 5 o'clock -- GRÜSSE,\tmy friend_1!") == ["it", "s", "5", "o", "clock", "grüsse", "my", "friend_1"]
    assert cut(" ...!? ") == []
    assert tokenizer("chinese")(" 。…… ") == []


def test_vocabulary_is_cut_the_same_way_every_time() -> None:
    documents = [["b", "a", "a"], ["a", "c"], ["c", "b", "d"], ["d"]]
    assert text.vocabulary(documents, 1, None) == {"a": 2, "b": 2, "c": 2, "d": 2}
    assert list(text.vocabulary(reversed(documents), 1, 3)) == ["a", "b", "c"]
    assert text.vocabulary([*documents, ["e"]], 2, None) == {"a": 2, "b": 2, "c": 2, "d": 2}
    assert text.vocabulary([["x"], ["x"], ["y"]], 2, 5) == {"x": 2}


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, given in files.items():
        file = folder / name.replace("_", ".")
        file.write_bytes(given if isinstance(given, bytes) else given.encode())
    return folder


def two_files(folder: Path) -> Path:
    """40 texts, each with a word of its own and one of its class."""
    good, bad = ([f"{word} text number{i} of class" for i in range(20)] for word in ("fine", "poor"))
    return write(folder, good_txt="\n".join(good), bad_txt="\r\n".join(bad) + "\r\n")


def test_vocabulary_comes_from_the_training_rows_alone(tmp_path: Path) -> None:
    raw = two_files(tmp_path / "raw")
    rows, meta = prepared(raw, described(), tmp_path / "one")
    own = set(meta.words) - {"text", "of", "class", "fine", "poor"}
    assert own == {tokenizer("words")(line)[2] for line in content_of(raw, rows[rows["split"] == "train"])}
    held_back = rows[rows["split"] != "train"]["id"].tolist()
    for name in ("good", "bad"):
        lines = (raw / f"{name}.txt").read_text().split("\n")
        lines = [f"new{i} {line}" if f"{name}/{i:05d}" in held_back else line for i, line in enumerate(lines, 1)]
        (raw / f"{name}.txt").write_text("\n".join(lines))
    (tmp_path / "two").mkdir()
    again = text.KIND.prepare(raw, described(), rows, tmp_path / "two")
    assert (again.words, again.documents) == (meta.words, meta.documents)


def content_of(raw: Path, rows: pd.DataFrame) -> list[str]:
    lines = {name: (raw / f"{name}.txt").read_text().split("\n") for name in ("good", "bad")}
    return [lines[name.split("/")[0]][int(name.split("/")[1]) - 1] for name in rows["id"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_gives_what_files_give(tmp_path: Path, separator: str) -> None:
    files = two_files(tmp_path / "files")
    folder = tmp_path / "table"
    folder.mkdir()
    with (folder / "mails.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerow(["number", "kind", "body"])
        for label in ("bad", "good"):  # in the order of the files
            for i, line in enumerate((files / f"{label}.txt").read_text().split("\n")[:20]):
                writer.writerow([i, f" {label}", line.replace(" text", f"{separator} text\n")])
    from_files, meta = prepared(files, described(), tmp_path / "one")
    from_table, other = prepared(folder, described(text="body", label="kind"), tmp_path / "two")
    assert from_table["id"].tolist() == [f"mails/{i:05d}" for i in range(1, 41)]
    assert from_table[["label", "split"]].equals(from_files[["label", "split"]])
    assert other == meta.model_copy(update={"text_column": "body"})
    for part in ("train", "validation", "test"):
        one, two = (load_split(tmp_path / name, part) for name in ("one", "two"))
        assert torch.equal(one.inputs, two.inputs)
        assert torch.equal(one.targets, two.targets)


def test_repeats_contradictions_and_gaps_go(tmp_path: Path) -> None:
    table = "text,label\n" + "".join(f"word{i},{'ab'[i % 2]}\n" for i in range(20))
    raw = write(tmp_path / "raw", x_csv=table + " word1 ,b\nword2,b\n,a\nnine,\nword2,a\n")
    rows, rejected = split_up(raw, described(text="text", label="label"))
    assert dict(zip(rejected["id"], rejected["reason"], strict=True)) == {
        "x/00003": "of another class in x/00022",
        "x/00021": "duplicate of x/00002",
        "x/00022": "of another class in x/00003",
        "x/00023": "no text",
        "x/00024": "no label",
        "x/00025": "of another class in x/00022",
    }
    assert len(rows) == 19


def test_limit_is_per_split(tmp_path: Path) -> None:
    rows, _ = split_up(two_files(tmp_path / "raw"), described(), limit=6)
    assert Counter(rows["split"]) == {"train": 6, "validation": 6, "test": 6}


FILES: dict[str, Any] = {}
TABLE = {"text": "text", "label": "label"}


@pytest.mark.parametrize(
    ("files", "columns", "message"),
    [
        ({"a_txt": "one"}, FILES, r"a \.txt file for each of two classes or more is needed, .* there is: a\.txt"),
        ({"a_csv": "text,label\nx,y"}, FILES, r"there is: a\.csv\. For a CSV, set the dataset's text and label"),
        ({"a_txt": "one", "b_txt": " \n\n"}, FILES, r"b\.txt has no text in it"),
        ({"a_txt": "one", "b_txt": b"good\nbad\xff\n"}, FILES, r"b\.txt is not UTF-8 \(line 2\): save it as UTF-8"),
        (
            {"a_txt": "one", "b_txt": "two"},
            TABLE,
            r"one CSV is needed \(\.csv, \.tsv\), and there is: a\.txt, b\.txt\. For a \.txt",
        ),
        ({"a_csv": ""}, TABLE, r"a\.csv is empty: a CSV with column names in its first line is needed"),
        ({"a_csv": "texts,label\nx,y"}, TABLE, r"no column 'text'; it has: texts, label\. Did you mean 'texts'\?"),
        ({"a_csv": "text,label\n"}, TABLE, r"a\.csv has no rows below the column names"),
        ({"a_csv": "text,label\n,y\n"}, TABLE, r"a\.csv has no text in it"),
        (
            {"a_csv": "text,label\nx,y\nof a, b,y\n"},
            TABLE,
            r"a\.csv, line 3: 3 values for 2 columns; a value with ',' in it needs quotes",
        ),
        ({"a_csv": "text,label\nx\n"}, TABLE, r"a\.csv, line 2: 1 values for 2 columns"),
        ({"a_csv": 'text,label\n"x,y\n'}, TABLE, r"a\.csv: a quote is opened and never closed"),
        ({"a_csv": b"text,label\n\xe4,y"}, TABLE, r"a\.csv is not UTF-8 \(line 2\)"),
        ({"a_csv": "text,label\nx,y\nz,y\n"}, TABLE, r"needs samples of two classes or more, and there is only 'y'"),
        ({"a_txt": "x\ny", "b_txt": "x\ny"}, FILES, r"needs samples of two classes or more, and there is none"),
        ({"a_txt": "one", "b_txt": "two"}, FILES, r"validation gets 1 of 2 samples, too few for 2 classes"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, files: dict[str, Any], columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_up(write(tmp_path / "raw", **files), described(**columns))


def test_no_raw_data(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no raw data in .*nowhere: define it under downloads:, or put your texts there"
    ):
        split_up(tmp_path / "nowhere", described())


def test_not_what_was_published(reviews: Any, tmp_path: Path) -> None:
    raw = reviews[0]
    for name in ("source.json", "neg.txt", "pos.txt"):
        (tmp_path / name).write_bytes((raw / name).read_bytes())
    neg = (tmp_path / "neg.txt").read_text("utf-8").split("\n")
    (tmp_path / "neg.txt").write_text("\n".join(neg[1:]), "utf-8")
    with pytest.raises(UserError, match=r"35,122 texts, published: 35,123"):
        split_up(tmp_path, the_reviews())
    (tmp_path / "neg.txt").write_text("\n".join(["never seen", *neg[1:]]), "utf-8")
    with pytest.raises(UserError, match=r"'neg': 903\d.* distinct texts, published: .*'neg': 9031"):
        split_up(tmp_path, the_reviews())


def test_raw_data_that_changed_since_the_split(tmp_path: Path) -> None:
    raw = two_files(tmp_path / "raw")
    rows, _ = split_up(raw, described())
    (raw / "good.txt").write_text("fine")
    with pytest.raises(UserError, match=r"no longer has 'good/00002', which the split names: run `dvc repro split`"):
        text.KIND.prepare(raw, described(), rows, tmp_path)


def test_no_word_left(tmp_path: Path) -> None:
    raw = two_files(tmp_path / "raw")
    rows, _ = split_up(raw, described())
    with pytest.raises(UserError, match=r"no word is in 99 training texts or more; lower the dataset's min_df"):
        text.KIND.prepare(raw, described(min_df=99), rows, tmp_path)


# ---- the model -----------------------------------------------------------------------------------------------------


def dense_vectors(texts: torch.Tensor, words: int) -> npt.NDArray[np.float32]:
    """Counted one by one."""
    vectors = np.zeros((len(texts), words), np.float32)
    for vector, row in zip(vectors, texts.tolist(), strict=True):
        known = [number for number in row if number]
        for number in known:
            vector[number - 1] += 1 / len(known)
    return vectors


def some_texts(words: int = 50) -> torch.Tensor:
    """Six texts of 0 to 9 words, padded to 12, some words repeated."""
    texts = torch.zeros(6, 12, dtype=torch.int32)
    for row, length in enumerate((0, 1, 4, 9, 9, 2)):
        texts[row, :length] = torch.randint(1, words + 1, (length,), generator=torch.Generator().manual_seed(row))
    texts[4, 1:4] = texts[4, 0]
    return texts


@pytest.mark.parametrize("longest", [6, 12])
def test_sparse_is_dense(longest: int) -> None:
    """Values and gradients of nn.Linear on the dense vectors."""
    torch.manual_seed(0)
    sparse, dense = BagOfWords(50, 8), nn.Linear(50, 8)
    with torch.no_grad():
        dense.weight.copy_(sparse.weight[1:].T)
        dense.bias.copy_(sparse.bias)
    texts = some_texts()[:, :longest]
    got, expected = sparse(texts), dense(torch.from_numpy(dense_vectors(texts, 50)))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got[0], sparse.bias)
    (got**3).sum().backward()
    (expected**3).sum().backward()
    assert sparse.weight.grad is not None
    assert dense.weight.grad is not None
    torch.testing.assert_close(sparse.weight.grad[1:].T, dense.weight.grad)
    assert not sparse.weight.grad[0].any()
    torch.testing.assert_close(sparse.bias.grad, dense.bias.grad)


def test_it_starts_as_a_dense_layer_does() -> None:
    torch.manual_seed(0)
    weight, reference = BagOfWords(400, 300).weight[1:].detach(), nn.Linear(400, 300).weight.detach()
    assert weight.abs().max().item() == pytest.approx(reference.abs().max().item(), rel=1e-3)
    assert weight.std().item() == pytest.approx(reference.std().item(), rel=0.02)


def test_architecture(reviews: Any) -> None:
    meta = reviews[2]
    shapes = [tuple(p.shape) for p in bow(meta).parameters() if p.ndim > 1]
    (width,) = params.load().resolve("reviews_bow").model_dump()["hidden"]
    assert shapes == [(len(meta.words) + 1, width), (2, width)]
    deeper = bow(meta, hidden=[7, 5], loss="cross_entropy", dropout=0.0)
    assert [type(layer) for layer in deeper.net] == [BagOfWords, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]  # type: ignore[union-attr, arg-type]
    torch.testing.assert_close(bow(meta).eval()(some_texts()).exp().sum(1), torch.ones(6))


def bow(meta: Meta, **changed: Any) -> nn.Module:
    torch.manual_seed(0)
    return models.build(params.load().resolve("reviews_bow").model_copy(update=changed), meta)


def text_meta(**keys: Any) -> TextMeta:
    meta = make_meta(kind="text", shape=[12], **keys)
    assert isinstance(meta, TextMeta)
    return meta


def test_it_learns_the_reviews(reviews: Any) -> None:
    """Two epochs, by the validation split."""
    _, _, meta, folder = reviews
    training, validation = load_split(folder, "train"), load_split(folder, "validation")
    model = bow(meta, hidden=[16])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(2):
        for batch in torch.randperm(len(training)).split(256):
            optimizer.zero_grad()
            nn.functional.nll_loss(model(training.inputs[batch]), training.targets[batch]).backward()
            optimizer.step()
    model.eval()
    with torch.inference_mode():
        right = model(validation.inputs).argmax(1) == validation.targets
    assert right.float().mean() > 0.8
    table = top_words(logit_margins(model, meta, torch.device("cpu")), meta, 100)
    assert {"差", "失望"} <= set(table[table["class"] == "neg"]["word"])
    assert not {"差", "失望"} & set(table[table["class"] == "pos"]["word"])


@pytest.mark.parametrize(("loss", "outputs"), [("nll_loss", 2), ("binary_cross_entropy_with_logits", 1)])
def test_the_pull_of_a_word_is_its_weight(loss: str, outputs: int) -> None:
    """Of a model without a hidden layer the margins are known: differences of weights and biases."""
    words = [f"w{i}" for i in range(50)]
    meta = text_meta(classes=["neg", "pos"], words=words, documents=list(range(50, 0, -1)))
    model = bow(meta, hidden=[], loss=loss).eval()
    layer = model.net[0]  # type: ignore[index]
    values = (layer.weight[1:] + layer.bias).detach()  # type: ignore[operator, index]
    to_pos = values[:, 1] - values[:, 0] if outputs == 2 else values[:, 0]
    margins = logit_margins(model, meta, torch.device("cpu"))
    torch.testing.assert_close(margins, torch.stack([-to_pos, to_pos], 1))
    table = top_words(margins, meta, 3)
    assert table["class"].tolist() == ["neg"] * 3 + ["pos"] * 3
    best = int(to_pos.argmax())
    assert table.iloc[3].tolist() == ["pos", f"w{best}", round(float(to_pos[best]), 4), 50 - best]


def test_three_classes_pull_against_the_mean_of_the_others() -> None:
    meta = text_meta(classes=["a", "b", "c"], words=["x", "y"])
    model = bow(meta, hidden=[], loss="cross_entropy").eval()
    logits = model(torch.tensor([[1], [2]], dtype=torch.int32)).detach()
    margins = logit_margins(model, meta, torch.device("cpu"))
    torch.testing.assert_close(margins[0, 1], logits[0, 1] - (logits[0, 0] + logits[0, 2]) / 2)


def test_export_answers_as_the_model_does(reviews: Any, tmp_path: Path) -> None:
    _, _, meta, folder = reviews
    model = bow(meta)
    with torch.no_grad():
        model.net[0].weight.mul_(1000)  # type: ignore[index, operator]  # so that the words decide
    answers = get_task("classification").output_head(params.load().resolve("reviews_bow"), meta)
    whole = nn.Sequential(model, answers).eval()
    inputs = load_split(folder, "validation").inputs[:300].clone()
    inputs[7] = 0
    export_onnx(whole, inputs[:2], tmp_path / "model.onnx", ("words", "probabilities"))
    assert check_parity(whole, tmp_path / "model.onnx", inputs, classes=True) < 1e-5
    assert check_parity(whole, tmp_path / "model.onnx", inputs[7:8], classes=True) < 1e-5
    with torch.inference_mode():
        assert whole(inputs)[:, 1].std() > 0.05
