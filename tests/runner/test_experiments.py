"""`torchprimer repro -S ... --name ...`: an experiment as `dvc exp run` makes it, here or in a copy."""

import json
from collections.abc import Callable

import pytest

from tests.runner.conftest import Toy


@pytest.fixture
def toy(make_toy: Callable[[str], Toy]) -> Toy:
    """A project with one commit, up to date."""
    toy = make_toy("toy")
    toy.write(a={}, b={})
    toy("dvc repro && git add -A && git commit -q -m start")
    toy.started()
    return toy


def experiments(toy: Toy) -> dict[str, dict[str, object]]:
    """The data of each experiment that `dvc exp show` knows, by its name."""
    (shown,) = json.loads(toy("dvc exp show --json").stdout)[1:]  # the first is the workspace
    found = [entry["revs"][0] for entry in shown["experiments"] or ()]
    return {entry["name"]: entry["data"] for entry in found}


def test_an_experiment(toy: Toy) -> None:
    assert "experiment try1" in toy("torchprimer repro -S params.json:stages.b.text=new --name try1").stdout
    assert toy.started() == ["b"]
    assert (toy.folder / "out" / "b.txt").read_text() == "new\n"
    toy("dvc exp run -S params.json:stages.b.text=newer --name try2")
    saved = experiments(toy)
    assert {name: data["metrics"]["counts/b.json"] for name, data in saved.items()} == {
        "try1": {"data": 4}, "try2": {"data": 6},
    }  # fmt: skip
    toy("git checkout -q params.json && torchprimer repro")
    toy("dvc exp apply try1")
    assert "up to date" in toy("dvc status").stdout
    assert toy("git status --porcelain dvc.lock params.json counts").stdout.split() == [
        "M", "counts/b.json", "M", "dvc.lock", "M", "params.json",
    ]  # fmt: skip


def test_without_a_name_dvc_makes_one_up(toy: Toy) -> None:
    output = toy("torchprimer repro -S params.json:stages.b.text=new").stdout
    (name,) = experiments(toy)
    assert f"Saved as experiment {name};" in output


def test_outputs_that_git_does_not_know_yet_belong_to_an_experiment(toy: Toy) -> None:
    toy("torchprimer repro -S 'params.json:+stages.c={seconds: 0, text: third}' --name three")
    assert experiments(toy)["three"]["metrics"]["counts/c.json"] == {"data": 6}


def test_a_copy_leaves_the_workspace_as_it_is(toy: Toy) -> None:
    work = toy.folder / "work.py"
    work.write_text(work.read_text().replace("params['text']", "params['text'].upper()"))
    changed, lock = toy("git status --porcelain").stdout, toy.lock
    output = toy(
        "torchprimer repro -S params.json:stages.b.text=new --name copied --temp --jobs 1 make@b count@b"
    ).stdout
    assert "make@b" in output
    assert "make@a" not in output
    assert toy("git status --porcelain").stdout == changed
    assert toy.lock == lock
    assert (toy.folder / "out" / "b.txt").read_text() == "b\n"
    assert experiments(toy)["copied"]["params"]["params.json"]["data"]["stages"]["b"]["text"] == "new"
    toy("git stash -q && dvc exp apply copied")
    assert (toy.folder / "out" / "b.txt").read_text() == "NEW\n"  # with the change that was not committed
    assert not list((toy.folder / ".dvc" / "tmp" / "torchprimer").glob("copy.*"))


@pytest.mark.parametrize("temp", ["", "--temp"])
def test_what_cannot_be_an_experiment(toy: Toy, temp: str) -> None:
    toy("torchprimer repro --name one make@a")
    error = toy(f"torchprimer repro {temp} -S params.json:stages.a.text=x --name one", code=1).stderr
    assert error == "torchprimer: --name one: there is an experiment of this name, `dvc exp remove one` removes it\n"
    assert json.loads((toy.folder / "params.json").read_text())["stages"]["a"]["text"] == "a"
    error = toy(f"torchprimer repro {temp} -S params.json:no.such=x", code=1).stderr
    assert "no.such" in error
    assert error.count("\n") == 1
    assert "--dry-run" in toy(f"torchprimer repro {temp} --name two --dry-run", code=1).stderr
    assert toy.started() == []


def test_an_experiment_that_fails_is_not_saved(toy: Toy) -> None:
    toy("torchprimer repro -S 'params.json:+stages.b.fails=true' --name broken", code=1)
    assert experiments(toy) == {}
    toy("git checkout -q params.json && torchprimer repro")
    assert "up to date" in toy("dvc status").stdout
