"""`mlflow models serve` on the champions, with raw input and bad requests; MLflow's pages, as `make ui` opens them."""

import base64
import io
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.browser import Chromium
from tests.clone import Clone, clean_environment
from tests.pipeline.test_pipeline import store
from torchprimer import params
from torchprimer.datasets.text import read_texts

SERVED = ("dogs_vs_cats", "reviews", "bike_sharing")
PATIENCE = 120  # seconds; four servers start at once, beside whatever else the machine does


class Server:
    """A server on a free port, started as people start it; its output is in a file."""

    def __init__(self, clone: Clone, command: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [*command.split(), "--port", str(self.port)], cwd=clone.folder, env=clean_environment(), stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=10).close()
            except OSError:
                time.sleep(0.2)
            else:
                return

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)  # what listens is a process beneath the one that was started
        self.process.wait(30)

    def post(self, body: object, content: str = "application/json") -> tuple[int, Any]:
        """Status, and the answer; `body` that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/invocations", data, {"Content-Type": content}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def predictions(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        status, answer = self.post({"dataframe_records": rows})
        assert status == 200, answer
        found: list[dict[str, Any]] = answer["predictions"]
        return found


@pytest.fixture(scope="module")
def servers(reduced_project: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """One for the champion of each dataset, and MLflow's pages; started all at once."""
    reduced_project("python src/torchprimer sync")  # other tests delete the store
    serve = "mlflow models serve -m models:/{}@champion --env-manager local --host 127.0.0.1"
    commands = {name: serve.format(name) for name in SERVED} | {"ui": "python src/torchprimer ui"}
    folder = tmp_path_factory.mktemp("servers")
    started: dict[str, Server] = {}
    try:
        for name, command in commands.items():
            started[name] = Server(reduced_project, command, folder / f"{name}.log")
        for server in started.values():
            server.wait()
        yield started
    finally:
        for server in started.values():
            server.stop()


def champion(clone: Clone, name: str) -> str:
    """The experiment whose model is served."""
    client = store(clone)
    return str(client.get_model_version_by_alias(name, "champion").tags["experiment"])


def evaluated(clone: Clone, name: str) -> pd.DataFrame:
    """What `evaluate` wrote of the champion's answers to the test split."""
    file = clone.folder / "metrics" / champion(clone, name) / "test" / "predictions.csv"
    return pd.read_csv(file, dtype={"id": str, "label": str})


def in_base64(array: Any, kind: str) -> str:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return base64.b64encode(stream.getvalue()).decode()


@pytest.fixture(scope="module")
def photos(reduced_project: Clone) -> Any:
    """The test split, uint8 (N, H, W, 3)."""
    return np.load(reduced_project.folder / "data" / "prepared" / "dogs_vs_cats" / "test_inputs.npy").transpose(
        0, 2, 3, 1
    )


@pytest.fixture(scope="module")
def hours(reduced_project: Clone) -> pd.DataFrame:
    """The raw table as published, with more columns than the model takes; row 1 has the id 1."""
    table = pd.read_csv(reduced_project.folder / "data" / "raw" / "bike_sharing" / "Bikeshare.csv")
    return table.set_axis(range(1, len(table) + 1))


def test_images(servers: dict[str, Server], reduced_project: Clone, photos: Any) -> None:
    expected = evaluated(reduced_project, "dogs_vs_cats")
    answers = servers["dogs_vs_cats"].predictions([{"image": in_base64(photo, "PNG")} for photo in photos[:100]])
    assert [answer["prediction"] for answer in answers] == list(expected["prediction"][:100])
    for label in ("cat", "dog"):
        given = [answer[f"p_{label}"] for answer in answers]
        assert given == pytest.approx(list(expected[f"p_{label}"][:100]), abs=1e-4)
    (answer,) = servers["dogs_vs_cats"].predictions([{"image": in_base64(photos[0], "JPEG")}])
    assert answer[f"p_{answer['prediction']}"] == max(answer["p_cat"], answer["p_dog"])
    assert answer["p_cat"] + answer["p_dog"] == pytest.approx(1, abs=1e-5)
    with_head = "data:image/jpeg;base64," + in_base64(photos[0], "JPEG")  # as browsers have it
    assert servers["dogs_vs_cats"].predictions([{"image": with_head}]) == [answer]


def test_chinese_texts(servers: dict[str, Server], reduced_project: Clone) -> None:
    expected = evaluated(reduced_project, "reviews")
    texts = read_texts(
        reduced_project.folder / "data" / "raw" / "reviews", params.load().datasets["reviews"]
    ).set_index("id")
    rows = [{"text": text} for text in texts.loc[expected["id"], "text"]]
    answers = servers["reviews"].predictions(rows)
    assert [answer["prediction"] for answer in answers] == list(expected["prediction"])
    assert [answer["p_pos"] for answer in answers] == pytest.approx(list(expected["p_pos"]), abs=1e-4)
    assert servers["reviews"].predictions([{"text": "房间很干净 服务员态度非常好"}])[0].keys() == answers[0].keys()


def test_rows_of_the_raw_table(servers: dict[str, Server], reduced_project: Clone, hours: pd.DataFrame) -> None:
    expected = evaluated(reduced_project, "bike_sharing")
    table = hours.loc[expected["id"].astype(int)]
    assert list(table["bikers"]) == pytest.approx(list(expected["label"].astype(float)), abs=1e-3)
    server, close = servers["bike_sharing"], {"abs": 1e-4, "rel": 1e-4}
    wanted = pytest.approx(list(expected["prediction"]), **close)
    assert [answer["prediction"] for answer in server.predictions(table.to_dict("records"))] == wanted
    status, answer = server.post({"dataframe_split": table.to_dict("split")})
    assert (status, [row["prediction"] for row in answer["predictions"]]) == (200, wanted)
    status, answer = server.post(table.to_csv(index=False).encode(), "text/csv")
    assert (status, [row["prediction"] for row in answer["predictions"]]) == (200, wanted)


def test_rows_as_people_write_them(servers: dict[str, Server], hours: pd.DataFrame) -> None:
    """Whole numbers where the model has decimal ones, numbers as text, nothing where a number is missing."""
    row = hours.loc[8000].to_dict() | {"temp": 0.0, "hr": 9}
    server = servers["bike_sharing"]
    (answer,) = server.predictions([row])
    for same in ({"temp": 0}, {"temp": "0.0"}, {"hr": "9"}, {"hr": 9.0}):
        assert server.predictions([row | same]) == [answer], same
    for other in ({"temp": None}, {"hr": 17}, {"temp": 1}):
        assert server.predictions([row | other]) != [answer], other


def error(server: Server, body: object) -> str:
    """What a bad request is told: a sentence, and no traceback."""
    status, answer = server.post(body)
    assert status == 400, answer
    assert "stack_trace" not in answer
    assert "Traceback" not in answer["message"]
    return str(answer["message"])


def image(text: object) -> dict[str, Any]:
    return {"dataframe_records": [{"image": text}]}


BROKEN = in_base64(np.zeros((32, 32, 3), np.uint8), "JPEG")[:400]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"dataframe_records": [{"picture": BROKEN}]}, "Model is missing inputs ['image']"),
        (image(BROKEN), "input 0: damaged: "),
        (image(base64.b64encode(b"not a photo").decode()), "input 0: not an image"),
        (image("cat.jpg"), "input 0: image is a text, an image file (JPEG, PNG, ...) in base64; this is not base64"),
        (image(7), "input 0: image is a text"),
        (image(None), "input 0: image is a text"),
        ({"dataframe_split": {"columns": ["image"], "data": []}}, "no rows: at least one is needed"),
        ({"images": [BROKEN]}, "The input must be a JSON dictionary with exactly one of the input fields"),
    ],
)
def test_bad_images(servers: dict[str, Server], body: object, says: str) -> None:
    assert says in error(servers["dogs_vs_cats"], body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"dataframe_records": [{"review": "好"}]}, "Model is missing inputs ['text']"),
        ({"dataframe_records": [{"text": 5}]}, "input 0: "),
        ({"dataframe_records": [{"text": "好"}, {"text": None}]}, "input 1: "),
        ({"dataframe_records": [{"text": ["好", "不好"]}]}, "input 0: "),
        ({"dataframe_records": [{"text": "  "}]}, "input 0: the text is empty"),
        ({"dataframe_split": {"columns": ["text"], "data": []}}, "no rows: at least one is needed"),
        (b'{"dataframe_records": [{"text": ', "Ensure that input is a valid JSON formatted string"),
    ],
)
def test_bad_texts(servers: dict[str, Server], body: object, says: str) -> None:
    assert says in error(servers["reviews"], body)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temp": "warm"}, "could not convert string to float: 'warm'"),
        ({"temp": [0.1, 0.2]}, "Failed to convert column temp"),
        ({"temp": float("inf")}, "input 0: temp is 'inf', which is not a number"),
        ({"hum": ..., "hr": ...}, "Model is missing inputs ['hum', 'hr']"),
    ],
)
def test_bad_rows(servers: dict[str, Server], hours: pd.DataFrame, change: dict[str, Any], says: str) -> None:
    """`...`: without this column."""
    row = {key: value for key, value in (hours.loc[8000].to_dict() | change).items() if value is not ...}
    assert says in error(servers["bike_sharing"], {"dataframe_records": [row]})


def test_a_table_of_nothing(servers: dict[str, Server], hours: pd.DataFrame) -> None:
    server = servers["bike_sharing"]
    assert "no rows" in error(server, {"dataframe_split": {"columns": list(hours.columns), "data": []}})
    assert "Model is missing inputs ['temp'," in error(server, {"dataframe_records": []})
    assert "must be a list of records" in error(server, {"dataframe_records": hours.loc[8000].to_dict()})


@pytest.fixture(scope="module")
def pages(servers: dict[str, Server]) -> str:
    """The address that `torchprimer ui` says."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"^MLflow: (http\S+)", servers["ui"].log.read_text(), re.MULTILINE)):
        assert time.monotonic() < deadline, servers["ui"].log.read_text()
        time.sleep(0.1)
    return found[1]


def test_the_table_of_runs_is_useful_without_being_configured(pages: str, chromium: Chromium) -> None:
    with chromium.visit(2600, 2000) as visit:
        page = visit.open(pages)
        page.get_by_role("link", name="mnist_lenet5").wait_for(timeout=60_000)
        assert page.get_by_text(re.compile(r"^mnist \([0-9a-f]{8}\)$")).count()  # the dataset with its digest
        cells = page.locator(".ag-header-cell").evaluate_all(
            "all => all.map(cell => [Number(cell.ariaColIndex), cell.textContent.trim()])"
        )
        shown = [heading for _, heading in sorted(cells)]  # from left to right; their order in the page may differ
        assert shown == [
            "", "Run Name", "Created", "Duration", "Dataset", "model", "champion", "validation_accuracy_best",
            "test_accuracy", "validation_r2_best", "test_r2", "parameters",
        ]  # fmt: skip
        assert not page.get_by_text("baseline dummy").count()  # experiments alone
        assert page.get_by_role("button", name="All experiments").count()  # the menu of views
        assert not visit.outward()


def test_a_port_in_use_is_named(servers: dict[str, Server], reduced_project: Clone) -> None:
    port = servers["ui"].port
    done = reduced_project(f"python src/torchprimer ui --port {port}", fails=True)
    other = f"torchprimer ui --port {port + 1} (make ui PORT=...)"
    assert done.stderr == f"torchprimer: port {port} is in use; another one: {other}\n"
