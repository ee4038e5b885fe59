"""Photos in a zip or a folder, the class in file names or in folder names.

    train.zip                           flowers/
      train/cat.0.jpg   -> cat            roses/first.jpg     -> roses
      train/dog.0.jpg   -> dog            tulips/second.png   -> tulips

A zip is read in place. Images of any common format become upright RGB; files that cannot be read are reported.
"""

import hashlib
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from torchprimer.datasets.raw_images import Bytes, RawImages, parallel_map
from torchprimer.errors import UserError
from torchprimer.predictor.errors import InvalidInput
from torchprimer.predictor.images import MAX_BYTES, decode, image_pixels

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"}
LABEL_IN_NAME = re.compile(r"^(?P<label>[^.]+)\.\d+\.[^.]+$")  # cat.12.jpg
SURROGATE = re.compile(r"[\ud800-\udfff]")  # how Python decodes bytes of a file name that are not UTF-8


class ImageFolder(RawImages):
    """A collection of photos; `ids` are their paths inside it."""

    channels = 3

    def __init__(self, path: Path) -> None:
        """`path`: a zip file or a folder. Raises UserError if it cannot be used, or has no photos with a class."""
        self.path = path
        self._local = threading.local()
        if path.is_file():
            names = self._zip_names()
        else:
            names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        visible = [n for n in names if not any(part.startswith((".", "__MACOSX")) for part in _path(n).parts)]
        not_utf8 = {name for name in visible if SURROGATE.search(name)}
        photos = sorted(name for name in visible if _path(name).suffix.lower() in SUFFIXES and name not in not_utf8)
        self.skipped = {ascii(name): "its name is not UTF-8" for name in not_utf8}
        self.skipped |= dict.fromkeys(sorted({*visible} - {*photos} - not_utf8), "not an image by its name")
        labels = _labels(photos)
        self.skipped |= {name: "no class in its name or its folder's" for name in photos if labels[name] is None}
        labelled = {name: label for name, label in labels.items() if label is not None}
        self.ids, self.labels = list(labelled), list(labelled.values())
        if not self.ids:
            raise UserError(
                f"{path}: no photos with a class found; name them like cat.12.jpg, or put each class into a folder "
                f"of its own (cats/x.jpg); known endings: {' '.join(sorted(SUFFIXES))}"
            )
        self.classes = sorted(set(self.labels))
        self.is_test = np.zeros(len(self.ids), np.bool_)

    def content(self, index: int) -> bytes:
        """The bytes of the file. Raises InvalidInput if it is damaged inside the zip, or too large."""
        name = self.ids[index]
        try:
            if not self.path.is_file():
                return (self.path / name).read_bytes()
            with self._zip().open(name) as stream:
                content = stream.read(MAX_BYTES + 1)
        except Exception as error:  # each compression method raises its own exceptions for damaged data
            raise InvalidInput(f"cannot be read from {self.path.name}: {error}") from None
        if len(content) > MAX_BYTES:
            raise InvalidInput(f"larger than {MAX_BYTES:,} bytes")
        return content

    def pixels(self, index: int, size: int) -> Bytes:
        return image_pixels(self.content(index), (3, size, size))

    def examine(self, indices: Sequence[int], title: str) -> list[tuple[str, str]]:
        return parallel_map(self._examine, indices, title)

    def _examine(self, index: int) -> tuple[str, str]:
        try:
            content = self.content(index)
            decode(content, 1)
        except InvalidInput as error:
            return "", str(error)
        return hashlib.sha256(content).hexdigest(), ""

    def _zip(self) -> zipfile.ZipFile:
        if not hasattr(self._local, "zip"):
            self._local.zip = zipfile.ZipFile(self.path)
        archive: zipfile.ZipFile = self._local.zip
        return archive

    def _zip_names(self) -> list[str]:
        try:
            members = [member for member in self._zip().infolist() if not member.is_dir()]
        except Exception as error:  # BadZipFile, and others that a damaged directory leads to
            raise UserError(f"{self.path} is not a zip that can be read: {error}") from None
        for member in members:
            path = _path(member.filename)
            if path.is_absolute() or ".." in path.parts or ":" in str(path).partition("/")[0]:
                raise UserError(f"{self.path} has a file with a path outside the zip: {member.filename!r}; not used")
            if member.flag_bits & 1:
                raise UserError(f"{self.path} is encrypted ({member.filename}): unpack it and add the folder instead")
        return [member.filename for member in members]


def _labels(names: list[str]) -> dict[str, str | None]:
    """The class in each file's name, if most names have one and it differs or all share a folder; else the folder."""
    matches = {name: LABEL_IN_NAME.match(_path(name).name) for name in names}
    in_names = Counter(match["label"] for match in matches.values() if match)
    folders = {_path(name).parent for name in names}
    if in_names.total() > len(names) / 2 and (len(in_names) > 1 or len(folders) == 1):
        return {name: match["label"] if match else None for name, match in matches.items()}
    return {name: _path(name).parent.name or None for name in names}


def _path(name: str) -> PurePosixPath:
    """Path of a photo inside the collection; some zips made on Windows have backslashes."""
    return PurePosixPath(name.replace("\\", "/"))
