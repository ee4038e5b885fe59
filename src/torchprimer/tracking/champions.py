"""Champions: the alias `champion` marks the best version of a registered model.

A registered model has the name of its dataset and a version for each export. Versions compete if they were validated on
the same samples (tag `data`). The champion is computed from the tags of all versions, so that concurrent exports, even
on different machines, end with the same one.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from torchprimer.tracking.client import Store, explain, retry_on_conflict, store_exists

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"


def promote(store: Store, name: str, data: str) -> None:
    """Moves the alias to the best version of a registered model on `data`, and the tag `champion` to its run.

    The alias stays where it is if it marks a version that is not of this project, or if the best version is of a run
    reduced by `limit` and the current champion is not. `data`: digest of the validation samples.
    """
    client, tagged = store.client, ""
    while True:  # until a second reading agrees: another export may have registered a version in the meantime
        versions = {str(v.version): v for v in client.search_model_versions(f"name = '{name}'")}
        best = best_version(v for v in versions.values() if v.tags.get("data") == data)
        if best is None:
            return
        champion = versions.get(str(client.get_registered_model(name).aliases.get(CHAMPION)))
        if champion and not _can_be_replaced(champion, best):
            return
        if not champion or champion.version != best.version:
            retry_on_conflict(partial(client.set_registered_model_alias, name, CHAMPION, str(best.version)))
        elif tagged == best.run_id:
            return
        tagged = str(best.run_id)
        _tag_run(store, name, tagged)


def _tag_run(store: Store, name: str, run_id: str) -> None:
    """Sets the tag `champion` of the champion's run, and empties that of earlier ones."""
    for run in store.client.search_runs([store.experiment], f"tags.{CHAMPION} = '{name}'"):
        if run.info.run_id != run_id:
            store.client.set_tag(run.info.run_id, CHAMPION, "")  # to delete it twice, at once, would be an error
    retry_on_conflict(lambda: store.client.set_tag(run_id, CHAMPION, name))


def _can_be_replaced(champion: "ModelVersion", best: "ModelVersion") -> bool:
    if "validation_score" not in champion.tags:  # a shared server may have models of others under the same name
        return False
    return best.tags["limit"] == "None" or champion.tags["limit"] != "None"


def best_version(versions: "Iterable[ModelVersion]") -> "ModelVersion | None":
    """The version with the best validation score; ties go to the lower loss, then to the training exported first.

    Of several exports of a training it is the newest. Among generators, which have no score, the newest training wins.
    """
    first: dict[str, int] = {}
    newest: dict[str, ModelVersion] = {}
    for version in sorted(versions, key=lambda version: int(version.version)):
        fingerprint = version.tags["fingerprint"]
        first.setdefault(fingerprint, int(version.version))
        newest[fingerprint] = version

    def rank(version: "ModelVersion") -> tuple[float, float, int]:
        score, order = version.tags["validation_score"], first[version.tags["fingerprint"]]
        if score == "None":
            return (0, 0, order)
        return (float(score), -float(version.tags["validation_loss"]), -order)

    return max(newest.values(), key=rank, default=None)


def champion_fingerprints() -> set[str]:
    """Fingerprints of the training runs that are the best on their dataset; reads only, and creates no store.

    If the store cannot be used, prints a warning and returns none.
    """
    if not store_exists():
        return set()
    try:
        versions = Store().client.search_model_versions()
    except Exception as error:
        print(f"torchprimer: champions are not marked: MLflow: {explain(error)}", file=sys.stderr)
        return set()
    competitors: dict[tuple[str, str], list[ModelVersion]] = defaultdict(list)
    for version in versions:
        is_of_dataset = version.name != version.tags.get("experiment")  # a generator competes with itself alone
        if is_of_dataset and "data" in version.tags and "fingerprint" in version.tags:
            competitors[version.name, version.tags["data"]].append(version)
    best = (best_version(versions) for versions in competitors.values())
    return {version.tags["fingerprint"] for version in best if version}
