"""Raw images -> uint8 arrays of one shape: `preprocess` makes the training data with it, the Predictor its input."""

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInput

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]

# no EPS: decoding it executes code
FORMATS = ("JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
MAX_PIXELS = 100_000_000  # 300 MB as RGB; above that an image is a mistake or an attack
MAX_BYTES = 200_000_000


def image_pixels(source: object, shape: Sequence[int]) -> Bytes:
    """An image as uint8 of `shape`: rotated as its EXIF block says, scaled, cropped from the centre.

    Args:
        source: the path or the bytes of an image file, a PIL.Image, or uint8 H x W or H x W x C (C: 1, 3 or 4).
        shape: C, H, W; C is 1 (grey) or 3 (RGB).

    Raises:
        InvalidInput: not an image, or it cannot be decoded.
    """
    from PIL import Image

    if isinstance(source, str | Path):
        try:
            return image_pixels(_file(Path(source)), shape)
        except InvalidInput as error:
            raise InvalidInput(f"{source}: {error}") from None
    if isinstance(source, bytes | bytearray | memoryview):
        image = decode(bytes(source), max(shape[1:]))
    elif isinstance(source, np.ndarray):
        image = _from_array(source)
    elif isinstance(source, Image.Image):
        image = _upright_rgb(source)
    else:
        raise InvalidInput(
            "expected an image: the path or the bytes of an image file, a PIL.Image, or an array of uint8; "
            f"got {type(source).__name__}"
        )
    return resized(image, shape)


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


def _from_array(array: npt.NDArray[Any]) -> "Image.Image":
    from PIL import Image

    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or array.size == 0 or (array.ndim != 2 and array.shape[2:] not in ((3,), (4,))):
        raise InvalidInput(
            "an image as an array is uint8, 0 to 255, height x width or height x width x 1, 3 (RGB) or 4 (RGBA); this "
            f"is {array.dtype}, {' x '.join(map(str, array.shape)) or 'without a shape'}"
        )
    return _upright_rgb(Image.fromarray(np.ascontiguousarray(array)))


@contextmanager
def _decoding() -> Iterator[None]:
    """Raises InvalidInput for whatever Pillow raises: on broken files that may be almost any exception."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except InvalidInput:
        raise
    except UnidentifiedImageError:
        raise InvalidInput("not an image") from None
    except Image.DecompressionBombError:
        raise InvalidInput("too large") from None
    except Exception as error:
        raise InvalidInput(f"damaged: {error}") from None


def decode(content: bytes, size: int) -> "Image.Image":
    """The RGB image in the bytes of a file, upright, decoded at a reduced size of at least `size` x `size`."""
    from PIL import Image

    if not content:
        raise InvalidInput("empty file")
    with _decoding(), Image.open(io.BytesIO(content)) as image:
        if image.format not in FORMATS:
            raise InvalidInput(f"unsupported format {image.format}")
        if image.width * image.height > MAX_PIXELS:
            raise InvalidInput(f"too large: {image.width} x {image.height} pixels")
        image.draft("RGB", (2 * size, 2 * size))  # JPEG: decode at a half, quarter or eighth if that is enough
        return _upright_rgb(image)


@_decoding()
def _upright_rgb(image: "Image.Image") -> "Image.Image":
    """The image in RGB, rotated as its EXIF block says; transparency is composited on white."""
    from PIL import Image, ImageOps

    image.load()
    is_pgm = image.format == "PPM"  # Pillow scales its gray values by the maximum in its header to 16 bits
    image = ImageOps.exif_transpose(image)
    gray32 = image.mode == "I" and not is_pgm and not 255 < np.asarray(image).max(initial=0) < 65536
    if image.mode == "F" or gray32:
        raise InvalidInput("grey values of 32 bits have no defined white: save the image with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits grey, which convert() would clip instead of scale
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:  # white, not the colour stored beneath
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def resized(image: "Image.Image", shape: Sequence[int]) -> Bytes:
    """An RGB image as uint8 of `shape`, C x H x W: scaled and cropped from the centre; grey if C is 1."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    image = ImageOps.fit(image.convert("L") if channels == 1 else image, (width, height), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.atleast_3d(np.asarray(image)).transpose(2, 0, 1))


def to_uint8(outputs: npt.NDArray[np.float32]) -> Bytes:
    """Images as a model returns them, (N, C, H, W), 0..1 -> uint8, (N, H, W) if C is 1, else (N, H, W, C)."""
    images: Bytes = (255 * outputs).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[-1] == 1 else images


def png_base64(image: Bytes) -> str:
    """An image, uint8, H x W or H x W x 3, as PNG in base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode("ascii")
