"""docs/your-own-data.md, as a reader follows it: its commands and its blocks of params.yaml, on data from outside."""

import io
import json
import random
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.clone import PROJECT, Clone

PAGE = (PROJECT / "docs" / "your-own-data.md").read_text("utf-8")


def chapter(heading: str) -> tuple[list[str], dict[str, str], str]:
    """Of a chapter: the commands that bring the data, the blocks by the section they go under, the last command."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    commands = re.findall(r"```sh\n(.+?)\n```", text, re.DOTALL)
    blocks = dict(re.findall(r"```yaml\n# under (\w+):\n(.+?)```", text, re.DOTALL))
    assert set(blocks) == {"datasets", "experiments"}
    return commands[:-1], blocks, commands[-1]


def follow(clone: Clone, heading: str, home: Path, **control: int) -> None:
    """Does what the chapter says; `~` is `home`. `control`: epochs, limit of the run control."""
    bring, blocks, repro = chapter(heading)
    for command in bring:
        clone(command.replace("~", str(home)))
    for section, block in blocks.items():
        assert block.count("\n") <= 50
        clone.replace("params.yaml", f"\n{section}:\n", f"\n{section}:\n\n{block}")
    for key, value in control.items():
        clone.replace("params.yaml", f"\n{key}:\n", f"\n{key}: {value}\n")
    (clone.folder / "dvc.lock").unlink()  # what the project's own data left; DVC would write it anew after every stage
    clone(repro.replace("dvc repro", "torchprimer repro"))


def accuracies(clone: Clone, experiment: str, dataset: str) -> tuple[float, float]:
    """Test accuracy of the net, and of the model that ignores its input."""
    net = json.loads((clone.folder / "metrics" / experiment / "test.json").read_text())
    baselines = json.loads((clone.folder / "metrics" / "baselines" / f"{dataset}.json").read_text())
    return net["accuracy"], baselines["dummy"]["accuracy"]


def test_a_table(clone: Clone, tmp_path: Path) -> None:
    """178 wines of scikit-learn, with a column of words and gaps that a table from outside would have."""
    from sklearn.datasets import load_wine

    table = load_wine(as_frame=True).frame.rename(columns={"target": "cultivar"})
    table["cultivar"] = table["cultivar"].map({0: "barolo", 1: "grignolino", 2: "barbera"})
    table["region"] = [("Langhe", "Roero", "Asti, north")[i % 3] for i in range(len(table))]
    table.loc[5, "malic_acid"] = None
    table.to_csv(tmp_path / "wine.csv", index=False, sep=";")
    follow(clone, "A table", tmp_path)
    net, dummy = accuracies(clone, "wine_mlp", "wine")
    assert net > 0.8 > dummy
    new = table.drop(columns="cultivar").tail(40)
    new.to_csv(clone.folder / "new_wines.csv", index=False)
    answers = pd.read_csv(io.StringIO(clone("torchprimer predict wine_mlp new_wines.csv").stdout))
    assert (answers["prediction"].to_numpy() == table["cultivar"].tail(40).to_numpy()).mean() > 0.8


def test_texts(clone: Clone, tmp_path: Path) -> None:
    """Sentences put together by chance, each class with words of its own among common ones."""
    chance = random.Random(0)
    common = ["the", "a", "of", "you", "we", "is", "it", "this", "on", "for", "with", "your"]
    own = {"spam": ["win", "prize", "money", "free", "click", "offer"], "ham": ["meeting", "report", "lunch", "notes"]}
    (tmp_path / "mails").mkdir()
    for label, words in own.items():
        texts = [" ".join(chance.choices(common, k=9) + chance.choices(words, k=2)) for _ in range(300)]
        (tmp_path / "mails" / f"{label}.txt").write_text("\n".join(texts) + "\n")
    follow(clone, "Texts", tmp_path)
    net, dummy = accuracies(clone, "mails_bow", "mails")
    assert net > 0.9 > dummy
    pulls = pd.read_csv(clone.folder / "metrics" / "mails_bow" / "test" / "words.csv")
    assert set(pulls[pulls["class"] == "spam"]["word"].head(3)) <= set(own["spam"])


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """240 images in two folders: scikit-learn's photo of a flower and of a temple, cut into pieces."""
    from sklearn.datasets import load_sample_images

    chance = random.Random(0)
    for name, pixels in zip(("temple", "flower"), load_sample_images().images, strict=True):
        folder = tmp_path / "flowers" / name
        folder.mkdir(parents=True)
        photo = Image.fromarray(pixels)
        for i in range(120):
            left, top = chance.randrange(photo.width - 160), chance.randrange(photo.height - 120)
            photo.crop((left, top, left + 160, top + 120)).save(folder / f"{i}.jpg")
    return tmp_path


def test_images(clone: Clone, flowers: Path) -> None:
    follow(clone, "Images", flowers, epochs=3, limit=500)
    for experiment in ("flowers_cnn", "flowers_resnet18"):
        net, dummy = accuracies(clone, experiment, "flowers")
        assert net > dummy
