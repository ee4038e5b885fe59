"""`torchprimer predict`, `generate`, `list` and `show` as processes, on the models of the reduced pipeline."""

import contextlib
import csv
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.clone import Clone, clean_environment, running
from tests.pipeline.test_pipeline import raw_dataset, store
from torchprimer.cli.formatting import truncate

Done = subprocess.CompletedProcess[str]
COUNT = 70  # images: more than one batch of a Predictor
REVIEWS = ("房间很干净,服务也好", "差评")


def command(project: Clone, *arguments: object) -> list[str]:
    """A command that runs the code of the copy."""
    return [sys.executable, str(project.folder / "src" / "torchprimer"), *map(str, arguments)]


def torchprimer(project: Clone, *arguments: object, stdin: str = "", cwd: Path | None = None) -> Done:
    return subprocess.run(
        command(project, *arguments), cwd=cwd or project.folder, env=clean_environment(), input=stdin,
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


def rows(done: Done) -> list[dict[str, str]]:
    return list(csv.DictReader(done.stdout.splitlines()))


def objects(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def evaluated(project: Clone, experiment: str) -> pd.DataFrame:
    """Predictions on the test split, which `evaluate` computed with PyTorch."""
    return pd.read_csv(project.folder / "metrics" / experiment / "test" / "predictions.csv", dtype=str)


@pytest.fixture(scope="module")
def digits(reduced_project: Clone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of the test split, every second one in a subfolder; a hidden folder; a file that is no image."""
    folder = tmp_path_factory.mktemp("images") / "digits"
    for name in ("odd", ".hidden"):
        (folder / name).mkdir(parents=True)
    images = np.load(reduced_project.folder / "data" / "prepared" / "mnist" / "test_inputs.npy", mmap_mode="r")
    for number in range(COUNT):
        Image.fromarray(images[number, 0]).save(folder / ("odd" if number % 2 else ".") / f"{number:03d}.png")
    shutil.copy(folder / "000.png", folder / ".hidden")
    (folder / "notes.txt").write_text("not an image")
    return folder


# ---- predict ---------------------------------------------------------------------------------------------------------


def test_predictions_for_a_folder_of_images_equal_those_of_evaluate(reduced_project: Clone, digits: Path) -> None:
    done = torchprimer(
        reduced_project, "predict", "mnist_cnn", digits, cwd=reduced_project.folder / "src" / "torchprimer"
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers, expected = rows(done), evaluated(reduced_project, "mnist_cnn")
    files = [Path(answer["input"]) for answer in answers]
    assert files == [*sorted(digits.glob("*.png")), *sorted(digits.glob("odd/*.png"))]
    assert len(files) == COUNT
    for file, answer in zip(files, answers, strict=True):
        truth = expected.loc[int(file.stem)]
        assert answer["prediction"] == truth["prediction"]
        for label in "0123456789":
            assert float(answer[f"p_{label}"]) == pytest.approx(float(truth[f"p_{label}"]), abs=1e-4)

    paths = "".join(f"{file}\n" for file in files)
    assert torchprimer(reduced_project, "predict", "mnist_cnn", "-", "--csv", stdin=paths).stdout == done.stdout


def test_unreadable_images_are_reported_and_the_others_predicted(
    reduced_project: Clone, digits: Path, tmp_path: Path
) -> None:
    """As JSON Lines, with the three most probable classes."""
    (tmp_path / "nothing").mkdir()
    (tmp_path / "broken.png").write_bytes((digits / "000.png").read_bytes()[:100])
    (tmp_path / "七.png").write_bytes((digits / "000.png").read_bytes())
    args = ("broken.png", "七.png", "gone.png", "nothing", digits / "002.png")
    done = torchprimer(
        reduced_project, "predict", "mnist_cnn", *args, "--json", "--top", 3, cwd=tmp_path
    )  # outside a project
    assert done.returncode == 1
    assert "no dvc.yaml in" in done.stderr
    done = torchprimer(reduced_project, "predict", reduced_project.folder / "models" / "mnist_cnn.export", *args,
                       "--json", "--top", 3, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1
    messages = done.stderr.splitlines()
    assert len(messages) == 3
    assert messages[0].startswith("torchprimer: nothing: no image in this folder; supported: .")
    assert messages[1].startswith("torchprimer: broken.png: damaged: ")
    assert messages[2] == "torchprimer: gone.png: no such file"
    answers, expected = objects(done), evaluated(reduced_project, "mnist_cnn").loc[[0, 2]]
    assert [answer["input"] for answer in answers] == ["七.png", str(digits / "002.png")]
    for answer, (_, truth) in zip(answers, expected.iterrows(), strict=True):
        probabilities = {label: float(truth[f"p_{label}"]) for label in "0123456789"}
        best = sorted(probabilities, key=lambda label: -probabilities[label])[:3]
        assert list(answer["probabilities"]) == best
        assert answer["prediction"] == best[0]
        assert list(answer["probabilities"].values()) == pytest.approx(
            [probabilities[label] for label in best], abs=1e-4
        )

    done = torchprimer(reduced_project, "predict", "mnist_cnn", tmp_path / "gone.png")
    assert (done.returncode, done.stdout) == (1, "")


def test_texts_as_arguments_from_standard_input_and_from_files(reduced_project: Clone, tmp_path: Path) -> None:
    lines = "\ufeff" + "\n\n".join(REVIEWS) + "\n"
    (tmp_path / "reviews.txt").write_text(lines, "utf-8")
    table = "id;text\n" + "".join(f"{number};{text}\n" for number, text in enumerate(REVIEWS))
    (tmp_path / "reviews.csv").write_text(table, "utf-8")
    outputs = [
        torchprimer(reduced_project, "predict", "reviews_bow", *args, stdin=lines, cwd=reduced_project.folder / "docs")
        for args in (REVIEWS, ["-"], [tmp_path / "reviews.txt"], [tmp_path / "reviews.csv"])
    ]
    assert {(done.returncode, done.stderr) for done in outputs} == {(0, "")}
    assert len({done.stdout for done in outputs}) == 1
    answers = rows(outputs[0])
    assert [answer["input"] for answer in answers] == list(REVIEWS)
    for answer in answers:
        assert float(answer["p_neg"]) + float(answer["p_pos"]) == pytest.approx(1)
        assert answer["prediction"] == max(("neg", "pos"), key=lambda label: float(answer[f"p_{label}"]))

    (tmp_path / "mails.csv").write_text("id,message\n1,hello\n")
    (tmp_path / "latin.txt").write_bytes("schön\n".encode("latin-1"))
    (tmp_path / "a").mkdir()
    wrong = ("gone.txt", "mails.csv", "latin.txt", "a", " ", REVIEWS[0])
    done = torchprimer(
        reduced_project, "predict", reduced_project.folder / "models" / "reviews_bow.export", *wrong, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "torchprimer: gone.txt: no such file",
        "torchprimer: mails.csv: a CSV of texts needs a column 'text', or a single column; its columns: id, message",
        "torchprimer: latin.txt is not UTF-8 (line 1): save it as UTF-8",
        "torchprimer: a is a folder: name a .txt file with one text per line, a CSV, or type a text",
        "torchprimer: the text is empty",
    ]
    assert rows(done) == answers[:1]
    done = torchprimer(reduced_project, "predict", "reviews_bow", "-", stdin="\n")
    assert (done.returncode, done.stderr) == (1, "torchprimer: nothing to predict: standard input is empty\n")
    done = torchprimer(reduced_project, "predict", "hello_rnn", "hello", "help", "--json")
    assert done.returncode == 1
    assert objects(done) == [{"input": "hello", "prediction": evaluated(reduced_project, "hello_rnn")["prediction"][0]}]
    assert "help" in done.stderr


def test_rows_of_a_table(reduced_project: Clone, tmp_path: Path) -> None:
    """Rows of the raw table; columns that the model does not use are copied to the output."""
    expected = evaluated(reduced_project, "bike_sharing_tuned")
    raw = (reduced_project.folder / "data" / "raw" / "bike_sharing" / "Bikeshare.csv").read_text().splitlines()
    chosen = [raw[0], *(raw[int(number)] for number in expected["id"][:5])]
    table = "\n".join(chosen) + "\n"
    (tmp_path / "hours.csv").write_text(table)
    done = torchprimer(reduced_project, "predict", "bike_sharing_tuned", tmp_path / "hours.csv")
    assert (done.returncode, done.stderr) == (0, "")
    answers = rows(done)
    assert [float(row["prediction"]) for row in answers] == pytest.approx(
        expected["prediction"][:5].astype(float), rel=1e-4
    )
    assert [row["bikers"] for row in answers] == [label.split(".")[0] for label in expected["label"][:5]]
    assert torchprimer(reduced_project, "predict", "bike_sharing_tuned", "-", stdin=table).stdout == done.stdout

    (tmp_path / "old.csv").write_text(table.replace("bikers", "prediction", 1))  # the input is not lost
    again = rows(torchprimer(reduced_project, "predict", "bike_sharing_tuned", tmp_path / "old.csv"))
    assert [row["prediction"] for row in again] == [row["prediction"] for row in answers]
    assert [row["prediction (input)"] for row in again] == [row["bikers"] for row in answers]

    pairs = [f"{name}={value}" for name, value in answers[0].items() if name != "prediction"]
    single = torchprimer(reduced_project, "predict", "bike_sharing_tuned", *pairs)
    assert single.stderr.startswith(f"torchprimer: {pairs[2]}: no column 'day'; one of: temp, ")
    unknown = ("day", "casual", "registered", "bikers")
    pairs = [pair for pair in pairs if pair.partition("=")[0] not in unknown]
    single = torchprimer(reduced_project, "predict", "bike_sharing_tuned", *pairs, "--json")
    (answer,) = objects(single)
    assert answer["prediction"] == pytest.approx(float(answers[0]["prediction"]))
    assert set(answer["input"].items()) < set(answers[0].items())

    (tmp_path / "wrong.csv").write_text(table.replace(",0.", ",?.", 1))
    (tmp_path / "short.csv").write_text("season,temp\n1,0.2\n")
    (tmp_path / "long.csv").write_text(f"{table}1,2\n")
    files = [tmp_path / f"{name}.csv" for name in ("wrong", "short", "long", "gone")]
    done = torchprimer(reduced_project, "predict", "bike_sharing_tuned", *files)
    assert done.returncode == 1
    messages = done.stderr.splitlines()
    assert messages[0].startswith(f"torchprimer: {files[1]}: no column 'atemp', 'hum', ")
    assert messages[1] == f"torchprimer: {files[2]}, line 7: 2 values for 15 columns"
    assert messages[2] == f"torchprimer: {files[3]}: No such file or directory"
    assert messages[3].startswith(f"torchprimer: {files[0]}, line 2: ")
    assert "which is not a number" in messages[3]
    assert rows(done) == answers[1:]


def test_tables_with_different_columns_and_with_columns_of_the_prediction(hours: Path) -> None:
    """Each row keeps its columns; those with a name of the prediction's columns get another one."""
    tables = {
        "a.csv": "hours,prediction,note\n1,old,x\n",
        "b.csv": "hours\n2\n",
        "c.csv": "p_pass,hours,prediction (input),prediction\n0.5,3,y,older\n",
    }
    for name, text in tables.items():
        (hours / name).write_text(text)

    def predict(*arguments: str) -> list[dict[str, str]]:
        done = subprocess.run(
            [sys.executable, str(hours / "src" / "torchprimer"), "predict", "hours_logistic", *arguments],
            cwd=hours, env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return rows(done)

    labels = list(json.loads((hours / "models/hours_logistic.export/model.json").read_text())["classes"])
    single = {value: predict(f"hours={value}")[0] for value in "123"}
    answer = ["prediction", *(f"p_{label}" for label in labels)]
    assert list(single["1"]) == ["hours", *answer]

    first, second = predict("a.csv", "b.csv", "--csv")
    assert list(first) == ["hours", "prediction (input)", "note", *answer]
    assert first == single["1"] | {"prediction (input)": "old", "note": "x"}
    assert second == single["2"] | {"prediction (input)": "", "note": ""}
    assert predict("b.csv", "a.csv", "--csv") == [second, first]

    third, _ = predict("c.csv", "a.csv", "--csv")
    assert third == single["3"] | {
        "p_pass": "0.5", "prediction (input)": "y", "prediction (input) (input)": "older", "note": ""
    }  # fmt: skip
    (hours / "d.csv").write_text(f"hours,p_{labels[0]}\n1,0.25\n")
    assert predict("d.csv", "--csv") == [single["1"] | {f"p_{labels[0]} (input)": "0.25"}]
    top, _ = predict("c.csv", "b.csv", "--csv", "--top", "1")
    assert top["prediction"] == single["3"]["prediction"]
    assert top["p_pass"] == "0.5"


def test_autoencoder_writes_reconstructed_images(reduced_project: Clone, digits: Path, tmp_path: Path) -> None:
    done = torchprimer(reduced_project, "predict", "mnist_autoencoder", digits / "odd", "--out", tmp_path / "out")
    assert done.returncode == 0
    answers = rows(done)
    assert len(answers) == len(list((tmp_path / "out").iterdir())) == COUNT // 2
    for answer in answers:
        original, reconstructed = (
            np.asarray(Image.open(answer[name]), np.float64) / 255 for name in ("input", "prediction")
        )
        assert float(answer["mse"]) == pytest.approx(np.square(original - reconstructed).mean(), abs=1e-3)
    done = torchprimer(reduced_project, "predict", "mnist_autoencoder", digits / "odd", "--json")
    assert [answer["mse"] for answer in objects(done)] == [float(answer["mse"]) for answer in answers]


def test_one_digit_needs_neither_torch_nor_mlflow_nor_pandas(reduced_project: Clone, digits: Path) -> None:
    args = command(reduced_project, "predict", "mnist_cnn", digits / "000.png")
    done = subprocess.run(
        [args[0], "-X", "importtime", *args[1:]], cwd=reduced_project.folder, env=clean_environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"onnxruntime", "numpy", "PIL", "torchprimer"} <= imported
    assert not imported & {"torch", "mlflow", "pandas", "sklearn", "matplotlib", "onnx", "scipy"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("predict", "mnist_cn", "x.png"), "no experiment 'mnist_cn' in params.yaml; `torchprimer list` shows all of "
         "them. Did you mean 'mnist_cnn'?"),
        (("predict", "models/mnist_cnn", "x.png"), "models/mnist_cnn is not an export folder: it has no "
         "model.json"),
        (("predict", "mnist_dcgan", "x.png"), "mnist_dcgan takes no input, it generates images: torchprimer "
         "generate mnist_dcgan out.png"),
        (("predict", "bike_sharing_tuned", "--top", "2", "x.csv"), "--top is for classifiers, and bike_sharing_tuned "
         "has no classes: omit it"),
        (("predict", "mnist_cnn", "--out", "x", "x.png"), "--out is for autoencoders, and mnist_cnn outputs no images: "
         "omit it"),
        (("predict", "mnist_cnn", "--top", "0", "x.png"), "Invalid value for '--top': Input should be greater than or "
         "equal to 1 (see torchprimer predict --help)"),
        (("predict", "mnist_cnn"), "Missing argument 'INPUT'. (see torchprimer predict --help)"),
        (("predict", "mnist_cnn", "x.png", "--json", "--csv"), "--json and --csv exclude each other: choose one"),
        (("generate", "mnist_cnn", "x.png"), "mnist_cnn is not a generator; generators are: mnist_gan, mnist_lsgan, "
         "mnist_dcgan"),
        (("generate", "mnist_gan", "x.gif"), "x.gif: the file name must end in one of: .png, .jpg, .jpeg, .webp"),
        (("generate", "mnist_gan", "x"), "x: the file name must end in one of: .png, .jpg, .jpeg, .webp"),
        (("generate", "mnist_gan", "x.png", "--count", "-1"), "Invalid value for '--count': Input should be greater "
         "than or equal to 1 (see torchprimer generate --help)"),
        (("predict", "hours_logistic", "hours=1", "hours=2"), "hours=2: column 'hours' has two values"),
        (("list", "mnits"), "Did you mean 'mnist'?"),
        (("show", "mnist_cn"), "Did you mean 'mnist_cnn'?"),
        (("show", "mnist_cnn", "net.1.weigth"), "Did you mean 'net.1.weight'?"),
        (("show", "mnist_cnn", "--out", "x.npy"), "--out writes the values of one weight tensor: name it as WEIGHTS"),
    ],
)  # fmt: skip
def test_errors_name_the_remedy(reduced_project: Clone, arguments: tuple[str, ...], expected: str) -> None:
    done = torchprimer(reduced_project, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("torchprimer: ")
    assert done.stderr.endswith(f"{expected}\n")


# ---- on a terminal ---------------------------------------------------------------------------------------------------


def on_terminal(args: list[str], cwd: Path, width: int) -> list[str]:
    """The lines that a command prints on a terminal of `width` columns; standard error is discarded."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with running(
        args, cwd=cwd, env=clean_environment() | {"TERM": "xterm"}, stdin=follower, stdout=follower,
        stderr=subprocess.DEVNULL,
    ):  # fmt: skip
        os.close(follower)
        parts = []
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux: the other side is closed
                part = b""
            if not part:
                break
            parts.append(part)
    os.close(leader)
    return b"".join(parts).decode().splitlines()


def test_table_on_a_terminal(reduced_project: Clone, digits: Path) -> None:
    """Columns are aligned, although a Chinese character takes two cells."""
    texts = [*REVIEWS, "good", "这本书" * 40]
    lines = on_terminal(command(reduced_project, "predict", "reviews_bow", *texts), reduced_project.folder, 60)
    assert len(lines) == 5
    assert lines[0].split() == ["input", "prediction", "probability"]
    assert lines[4].startswith("这本书这本书")
    assert "…  " in lines[4]
    for line, text in zip(lines[1:], texts, strict=True):
        narrow = line.replace("…", ".").encode("gbk")  # GBK: one byte per terminal cell
        assert len(narrow) <= 60
        prediction = narrow.decode("gbk").split()[-2]
        assert narrow.index(prediction.encode()) == lines[0].index("prediction")
        assert narrow.endswith(b"%.4f" % float(line.split()[-1]))
        assert line.startswith(text[:5])

    lines = on_terminal(
        command(reduced_project, "predict", "mnist_cnn", digits / "odd", "--top", "2"), reduced_project.folder, 40
    )
    assert lines[0].split() == ["input", "1.", "2."]
    assert len(lines) == 1 + COUNT // 2
    assert lines[1].startswith("…")
    assert lines[1].split()[0].endswith("001.png")  # the end of a path distinguishes it
    assert max(map(len, lines)) <= 40


def test_truncated_texts() -> None:
    """A Chinese character takes two cells of a terminal."""
    assert [truncate("中文字", width, "end") for width in (6, 5, 4)] == ["中文字", "中文…", "中…"]
    assert truncate("a/b/c.png", 6, "start") == "…c.png"


# ---- generate --------------------------------------------------------------------------------------------------------


def test_generated_images_form_a_grid(reduced_project: Clone, tmp_path: Path) -> None:
    """The grid shows the images of the Predictor for the same seed."""
    from torchprimer.predictor import Predictor

    folder = reduced_project.folder / "models" / "mnist_dcgan.export"
    images = Predictor(folder).generate(7, 1)
    for name, seed, model in (("a", 1, "mnist_dcgan"), ("b", 1, folder), ("c", 2, folder)):
        done = torchprimer(
            reduced_project, "generate", model, "--count", 7, "--seed", seed, tmp_path / "new" / f"{name}.png"
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith(f"{name}.png: 7 images from mnist_dcgan, seed {seed}, 616 x 616 pixels\n")
    pictures = {name: np.asarray(Image.open(tmp_path / "new" / f"{name}.png")) for name in "abc"}
    assert np.array_equal(pictures["a"], pictures["b"])
    assert not np.array_equal(pictures["a"], pictures["c"])
    times = pictures["a"].shape[0] // 88  # three rows of three images, with lines between them, enlarged
    small = pictures["a"][::times, ::times]
    assert small.shape == (88, 88)
    for number, image in enumerate(images):
        top, left = 29 * (number // 3) + 1, 29 * (number % 3) + 1
        assert np.array_equal(small[top : top + 28, left : left + 28], image)

    for name in ("one.png", "one.jpg", "one.WEBP"):
        assert torchprimer(reduced_project, "generate", "mnist_dcgan", tmp_path / name, "--seed", 3).returncode == 0
        picture = np.asarray(Image.open(tmp_path / name).convert("L"), np.int64)
        assert np.abs(picture - Predictor(folder).generate(1, 3)[0]).mean() < 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new", "one.WEBP", "one.jpg", "one.png"]

    (tmp_path / "folder.png").mkdir()
    done = torchprimer(reduced_project, "generate", "mnist_dcgan", tmp_path / "folder.png")
    assert (done.returncode, done.stderr) == (
        1,
        f"torchprimer: {tmp_path / 'folder.png'} is a folder: name a file\n",
    )


# ---- list and show ---------------------------------------------------------------------------------------------------


def test_list_agrees_with_metrics_and_mlflow(reduced_project: Clone) -> None:
    torchprimer(reduced_project, "sync", cwd=reduced_project.folder)  # other tests delete the MLflow store
    done = torchprimer(reduced_project, "list", "--json", cwd=reduced_project.folder / "docs")
    assert (done.returncode, done.stderr) == (0, "")
    records = {record["experiment"]: record for record in objects(done)}
    metrics = sorted(file.parent.name for file in reduced_project.folder.glob("metrics/*/train.json"))
    assert sorted(records) == metrics
    for name, record in records.items():
        training, test, timing = (
            json.loads((reduced_project.folder / "metrics" / name / f"{part}.json").read_text())
            for part in ("train", "test", "timing")
        )
        assert record["test"] == test[record["metric"]]
        if record["metric"] in ("accuracy", "r2"):
            assert record["validation"] == training[f"validation_{record['metric']}_best"]
        assert record["seconds"] == timing["seconds"]
        assert record["bytes"] == (reduced_project.folder / "models" / f"{name}.export" / "model.onnx").stat().st_size
        assert record["state"] == "ready"
    client = store(reduced_project)
    datasets = dict.fromkeys(raw_dataset(record["dataset"]) for record in records.values())
    champions = {client.get_model_version_by_alias(dataset, "champion").tags["experiment"] for dataset in datasets}
    assert {name for name, record in records.items() if record["champion"]} == champions

    done = torchprimer(reduced_project, "list", "diabetes", "reviews")
    assert [row["experiment"] for row in rows(done)] == [
        name for name, record in records.items() if record["dataset"] in ("diabetes", "reviews")
    ]
    lines = on_terminal(command(reduced_project, "list", "reviews"), reduced_project.folder, 80)
    assert lines[0].split() == ["experiment", "dataset", "model", "metric", "validation", "test", "seconds", "size"]
    record = records["reviews_bow"]
    assert lines[1].split()[:6] == [
        "reviews_bow", "reviews", "bag_of_words", "accuracy", f"{record['validation']:.4f}", f"{record['test']:.4f}"
    ]  # fmt: skip
    assert lines[1].split()[-1] == "champion"  # it is the only experiment on this dataset


def test_show_prints_every_section(reduced_project: Clone, tmp_path: Path) -> None:
    done = torchprimer(reduced_project, "show", "mnist_cnn", cwd=reduced_project.folder / "docs")
    assert (done.returncode, done.stderr) == (0, "")
    test = json.loads((reduced_project.folder / "metrics" / "mnist_cnn" / "test.json").read_text())
    baseline = json.loads((reduced_project.folder / "metrics" / "baselines" / "mnist.json").read_text())
    for expected in (
        "mnist_cnn: cnn on mnist",
        "images, input 1 x 28 x 28, 10 classes: 0, 1, 2",
        "256 train, 256 validation, 256 test",
        "optimizer SGD, lr 0.01, momentum 0.5, batch_size 64, epochs 1, channels [10, 20], kernel_size 5",
        "at most 256 samples of each split",
        f"test: loss {test['loss']:.4g}, accuracy {test['accuracy']:.4g}, ",
        f"{baseline['nearest_neighbours']['accuracy']:.4g} (nearest neighbours)",
        "models/mnist_cnn.export/: MODEL.md, ",
        "torchprimer predict mnist_cnn IMAGE_OR_FOLDER",
        "8,490 parameters",
    ):
        assert expected in done.stdout
    assert "missing" not in done.stdout
    weights = load_file(reduced_project.folder / "models" / "mnist_cnn" / "model.safetensors")
    assert all(f"\n{name} " in done.stdout for name in weights)

    torchprimer(reduced_project, "show", "mnist_cnn", "net.1.weight", "--out", tmp_path / "new" / "filters.npy")
    assert np.array_equal(np.load(tmp_path / "new" / "filters.npy"), weights["net.1.weight"])
    done = torchprimer(reduced_project, "show", "mnist_cnn", "net.1.bias")
    assert done.stdout.startswith("net.1.bias: 10, float32\n")
    assert f"{weights['net.1.bias'][0]:.4f}" in done.stdout


def test_scores_on_training_rows_are_named(hours: Path) -> None:
    """Three rows are too few for a test split."""
    command = [sys.executable, str(hours / "src" / "torchprimer")]
    test = json.loads((hours / "metrics/hours_logistic/test.json").read_text())
    lines = subprocess.run(
        [*command, "show", "hours_logistic"],
        cwd=hours,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert "            3 training rows, none held out" in lines
    (scores,) = (line for line in lines if line.startswith("scores "))
    assert scores.startswith(f"scores      training rows: loss {test['loss']:.4g}, ")
    assert not any("test: " in line or "validation: " in line for line in lines)
    table = on_terminal([*command, "list", "hours", "iris"], hours, 120)
    assert table[1].endswith("champion, scores on training rows")
    assert table[2].endswith("  not trained")


def test_missing_files(reduced_project: Clone, clone: Clone, digits: Path) -> None:
    """In a fresh clone, and then with the exported model alone."""
    done = torchprimer(clone, "predict", "mnist_cnn", digits)
    assert (done.returncode, done.stderr) == (
        1,
        "torchprimer: mnist_cnn is not exported yet: dvc repro export@mnist_cnn\n",
    )
    done = torchprimer(clone, "show", "mnist_cnn", "net.1.weight")
    assert (done.returncode, done.stderr) == (
        1,
        "torchprimer: mnist_cnn is not trained yet: dvc repro train@mnist_cnn\n",
    )
    shutil.rmtree(clone.folder / "metrics" / "mnist_cnn")
    done = torchprimer(clone, "show", "mnist_cnn")
    assert done.returncode == 0
    for stage in ("train", "evaluate", "export"):
        assert f": dvc repro {stage}@mnist_cnn\n" in done.stdout
    (record,) = (record for record in rows(torchprimer(clone, "list")) if record["experiment"] == "mnist_cnn")
    assert record == {
        "experiment": "mnist_cnn", "dataset": "mnist", "model": "cnn", "metric": "", "validation": "", "test": "",
        "held_out": "True", "seconds": "", "bytes": "", "champion": "False", "state": "not trained",
    }  # fmt: skip
    assert not (clone.folder / "mlflow.db").exists()

    shutil.copytree(
        reduced_project.folder / "models" / "mnist_cnn.export", clone.folder / "models" / "mnist_cnn.export"
    )
    assert torchprimer(clone, "predict", "mnist_cnn", digits).returncode == 0
    done = torchprimer(clone, "show", "mnist_cnn")
    test = json.loads((reduced_project.folder / "metrics" / "mnist_cnn" / "test.json").read_text())
    assert f"test: loss {test['loss']:.4g}, " in done.stdout
    assert "images, input 1 x 28 x 28, 10 classes" in done.stdout
    assert "export@mnist_cnn" not in done.stdout
    assert "train@mnist_cnn" in done.stdout


# ---- exits ---------------------------------------------------------------------------------------------------------


def test_closed_pipe(reduced_project: Clone, digits: Path) -> None:
    """`torchprimer ... | head` ends without a message."""
    for arguments in (("predict", "mnist_cnn", digits), ("list",), ("--help",)):
        with running(
            command(reduced_project, *arguments), cwd=reduced_project.folder,
            env=clean_environment() | {"PYTHONUNBUFFERED": ""},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout
            assert process.stderr
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


def test_interrupted(reduced_project: Clone, tmp_path: Path) -> None:
    pipe = tmp_path / "hours.csv"
    os.mkfifo(pipe)
    with running(
        command(reduced_project, "predict", "hours_logistic", pipe), cwd=reduced_project.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        writer = None
        while writer is None and process.poll() is None:
            with contextlib.suppress(OSError):  # until the command opens the pipe
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert writer is not None
    os.close(writer)
    assert (process.returncode, stdout, stderr) == (130, "", "torchprimer: interrupted\n")
