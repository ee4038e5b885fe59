"""Champions: the best version of a dataset on the data of the workspace, whoever registered it and when."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tests.clone import PROJECT, clean_environment
from tests.tracking.conftest import RECORD
from torchprimer.tasks import get_task
from torchprimer.tracking.champions import CHAMPION, champion_fingerprints, promote
from torchprimer.tracking.client import Store
from torchprimer.tracking.runs import new_run


def tags_of_version(
    score: float | None, *, data: str = "a", limit: int | None = None, loss: float = 0.5, fingerprint: str
) -> dict[str, str]:
    values: dict[str, Any] = {"validation_score": score, "validation_loss": loss, "data": data, "limit": limit}
    return {key: str(value) for key, value in (values | {"fingerprint": fingerprint}).items()}


def register(store: Store, score: float | None, *, name: str = "mnist", **tags: Any) -> str:
    """Registers a version as `export` does; returns the fingerprint of the champion."""
    if not store.client.search_registered_models(f"name = '{name}'"):
        store.client.create_registered_model(name)
    export(store, name, tags_of_version(score, **tags))
    return champion(store, name)


def export(store: Store, name: str, tags: dict[str, str]) -> None:
    run = new_run(store, RECORD, started=0)
    run.end("FINISHED")
    store.client.create_model_version(name, f"runs:/{run.id}/model", run.id, tags)
    promote(store, name, tags["data"])


def champion(store: Store, name: str = "mnist") -> str:
    """The fingerprint of the champion; its run, and no other, has the tag."""
    version = store.client.get_model_version_by_alias(name, CHAMPION)
    tagged = store.client.search_runs([store.experiment], f"tags.champion = '{name}'")
    assert [run.info.run_id for run in tagged] == [version.run_id]
    return str(version.tags["fingerprint"])


def test_a_better_version_becomes_champion(root: Path) -> None:
    store = Store()
    assert register(store, 0.90, fingerprint="one") == "one"
    assert register(store, 0.89, fingerprint="two") == "one"
    assert register(store, 0.90, fingerprint="three") == "one"  # a tie stays with the first
    assert register(store, 0.90, loss=0.6, fingerprint="four") == "one"
    assert register(store, 0.91, loss=9.0, fingerprint="five") == "five"
    assert register(store, 0.91, loss=8.0, fingerprint="six") == "six"  # at the same score the lower loss wins
    assert champion_fingerprints() == {"six"}


def test_of_one_training_the_newest_export_is_champion(root: Path) -> None:
    store = Store()
    register(store, 0.90, fingerprint="one")
    register(store, 0.80, fingerprint="two")
    assert register(store, 0.90, fingerprint="one") == "one"
    assert str(store.client.get_model_version_by_alias("mnist", CHAMPION).version) == "3"


def test_the_newest_generator_is_champion(root: Path) -> None:
    store = Store()
    register(store, None, name="mnist_gan", fingerprint="one")
    assert register(store, None, name="mnist_gan", fingerprint="two") == "two"


def test_versions_on_other_data_do_not_compete(root: Path) -> None:
    """Another seed splits the data in another way. Back on the first split, `sync` promotes its champion again."""
    store = Store()
    register(store, 0.90, data="a", fingerprint="one")
    assert register(store, 0.50, data="b", fingerprint="other seed") == "other seed"
    assert champion_fingerprints() == {"one", "other seed"}
    promote(store, "mnist", "a")
    assert champion(store) == "one"
    assert register(store, 0.80, data="a", fingerprint="worse") == "one"


def test_a_reduced_run_does_not_replace_a_complete_one(root: Path) -> None:
    store = Store()
    assert register(store, 0.50, data="b", limit=256, fingerprint="reduced_project") == "reduced_project"
    assert register(store, 0.40, data="a", fingerprint="complete") == "complete"
    assert register(store, 1.00, data="b", limit=256, fingerprint="reduced again") == "complete"


def test_models_of_others_stay(root: Path) -> None:
    """A shared server may have a registered model of the same name that another project made."""
    store = Store()
    store.client.create_registered_model("mnist")
    run = new_run(store, RECORD, started=0)
    store.client.create_model_version("mnist", f"runs:/{run.id}/model", run.id, {"owner": "another project"})
    store.client.set_registered_model_alias("mnist", CHAMPION, "1")
    store.client.create_model_version("mnist", f"runs:/{run.id}/model", run.id, tags_of_version(1.0, fingerprint="one"))
    promote(store, "mnist", "a")
    assert str(store.client.get_model_version_by_alias("mnist", CHAMPION).version) == "1"


def test_concurrent_exports_agree_on_the_champion(root: Path) -> None:
    """Without a lock: a server may be shared by machines."""
    store = Store()
    store.client.create_registered_model("mnist")
    script = (
        "import sys\n"
        "from tests.tracking.test_champions import export, tags_of_version\n"
        "from torchprimer.tracking.client import Store\n"
        "for i in range(4):\n"
        "    score = float(sys.argv[1]) + i / 100\n"
        "    export(Store(), 'mnist', tags_of_version(score, fingerprint=f'{sys.argv[1]} {i}'))\n"
    )
    environment = clean_environment() | {"DVC_ROOT": str(root), "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"}
    processes = [
        subprocess.Popen([sys.executable, "-c", script, start], env=environment, stderr=subprocess.PIPE, text=True)
        for start in ("0.5", "0.7", "0.6")
    ]
    assert [process.communicate()[1] for process in processes] == [""] * 3
    assert champion(store) == "0.7 3"


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("experiments", "torchprimer"),
        ("datasets", "mnist"),
        ("registered_model_aliases", CHAMPION),
        ("tags", CHAMPION),
    ],
)
def test_another_process_inserts_the_same_row_first(root: Path, table: str, key: str) -> None:
    """MLflow looks a row up before it inserts it; here another connection inserts it in between."""
    raced = []

    def insert_first(*event: Any) -> None:
        _, _, statement, values, _, _ = event
        if not raced and statement.startswith(f"INSERT INTO {table} ") and key in values:
            raced.append(statement)
            with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
                database.execute(statement, values)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", insert_first)
    try:
        assert register(Store(), 0.9, fingerprint="one") == "one"
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", insert_first)
    assert len(raced) == 1


def test_reading_champions_creates_no_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert champion_fingerprints() == set()
    assert not (root / "mlflow.db").exists()
    store = Store()
    assert champion_fingerprints() == set()
    register(store, 0.9, fingerprint="one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    assert champion_fingerprints() == {"one"}


def test_without_a_usable_store_no_champion_is_marked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mlflow.db").mkdir()
    assert champion_fingerprints() == set()
    assert capsys.readouterr().err == (
        "torchprimer: champions are not marked: MLflow: the store mlflow.db cannot be used: it is a folder\n"
    )


def test_the_score_that_decides() -> None:
    classification, regression = get_task("classification"), get_task("regression")
    assert classification.validation_score({"validation_loss_best": 0.25, "validation_accuracy_best": 0.9}) == 0.9
    assert regression.validation_score({"validation_loss_best": 0.5, "validation_r2_best": 0.8}) == 0.8
    assert get_task("reconstruction").validation_score({"validation_loss_best": 0.5}) == -0.5
    assert get_task("generation").validation_score({"generator_loss_final": 0.5}) is None
