"""Raw input -> the arrays that models take: images, rows of a table, texts, strings.

The one place that knows: `preprocess` makes the training data by it, and a Predictor what it is given. What was fitted
to the training rows (medians, deviations, categories, words, ...) comes from meta.json as plain numbers and texts.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput, did_you_mean

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Tokenizer = Callable[[str], list[str]]


class Columns(Protocol):
    """The values of each column of a table by its name: a dict of lists, or a DataFrame."""

    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, name: str, /) -> Any: ...


FORMATS = ("JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "AVIF")  # not PostScript: that is run
MAX_PIXELS = 100_000_000  # 300 MB as RGB; above that an image is a mistake or an attack
MAX_BYTES = 200_000_000
MISSING = {"", "?", "na", "n/a", "nan", "null", "<null>", "none"}  # where a number should be, in any case
PADDING = 0


# ---- images ----------------------------------------------------------------------------------------------------------


def image_pixels(given: object, shape: Sequence[int]) -> Bytes:
    """An image as the models of images take it.

    Args:
        given: the path or the bytes of an image file, a PIL.Image, or uint8 H x W or H x W x C (C: 1, 3 or 4).
        shape: C, H, W; C is 1 (grey) or 3 (RGB).

    Returns:
        uint8, of `shape`: upright, scaled and cut from the middle.

    Raises:
        InvalidInput: no image, or one that cannot be read.
    """
    from PIL import Image

    if isinstance(given, str | Path):
        try:
            return resized(decode(_file(Path(given)), max(shape[1:])), shape)
        except InvalidInput as error:
            raise InvalidInput(f"{given}: {error}") from None
    if isinstance(given, bytes | bytearray | memoryview):
        return resized(decode(bytes(given), max(shape[1:])), shape)
    if isinstance(given, np.ndarray):
        return resized(_image(given), shape)
    if isinstance(given, Image.Image):
        return resized(_upright_rgb(given), shape)
    raise InvalidInput(
        "an image is needed: the path or the bytes of an image file, a PIL.Image, or an array of uint8; "
        f"this is {type(given).__name__}"
    )


def _file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InvalidInput("a folder, not an image")
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(f"larger than {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidInput("no such file") from None
    except (OSError, ValueError) as error:  # no permission, a name too long, a null byte in it
        raise InvalidInput(getattr(error, "strerror", None) or str(error)) from None


def _image(array: npt.NDArray[Any]) -> "Image.Image":
    """H x W or H x W x C as an image."""
    from PIL import Image

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or array.size == 0 or (array.ndim != 2 and array.shape[2:] not in ((3,), (4,))):
        raise InvalidInput(
            "an image as an array is uint8, 0 to 255, height x width or height x width x 1, 3 (RGB) or 4 (RGBA); this "
            f"is {array.dtype}, {' x '.join(map(str, array.shape)) or 'without a shape'}"
        )
    return _upright_rgb(Image.fromarray(np.ascontiguousarray(array)))


def decode(content: bytes, size: int) -> "Image.Image":
    """An upright RGB image, not smaller than needed for `size` x `size` unless it was smaller.

    Raises:
        InvalidInput: with the reason.
    """
    from PIL import Image, UnidentifiedImageError

    if not content:
        raise InvalidInput("empty file")
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.format not in FORMATS:
                raise InvalidInput(f"not a photo, but {image.format}")
            if image.width * image.height > MAX_PIXELS:
                raise InvalidInput(f"too large: {image.width} x {image.height} pixels")
            image.draft("RGB", (2 * size, 2 * size))  # JPEG: decode at a half, quarter or eighth if that is enough
            return _upright_rgb(image)
    except InvalidInput:
        raise
    except UnidentifiedImageError:
        raise InvalidInput("not an image") from None
    except Image.DecompressionBombError:
        raise InvalidInput("too large") from None
    except Exception as error:  # on broken files Pillow's decoders raise almost anything
        raise InvalidInput(f"damaged: {error}") from None


def _upright_rgb(image: "Image.Image") -> "Image.Image":
    """As its EXIF block says it is to be held; what shows through is white.

    Raises:
        InvalidInput: it cannot be read to its end.
    """
    from PIL import Image, ImageOps

    try:
        image.load()
        is_pgm = image.format == "PPM"  # Pillow scales its grey values by the maximum in its header to 16 bits
        image = ImageOps.exif_transpose(image)
        if image.mode == "F" or (
            image.mode == "I" and not is_pgm and not 255 < np.asarray(image).max(initial=0) < 65536
        ):
            raise InvalidInput(
                "grey values of 32 bits, and nothing says which of them is white: save it with 8 or 16 bits"
            )
        if image.mode.startswith("I"):  # 16 bits grey, which convert() would clip instead of scale
            image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
        if image.has_transparency_data:  # white, not the colour that happens to lie beneath
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"damaged: {error}") from None


def resized(image: "Image.Image", shape: Sequence[int]) -> Bytes:
    """An RGB image as uint8 of `shape`, C x H x W: scaled and cut from the middle; grey where C is 1."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    image = ImageOps.fit(image.convert("L") if channels == 1 else image, (width, height), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.atleast_3d(np.asarray(image)).transpose(2, 0, 1))


# ---- rows of a table -------------------------------------------------------------------------------------------------


def table_features(fitted: Mapping[str, Any], columns: Columns) -> npt.NDArray[np.float32]:
    """Inputs of shape (N, F) for the rows of a table, by what was fitted to the training rows.

    Args:
        fitted: numeric (median, mean, std of each column), zero_as_missing, categorical (the categories of each
            column; one that is not among them becomes all zeros), pca (None, or mean and components).
        columns: those that `fitted` lacks are not read.

    Raises:
        InvalidInput: no such column, or a value that is no number.
    """
    encoded = encode_columns(fitted, columns)
    if fitted["pca"] is not None:
        encoded = (encoded - np.array(fitted["pca"]["mean"])) @ np.array(fitted["pca"]["components"]).T
    with np.errstate(over="ignore"):
        features = encoded.astype(np.float32)
    if len(too_large := np.flatnonzero(~np.isfinite(features).all(axis=1))):
        raise InvalidInput("a number in it is too large to compute with", int(too_large[0]))
    return features


def encode_columns(fitted: Mapping[str, Any], columns: Columns) -> Floats:
    """`table_features` before principal components: medians put in, standardised; categories one-hot."""
    for name in (*fitted["numeric"], *fitted["categorical"]):
        check_column(columns, name)
    blocks = []
    for name, numbers in fitted["numeric"].items():
        values = column_numbers(columns[name], name, zero_as_missing=name in fitted["zero_as_missing"])
        filled = np.where(np.isnan(values), numbers["median"], values)
        blocks.append(((filled - numbers["mean"]) / numbers["std"])[:, None])
    for name, categories in fitted["categorical"].items():
        texts = np.array([_category(value, categories) for value in columns[name]], object)
        blocks.append(texts[:, None] == np.array([categories], object))
    return np.hstack(blocks).astype(np.float64)


def check_column(columns: Iterable[Any], name: str) -> None:
    """Raises InvalidInput unless there is a column of this name."""
    if name not in columns:
        there = [str(column) for column in columns]
        raise InvalidInput(f"no column {name!r}; there are: {', '.join(there)}.{did_you_mean(name, there)}")


def cell_to_str(value: object) -> str:
    """A cell of a table as text, whatever it is: nothing is "", and 3.0 is "3"."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas' own
        return ""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else str(int(value)) if float(value).is_integer() else str(value)
    return str(value).strip()


def _category(value: object, known: Sequence[str]) -> str:
    """As text; what was written in another way, 3 for "3.0", TRUE for "True", nothing for "NA", as it was in training.

    (pandas reads TRUE as a bool and NA as nothing.)
    """
    text = cell_to_str(value)
    if text in known:
        return text
    if isinstance(value, bool | np.bool_):
        same = next((category for category in known if category.lower() == text.lower()), None)
        if same is not None:
            return same
        text = str(int(value))
    if not text:
        return next((category for category in known if category.lower() in MISSING), text)
    number = _number(text)
    return text if number is None else next((category for category in known if _number(category) == number), text)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def column_numbers(values: Iterable[object], name: str, *, zero_as_missing: bool = False) -> Floats:
    """A column as numbers of shape (N,); NaN where it is missing: empty, NA and the like, 0 if that stands for it.

    Raises:
        InvalidInput: neither a number nor missing; `index` is its row.
    """
    texts = [cell_to_str(value) for value in values]
    numbers = np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        if text.lower() in MISSING:
            continue
        try:
            numbers[i] = float(text)
        except ValueError:
            numbers[i] = np.inf
        if not np.isfinite(numbers[i]):
            raise InvalidInput(f"{name} is {text!r}, which is no number", i)
    return np.where(numbers == 0, np.nan, numbers) if zero_as_missing else numbers


# ---- texts -----------------------------------------------------------------------------------------------------------


def tokenizer(name: str) -> Tokenizer:
    """`chinese`: words as jieba cuts them; `words`: runs of letters, digits and _ in lower case. No punctuation."""
    if name == "words":
        return lambda text: re.findall(r"\w+", text.lower())
    import rjieba  # jieba's algorithm and dictionary, in Rust

    return lambda text: [word for word in rjieba.cut(text) if any(letter.isalnum() for letter in word)]


def token_ids(documents: Iterable[Sequence[str]], words: Sequence[str]) -> list[npt.NDArray[np.int32]]:
    """For each document the numbers of its words, in their order; the first of `words` is 1. Others are left out."""
    number = {word: i for i, word in enumerate(words, 1)}
    return [np.array([number[word] for word in document if word in number], np.int32) for document in documents]


def padded(documents: Sequence[npt.NDArray[np.int32]], length: int) -> npt.NDArray[np.int32]:
    """One row of `length` for each document, filled up with `PADDING`: shape (N, length)."""
    rows = np.full((len(documents), length), PADDING, np.int32)
    for row, document in zip(rows, documents, strict=True):
        row[: len(document)] = document
    return rows


def encode_texts(texts: Iterable[str], meta: Mapping[str, Any]) -> npt.NDArray[np.int32]:
    """Raw texts as a model takes them, by `tokenizer` and `words` of the data it was trained on.

    Returns:
        Shape (N, L), L as long as the longest of these texts needs, at least 1.
    """
    cut = tokenizer(meta["tokenizer"])
    documents = token_ids((cut(text) for text in texts), meta["words"])
    return padded(documents, max([1, *map(len, documents)]))


# ---- strings ---------------------------------------------------------------------------------------------------------


def encode_strings(strings: Sequence[str], alphabet: Sequence[str]) -> npt.NDArray[np.int64]:
    """Strings of one length as numbers of their characters, shape (N, T).

    Raises:
        InvalidInput: a character that the alphabet does not have.
    """
    number = {character: i for i, character in enumerate(alphabet)}
    for i, string in enumerate(strings):
        for character in string:
            if character not in number:
                raise InvalidInput(f"{character!r} is not in the alphabet: {' '.join(alphabet)}", i)
    return np.array([[number[character] for character in string] for string in strings], np.int64)


def decode_strings(numbers: npt.NDArray[np.int64], alphabet: Sequence[str]) -> list[str]:
    """The strings again, from shape (N, T)."""
    return ["".join(alphabet[i] for i in row) for row in numbers]
