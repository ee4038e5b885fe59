"""The report page and the page of `dvc plots` in a real browser."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from ruamel.yaml import YAML

from tests.browser import Chromium
from tests.clone import PROJECT, Clone, clean_environment
from torchprimer import params
from torchprimer.report.html import render

EXPERIMENTS = list(YAML(typ="safe").load((PROJECT / "params.yaml").read_text("utf-8"))["experiments"])
MAKE_DOCS = "PYTHONPATH=src python -m torchprimer.report.markdown"  # the package of the copy, not the installed one


def page_of(clone: Clone) -> Path:
    return clone.folder / "reports" / "index.html"


def column(page: Page, number: int) -> list[str]:
    """The sort values, or else the texts, of a column of the table."""
    cells = page.locator(f"#experiments tbody tr > :nth-child({number})")
    return list(cells.evaluate_all("cells => cells.map(cell => cell.dataset.value ?? cell.innerText)"))


def drawn(page: Page, selector: str) -> list[bool]:
    """For each chart, after all have been drawn: whether it has marks and an axis with labels."""
    for chart in page.locator(selector).all():
        chart.locator("svg.marks").wait_for()
    script = """charts => charts.map(chart => {
        const marks = [...chart.querySelectorAll(".mark-line path, .mark-symbol path, .mark-rect path")];
        const labels = [...chart.querySelectorAll(".role-axis-label text")];
        return marks.some(mark => mark.getAttribute("d")?.length > 10) && labels.some(label => label.textContent);
    })"""
    return list(page.locator(selector).evaluate_all(script))


# ---- the page --------------------------------------------------------------------------------------------------------


def test_page_loads_fast_and_requests_nothing(reduced_project: Clone, chromium: Chromium) -> None:
    file = page_of(reduced_project)
    assert file.stat().st_size < 8e6
    with chromium.visit() as visit:
        page = visit.open(file)
        assert column(page, 1) == EXPERIMENTS
        size = page.locator("tbody tr").first.locator("td.number").last.inner_text()
        assert re.fullmatch(r"\d{3} bytes", size)  # as `torchprimer list` writes it
        timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
        assert timing["loadEventEnd"] < 3000  # 0.5 s on an idle machine
        figures = page.locator("main img")
        figures.evaluate_all("images => Promise.all(images.map(image => image.decode()))")
        widths = figures.evaluate_all("images => images.map(image => image.naturalWidth)")
        assert len(widths) == len(
            [*reduced_project.folder.glob("metrics/*/test/*.png"), *reduced_project.folder.glob("metrics/*/test/*.gif")]
        )
        assert min(widths) > 100
        charts = drawn(page, ".chart")
        assert len(charts) >= 20
        assert all(charts)
        assert visit.errors == []
        assert visit.requests == [file.as_uri()]


def test_table_sorts_by_click_and_by_keyboard(reduced_project: Clone, chromium: Chromium) -> None:
    with chromium.visit() as visit:
        page = visit.open(page_of(reduced_project))
        page.get_by_role("button", name="test score").click()
        best_first = list(map(float, column(page, 2)))
        assert best_first == sorted(best_first, reverse=True)
        assert len(set(best_first)) > 5
        head = page.locator("#experiments th").nth(1)
        expect(head).to_have_attribute("aria-sort", "descending")
        page.keyboard.press("Enter")  # the focus is on the clicked heading
        assert list(map(float, column(page, 2))) == best_first[::-1]
        expect(head).to_have_attribute("aria-sort", "ascending")
        page.get_by_role("button", name="experiment", exact=True).focus()
        page.keyboard.press("Space")
        assert column(page, 1) == sorted(EXPERIMENTS)
        assert page.locator("#experiments [aria-sort]").count() == 1


def test_legend_highlights_and_figures_enlarge(reduced_project: Clone, chromium: Chromium) -> None:
    with chromium.visit() as visit:
        page = visit.open(page_of(reduced_project))
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
def test_page_fits_a_phone_in_light_and_dark(reduced_project: Clone, chromium: Chromium, dark: bool) -> None:
    with chromium.visit(width=390, height=844, dark=dark) as visit:
        page = visit.open(page_of(reduced_project))
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
    baseline["nearest_neighbours"] |= {"accuracy": 0.99123, "samples": 10_000}
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
        assert "mnist_cnn 0.9877" in page.locator("#mnist .findings").inner_text()
    for name in ("README.md", "docs/experiments.md"):
        (line,) = [
            line for line in (unchanged.folder / name).read_text("utf-8").splitlines() if "Two convolutions" in line
        ]
        assert "| accuracy 0.9877; **below its baseline** | dummy" in line
        assert "nearest neighbours 0.9912 |" in line


def test_page_does_not_depend_on_git(committed: Path, chromium: Chromium) -> None:
    page = render(params.load())
    for command in ("init -q", "add -A", "-c user.name=tests -c user.email=tests@localhost commit -q -m first"):
        subprocess.run(["git", *command.split()], cwd=committed, env=clean_environment(), check=True)
    assert render(params.load()) == page


def test_scores_without_a_test_split_are_marked(committed: Path, chromium: Chromium) -> None:
    file = committed / "index.html"
    file.write_text(render(params.load()), "utf-8")
    with chromium.visit() as visit:
        page = visit.open(file)
        rows = dict(zip(column(page, 1), page.locator("#experiments tbody tr").all_inner_texts(), strict=True))
        marked = {name for name, row in rows.items() if "training rows" in row}
        datasets = {params.load().experiments[name].dataset for name in marked}
        assert datasets == {"line", "line_bias", "hours", "hello"}
        assert "R², training rows" in rows["line_sgd"]
        expect(page.locator("#hello_rnn h3")).to_contain_text("1.0000 accuracy on training rows")
        expect(page.locator("#hello")).to_contain_text("Accuracy on training rows")


def test_seconds_are_not_in_the_report(committed: Path) -> None:
    """They differ between two runs, and dvc.lock has the checksum of the page."""
    before = render(params.load())
    timing = {"seconds": 83.4, "epoch_seconds": [83.4]}
    (committed / "metrics" / "mnist_cnn" / "timing.json").write_text(json.dumps(timing))
    assert render(params.load()) == before


def test_folds_of_model_and_baseline_are_in_one_chart(committed: Path, chromium: Chromium) -> None:
    folder = committed / "metrics" / "diabetes_tuned"
    table = pd.read_csv(folder / "folds.csv").assign(baseline_accuracy=[0.7 + i / 100 for i in range(10)])
    table.to_csv(folder / "folds.csv", index=False)
    summary = json.loads((folder / "folds.json").read_text())
    baseline = {"baseline_accuracy_mean": 0.745, "baseline_accuracy_std": 0.0303, "difference_low": 0.001}
    (folder / "folds.json").write_text(json.dumps(summary | baseline | {"difference_high": 0.059}))
    file = committed / "index.html"
    file.write_text(render(params.load()), "utf-8")
    with chromium.visit() as visit:
        page = visit.open(file)
        figure = page.locator("#diabetes figure", has_text="Cross-validation of diabetes_tuned")
        expect(figure).to_contain_text("0.7750 ± 0.0383 in 10 folds; hollow: baseline")
        expect(figure.locator(".mark-symbol path")).to_have_count(20)
        expect(page.locator("#diabetes .findings")).to_contain_text("+0.0010 to +0.0590, model above baseline")
        row = page.locator("#experiments tr", has=page.locator("a[href='#diabetes_tuned']"))
        expect(row.locator(".baselines")).to_contain_text("0.7450 ± 0.0303 in 10 folds")
        assert visit.errors == []


def test_tensorboard_and_timings_are_no_dependencies(unchanged: Clone) -> None:
    events = unchanged.folder / "metrics" / "mnist_cnn" / "tensorboard" / "run"
    events.mkdir(parents=True)
    (events / "events.out").write_text("...")
    timing = unchanged.folder / "metrics" / "mnist_cnn" / "timing.json"
    seconds = timing.read_text() if timing.exists() else ""
    timing.write_text('{"seconds": 99.0, "epoch_seconds": [99.0]}')
    assert "up to date" in unchanged("dvc status report").stdout
    shutil.rmtree(events.parent)
    timing.write_text(seconds)


# ---- dvc plots -------------------------------------------------------------------------------------------------------


def test_dvc_plots_draws_offline(reduced_project: Clone, chromium: Chromium) -> None:
    shown = reduced_project("dvc plots show 2>&1").stdout
    assert "WARNING" not in shown
    assert "failed" not in shown
    file = reduced_project.folder / "dvc_plots" / "index.html"
    script = reduced_project.folder / ".dvc" / "plots" / "vega.js"
    with chromium.visit() as visit:  # before `make install`
        page = visit.open(file)
        expect(page.locator("#missing")).to_contain_text("make install")
    reduced_project("PYTHONPATH=src python -m torchprimer.report.vega")
    groups = len(YAML(typ="safe").load((PROJECT / "dvc.yaml").read_text("utf-8"))["plots"])
    with chromium.visit() as visit:
        page = visit.open(file)
        expect(page.locator("#missing")).to_be_hidden()
        assert all(drawn(page, "main > div"))
        assert page.locator("main > div").count() == groups
        expect(page.locator("details .charts > div").first).to_be_hidden()  # the groups come first
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
