"""The docs: links and anchors lead somewhere, the Chinese pages keep step with the English ones, every command works.

Commands are those in blocks of `sh` and those between backticks. What each of them has to show:

    make X             that there is such a target (`make --dry-run`)
    dvc repro X@Y      run, all targets of all pages at once, in the reduced pipeline: all are known and up to date
    dvc exp run -S     DVC's own code changes params.yaml, the result passes the schema and is another, the targets are
                       stages. Really run are those in REALLY; the others would take hours, and differ in their numbers
    the rest           run in the reduced pipeline (ANSWERED, and the tests at the end), or by another test (ELSEWHERE)

A command that is in none of these is an error, and so is an entry of these tables that no page has.
"""

import itertools
import json
import math
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.conftest import PROJECT, Clone, clean_environment
from tests.test_your_own_data import chapter
from torchprimer import params, paths

ENGLISH = ["README.md", "CONTRIBUTING.md", "docs/course.md", "docs/your-own-data.md"]
CHINESE = {"README.md": "README.zh-CN.md", "docs/course.md": "docs/course.zh-CN.md"}
PAGES = [*ENGLISH, *CHINESE.values(), "docs/experiments.md"]
PROGRAMS = ("make", "dvc", "torchprimer", "mlflow", "git", "bash", "source", "export", "base64")

REALLY = [  # settings that are run: see test_a_try_and_the_way_back, test_a_try_that_adds_a_key
    "dvc exp run -S experiments.line_search.weight.first=0.05 -S experiments.line_search.weight.last=4.05 "
    "evaluate@line_search",
    "dvc exp run -S '+experiments.dogs_vs_cats_resnet18.freeze=[features]' evaluate@dogs_vs_cats_resnet18",
]
ANSWERED = {  # command -> what its output has
    "torchprimer list": "dogs_vs_cats_resnet18",
    "torchprimer show mnist_lenet5": "net.2.weight",
    "torchprimer show mnist_lenet5 net.2.weight --out filters.npy": "filters.npy",
    "torchprimer predict mnist_lenet5 digit.png --top 3": "digit.png",
    "torchprimer predict dogs_vs_cats_resnet18 ~/Photos > answers.csv": "",
    "torchprimer predict reviews_bow '房间很干净，服务也好'": "房间很干净",  # noqa: RUF001
    "torchprimer predict hours_logistic hours=2.5": "2.5",
    "torchprimer generate mnist_dcgan --count 64 --seed 1 digits.png": "",
    "dvc exp show": "main",
    "dvc exp show --only-changed --drop '.*train.json.*'": "Experiment",
    "dvc metrics diff --targets metrics/mnist_cnn/test.json": "",
    "dvc plots show": "index.html",
    "dvc plots diff": "index.html",
}
ELSEWHERE = {  # command -> where it is proven: a file, and words in it; or run at the end of this one
    "make repro": ("tests/test_pipeline.py", "python src/torchprimer sync"),  # and `dvc repro`
    "make test": (".ci/run", "make test"),
    "make lint": (".ci/run", "make lint"),
    "make types": (".ci/run", "make types"),
    "bash .ci/run": (".github/workflows/ci.yml", "bash .ci/run"),
    "source .venv/bin/activate": ("Makefile", "source $(BIN)/activate"),  # any environment's
    "make demo": ("tests/test_demo.py", "torchprimer"),
    "dvc repro": ("tests/test_pipeline.py", 'reduced("dvc repro")'),
    "dvc repro evaluate@its_name": ("tests/test_your_own_data.py", "follow(clone"),  # a name of one's own
    "dvc exp run -S lr=0.01": ("tests/test_pipeline.py", '"\\nlr:", "\\nlr: 0.01", set(EXPERIMENTS)'),
    "dvc exp run -S limit=256 -S epochs=1": ("tests/conftest.py", "-S limit=256 -S epochs=1"),
    "dvc exp run -S experiments.mnist_cnn.lr=0.05": (
        "tests/test_pipeline.py", "dvc exp run -S experiments.mnist_cnn.lr=0.05",
    ),
    "dvc exp run --temp": ("tests/test_pipeline.py", "dvc exp run --temp"),
    "dvc exp run --queue -S lr=0.02": ("tests/test_pipeline.py", "dvc exp run --queue -S"),
    "dvc queue start --jobs 2": ("tests/test_pipeline.py", "dvc queue start --jobs 2"),
    "torchprimer sync": ("tests/test_pipeline.py", "python src/torchprimer sync"),
    "torchprimer add-photos ~/Downloads/train.zip": ("tests/test_photos.py", "add-photos"),
    "torchprimer add-data my.csv --name mine": ("tests/test_your_own_data.py", "torchprimer"),
    "export MLFLOW_TRACKING_URI=http://...": ("tests/test_tracking.py", "MLFLOW_TRACKING_URI"),
    "git restore params.yaml": ("tests/test_docs.py", "def test_a_try_and_the_way_back"),
    "git commit": ("tests/conftest.py", "git commit"),
    "git add": ("tests/conftest.py", "git add"),
    "dvc remote add": ("tests/test_docs.py", "def test_a_remote(unchanged: Clone, tmp_path: Path) -> None:
    """What one has pushed, another, with an empty cache, pulls; of one model alone, to save time."""
    unchanged(f"dvc remote add -d ours {tmp_path / 'storage'}")
    unchanged("dvc push models/line_sgd")
    shutil.rmtree(unchanged.folder / "models" / "line_sgd")
    own = unchanged.folder / ".dvc" / "config.local"
    cache = own.read_text()
    try:
        unchanged(f"dvc config --local cache.dir {tmp_path / 'cache'}")
        unchanged("dvc pull models/line_sgd")
    finally:
        own.write_text(cache)
    assert (unchanged.folder / "models" / "line_sgd" / "model.safetensors").is_file()


def test_a_champion_answers(reduced: Clone, tmp_path: Path) -> None:
    """README's server, asked as README asks it."""
    serve, ask = (command for command in commands("README.md") if command.startswith(SERVED))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pixels = reduced.folder / "cat.jpg"
    Image.new("RGB", (40, 30), "tan").save(pixels)
    log = tmp_path / "log"
    with log.open("w") as output, subprocess.Popen(
        shlex.split(serve.replace("5001", port)), cwd=reduced.folder, env=clean_environment(),
        stdout=output, stderr=output, start_new_session=True,
    ) as server:  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while "Application startup complete" not in log.read_text():
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            answer = json.loads(reduced(ask.replace("5001", port)).stdout)["predictions"][0]
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            pixels.unlink()
    assert answer["prediction"] in ("cat", "dog")
    assert answer["p_cat"] + answer["p_dog"] == pytest.approx(1, abs=1e-5)
