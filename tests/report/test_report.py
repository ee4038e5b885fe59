"""The page of the report and that of `dvc plots`, in a real browser; the tables of README and docs, and the numbers in
all of them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from ruamel.yaml import YAML

from tests.browser import Chromium
from tests.conftest import PROJECT, Clone
from torchprimer import params, paths
from torchprimer.report import markdown
from torchprimer.report.findings import notes
from torchprimer.report.summaries import Entry, entries

EXPERIMENTS = list(YAML(typ="safe").load((PROJECT / "params.yaml").read_text("utf-8"))["experiments"])
MAKE_DOCS = "PYTHONPATH=src python -m torchprimer.report.markdown"  # beside this project's own package, the copy's


def page_of(clone: Clone) -> Path:
    return clone.folder / "reports" / "index.html"


def column(page: Page, number: int) -> list[str]:
    """Texts, or the values that count when sorting, of a column of the table."""
    cells = page.locator(f"#experiments tbody tr > :nth-child({number})")
    return list(cells.evaluate_all("cells => cells.map(cell => cell.dataset.value ?? cell.innerText)"))


def drawn(page: Page, selector: str) -> list[bool]:
    """Of each chart, once all are there: whether there are marks on it, and an axis with numbers."""
    for place in page.locator(selector).all():
        place.locator("svg.marks").wait_for()
    script = """places => places.map(place => {
        const marks = [...place.querySelectorAll(".mark-line path, .mark-symbol path, .mark-rect path")];
        const labels = [...place.querySelectorAll(".role-axis-label text")];
        return marks.some(mark => mark.getAttribute("d")?.length > 10) && labels.some(label => label.textContent);
    })"""
    return list(page.locator(selector).evaluate_all(script))


# ---- the page --------------------------------------------------------------------------------------------------------


def test_page_opens_at_once_and_asks_for_nothing(reduced: Clone, chromium: Chromium) -> None:
    file = page_of(reduced)
    assert file.stat().st_size < 8e6
    with chromium.visit() as visit:
        page = visit.open(file)
        assert column(page, 1) == EXPERIMENTS
        timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
        assert timing["loadEventEnd"] < 3000  # 0.5 s where nothing else runs
        pictures = page.locator("main img")
        pictures.evaluate_all("images => Promise.all(images.map(image => image.decode()))")
        widths = pictures.evaluate_all("images => images.map(image => image.naturalWidth)")
        assert len(widths) == len(
            [*reduced.folder.glob("metrics/*/test/*.png"), *reduced.folder.glob("metrics/*/test/*.gif")]
        )
        assert min(widths) > 100
        charts = drawn(page, ".chart")
        assert len(charts) >= 20
        assert all(charts)
        assert visit.errors == []
        assert visit.requests == [file.as_uri()]


def test_table_sorts_by_click_and_by_keyboard(reduced: Clone, chromium: Chromium) -> None:
    with chromium.visit() as visit:
        page = visit.open(page_of(reduced))
        page.get_by_role("button", name="test score").click()
        best_first = list(map(float, column(page, 2)))
        assert best_first == sorted(best_first, reverse=True)
        assert len(set(best_first)) > 5
        head = page.locator("#experiments th").nth(1)
        expect(head).to_have_attribute("aria-sort", "descending")
        page.keyboard.press("Enter")  # on the heading that was clicked
        assert list(map(float, column(page, 2))) == best_first[::-1]
        expect(head).to_have_attribute("aria-sort", "ascending")
        page.get_by_role("button", name="experiment", exact=True).focus()
        page.keyboard.press("Space")
        assert column(page, 1) == sorted(EXPERIMENTS)
        assert page.locator("#experiments [aria-sort]").count() == 1


def test_legend_and_pictures_answer(reduced: Clone, chromium: Chromium) -> None:
    with chromium.visit() as visit:
        page = visit.open(page_of(reduced))
        first = page.locator("#mnist .chart").first
        lines = first.locator(".mark-line path")
        opacities = "lines => lines.map(line => Number(line.getAttribute('opacity') ?? 1))"
        lines.first.wait_for(state="attached")
        assert set(lines.evaluate_all(opacities)) == {1}
        button = page.locator("#mnist .legend button", has_text="mnist_relu")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(first.locator(".mark-line path[opacity='0.08']")).to_have_count(lines.count() - 1)
        page.locator("#mnist_cnn .zoom").first.click()
        expect(page.locator("dialog img")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog img")).to_be_hidden()
        assert visit.errors == []


@pytest.mark.parametrize("dark", [False, True])
def test_page_fits_a_phone_in_light_and_dark(reduced: Clone, chromium: Chromium, dark: bool) -> None:
    with chromium.visit(width=390, height=844, dark=dark) as visit:
        page = visit.open(page_of(reduced))
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background))) < 120) == dark
        assert float(page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")) >= 16
        visible = page.locator("#experiments tbody tr").first.locator("> :nth-child(2)").bounding_box()
        assert visible is not None
        assert visible["x"] + 60 < 390  # the score, beside the name


def test_a_changed_metric_changes_page_readme_and_docs(unchanged: Clone, chromium: Chromium) -> None:
    test = unchanged.folder / "metrics" / "mnist_cnn" / "test.json"
    baseline = json.loads((unchanged.folder / "metrics" / "baselines" / "mnist.json").read_text())
    scores = json.loads(test.read_text())
    assert "up to date" in unchanged("dvc status report").stdout
    test.write_text(json.dumps(scores | {"accuracy": 0.98765}))
    baseline["nearest_neighbours"]["accuracy"] = 0.99123
    (unchanged.folder / "metrics" / "baselines" / "mnist.json").write_text(json.dumps(baseline))
    assert "modified" in unchanged("dvc status report").stdout
    unchanged("python src/torchprimer report")
    unchanged(MAKE_DOCS)
    with chromium.visit() as visit:
        page = visit.open(page_of(unchanged))
        row = page.locator("#experiments tr", has=page.locator("a[href='#mnist_cnn']")).inner_text()
        assert "0.9877 accuracy" in row.replace("\n", " ")
        assert "below its baseline" in row
        assert "0.9912 nearest neighbours" in row.replace("\n", " ")
        assert "mnist_cnn 0.9877" in page.locator("#mnist .notes").inner_text()
    for name in ("README.md", "docs/experiments.md"):
        (line,) = [
            line for line in (unchanged.folder / name).read_text("utf-8").splitlines() if "Two convolutions" in line
        ]
        assert "| accuracy 0.9877; **below its baseline** | dummy" in line
        assert "nearest neighbours 0.9912 |" in line


def test_page_is_the_same_if_nothing_changed(unchanged: Clone) -> None:
    unchanged("python src/torchprimer report")
    first = page_of(unchanged).read_bytes()
    assert b"DVC experiment" not in first
    unchanged("git commit -q --allow-empty -m later && python src/torchprimer report")
    assert page_of(unchanged).read_bytes() == first


def test_page_says_which_experiment_and_commit(unchanged: Clone) -> None:
    says = "PYTHONPATH=src python -c 'from torchprimer.report import page; print(page.provenance())'"
    commit = unchanged("git log -1 '--format=%h of %cs' -- metrics params.yaml").stdout.strip()
    unchanged("git commit -q --allow-empty -m later")  # that touches neither params.yaml nor metrics/
    assert unchanged(says).stdout == f"Made from commit {commit}.\n"
    unchanged.replace("params.yaml", "# Seed", "# The seed")
    done = unchanged(says, DVC_EXP_NAME="tried")
    assert done.stdout == (
        f"Made from commit {commit}, with changes that are not committed yet; DVC experiment tried.\n"
    )


def test_tensorboard_does_not_run_it_again(unchanged: Clone) -> None:
    events = unchanged.folder / "metrics" / "mnist_cnn" / "tensorboard" / "run"
    events.mkdir(parents=True)
    (events / "events.out").write_text("...")
    assert "up to date" in unchanged("dvc status report").stdout
    shutil.rmtree(events.parent)


# ---- tables and sentences --------------------------------------------------------------------------------------------


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """The experiments as git has them: in the working tree, a `dvc repro` may have brought other seconds."""
    files = ("dvc.yaml", "params.yaml", "metrics", "docs", "README.md")
    readme = subprocess.run(["git", "ls-files", "README.zh-CN.md"], cwd=PROJECT, capture_output=True, text=True)
    archive = subprocess.run(
        ["git", "archive", "HEAD", *files, *readme.stdout.split()], cwd=PROJECT, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    monkeypatch.chdir(tmp_path)
    paths.project.cache_clear()
    return entries(params.load())


def test_committed_docs_have_the_committed_numbers(committed: list[Entry]) -> None:
    for file, text in markdown.texts(committed).items():
        assert file.read_text("utf-8") == text, f"{file.name}: run `make docs`, and commit it with metrics/"


def test_committed_docs_have_their_figures(committed: list[Entry]) -> None:
    page = (paths.project() / "docs" / "experiments.md").read_text("utf-8")
    used = set(re.findall(r"\]\(figures/([\w.]+)\)", page))
    assert {file.name for file in markdown.folder().iterdir() if file.suffix != ".csv"} == used
    assert sum(file.stat().st_size for file in markdown.folder().iterdir()) < 4e6


def test_every_experiment_is_described(committed: list[Entry]) -> None:
    assert [entry.name for entry in committed] == EXPERIMENTS
    for entry in committed:
        assert entry.shows, entry.name
        assert entry.heading
        assert not {"dataset", "model", "training"} & set(entry.settings)
    said = {entry.name: entry.settings for entry in committed}
    assert said["mnist_dropout"]["dropout"] == "0.2"
    assert "dropout" not in said["mnist_relu"]  # as the schema has it
    assert "init_from" not in said["mnist_relu"]
    assert said["dogs_vs_cats_resnet18"]["init_from"] == "cifar8_resnet18"
    assert said["line_search"] == {"weight": "0 to 4 by 0.1"}


def write(name: str, content: dict[str, Any]) -> None:
    file = paths.project() / "metrics" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def test_sentences_follow_the_numbers(committed: list[Entry]) -> None:
    def said(origin: str) -> str:
        return "\n".join(notes([entry for entry in entries(params.load()) if entry.raw_dataset == origin]))

    for name, accuracy, loss in (("dummy", 0.65, 0.645), ("logistic_regression", 0.77, 0.5)):
        scores = {"accuracy": accuracy, "loss": loss}
        known = json.loads((paths.project() / "metrics" / "baselines" / "diabetes.json").read_text())
        write("baselines/diabetes.json", known | {name: scores})
    write("diabetes_full_batch/test.json", {"accuracy": 0.65, "loss": 0.644})
    write("diabetes_minibatch/test.json", {"accuracy": 0.78, "loss": 0.5})
    write("diabetes_tuned/test.json", {"accuracy": 0.77, "loss": 0.5})
    assert "Loses to its baseline, logistic regression (accuracy 0.7700): `diabetes_full_batch` 0.6500." in said(
        "diabetes"
    )
    assert "`diabetes_full_batch` reaches what the dummy does" in said("diabetes")
    assert "2 layers of them leave at most 1/16" in said("diabetes")
    write("diabetes_full_batch/test.json", {"accuracy": 0.79, "loss": 0.4})
    assert said("diabetes") == ""

    for name, accuracy, seconds in (
        ("dogs_vs_cats_resnet18", 0.75, 9), ("dogs_vs_cats_resnet18_scratch", 0.7, 9),
        ("dogs_vs_cats_vgg16", 0.8, 10), ("dogs_vs_cats_vgg16_features", 0.8, 0.5),
    ):  # fmt: skip
        write(f"{name}/test.json", {"accuracy": accuracy})
        history = pd.DataFrame({"epoch": [1, 2, 3], "epoch_seconds": [99, seconds, seconds]})
        history.to_csv(paths.project() / "metrics" / name / "history.csv", index=False)
    assert "from scratch, `dogs_vs_cats_resnet18_scratch`, 0.7000: +5.0 points" in said("dogs_vs_cats")
    assert "lasts 0.50 s; one of `dogs_vs_cats_vgg16`" in said("dogs_vs_cats")
    assert "10.0 s: 20 times as long" in said("dogs_vs_cats")


def test_readme_without_its_marks_is_left_alone(committed: list[Entry]) -> None:
    with pytest.raises(Exception, match="belongs between <!-- results"):
        markdown.with_results("# no table\n", committed)


# ---- dvc plots -------------------------------------------------------------------------------------------------------


def test_dvc_plots_draws_offline(reduced: Clone, chromium: Chromium) -> None:
    shown = reduced("dvc plots show 2>&1").stdout
    assert "WARNING" not in shown
    assert "failed" not in shown
    file = reduced.folder / "dvc_plots" / "index.html"
    script = reduced.folder / ".dvc" / "plots" / "vega.js"
    with chromium.visit() as visit:  # nothing was set up yet: the page says so, instead of being blank
        page = visit.open(file)
        expect(page.locator("#missing")).to_contain_text("make install")
    reduced("PYTHONPATH=src python -m torchprimer.report.vega")
    groups = len(YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text("utf-8"))["plots"])
    with chromium.visit() as visit:
        page = visit.open(file)
        expect(page.locator("#missing")).to_be_hidden()
        assert all(drawn(page, "main > div"))
        assert page.locator("main > div").count() == groups
        expect(page.locator("details .charts > div").first).to_be_hidden()  # a chart for each file does not hide these
        page.locator("summary").click()
        assert all(drawn(page, "details .charts > div"))
        assert page.locator("details .charts > div").count() >= len(EXPERIMENTS)
        assert visit.errors == []
        assert visit.requests == [file.as_uri(), script.as_uri()]


def test_dvc_plots_diff_draws_offline(unchanged: Clone, chromium: Chromium) -> None:
    history = unchanged.folder / "metrics" / "mnist_cnn" / "history.csv"
    table = pd.read_csv(history)
    pd.concat([table, table.assign(epoch=2, validation_accuracy=0.99)]).to_csv(history, index=False)
    unchanged("PYTHONPATH=src python -m torchprimer.report.vega")
    unchanged("dvc plots diff HEAD workspace --targets 'MNIST, validation accuracy'")
    with chromium.visit() as visit:
        page = visit.open(unchanged.folder / "dvc_plots" / "index.html")
        assert drawn(page, "main > div") == [True]
        assert visit.errors == []
        assert visit.outward() == []
