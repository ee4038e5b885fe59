"""Files from the publisher's address, plain, gzipped or in an archive."""

import gzip
import http.client
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

from tqdm import tqdm

from torchprimer.params import UrlSource
from torchprimer.sources import SourceError
from torchprimer.sources.registry import unpack


def fetch(source: UrlSource, names: list[str], temporary: Path) -> Path:
    """Downloads `names` into `temporary` and returns the folder that holds them."""
    if source.folder is not None:
        archive = temporary / source.url.rsplit("/", 1)[-1]
        _download(source.url, archive)
        return unpack(archive, source.folder, temporary / "files")
    for name in names:
        url = source.url.replace("{file}", urllib.parse.quote(name))
        if url.endswith(".gz"):
            packed = temporary / f"{name}.gz"
            _download(url, packed)
            try:
                with gzip.open(packed) as stream, (temporary / name).open("wb") as file:
                    shutil.copyfileobj(stream, file)
            except (OSError, EOFError, zlib.error) as error:
                raise SourceError(f"{packed.name} cannot be unpacked: {error}") from None
        else:
            _download(url, temporary / name)
    return temporary


def _download(url: str, target: Path) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "torchprimer"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response, target.open("wb") as file:
            total = int(response.headers.get("Content-Length") or 0) or None
            bar = {"total": total, "desc": target.name, "delay": 1, "disable": None, "leave": False}
            with tqdm.wrapattr(response, "read", **bar) as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
        size = target.stat().st_size
        if total and size != total:
            raise SourceError(f"the connection broke after {size} of {total} bytes of {target.name}")
    except urllib.error.HTTPError as error:
        raise SourceError(f"{target.name}: the server says {error.code} {error.reason}") from None
    except http.client.HTTPException as error:
        raise SourceError(f"the connection broke during {target.name} ({type(error).__name__})") from None
    except OSError as error:
        raise SourceError(f"no answer ({getattr(error, 'reason', error)})") from None
