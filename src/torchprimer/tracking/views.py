"""What MLflow's pages show without being told: saved views of the runs table, a text about the experiment.

MLflow keeps a view as a tag of the experiment, and opens it by its name in the address; the menu Views lists them all.
"""

import json

FIXED = ("1", "attributes.`Run Name`", "runDateAndNestInfo", "duration")  # the table's own columns, first of all
MAIN = "results"  # the view that `torchprimer ui` opens
VIEWS = {  # name in the address -> title, which runs, columns besides name and time, what they are sorted by
    MAIN: (
        "All experiments",
        "tags.type = 'experiment'",
        ("tags.model", "tags.champion", "metrics.validation_accuracy_best", "metrics.test_accuracy",
         "metrics.validation_r2_best", "metrics.test_r2", "metrics.parameters"),
        "params.dataset",
    ),
    "classifiers": (
        "Classifiers, with baselines",
        "tags.task = 'classification' and tags.type != 'fold'",
        ("tags.model", "tags.champion", "metrics.validation_accuracy_best", "metrics.test_accuracy",
         "metrics.test_f1_macro", "metrics.test_roc_auc_macro", "metrics.test_loss"),
        "params.dataset",
    ),
    "regression": (
        "Regression, with baselines",
        "tags.task = 'regression' and tags.type != 'fold'",
        ("tags.model", "tags.champion", "metrics.validation_r2_best", "metrics.test_r2", "metrics.test_rmse",
         "metrics.test_mae", "metrics.weight_best", "metrics.bias_best"),
        "params.dataset",
    ),
    "generators": (
        "Generators and the autoencoder",
        "tags.task = 'generation'",
        ("tags.model", "metrics.test_frechet_distance", "metrics.test_confident_share", "metrics.test_class_entropy",
         "metrics.test_mse", "metrics.parameters"),
        "params.dataset",
    ),
    "champions": (
        "Champions: the best of each dataset by its validation score",
        "tags.champion != ''",
        ("tags.model", "tags.champion", "metrics.validation_accuracy_best", "metrics.test_accuracy",
         "metrics.validation_r2_best", "metrics.test_r2"),
        "tags.champion",
    ),
    "folds": (
        "Cross-validation, fold by fold",
        "tags.type = 'fold'",
        ("tags.model", "metrics.validation_accuracy", "metrics.validation_loss"),
        "params.dataset",
    ),
}  # fmt: skip

ABOUT = """One run for each trained experiment of `params.yaml`, each baseline and each fold of a cross-validation.
The menu **Views** has tables with the columns that belong together.

| filter | finds |
|---|---|
| `tags.type = 'experiment'` | trainings; also `baseline`, `fold` |
| `tags.dataset = 'mnist'` | a dataset, and what was made of it |
| `tags.model = 'cnn'` | a family of models |
| `tags.task = 'classification'` | also `regression`, `sequence`, `generation` |
| `tags.loop = 'supervised'` | how it was trained: also `gradient_descent`, `grid_search`, `adversarial` |
| `tags.champion != ''` | the best of each dataset by its validation score |
| `tags.DVC_EXP_NAME = '...'` | what a `dvc exp run` made |

`validation_..._best` is the score of the epoch whose weights were kept; `test_...` was measured once, after it, and
chooses nothing.
"""


def view_tags() -> dict[str, str]:
    """The views as tags of an MLflow experiment."""
    tags = {}
    for key, (title, runs, shown, order) in VIEWS.items():
        columns = [_quoted(column) for column in ("attributes.Dataset", *shown)]
        state = {
            "searchFilter": runs,
            "orderByKey": _quoted(order),
            "orderByAsc": True,
            "selectedColumns": columns,
            "columnOrder": [*FIXED, *columns],
            "columnWidths": {FIXED[1]: 250} | {column: _width(column) for column in columns},
        }
        view = {"name": title, "createdAt": 0, "updatedAt": 0, "state": json.dumps(state)}
        tags[f"mlflow.sharedViewState.{key}"] = json.dumps(view)
    return tags


def _quoted(column: str) -> str:
    kind, _, name = column.partition(".")
    return f"{kind}.`{name}`"


def _width(column: str) -> int:
    """Pixels: the names of datasets and models are longer than the headings above them."""
    kind, name = column.replace("`", "").split(".")
    return {"attributes": 270, "tags": 130}.get(kind, max(100, 30 + 7 * len(name)))
