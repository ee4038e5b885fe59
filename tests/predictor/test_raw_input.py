"""Raw input in every form that a Predictor takes, as it was in training; and what is none: images, rows, texts."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from torchprimer import paths
from torchprimer.predictor import InvalidInput, Predictor
from torchprimer.predictor.tabular import table_features

# ---- images --------------------------------------------------------------------------------------------------------


@pytest.fixture
def digits(in_the_clone: Path) -> npt.NDArray[np.uint8]:
    images: npt.NDArray[np.uint8] = np.load(paths.prepared("mnist") / "test_inputs.npy")[:70, 0]
    return images


def file_of(image: npt.NDArray[np.uint8], form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form, **options)
    return stream.getvalue()


def probabilities(answers: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    return np.array([list(answer["probabilities"].values()) for answer in answers])


def test_an_image_in_every_form(
    open_export: Callable[[str], Predictor], digits: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    model, digit = open_export("mnist_cnn"), digits[0]
    expected = model.predict_raw(digit)
    assert expected.shape == (1, 10)
    (tmp_path / "ä ö.png").write_bytes(file_of(digit))
    colour, clear = np.stack([digit] * 3, 2), np.stack([digit] * 3 + [np.full_like(digit, 255)], 2)
    forms = [tmp_path / "ä ö.png", str(tmp_path / "ä ö.png"), file_of(digit), bytearray(file_of(digit, "BMP")),
             Image.fromarray(digit), digit, digit[..., None], colour, clear, file_of(colour),
             Image.fromarray(digit).convert("P"), Image.fromarray(digit).convert("LA")]  # fmt: skip
    for form in forms:
        np.testing.assert_array_equal(model.predict_raw(form), expected)
        np.testing.assert_array_equal(model.predict_raw([form, form]), np.concatenate([expected] * 2))
    for several in (digits, digits[..., None], list(digits), iter(digits), np.stack([digits] * 3, 3)):
        np.testing.assert_allclose(probabilities(model.predict(several)), model.predict_raw(digits), rtol=0, atol=1e-6)
    large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
    wide = Image.new("RGB", (400, 280), "red")
    wide.paste(large, (60, 0))  # the sides are cut off
    photo = io.BytesIO()
    large.save(photo, "JPEG", quality=95)
    for form in (large, wide, photo.getvalue()):
        np.testing.assert_allclose(model.predict_raw(form), expected, rtol=0, atol=0.05)
    assert model.predict([]) == []
    assert model.predict_raw([]).shape == (0, 10)


def test_grey_and_colour_are_made_what_the_model_takes(
    open_export: Callable[[str], Predictor], digits: npt.NDArray[np.uint8]
) -> None:
    """A see-through image is on white; red is darker than green."""
    grey, colour = open_export("mnist_cnn"), open_export("cifar10_cnn")
    see_through = np.zeros((28, 28, 4), np.uint8)
    np.testing.assert_array_equal(grey.predict_raw(see_through), grey.predict_raw(np.full((28, 28), 255, np.uint8)))
    red = np.zeros((28, 28, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_array_equal(grey.predict_raw(red), grey.predict_raw(np.full((28, 28), 76, np.uint8)))
    np.testing.assert_array_equal(colour.predict_raw(digits[0]), colour.predict_raw(np.stack([digits[0]] * 3, 2)))
    deep = Image.fromarray(digits[0].astype(np.uint16) * 257)  # 16 bits
    np.testing.assert_array_equal(grey.predict_raw(deep), grey.predict_raw(digits[0]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "empty file"),
        (b"GIF89a and no more", "not an image"),
        (None, "expected an image: the path or the bytes of an image file, a PIL.Image, .*; got NoneType"),
        (3.5, "expected an image: .*; got float"),
        ("missing.png", "missing.png: no such file"),
        (".", r"\.: a folder, not an image"),
        ("\0", ".*null byte"),
        ("x" * 300, "x+: File name too long"),
        (np.zeros((28, 28)), "an image as an array is uint8, 0 to 255, height x width or .*; this is float64, 28 x 28"),
        (np.zeros((28, 28, 5), np.uint8)[None], ".*this is uint8, 28 x 28 x 5"),
        (np.zeros((0, 4), np.uint8), ".*this is uint8, 0 x 4"),
        (np.zeros(4, np.uint8), ".*this is uint8, 4"),
    ],
)  # fmt: skip
def test_what_is_no_image(open_export: Callable[[str], Predictor], given: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^(input 0: )?{message}$") as caught:
        open_export("mnist_cnn").predict(given)
    assert caught.value.index == 0


def test_broken_photos_are_named_and_the_rest_is_answered(
    open_export: Callable[[str], Predictor], digits: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    model, count = open_export("mnist_cnn"), 150  # three batches
    whole, names = file_of(digits[1]), [tmp_path / f"{i}.png" for i in range(count)]
    for i, name in enumerate(names):
        name.write_bytes(whole[: len(whole) // 2] if i in (3, 64, 149) else whole)
    found = list(model.iter_predict(iter(names)))
    bad = {i: answer for i, answer in enumerate(found) if isinstance(answer, InvalidInput)}
    assert list(bad) == [error.index for error in bad.values()] == [3, 64, 149]
    assert all(str(error).startswith(f"{names[i]}: damaged: ") for i, error in bad.items())
    expected = model.predict(digits[1])
    assert [answer for answer in found if not isinstance(answer, InvalidInput)] == expected * (count - 3)
    with pytest.raises(InvalidInput, match=r"^input 2: not an image$") as caught:
        model.predict([whole, digits[0], b"nothing"])
    assert caught.value.index == 2


def test_an_autoencoder_gives_back_an_image(
    open_export: Callable[[str], Predictor], digits: npt.NDArray[np.uint8]
) -> None:
    model = open_export("mnist_autoencoder")
    answer = model.predict(digits[0])[0]
    image, mse = answer["prediction"], answer["mse"]
    assert (image.dtype, image.shape) == (np.uint8, (28, 28))
    assert mse == pytest.approx(np.square(image / 255 - digits[0] / 255).mean(), abs=1e-3)
    assert model.classes is None


# ---- tables --------------------------------------------------------------------------------------------------------

HOUR = {"temp": 0.24, "atemp": 0.2879, "hum": 0.81, "windspeed": 0.0, "season": 1, "mnth": "Jan", "hr": 17,
        "holiday": 0, "weekday": 6, "workingday": 0, "weathersit": "clear"}  # fmt: skip


def rides(model: Predictor, **changed: Any) -> float:
    value: float = model.predict(HOUR | changed)[0]["prediction"]
    return value


def test_a_row_in_every_form(open_export: Callable[[str], Predictor]) -> None:
    model = open_export("bike_sharing_tuned")
    expected = rides(model)
    texts = {name: str(value) for name, value in HOUR.items()}
    floats = {name: float(value) if isinstance(value, int) else value for name, value in HOUR.items()}
    ours = pd.DataFrame([HOUR] * 3, index=[7, 8, 9]).assign(day=1, bikers=0)
    for given in (
        HOUR,
        texts,
        floats,
        HOUR | {"more": 1},
        pd.Series(HOUR),
        ours[:1],
        ours.astype({"hr": np.float32})[:1],
    ):
        assert model.predict(given) == [{"prediction": expected}]
    for several in ([HOUR] * 3, ours, ours[ours.columns[::-1]], (row for row in [HOUR] * 3)):
        assert [answer["prediction"] for answer in model.predict(several)] == pytest.approx([expected] * 3)
    assert model.predict(ours[:0]) == []
    assert rides(model, hr=4) != expected


def test_missing_numbers_and_new_categories_are_as_in_training(open_export: Callable[[str], Predictor]) -> None:
    model = open_export("bike_sharing_tuned")
    median = model.description["transform"]["numeric"]["hum"]["median"]
    for nothing in (None, "", float("nan"), "NA", "?", pd.NA, np.float32("nan")):
        assert rides(model, hum=nothing) == rides(model, hum=median) != rides(model)
    assert rides(model, season="9") == rides(model, season=None) == rides(model, season="winter") != rides(model)
    diabetes = open_export("diabetes_tuned")
    person = {column["name"]: 50.0 for column in diabetes.description["columns"]}
    numeric = diabetes.description["transform"]["numeric"]
    zero, none, middle = (diabetes.predict(person | {"glucose": x}) for x in (0, None, numeric["glucose"]["median"]))
    assert zero == none == middle  # nobody's blood has no glucose
    assert diabetes.predict(person | {"age": 0}) != diabetes.predict(person | {"age": None})
    assert diabetes.classes == ["tested_negative", "tested_positive"]


def test_a_number_is_its_category_however_it_is_written() -> None:
    """A CSV has 3 or 3.0, pandas makes either of them 3.0 where a value is missing, and JSON has numbers as well."""
    fitted = {"numeric": {}, "zero_as_missing": [], "categorical": {"n": ["1", "2.50", "3.0", "", "x"]}, "pca": None}
    values = {
        "1": [1, "1", 1.0, np.int64(1), True],
        "2.50": [2.5, "2.50", "2.5"],
        "3.0": [3, np.float32(3), "3.0"],
        "": [None, float("nan"), np.float32("nan"), " "],
        "x": ["x "],
        "none of them": [4, "2.51", "X"],
    }
    for row, (category, given) in enumerate(values.items()):
        expected = np.arange(5) == row
        for value in given:
            features = table_features(fitted, {"n": [value]})
            np.testing.assert_array_equal(features, [expected], err_msg=f"{value!r} for {category!r}")


def test_what_pandas_makes_of_a_category() -> None:
    """TRUE becomes a bool, NA becomes nothing: in training, which reads texts, they are categories."""
    fitted = {"numeric": {}, "zero_as_missing": [], "categorical": {"n": ["NA", "TRUE", "FALSE"]}, "pca": None}
    table = pd.read_csv(io.StringIO("n,b\nNA,TRUE\nx,FALSE\n"))
    assert table_features(fitted, {"n": table["b"]}).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert table_features(fitted, {"n": table["n"]}).tolist() == [[1, 0, 0], [0, 0, 0]]


def test_a_number_too_large_to_compute_with() -> None:
    fitted = {
        "numeric": {"n": {"median": 0.0, "mean": 0.0, "std": 1.0}},
        "zero_as_missing": [],
        "categorical": {},
        "pca": None,
    }
    with pytest.raises(InvalidInput, match="a number in this row is too large for float32") as caught:
        table_features(fitted, {"n": [1, 1e39]})
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("given", "message", "index"),
    [
        (HOUR | {"temp": "warm"}, "temp is 'warm', which is not a number", 0),
        (HOUR | {"temp": [0.2]}, r"temp is '\[0.2\]', which is not a number", 0),
        (HOUR | {"temp": float("inf")}, "temp is 'inf', which is not a number", 0),
        ([HOUR, HOUR | {"temp": "warm"}], "input 1: temp is 'warm', which is not a number", 1),
        ([HOUR] * 70 + [HOUR | {"temp": "x"}], "input 70: temp is 'x', which is not a number", 70),
        ({"tmp": 0.2}, "no column 'temp', 'atemp', .*; given: tmp; needed: temp, .*. Did you mean 'tmp'?", 0),
        ({}, "no column .*; given: none; needed: temp, .*", 0),
        ([HOUR, {}], "input 1: no column .*", 1),
        (pd.DataFrame([HOUR]).drop(columns="hr"), "no column 'hr'; given: temp, .*; needed: .*", None),
        ([[0.24, 0.28]], "input 0: expected a table row, a dict {column: value}; got list", 0),
        ("temp", "expected a table row, a dict {column: value}; got str", 0),
        (None, ".*; got None", 0),
    ],
)  # fmt: skip
def test_what_is_no_row(open_export: Callable[[str], Predictor], given: Any, message: str, index: int | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_export("bike_sharing_tuned").predict(given)
    assert re.fullmatch(message.replace("{", r"\{").replace("?", r"\?").replace("(", r"\("), str(caught.value))
    assert caught.value.index == index


# ---- texts and strings ---------------------------------------------------------------------------------------------


def test_texts(open_export: Callable[[str], Predictor]) -> None:
    model = open_export("reviews_bow")
    text = "房间很干净 服务也很好"
    assert model.predict(text) == model.predict([text]) == model.predict(f" {text}\n")
    assert sum(model.predict(text)[0]["probabilities"].values()) == pytest.approx(1)
    many = [text * n for n in range(1, 80)]
    np.testing.assert_allclose(
        model.predict_raw(many), np.concatenate([model.predict_raw(one) for one in many]), atol=1e-5
    )
    nothing_known = model.predict(["…", "xyzzy", "。"])
    assert nothing_known[0] == nothing_known[1] == nothing_known[2]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("reviews_bow", "", "the text is empty"),
        ("reviews_bow", ["好", " \n"], "input 1: the text is empty"),
        ("reviews_bow", 3, "expected a text, a str; got int"),
        ("reviews_bow", ["好", None], "input 1: expected a text, a str; got None"),
        ("reviews_bow", b"good", "expected a text, a str; got bytes"),
        ("hello_rnn", "hella", "'a' is not in the alphabet: e h l o"),
        ("hello_rnn", "hell", "'hell' has 4 characters, and this model takes 5"),
        ("hello_rnn", "", "'' has 0 characters, and this model takes 5"),
        ("hello_rnn", ["hello", "Hello"], "input 1: 'H' is not in the alphabet: e h l o"),
        ("hello_rnn", 5, "expected a string, a str; got int"),
    ],
)
def test_what_is_no_text(open_export: Callable[[str], Predictor], name: str, given: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_export(name).predict(given)
    assert str(caught.value) == message


def test_strings(open_export: Callable[[str], Predictor]) -> None:
    model = open_export("hello_rnn")
    one, two = model.predict(["hello", "olleh"])
    assert len(one["prediction"]) == len(two["prediction"]) == 5
    assert set(one["prediction"]) <= set("ehlo")
    assert model.predict_raw("hello").shape == (1, 5, 4)
    found = list(model.iter_predict(["no", "hello", "jello", "olleh", None, "hello"]))
    assert found[1] == found[5] == one
    assert found[3] == two
    assert [str(found[i])[:8] for i in (0, 2, 4)] == ["input 0:", "input 2:", "input 4:"]
