"""The demo page: each tab is used in Chromium and must show the outputs of the Predictors."""

import base64
import contextlib
import io
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import Chromium
from tests.clone import Clone, clean_environment
from torchprimer import params
from torchprimer.demo import bikes, digits, generators, photos, reviews
from torchprimer.demo.bikes import choices, hourly_rows, slider_range
from torchprimer.demo.digits import centre_digit
from torchprimer.demo.generators import most_sensitive
from torchprimer.demo.photos import HEAT_MAP_SIZE, occlusion, overlay
from torchprimer.demo.reviews import segments, word_effects
from torchprimer.experiment_results import ExperimentResults
from torchprimer.predictor import Predictor

expect.set_options(timeout=15_000)  # many predictions on a busy machine

# `torchprimer demo` in a Python that reports unwanted imports and connections on standard error
AUDITED_DEMO = """
import runpy, sys
def audit(event, args):
    if event == "import" and args[0] in ("torch", "mlflow", "sklearn"):
        print("imports", args[0], file=sys.stderr)
    index = {"socket.connect": 1, "socket.getaddrinfo": 0}.get(event)
    if index is not None and "127.0.0.1" not in (args[index], args[index][0]):
        print("connects to", args[index], file=sys.stderr)
sys.addaudithook(audit)
sys.argv[0] = "src/torchprimer"
runpy.run_path("src/torchprimer", run_name="__main__")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served(NamedTuple):
    url: str
    folder: Path
    home: Path

    def __getitem__(self, name: str) -> Predictor:  # type: ignore[override]
        return Predictor(self.folder / "models" / f"{name}.export")


@contextlib.contextmanager
def demo(folder: Path, home: Path) -> Iterator[Served]:
    """Serves the page of the project in `folder`; Ctrl-C ends it, and nothing was written to standard error."""
    port = free_port()
    environment = {key: value for key, value in clean_environment().items() if key != "CI"}  # CI switches off telemetry
    process = subprocess.Popen(
        [sys.executable, "-c", AUDITED_DEMO, "demo", "--port", str(port)], cwd=folder, text=True,
        env=environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home), "TMPDIR": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # empty if the process ended early
        assert f"http://127.0.0.1:{port} " in line, process.communicate(timeout=30)[1]
        yield Served(f"http://127.0.0.1:{port}", folder, home)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""
        assert process.returncode == 0
        files = {path.name for path in home.iterdir()}
        assert files <= {"matplotlib", ".config"}  # of Gradio's imports; no uploads, no identifier of this machine
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served(reduced_project: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with demo(reduced_project.folder, tmp_path_factory.mktemp("home")) as page:
        yield page


@pytest.fixture
def play(chromium: Chromium, served: Served) -> Iterator[Callable[[str], Page]]:
    """Opens the page at a tab; at the end, there were no requests to other machines and no errors in the console."""
    with chromium.visit() as visit:

        def at(tab: str) -> Page:
            page = visit.open(served.url)
            page.get_by_role("tab", name=tab).click()
            return page

        yield at
        assert visit.outward() == []
        assert visit.errors == []


def shown_images(page: Page, selector: str) -> list[npt.NDArray[np.uint8]]:
    """The pixels of the images inside an element."""
    sources = page.locator(f"{selector} img").evaluate_all("all => all.map(one => one.src)")
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))) for source in sources]


def predictions(page: Page, selector: str) -> dict[str, dict[str, Any]]:
    """The table inside an element as Predictors return it; probabilities have 3 digits."""
    table = page.locator(selector).evaluate("""element => {
        const texts = cells => [...cells].map(cell => cell.innerText);
        const probability = cell => Number(cell.style.getPropertyValue("--probability"));
        const rows = [...element.querySelectorAll("tbody tr")];
        return {head: texts(element.querySelectorAll("thead th")), rows: rows.map(row => [
            row.children[0].innerText, row.children[1].innerText, [...row.children].slice(2).map(probability)])};
    }""")
    return {
        name.split()[0]: {"prediction": label, "probabilities": dict(zip(table["head"][2:], values, strict=True))}
        for name, label, values in table["rows"]
    }


def eventually(read: Callable[[], object], expected: object) -> None:
    """Waits at most 15 s until `read` returns what is expected."""
    deadline = time.monotonic() + 15
    while (value := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value == expected


def rounded(prediction: dict[str, Any]) -> dict[str, Any]:
    probabilities = {label: pytest.approx(p, abs=6e-4) for label, p in prediction["probabilities"].items()}
    return {"prediction": prediction["prediction"], "probabilities": probabilities}


def test_tabs_divide_the_experiments() -> None:
    project = params.load()
    results = {name: ExperimentResults(project, name) for name in project.experiments}

    def handled(tab: ModuleType) -> set[str]:
        return {name for name, result in results.items() if tab.handles(result)}

    mnist = {f"mnist_{name}" for name in ("mlp", "linear", "relu", "batchnorm", "dropout", "cnn", "lenet5")}
    assert handled(digits) == mnist | {"mnist_autoencoder"}
    assert {results[name].raw_dataset for name in handled(photos)} == {"cifar10", "cifar8", "dogs_vs_cats"}
    assert "dogs_vs_cats_vgg16_features" in handled(photos)  # trained on features; its export takes photos
    assert handled(reviews) == {"reviews_bow"}
    assert handled(bikes) == {"bike_sharing_mlp", "bike_sharing_tuned"}
    assert handled(generators) == {"mnist_gan", "mnist_lsgan", "mnist_dcgan"}


# ---- digits ----------------------------------------------------------------------------------------------------------


def test_a_drawing_is_centred_as_mnist_is(reduced_project: Clone) -> None:
    assert centre_digit(np.full((280, 280), 255, np.uint8)) is None
    drawing = np.full((280, 280), 255, np.uint8)
    drawing[150:250, 200:210] = drawing[240:250, 200:260] = 0  # an L, 100 x 60
    digit = centre_digit(drawing)
    assert digit is not None
    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    assert (len(rows), len(columns)) == (20, 12)
    weight = digit.astype(float)
    for axis, side in ((1, 28), (0, 28)):
        assert weight.sum(axis) @ np.arange(side) / weight.sum() == pytest.approx(14, abs=0.51)

    # digits of MNIST, enlarged and moved, are restored
    originals = np.load(reduced_project.folder / "data/prepared/mnist/validation_inputs.npy")[:100, 0]
    correlations = []
    for i, original in enumerate(originals):
        ink = np.asarray(Image.fromarray(original).resize((150, 150), Image.Resampling.BICUBIC))
        drawing = np.full((280, 280), 255, np.uint8)
        drawing[i : i + 150, 130 - i : 280 - i] = 255 - np.where(ink < 40, 0, ink)
        restored = centre_digit(drawing)
        assert restored is not None
        correlations.append(np.corrcoef(original.ravel(), restored.ravel())[0, 1])
    assert np.mean(correlations) > 0.94


def test_digits(play: Callable[[str], Page], served: Served) -> None:
    page = play("Digits")
    expect(page.locator("#digit-predictions")).to_contain_text("Nothing is drawn yet")
    box = page.locator("#pad canvas").bounding_box()
    assert box is not None
    corners = [
        (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ((0.3, 0.2), (0.7, 0.2), (0.4, 0.9))
    ]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()  # a seven
    expect(page.locator("#digit-predictions tbody tr")).to_have_count(7)
    digit, reconstruction = shown_images(page, "#digit-figures")
    drawn = page.locator("#pad canvas").evaluate("canvas => canvas.toDataURL()")
    drawing = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.split(",")[1]))).convert("L"))
    rows, columns = np.nonzero(drawing < 128)  # the path of the mouse, as wide as the pen
    for pixels, ends in ((columns, (0.3, 0.7)), (rows, (0.2, 0.9))):
        assert [pixels.min(), pixels.max()] == pytest.approx([280 * ends[0] - 11, 280 * ends[1] + 11], abs=2)
    np.testing.assert_array_equal(digit, centre_digit(drawing))
    np.testing.assert_array_equal(reconstruction, served["mnist_autoencoder"].predict(digit)[0]["prediction"])
    models = ("mlp", "linear", "relu", "batchnorm", "dropout", "cnn", "lenet5")
    expected = {f"mnist_{model}": rounded(served[f"mnist_{model}"].predict(digit)[0]) for model in models}
    assert predictions(page, "#digit-predictions") == expected
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#digit-predictions")).to_contain_text("Nothing is drawn yet")
    assert shown_images(page, "#digit-figures") == []


# ---- photos ----------------------------------------------------------------------------------------------------------


def test_occlusion_finds_the_decisive_pixel() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[9, 6] = 255
    batches: list[int] = []

    def probability(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        batches.append(len(images))
        return images[:, 9, 6, 0].astype(np.float32) / 255

    heat = occlusion(probability, image, patch=4, step=2)
    assert batches == [9 * 9 + 1]
    fall = 1 - round(255 / 256) / 255  # the patch has the mean colour
    # of the 4 patches on a region of 2 x 2 pixels, 2 cover a region beside it and 1 a region across its corner
    expected = np.zeros((8, 8))
    expected[3:6, 2:5] = np.outer([1, 2, 1], [1, 2, 1]) / 4 * fall
    np.testing.assert_allclose(heat, expected, atol=1e-6)
    assert overlay(image, heat, 16)[9, 6, 0] > overlay(image, heat, 16)[9, 6, 2]  # orange
    assert overlay(image, -heat, 16)[9, 6, 0] < overlay(image, -heat, 16)[9, 6, 2]  # blue


def test_photos(play: Callable[[str], Page], served: Served, tmp_path: Path) -> None:
    page = play("Photos")
    prepared = served.folder / "data/prepared/dogs_vs_cats"
    images, labels = np.load(prepared / "test_inputs.npy"), np.load(prepared / "test_targets.npy")
    photo = tmp_path / "photo.jpg"
    Image.fromarray(images[1].transpose(1, 2, 0)).resize((400, 300), Image.Resampling.BICUBIC).save(photo)
    names = [path.name.removesuffix(".export") for path in (served.folder / "models").glob("dogs_vs_cats*.export")]
    assert len(names) == 6

    def expected(photo: object) -> dict[str, dict[str, Any]]:
        return {name: rounded(served[name].predict(photo)[0]) for name in names}

    page.locator("#photo input[type=file]").set_input_files(photo)
    eventually(lambda: predictions(page, "#photo-predictions"), expected(photo))

    for name in sorted(names):  # faster than each can predict
        page.locator("#photo-model input").click()
        page.get_by_role("option", name=name, exact=True).click()
    assert name == "dogs_vs_cats_vgg16_features"
    expect(page.locator("#photo-heat")).to_contain_text("Input of dogs_vs_cats_vgg16_features: 32 x 32 pixels.")
    pixels, heat = shown_images(page, "#photo-heat")
    model = served["dogs_vs_cats_vgg16_features"]
    assert model.classes is not None
    label = model.predict(photo)[0]["prediction"]
    assert model.predict(pixels)[0]["prediction"] == label
    column = model.classes.index(label)
    falls = occlusion(lambda images: model.predict_raw(images)[:, column], pixels, 8, 4)
    np.testing.assert_allclose(heat.astype(int), overlay(pixels, falls, HEAT_MAP_SIZE).astype(int), atol=2)

    sample = page.locator(".samples button").last
    expect(sample).to_have_text(model.classes[labels[-1]])
    sample.click()
    last = images[-1].transpose(1, 2, 0)
    eventually(lambda: predictions(page, "#photo-predictions"), expected(last))
    eventually(lambda: shown_images(page, "#photo-heat")[0].tolist(), last.tolist())

    page.locator("#photo-model input").click()
    page.get_by_role("option", name="cifar10_cnn", exact=True).click()
    names = ["cifar10_cnn", "cifar10_cnn_tuned"]
    eventually(lambda: predictions(page, "#photo-predictions"), expected(last))

    photo.write_bytes(b"no photo")
    page.get_by_label("Remove Image").click()
    page.locator("#photo input[type=file]").set_input_files(photo)
    expect(page.locator("#photo-predictions")).to_have_text("This file cannot be used: not an image.")
    expect(page.locator("#photo-heat")).to_have_text("")


# ---- reviews ---------------------------------------------------------------------------------------------------------


def test_effects_of_words() -> None:
    text = "Good, very good: BAD? no"
    parts = segments(text, ["good", "very", "good", "bad", "no"])
    assert "".join(part for part, _ in parts) == text
    assert [part for part, is_word in parts if is_word] == ["Good", "very", "good", "BAD", "no"]

    def probability(texts: list[str]) -> npt.NDArray[np.float32]:
        return np.array([0.5 + 0.1 * text.count("好") - 0.2 * text.count("差") for text in texts], np.float32)

    parts = segments("好, 很好, 差。", ["好", "很", "好", "差"])
    assert word_effects(probability, parts) == pytest.approx({"好": 0.2, "很": 0, "差": -0.2}, abs=1e-6)
    # the text on both sides does not form a word
    assert word_effects(
        lambda texts: np.array(["不好" in text for text in texts], np.float32), segments("不太好", ["不", "太", "好"])
    ) == {"不": 0, "太": 0, "好": 0}


def test_reviews(play: Callable[[str], Page], served: Served) -> None:
    page = play("Reviews")
    model = served["reviews_bow"]
    assert model.classes is not None
    text = "房间很干净，服务也不错，就是早餐太差了。"  # noqa: RUF001
    words = ["房间", "很", "干净", "服务", "也", "不错", "就是", "早餐", "太差", "了"]
    page.get_by_label("review", exact=True).fill(text)
    eventually(lambda: predictions(page, "#review-predictions"), {"reviews_bow": rounded(model.predict(text)[0])})
    column = model.classes.index(model.predict(text)[0]["prediction"])
    falls = {
        word: float(model.predict_raw(text)[0, column] - model.predict_raw(text.replace(word, " "))[0, column])
        for word in words
    }
    expect(page.locator("#review-words .words")).to_have_text(text)
    marks = page.locator("#review-words .words mark")
    assert marks.all_inner_texts() == words
    shown = marks.evaluate_all("all => all.map(one => parseFloat(one.title) / 100)")
    assert shown == pytest.approx(list(falls.values()), abs=1e-4)
    first = max(falls, key=lambda word: abs(falls[word]))
    expect(page.locator("#review-words .note")).to_contain_text(f"without the word: {first} {100 * falls[first]:+.1f}")

    sample = page.locator("#review-samples tbody tr").last
    expect(sample).not_to_have_text("")
    review = sample.inner_text().strip()
    rows = pd.read_csv(served.folder / "data/splits/reviews.csv", dtype=str)
    lines = (served.folder / "data/raw/reviews/pos.txt").read_text("utf-8").split("\n")
    test = rows["id"][(rows["split"] == "test") & (rows["label"] == "pos")]
    assert review in {lines[int(name.removeprefix("pos/")) - 1].strip() for name in test}
    sample.click()
    expect(page.get_by_label("review", exact=True)).to_have_value(review)
    eventually(lambda: predictions(page, "#review-predictions"), {"reviews_bow": rounded(model.predict(review)[0])})


# ---- bike riders -----------------------------------------------------------------------------------------------------


def test_rows_for_the_hours_of_a_day(real_raw: Callable[[str], Path]) -> None:
    table = pd.read_csv(real_raw("bike_sharing") / "Bikeshare.csv", dtype=str)
    for _, row in table[["weekday", "holiday", "workingday"]].drop_duplicates().iterrows():
        hours = hourly_rows({"weekday": row["weekday"], "holiday": row["holiday"]}, ["0", "23"])
        assert [hour["workingday"] for hour in hours] == [row["workingday"]] * 2
        assert [hour["hr"] for hour in hours] == ["0", "23"]
    assert choices("mnth", ["April", "Feb", "Smarch"]) == [
        ("February", "Feb"),
        ("April", "April"),
        ("Smarch", "Smarch"),
    ]
    assert choices("unknown", ["b", "a"]) == [("b", "b"), ("a", "a")]
    assert slider_range({"mean": 0.5, "std": 0.1}) == (0.3, 0.7)
    assert slider_range({"mean": 0.5, "std": 1}) == (0, 1)


def only_category(transform: dict[str, Any], name: str) -> str:
    (category,) = transform["categorical"][name]
    return str(category)


def test_bike_riders(play: Callable[[str], Page], served: Served) -> None:
    page = play("Bike riders")
    transform = served["bike_sharing_tuned"].description["transform"]

    def summary() -> list[list[str]]:
        return [row.locator("td").all_inner_texts() for row in page.locator("#bikes-summary tbody tr").all()]

    def expected(**changed: object) -> tuple[list[list[str]], list[list[float]]]:
        common = {name: round(numbers["median"], 2) for name, numbers in transform["numeric"].items()}
        common |= {"season": "2", "mnth": "May", "holiday": 0, "weekday": 3, "workingday": 1, "weathersit": "clear"}
        for name in ("season", "mnth"):  # the reduced pipeline has rows of one season and month only
            common[name] = (
                common[name] if common[name] in transform["categorical"][name] else only_category(transform, name)
            )
        hours = [{**common, "hr": hour, **changed} for hour in range(24)]
        lines = [[answer["prediction"] for answer in served[f"bike_sharing_{name}"].predict(hours)]
                 for name in ("mlp", "tuned")]  # fmt: skip
        rows = [[f"{sum(riders):,.0f}", f"{int(np.argmax(riders))}:00", f"{max(riders):,.0f}"] for riders in lines]
        return rows, lines

    rows, lines = expected()
    eventually(summary, rows)
    curves = page.locator("#bikes-chart .mark-line path")
    expect(curves).to_have_count(2)
    paths = curves.evaluate_all("all => all.map(one => one.getAttribute('d'))")
    for path, riders in zip(paths, lines, strict=True):
        heights = [float(y) for y in re.findall(r"[ML][-\d.]+,([-\d.]+)", path)]
        assert np.corrcoef(heights, riders)[0, 1] < -0.9999  # y points down

    page.get_by_label("day", exact=True).click()
    page.get_by_role("option", name="Sunday").click()
    eventually(summary, expected(weekday=0, workingday=0)[0])
    warm = slider_range(transform["numeric"]["temp"])[1]
    page.get_by_label("number input for temperature").fill(str(warm))
    page.keyboard.press("Enter")
    eventually(summary, expected(weekday=0, workingday=0, temp=warm)[0])


# ---- generators ------------------------------------------------------------------------------------------------------


def test_the_most_sensitive_components_of_a_noise() -> None:
    weights = np.array([1, 5, 0, -9, 3], np.float32)

    def generate(noise: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        return np.repeat((128 + noise @ weights).astype(np.uint8), 4).reshape(-1, 2, 2)

    assert most_sensitive(generate, np.full(5, 0.5, np.float32), 3) == [3, 1, 4]


def test_generators(play: Callable[[str], Page], served: Served) -> None:
    page = play("Generators")
    page.get_by_label("mnist_dcgan").click()
    page.get_by_label("seed").fill("3")
    expect(page.locator("#generator-grid")).to_contain_text("64 images of mnist_dcgan, seed 3")
    model = served["mnist_dcgan"]
    samples = model.generate(64, seed=3)
    (grid,) = shown_images(page, "#generator-grid")
    tiles = grid.reshape(8, 28, 8, 28).swapaxes(1, 2).reshape(64, 28, 28)
    np.testing.assert_allclose(tiles.astype(int), samples.astype(int), atol=1)
    np.testing.assert_array_equal(shown_images(page, "#generator-image")[0], tiles[0])

    noise = np.random.default_rng(3).standard_normal((64, model.noise_size), np.float32)[:1]
    numbers = [
        int(label.removeprefix("noise ")) for label in page.locator("[id^=generator-noise] label").all_inner_texts()
    ]
    assert len(set(numbers)) == 6
    page.get_by_label(f"number input for noise {numbers[2]}", exact=True).fill("-2.5")
    expect(page.locator("#generator-image")).to_contain_text("changed")
    noise[0, numbers] = noise[0, numbers].round(2)
    noise[0, numbers[2]] = -2.5
    changed = shown_images(page, "#generator-image")[0].astype(int)
    np.testing.assert_allclose(changed, model.generate_from(noise)[0].astype(int), atol=1)
    assert (changed != tiles[0]).any()
    page.get_by_role("button", name="Another seed").click()
    expect(page.locator("#generator-grid")).not_to_contain_text(re.compile(r"seed 3\b"))


# ---- missing exports -------------------------------------------------------------------------------------------------


def test_missing_exports(chromium: Chromium, served: Served, reduced_project: Clone, tmp_path: Path) -> None:
    port = served.url.rpartition(":")[2]
    error = reduced_project(f"python src/torchprimer demo --port {port}", fails=True).stderr
    assert error.startswith(f"torchprimer: port {port} cannot be used")
    assert error.count("\n") == 1

    project = tmp_path / "project"
    for part in ("dvc.yaml", "params.yaml", "src"):
        project.mkdir(exist_ok=True)
        (project / part).symlink_to(reduced_project.folder / part)
    (project / "models").mkdir()
    without_exports = subprocess.run(
        [sys.executable, "src/torchprimer", "demo"], cwd=project, capture_output=True, text=True, check=False,
        env=clean_environment(),
    )  # fmt: skip
    assert without_exports.returncode == 1
    assert without_exports.stderr == (
        "torchprimer: no exported model in models/: `dvc repro` exports all, `dvc repro export@mnist_cnn` only this "
        "one\n"
    )

    (project / "models/mnist_cnn.export").symlink_to(reduced_project.folder / "models/mnist_cnn.export")
    (tmp_path / "home").mkdir()
    with demo(project, tmp_path / "home") as small, chromium.visit(width=390) as visit:
        page = visit.open(small.url)
        panel = page.get_by_role("tabpanel")
        expect(panel).to_contain_text("Not exported yet: mnist_mlp, mnist_linear, mnist_relu")
        expect(panel).to_contain_text("dvc repro export@mnist_mlp export@mnist_linear")
        page.locator("#pad canvas").click()
        expect(page.locator("#digit-predictions tbody th")).to_contain_text("mnist_cnn")
        page.get_by_role("tab", name="Photos").click()
        expect(page.get_by_role("tabpanel")).to_contain_text("No model of this tab is exported yet: cifar10_cnn")
        assert visit.outward() == visit.errors == []
