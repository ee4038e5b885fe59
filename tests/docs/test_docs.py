"""The docs: links and anchors lead somewhere, the Chinese pages keep step with the English ones, every command works.

Commands are those in blocks of `sh` and those between backticks. How each of them is tested:

    dvc repro X@Y      run, all targets of all pages at once, in the reduced pipeline: all are known and up to date
    dvc exp run -S     DVC's own code changes params.yaml; the result passes the schema and differs, the targets are
                       stages. Only those in EXECUTED are run; the others would take hours
    the rest           run in the reduced pipeline (EXPECTED_OUTPUT), or by another test (COVERED_BY)

A command that is in none of these is an error, and so is an entry of these tables that no page has.
"""

import ast
import itertools
import json
import math
import os
import re
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.clone import PROJECT, Clone, running
from tests.docs.test_docs_own_data import chapter
from torchprimer import params, paths
from torchprimer.report.markdown import IN_THE_README
from torchprimer.report.summaries import summarize

ENGLISH = ["README.md", "CONTRIBUTING.md", "docs/course.md", "docs/your-own-data.md"]
CHINESE = {
    "README.md": "README.zh-CN.md",
    "docs/course.md": "docs/course.zh-CN.md",
    "docs/your-own-data.md": "docs/your-own-data.zh-CN.md",
}
PAGES = [*ENGLISH, *CHINESE.values(), "docs/experiments.md", "docs/cluster.md"]
PROGRAMS = ("make", "dvc", "torchprimer", "mlflow", "git", "bash", "source", "export", "base64")

EXECUTED = [  # settings that are run: see test_a_try_and_the_way_back, test_a_try_that_adds_a_key
    "dvc exp run -S experiments.line_search.weight.start=0.05 -S experiments.line_search.weight.stop=4.05 "
    "evaluate@line_search",
    "dvc exp run -S '+experiments.dogs_vs_cats_resnet18.freeze=[features]' evaluate@dogs_vs_cats_resnet18",
]
EXPECTED_OUTPUT = {  # command -> what its output has
    "torchprimer list": "dogs_vs_cats_resnet18",
    "torchprimer show mnist_lenet5": "net.2.weight",
    "torchprimer show mnist_lenet5 net.2.weight --out filters.npy": "filters.npy",
    "torchprimer predict mnist_lenet5 digit.png --top 3": "digit.png",
    "torchprimer predict dogs_vs_cats_resnet18 ~/Photos > answers.csv": "",
    "torchprimer predict reviews_bow '房间很干净，服务也好'": "房间很干净",  # noqa: RUF001
    "torchprimer predict hours_logistic hours=2.5": "2.5",
    "torchprimer generate mnist_dcgan --count 64 --seed 1 digits.png": "",
    "dvc exp show": "main",
    "dvc exp show --only-changed --drop '.*(train.json|baselines|loss|macro|tives)|[^:]*/[^:]*$'": "Experiment",
    "dvc plots show": "index.html",
    "dvc plots diff": "index.html",
}
DOCS = "tests/docs/test_docs.py"
MAKE = "tests/docs/test_make.py"
RERUNS = "tests/pipeline/test_reruns_and_recovery.py"
STOCK = "tests/pipeline/test_stock_dvc.py"
COVERED_BY = {  # command -> the test that runs it (or a script of CI), and the words of the test that run it
    "make repro": (f"{MAKE}::test_make_repro", 'make(unchanged, "repro")'),
    "make quick": (f"{MAKE}::test_make_quick", 'make(clone, "quick")'),
    "make docs": (f"{MAKE}::test_make_docs", 'make(unchanged, "docs")'),
    "make demo": (f"{MAKE}::test_make_demo", 'serving(reduced_project, "demo"'),
    "make ui": (f"{MAKE}::test_make_ui", 'serving(reduced_project, "ui"'),
    "make help": (f"{MAKE}::test_make_help", '"make help"'),
    "make bench": ("tests/bench/test_bench.py::test_the_table_and_the_results_of_a_command", "main(command.split())"),
    "make install": (".ci/run", "make lint"),  # the same recipe, with the packages of the extra `dev`
    "make test": (".ci/run", "make test"),
    "make lint": (".ci/run", "make lint"),
    "make types": (".ci/run", "make types"),
    "bash .ci/run": (".github/workflows/ci.yml", "bash .ci/run"),
    "source .venv/bin/activate": ("Makefile", "source $(BIN)/activate"),  # of any virtual environment
    "dvc repro": (f"{STOCK}::stock", '"dvc repro"'),
    "dvc repro evaluate@its_name": ("tests/test_extending.py::test_an_experiment", "torchprimer repro export@iris_mlp"),
    "torchprimer repro": (
        "tests/runner/test_repro.py::test_dvc_lock_is_that_of_dvc_to_the_byte", 'ours("torchprimer repro")',
    ),
    "torchprimer repro -S limit=256 -S epochs=1": ("tests/clone.py::run_reduced", "torchprimer repro {REDUCED}"),
    "dvc queue status": (f"{RERUNS}::test_queue_and_temporary_runs_share_one_store", "dvc queue status"),
    "torchprimer repro mnist_cnn": ("tests/runner/test_repro.py::test_targets", '"torchprimer repro {arguments}"'),
    "torchprimer repro --jobs 4 --limit 'train@*=2'": (
        "tests/runner/test_limits.py::test_at_most_so_many_of_a_pattern", "repro --jobs 4 --limit 'make@*=2'",
    ),
    "torchprimer repro --dry-run --jobs 16": (
        "tests/runner/test_repro.py::test_a_dry_run_tells_the_plan_and_runs_nothing",
        "repro --dry-run --force --jobs 64",
    ),
    "torchprimer repro -S lr=0.01 --name try1": (
        "tests/runner/test_experiments.py::test_an_experiment", "repro -S params.json:stages.b.text=new --name try1",
    ),
    "torchprimer repro --scheduler tcp://HOST:8786": (
        "tests/runner/test_cluster.py::test_dvc_lock_is_that_of_dvc_to_the_byte", "repro --scheduler {dask.address}",
    ),
    "dvc exp run -S lr=0.01": ("tests/pipeline/test_pipeline.py::test_only_what_depends_on_a_change_trains_again",
                               "changed(unchanged)"),
    "dvc exp run -S limit=256 -S epochs=1": ("tests/clone.py::run_reduced", "torchprimer repro {REDUCED}"),
    "dvc exp run -S experiments.mnist_cnn.lr=0.05": (
        f"{RERUNS}::test_one_experiment_alone", "dvc exp run -S experiments.mnist_cnn.lr=0.05",
    ),
    "dvc metrics diff --targets metrics/mnist_cnn/test.json": (
        f"{STOCK}::test_a_changed_number_reruns_only_its_experiment",
        "dvc metrics diff --targets metrics/mnist_cnn/test.json",
    ),
    "dvc exp run --temp": (f"{MAKE}::test_make_quick", 'make(clone, "quick")'),
    "dvc exp run --queue -S experiments.mnist_cnn.lr=0.01,0.02,0.05 evaluate@mnist_cnn": (
        f"{RERUNS}::test_queue_and_temporary_runs_share_one_store",
        "dvc exp run --queue -S experiments.mnist_cnn.lr=0.02,0.03",
    ),
    "dvc queue start --jobs 2": (
        f"{RERUNS}::test_queue_and_temporary_runs_share_one_store", "dvc queue start --jobs 2",
    ),
    "dvc exp run -S processes=2": (
        f"{RERUNS}::test_two_processes_take_the_same_steps_as_one", "dvc exp run -S processes=2",
    ),
    "torchprimer sync": (f"{RERUNS}::test_sync_brings_back_a_deleted_store", "torchprimer sync"),
    "torchprimer add-photos ~/Downloads/train.zip": (
        "tests/sources/test_add_photos.py::test_add_photos", "torchprimer add-photos",
    ),
    "torchprimer add-data my.csv --name mine": ("tests/docs/test_docs_own_data.py::follow", "clone(command.replace("),
    "torchprimer predict wine_mlp new_wines.csv": (
        "tests/docs/test_docs_own_data.py::test_a_table", "predict wine_mlp new_wines.csv",
    ),
    "torchprimer check": ("tests/params/test_params.py::test_command_line", "torchprimer check"),
    "export MLFLOW_TRACKING_URI=http://...": (
        f"{STOCK}::test_a_tracking_server_by_http", "MLFLOW_TRACKING_URI=address",
    ),
    "git restore params.yaml": (f"{DOCS}::test_a_try_and_the_way_back", "git restore params.yaml"),
    "git restore params.yaml data/catalog.yaml": (
        f"{DOCS}::test_a_try_and_the_way_back", "git restore params.yaml data/catalog.yaml",
    ),
    "git commit -am 'lr 0.05'": (f"{DOCS}::test_a_try_and_the_way_back", "git commit -am 'lr 0.05'"),
    "dvc exp apply NAME": (f"{DOCS}::test_a_try_and_the_way_back", "dvc exp apply {tried}"),
    "git add": (f"{STOCK}::run_small_project", "git add -A"),
    "git commit": (f"{STOCK}::run_small_project", "git commit"),
    "dvc remote add": (f"{DOCS}::test_a_remote", "dvc remote add -d ours"),
    "dvc remote add -d ours /srv/dvc": (f"{DOCS}::test_a_remote", "dvc remote add -d ours"),
    "dvc push": (f"{DOCS}::test_a_remote", "dvc push"),
    "dvc pull": (f"{DOCS}::test_a_remote", "dvc pull"),
}  # fmt: skip
SERVED = ("mlflow models serve", "base64 <")  # test_a_champion_answers


# ---- reading Markdown ------------------------------------------------------------------------------------------------


def text_of(page: str) -> str:
    return (PROJECT / page).read_text("utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and content of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def headings(page: str) -> list[tuple[int, str]]:
    return [(len(level), title) for level, title in re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)]


def anchors(page: str) -> set[str]:
    """What a link to one of the page's headings may say after the #, as forges make it of the heading."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(page)}


def links(page: str) -> list[str]:
    """Targets of links, in their order."""
    return re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", prose(page))


def images(page: str) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", prose(page))


def tables(page: str) -> list[int]:
    """How many rows each table has."""
    return [found.count("\n") for found in re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE)]


def lines_of_shell(code: str) -> list[str]:
    """Commands of a block, without comments; a line that ends with a pipe goes on in the next."""
    whole = re.sub(r"\|\n\s*", "| ", code)
    return list(filter(None, (re.sub(r"(^|\s+)# .*", "", line).strip() for line in whole.splitlines())))


def commands(page: str) -> list[str]:
    """All of a page, in blocks and between backticks; of two words or more."""
    found = [line for language, code in blocks(page) if language == "sh" for line in lines_of_shell(code)]
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page)))
    return found + [span for span in spans if span.split()[0] in PROGRAMS and " " in span]


COMMANDS = list(dict.fromkeys(command for page in ENGLISH for command in commands(page)))
SETTINGS = [command for command in COMMANDS if command.startswith("dvc exp run -S")]
OWN_DATA = [line for _, code in blocks("docs/your-own-data.md") for line in lines_of_shell(code)]  # run as blocks


# ---- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_and_images_lead_somewhere(page: str) -> None:
    for target in [*links(page), *images(page)]:
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        place = os.path.normpath(Path(page).parent / file) if file else page
        assert (PROJECT / place).exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(place), f"{page}: {target}"
    assert text_of(page).endswith("\n")


def test_functions_are_in_the_files_that_the_course_links_to() -> None:
    references = re.findall(r"`(\w+)`\s+in\s+\[[^\]]+\]\(\.\./(.+?)\)", text_of("docs/course.md"))
    assert references
    for function, file in references:
        assert f"\ndef {function}(" in text_of(file), f"{file} has no function {function}"


@pytest.mark.parametrize("page", CHINESE)
def test_the_chinese_page_is_in_step(page: str) -> None:
    chinese = CHINESE[page]
    assert [level for level, _ in headings(chinese)] == [level for level, _ in headings(page)]
    assert images(chinese) == images(page)
    assert tables(chinese) == tables(page)
    in_any_language = (re.sub(r"((\.zh-CN)?\.md)?(#.*)?$", "", target) for target in links(page))
    assert [re.sub(r"((\.zh-CN)?\.md)?(#.*)?$", "", target) for target in links(chinese)] == list(in_any_language)
    assert sorted(commands(chinese)) == sorted(commands(page))
    for (language, code), (language_there, there) in zip(blocks(page), blocks(chinese), strict=True):
        assert language_there == language
        if language == "sh":
            assert lines_of_shell(there) == lines_of_shell(code)
        elif language == "mermaid":
            assert re.sub(r"-- .+? -->", "-->", there) == re.sub(r"-- .+? -->", "-->", code)
        elif language == "yaml":
            assert re.sub(r" *#.*", "", there) == re.sub(r" *#.*", "", code)
        else:  # the map of the repository: the same places
            places = r"(?:^|  )((?:[\w./]+(?:/|\.py|\.yaml)(?: |$))+)"
            assert re.findall(places, there, re.MULTILINE) == re.findall(places, code, re.MULTILINE)
    other = Path(chinese).name
    assert links(page)[0] == other
    assert links(chinese)[0] == Path(page).name
    assert len(re.findall(r"[\u4e00-\u9fff]", prose(chinese))) > len(re.findall(r"[A-Za-z]+", prose(page))) / 2


def test_charts_of_the_chinese_course_have_a_chinese_caption() -> None:
    """Their titles and axes are in English."""
    captions = re.findall(
        r"^!\[[^\]]*\]\(figures/(.+?)\)\n\n(?:\*(.+)\*\n)?", text_of("docs/course.zh-CN.md"), re.MULTILINE
    )
    assert len(captions) > 25
    assert [figure for figure, caption in captions if not re.search(r"[\u4e00-\u9fff]", caption)] == []


def test_numbers_of_the_chinese_table_are_those_of_params_yaml() -> None:
    english = {summary.name: summary.description for summary in summarize(params.load(), {})}
    for name, chinese in IN_THE_README.items():
        assert set(re.findall(r"\d+", chinese)) <= set(re.findall(r"\d+", english[name])), name


@pytest.mark.parametrize("page", ["docs/course.md", "docs/course.zh-CN.md"])
def test_the_course_has_every_experiment(page: str) -> None:
    experiments = YAML(typ="safe").load(text_of("params.yaml"))["experiments"]
    taught = set(re.findall(r"\bevaluate@(\w+)", " ".join(code for _, code in blocks(page))))
    assert taught == set(experiments)


@pytest.mark.parametrize("page", ["docs/course.md", "docs/course.zh-CN.md"])
def test_numbers_of_the_course(page: str) -> None:
    """Those that are typed follow from params.yaml and arithmetic, not from a training."""
    given = params.load()
    x = (1.0, 2.0, 3.0)
    curvature = 2 * sum(value**2 for value in x) / len(x)  # of the mean squared error of line
    sick = 268 / (500 + 268)
    entropy = -sick * math.log(sick) - (1 - sick) * math.log(1 - sick)
    overlapping = NormalDist().cdf(2 * math.sqrt(2) / 2.0)  # centres at 2 sqrt(2) from the line, deviation 2
    numbers = (f"{2 / curvature:.3f}", f"{100 * overlapping:.0f} %", f"{entropy:.2f}", f"{math.log2(10):.2f}",
               f"{math.log(10):.2f}")  # fmt: skip
    assert numbers == ("0.214", "92 %", "0.65", "3.32", "2.30")
    for number in numbers:
        assert number in text_of(page)
    minibatch = given.experiments["diabetes_minibatch"]
    assert round(0.7 * 768 / getattr(minibatch, "batch_size", 0)) == 17
    assert getattr(minibatch, "lr", 0) * 10 == getattr(given.experiments["diabetes_full_batch"], "lr", 1)
    assert round(150 * getattr(given.datasets["iris"], "test", 0)) == 30


@pytest.mark.parametrize("page", [*ENGLISH, *CHINESE.values()])
def test_no_page_counts_the_experiments(page: str) -> None:
    """One more experiment must need no edit of the prose: no page states how many there are."""
    total = r"\b(?:\d\d+|\w+ty(?:-\w+)?) experiments|(?:\d\d+|[二三四五六七八九]十[一二三四五六七八九]?) ?个实验"
    assert all(re.search(total, text) for text in ("Thirty-nine experiments", "39 experiments", "三十九个实验"))
    assert not re.search(total, text_of(page))


# ---- commands --------------------------------------------------------------------------------------------------------


def source_of(test: str) -> str:
    """The source of `file::function`, or all of a file."""
    file, _, name = test.partition("::")
    text = text_of(file)
    if not name:
        return text
    (function,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name)
    return ast.get_source_segment(text, function) or ""


def test_every_command_is_run_by_a_test() -> None:
    targets = r"dvc repro( \w+@\w+| report)+"  # by test_targets_are_known_and_up_to_date
    for command in COMMANDS:
        assert (
            command in (*EXPECTED_OUTPUT, *COVERED_BY, *SETTINGS, *OWN_DATA)
            or command.startswith(SERVED)
            or re.fullmatch(targets, command)
        ), f"no test runs: {command}"
    assert set(EXPECTED_OUTPUT) | set(COVERED_BY) | set(EXECUTED) <= set(COMMANDS)
    for test, words in COVERED_BY.values():
        assert words in source_of(test), f"{test} no longer has {words!r}"


def stages(folder: Path) -> set[str]:
    """Names of all stages, from dvc.yaml and the sections of params.yaml and data/catalog.yaml."""
    numbers = YAML(typ="safe").load((folder / "params.yaml").read_text("utf-8"))
    numbers |= YAML(typ="safe").load((folder / "data" / "catalog.yaml").read_text("utf-8"))
    names = set()
    for stage, content in YAML(typ="safe").load(text_of("dvc.yaml"))["stages"].items():
        section = content.get("foreach")
        names |= {f"{stage}@{item}" for item in numbers[section[2:-1]]} if section else {stage}
    return names


@pytest.mark.parametrize("command", SETTINGS)
def test_settings_are_taken(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.utils.hydra import apply_overrides

    text = text_of("params.yaml")
    if "wine" in command:
        for section, block in chapter("A table")[1].items():
            text = text.replace(f"\n{section}:\n", f"\n{section}:\n\n{block}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.yaml").write_text(text_of("data/catalog.yaml"), "utf-8")
    (tmp_path / "params.yaml").write_text(text, "utf-8")
    monkeypatch.setattr(paths, "params", lambda: tmp_path / "params.yaml")
    monkeypatch.setattr(paths, "catalog", lambda: tmp_path / "data" / "catalog.yaml")
    before = params.load()
    _, _, _, *words = shlex.split(command)
    settings = [value for option, value in itertools.pairwise(words) if option == "-S"]
    targets = [word for word in words if word != "-S" and word not in settings]
    assert words == [*(word for value in settings for word in ("-S", value)), *targets]
    for setting in settings:
        file, override = re.fullmatch(r"(?:(.*\.yaml):)?(.*)", setting).groups()  # type: ignore[union-attr]
        apply_overrides(tmp_path / (file or "params.yaml"), [override])
    assert params.load() != before
    assert set(targets) <= stages(tmp_path)
    assert set(command) & set("[]{}*?") == set() or "'" in command, "some shells take these for names of files"


def test_targets_are_known_and_up_to_date(reduced_project: Clone) -> None:
    found = [command.removeprefix("dvc repro ") for command in COMMANDS if re.match(r"dvc repro \w+(@| |$)", command)]
    targets = {target for line in found for target in line.split()}
    own = {target for target in targets if re.search("wine|mails|flowers|its_name|NAME", target)}
    assert len(targets - own) > 40
    assert targets - own <= stages(PROJECT)
    assert "Running" not in reduced_project(f"dvc repro {' '.join(sorted(targets - own))}").stdout


@pytest.fixture
def tidy(reduced_project: Clone) -> Iterator[Clone]:
    """The reduced pipeline; new files are gone afterwards."""
    yield reduced_project
    reduced_project("git clean -qfd")


@pytest.mark.parametrize("command", EXPECTED_OUTPUT)
def test_command_answers(tidy: Clone, command: str, tmp_path: Path) -> None:
    import numpy as np

    (tmp_path / "Photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "Photos" / "one.jpg")
    Image.fromarray(noise[:28, :28, 0]).save(tidy.folder / "digit.png")
    done = tidy(command, HOME=str(tmp_path))
    assert EXPECTED_OUTPUT[command] in done.stdout
    if "answers.csv" in command:
        assert (tidy.folder / "answers.csv").read_text("utf-8").count("one.jpg") == 1
    for made in ("filters.npy", "digits.png"):
        assert made not in command or (tidy.folder / made).stat().st_size > 100


def test_a_try_and_the_way_back(unchanged: Clone, tmp_path: Path) -> None:
    """The course's first try changes what it says, and its way back trains nothing.

    (Its runs go to an MLflow store of their own: other tests count those of the reduced pipeline.)
    """
    scores = unchanged.folder / "metrics" / "line_search" / "test.json"
    unchanged(EXECUTED[0], MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert json.loads(scores.read_text())["mse"] > 0.001
    back = blocks("docs/course.md")[0][1]
    assert back == "git restore params.yaml data/catalog.yaml\ndvc repro evaluate@line_search\n"
    done = unchanged(back)
    assert "> python" not in done.stdout
    assert json.loads(scores.read_text())["mse"] == 0
    (tried,) = unchanged("dvc exp list --name-only").stdout.split()  # README: keep a result
    unchanged(f"dvc exp apply {tried}")
    assert json.loads(scores.read_text())["mse"] > 0.001
    unchanged("git commit -am 'lr 0.05'")
    kept = unchanged("git show --stat --format=").stdout
    assert all(name in kept for name in ("params.yaml", "dvc.lock", "metrics/line_search/test.json"))
    unchanged("git reset -q --hard HEAD~1")


def test_a_try_that_adds_a_key(unchanged: Clone, tmp_path: Path) -> None:
    unchanged(EXECUTED[1], MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}")
    record = json.loads((unchanged.folder / "models" / "dogs_vs_cats_resnet18" / "experiment.json").read_text())
    assert record["params"]["freeze"] == ["features"]


def test_a_remote(unchanged: Clone, tmp_path: Path) -> None:
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


def test_a_champion_answers(reduced_project: Clone, tmp_path: Path) -> None:
    """README's server, asked as README asks it."""
    serve, ask = (command for command in commands("README.md") if command.startswith(SERVED))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pixels = reduced_project.folder / "cat.jpg"
    Image.new("RGB", (40, 30), "tan").save(pixels)
    log = tmp_path / "log"
    with log.open("w") as output, running(
        shlex.split(serve.replace("5001", port)), cwd=reduced_project.folder,
        stdout=output, stderr=output, start_new_session=True,
    ) as server:  # fmt: skip
        try:
            deadline = time.monotonic() + 120
            while "Application startup complete" not in log.read_text():
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            answer = json.loads(reduced_project(ask.replace("5001", port)).stdout)["predictions"][0]
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            pixels.unlink()
    assert answer["prediction"] in ("cat", "dog")
    assert answer["p_cat"] + answer["p_dog"] == pytest.approx(1, abs=1e-5)
