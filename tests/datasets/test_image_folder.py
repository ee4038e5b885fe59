"""Photos as people have them: names, folders and zips of all kinds, and every way an image can be odd or broken.

The images are cats and dogs of CIFAR-10, scaled up.
"""

import io
import os
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, features

from torchprimer.datasets.image_folder import ImageFolder
from torchprimer.errors import UserError
from torchprimer.predictor import InvalidInput
from torchprimer.predictor.images import decode

Pixels = npt.NDArray[np.uint8]


def pets(cifar10: Path, count: int, size: tuple[int, int] = (40, 32)) -> list[tuple[str, Image.Image]]:
    """`count` real photos, cats and dogs in turn, scaled to `size` (width, height)."""
    records = np.fromfile(cifar10 / "test_batch.bin", np.uint8).reshape(-1, 3073)
    of_class = {name: records[records[:, 0] == label, 1:] for name, label in (("cat", 3), ("dog", 5))}
    made = []
    for i in range(count):
        label = ("cat", "dog")[i % 2]
        pixels = of_class[label][i // 2].reshape(3, 32, 32).transpose(1, 2, 0)
        made.append((label, Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)))
    return made


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def in_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@pytest.fixture(scope="module")
def cat(real_raw: Callable[[str], Path]) -> Image.Image:
    """One real cat, 120 x 90."""
    return pets(real_raw("cifar10"), 1, (120, 90))[0][1]


def pixels(image: Image.Image) -> npt.NDArray[np.int64]:
    return np.asarray(image).astype(np.int64)


def test_grey_values_that_nobody_can_tell_are_refused(cat: Image.Image) -> None:
    """32 bits, whole or floating: what is white in them is written nowhere; 16 bits are scaled."""
    grey = np.asarray(cat.convert("L"))
    for values in (grey.astype(np.float32) / 255, grey.astype(np.int32), grey.astype(np.int32) * 1_000_000):
        with pytest.raises(InvalidInput, match="grey values of 32 bits have no defined white"):
            decode(encoded(Image.fromarray(values), "TIFF"), 32)
    scaled = decode(encoded(Image.fromarray(grey.astype(np.uint16) * 257)), 32)
    assert np.abs(pixels(scaled)[:, :, 0] - grey.astype(np.int64)).max() <= 1


# ---- names and labels --------------------------------------------------------------------------------------------

NAMES = [  # files, the class of each, those left out and why
    (
        ["cat.0.jpg", "cat.1.jpg", "dog.0.JPG"],
        {"cat.0.jpg": "cat", "cat.1.jpg": "cat", "dog.0.JPG": "dog"},
        {},
    ),
    (
        ["train/cat.0.jpg", "train/dog.0.jpg", "train/sampleSubmission.csv", "train/holiday.jpg"],
        {"train/cat.0.jpg": "cat", "train/dog.0.jpg": "dog"},
        {
            "train/sampleSubmission.csv": "not an image by its name",
            "train/holiday.jpg": "no class in its name or its folder's",
        },
    ),
    (
        ["roses/a.jpg", "tulips/b.png", "wild daisies/deep.2.webp", "tulips/Ä ö.tiff"],
        {
            "roses/a.jpg": "roses",
            "tulips/b.png": "tulips",
            "tulips/Ä ö.tiff": "tulips",
            "wild daisies/deep.2.webp": "wild daisies",
        },
        {},
    ),
    (
        ["data/train/cats/img.1.jpg", "data/train/dogs/img.2.jpg", "lost.jpg"],
        {"data/train/cats/img.1.jpg": "cats", "data/train/dogs/img.2.jpg": "dogs"},
        {"lost.jpg": "no class in its name or its folder's"},
    ),
    (
        ["wild\\cats\\a.jpg", "wild\\dogs\\b.jpg"],  # some zips of Windows
        {"wild\\cats\\a.jpg": "cats", "wild\\dogs\\b.jpg": "dogs"},
        {},
    ),
    (
        ["a/1.jpg", "b/2.jpg", "a/._1.jpg", "__MACOSX/a/._1.jpg", ".git/x.jpg", "a/.DS_Store", "b/Thumbs.db"],
        {"a/1.jpg": "a", "b/2.jpg": "b"},
        {"b/Thumbs.db": "not an image by its name"},
    ),
]


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "folder"])
@pytest.mark.parametrize(("names", "labels", "left_out"), NAMES)
def test_labels(
    tmp_path: Path, names: list[str], labels: dict[str, str], left_out: dict[str, str], as_zip: bool
) -> None:
    files = {name: name.encode() for name in reversed(names)}
    place = zipped(tmp_path / "p.zip", files) if as_zip else in_folder(tmp_path / "p", files)
    photos = ImageFolder(place)
    assert dict(zip(photos.ids, photos.labels, strict=True)) == labels
    assert photos.ids == sorted(photos.ids)
    assert photos.classes == sorted(set(labels.values()))
    assert photos.skipped == left_out
    assert [photos.content(i) for i in range(len(photos.ids))] == [name.encode() for name in photos.ids]
    assert not photos.is_test.any()


def test_zip_and_folder_are_the_same(tmp_path: Path) -> None:
    """Folder entries, compression, and a member that is there twice (the later one counts) change nothing."""
    files = {f"{label}/{i}.png": f"{label} {i}".encode() * 50 for label in "abc" for i in range(5)}
    folder = ImageFolder(in_folder(tmp_path / "p", files))
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the double name
        archive.mkdir("a")
        archive.writestr("a/0.png", "first version")
        for name, content in files.items():
            archive.writestr(name, content)
    packed = ImageFolder(tmp_path / "p.zip")
    assert (packed.ids, packed.labels) == (folder.ids, folder.labels)
    assert [packed.content(i) for i in range(15)] == [folder.content(i) for i in range(15)]


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems take no such names")
def test_file_name_that_is_not_text(tmp_path: Path) -> None:
    in_folder(tmp_path, {"a/1.jpg": b"1", "b/2.jpg": b"2"})
    Path(os.fsdecode(bytes(tmp_path / "a") + b"/caf\xe9.jpg")).write_bytes(b"3")
    photos = ImageFolder(tmp_path)
    assert photos.ids == ["a/1.jpg", "b/2.jpg"]
    assert photos.skipped == {r"'a/caf\udce9.jpg'": "its name is not UTF-8"}


@pytest.mark.parametrize("files", [{}, {"a.txt": b""}, {"1.jpg": b"", "2.jpg": b""}, {"a/.x.jpg": b""}], ids=str)
@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "folder"])
def test_nothing_with_a_class(tmp_path: Path, files: dict[str, bytes], as_zip: bool) -> None:
    (tmp_path / "p").mkdir()
    place = zipped(tmp_path / "p.zip", files) if as_zip else in_folder(tmp_path / "p", files)
    with pytest.raises(UserError, match=r"no photos with a class found; name them like cat.12.jpg, or put each class"):
        ImageFolder(place)


# ---- zips that are not what they should be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "..\\evil.jpg", "C:\\evil.jpg", "C:evil.jpg"]
)
def test_path_outside_the_zip(tmp_path: Path, name: str) -> None:
    files = {"a/1.jpg": b"1", "b/2.jpg": b"2", name: b"3"}
    with pytest.raises(UserError) as caught:
        ImageFolder(zipped(tmp_path / "p.zip", files))
    assert str(caught.value) == f"{tmp_path / 'p.zip'} has a file with a path outside the zip: {name!r}; not used"


def test_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "p.zip", {"a/1.jpg": b"1", "b/2.jpg": b"2"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory of the first member
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"p.zip is encrypted \(a/1.jpg\): unpack it and add the folder instead"):
        ImageFolder(tmp_path / "p.zip")


def directory_says(content: bytes, offset: int, value: bytes) -> bytes:
    """A zip with other bytes in its directory's entry of the first member."""
    at = content.index(b"PK\x01\x02") + offset
    return content[:at] + value + content[at + len(value) :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"this is no zip",
        lambda content: content[: len(content) // 2],
        lambda content: directory_says(content, 0, b"XX"),
        lambda content: directory_says(content, 6, b"\xff\xff"),  # made for version 255 of the format
        lambda content: directory_says(content, 28, b"\0\0"),  # a name without letters
    ],
    ids=["empty", "text", "cut", "damaged", "version", "no name"],
)
def test_not_a_zip_that_can_be_read(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = zipped(tmp_path / "p.zip", {"a/1.jpg": b"1" * 500, "b/2.jpg": b"2" * 500})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"p.zip is not a zip that can be read: "):
        ImageFolder(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_member(tmp_path: Path, cat: Image.Image, method: int) -> None:
    """The others are read all the same."""
    path = zipped(tmp_path / "p.zip", {"a/1.bmp": encoded(cat, "BMP"), "b/2.bmp": encoded(cat, "BMP")}, method)
    content = bytearray(path.read_bytes())
    for at in range(60, 90):
        content[at] ^= 0xFF
    path.write_bytes(content)
    photos = ImageFolder(path)
    with pytest.raises(InvalidInput, match=r"cannot be read from p.zip: "):
        photos.content(0)
    assert photos.content(1) == encoded(cat, "BMP")


# ---- images that are odd, but can be read --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_lossless_formats_come_out_as_they_are(cat: Image.Image, form: str) -> None:
    if form == "GIF":
        cat = cat.quantize(200)
    image = decode(encoded(cat, form, **({"lossless": True} if form == "WEBP" else {})), 32)
    assert image.mode == "RGB"
    assert np.array_equal(pixels(image), pixels(cat.convert("RGB")))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg(cat: Image.Image, mode: str, options: dict[str, Any]) -> None:
    image = decode(encoded(cat.convert(mode), "JPEG", quality=95, **options), 120)
    assert (image.mode, image.size) == ("RGB", cat.size)
    expected = cat.convert("L").convert("RGB") if mode == "L" else cat
    assert np.abs(pixels(image) - pixels(expected)).mean() < 3


def test_jpeg_is_decoded_no_larger_than_needed(cat: Image.Image) -> None:
    """At an eighth, if that is twice what is asked for; the picture is the same."""
    large = cat.resize((1600, 1200), Image.Resampling.BICUBIC)
    image = decode(encoded(large, "JPEG", quality=95), 64)
    assert image.size == (200, 150)
    reduced = large.resize((200, 150), Image.Resampling.BOX)
    assert np.abs(pixels(image) - pixels(reduced)).mean() < 3


def test_phone_jpeg_with_a_second_picture_in_it(cat: Image.Image) -> None:
    content = encoded(cat, "MPO", save_all=True, append_images=[Image.new("RGB", cat.size)], quality=95)
    assert np.abs(pixels(decode(content, 120)) - pixels(cat)).mean() < 3


def test_grey(cat: Image.Image) -> None:
    grey = cat.convert("L")
    assert np.array_equal(pixels(decode(encoded(grey), 32)), pixels(grey)[..., None].repeat(3, 2))
    black_and_white = cat.convert("1")
    assert set(np.unique(pixels(decode(encoded(black_and_white), 32)))) == {0, 255}


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(cat: Image.Image, form: str) -> None:
    grey = pixels(cat.convert("L"))
    content = encoded(Image.fromarray((grey * 257).astype(np.uint16)), form)
    assert np.array_equal(pixels(decode(content, 32)), grey[..., None].repeat(3, 2))


def test_palette(cat: Image.Image) -> None:
    palette = cat.quantize(64)
    assert np.array_equal(pixels(decode(encoded(palette), 32)), pixels(palette.convert("RGB")))
    clear = int(pixels(palette)[0, 0])  # what has the colour of the corner lets the ground through: white
    expected = pixels(palette.convert("RGB"))
    expected[pixels(palette) == clear] = 255
    assert np.array_equal(pixels(decode(encoded(palette, transparency=clear), 32)), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white(cat: Image.Image, mode: str) -> None:
    opaque = cat.convert(mode[:-1])
    alpha = np.tile(np.linspace(0, 255, cat.width).astype(np.uint8), (cat.height, 1))
    opaque.putalpha(Image.fromarray(alpha))
    colour = pixels(cat.convert(mode[:-1]).convert("RGB"))
    share = alpha[..., None] / 255
    image = decode(encoded(opaque), 32)
    assert image.mode == "RGB"
    assert np.abs(pixels(image) - (colour * share + 255 * (1 - share))).max() <= 1.5


TURNED: dict[int, Callable[[Pixels], Pixels]] = {  # EXIF 2.3, orientation: how the upright picture was stored
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_upright_whatever_exif_says(cat: Image.Image, orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation](np.asarray(cat))))
    image = decode(encoded(stored, form, exif=exif, **({"quality": 95} if form == "JPEG" else {})), 90)
    assert image.size == cat.size
    difference = np.abs(pixels(image) - pixels(cat))
    assert difference.mean() < 3 if form == "JPEG" else difference.max() == 0


def test_square_from_the_middle(tmp_path: Path, cat: Image.Image) -> None:
    """120 x 90 to 90 x 90: nothing is scaled, fifteen columns are cut on either side."""
    photos = ImageFolder(
        in_folder(tmp_path, {"a/1.png": encoded(cat), "b/2.png": encoded(cat.rotate(90, expand=True))})
    )
    square = np.asarray(cat)[:, 15:105].transpose(2, 0, 1)
    assert np.array_equal(photos.pixels(0, 90), square)
    assert np.array_equal(photos.pixels(1, 90), np.rot90(square, 1, (1, 2)))
    assert photos.pixels(0, 17).shape == (3, 17, 17)
    assert photos.pixels(0, 200).dtype == np.uint8


# ---- images that cannot be read ----------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def black_png(width: int, height: int) -> bytes:
    """A file of a few kilobytes, and as many pixels as one likes."""
    pack = zlib.compressobj(1)
    rows = bytes(1 + (width + 7) // 8) * 1000
    packed = b"".join(pack.compress(rows) for _ in range(height // 1000)) + pack.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


BROKEN: dict[str, tuple[Callable[[Image.Image], bytes], str]] = {
    "empty": (lambda _: b"", "empty file"),
    "text": (lambda _: b"<html>404</html>", "not an image"),
    "PostScript": (lambda cat: encoded(cat, "EPS"), "unsupported format EPS"),
    "JPEG cut": (lambda cat: encoded(cat, "JPEG")[:-1000], "damaged: image file is truncated"),
    "JPEG header only": (lambda cat: encoded(cat, "JPEG")[:300], ""),
    "PNG cut": (lambda cat: encoded(cat)[:5000], "damaged: image file is truncated"),
    "PNG damaged": (lambda cat: encoded(cat)[:5000] + b"\0" * 50 + encoded(cat)[5050:], "damaged: "),
    "PNG header": (lambda cat: encoded(cat).replace(b"IHDR", b"IHDX"), ""),
    "GIF cut": (lambda cat: encoded(cat, "GIF")[:2000], "damaged: "),
    "WEBP cut": (lambda cat: encoded(cat, "WEBP")[:500], ""),
    "TIFF cut": (lambda cat: encoded(cat, "TIFF")[:500], ""),
    "BMP cut": (lambda cat: encoded(cat, "BMP")[:500], "damaged: image file is truncated"),
    "900 million pixels": (lambda _: black_png(30_000, 30_000), "too large"),
    "108 million pixels": (lambda _: black_png(12_000, 9_000), "too large: 12000 x 9000 pixels"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # Pillow's own limit is another
@pytest.mark.parametrize("size", [1, 128])
@pytest.mark.parametrize("kind", BROKEN)
def test_broken_image(cat: Image.Image, kind: str, size: int) -> None:
    make, reason = BROKEN[kind]
    content = make(cat)
    assert len(content) < 500_000
    with pytest.raises(InvalidInput) as caught:
        decode(content, size)
    assert str(caught.value).startswith(reason)
    assert str(caught.value)


def test_whatever_is_broken_has_one_kind_of_error(cat: Image.Image) -> None:
    """Bytes turned round at random places: an image or a InvalidInput, never what a decoder happens to raise."""
    random = np.random.default_rng(0)
    forms = ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"] + (["AVIF"] if features.check("avif") else [])
    small = cat.resize((30, 24))
    outcomes = {"image": 0, "error": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd EXIF blocks
        for form in forms:
            good = encoded(small, form)
            for _ in range(150):
                content = bytearray(good)
                for at in random.integers(0, min(400, len(content)), 3):
                    content[at] = random.integers(256)
                try:
                    assert decode(bytes(content), 16).mode == "RGB"
                    outcomes["image"] += 1
                except InvalidInput:
                    outcomes["error"] += 1
    assert min(outcomes.values()) > 100


@pytest.mark.parametrize(
    ("maxval", "values"), [(4095, [0, 100, 2048, 4095]), (1023, [0, 25, 512, 1023]), (65535, [0, 1600, 32768, 65535])]
)
@pytest.mark.parametrize("dark", [False, True])
def test_grey_values_of_a_pgm_are_scaled_by_its_maximum(maxval: int, values: list[int], dark: bool) -> None:
    """Microscopes write 10, 12 or 16 bits; white is what the header says, also where no pixel comes near it."""
    if dark:
        values = [value // 1000 for value in values]
    rows = np.repeat(np.array(values, ">u2")[None], 4, 0)
    content = f"P5 4 4 {maxval}\n".encode() + rows.tobytes()
    pixels = np.asarray(decode(content, 4))[0, :, 0].astype(int)
    assert np.abs(pixels - np.array(values) / maxval * 255).max() <= 1
