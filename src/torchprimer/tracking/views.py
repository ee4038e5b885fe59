"""What MLflow's pages show without configuration: saved views of the runs table, a text about the experiment.

MLflow stores a view as a tag of the experiment and opens it by its name in the URL; the menu Views lists all views.
"""

import json

FIXED = ("1", "attributes.`Run Name`", "runDateAndNestInfo", "duration")  # columns that the table always has
MAIN = "results"  # the view that `torchprimer ui` opens
VIEWS = {  # name in the URL -> title, filter of runs, columns beside name and time, column to sort by
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
        "tags.type = 'experiment' and tags.task != 'classification' and tags.task != 'regression' "
        "and tags.task != 'sequence_labelling'",
        ("tags.model", "metrics.test_frechet_distance", "metrics.test_confident_fraction", "metrics.test_class_entropy",
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
The menu **Views** has tables with columns for each task.

| filter | runs |
|---|---|
| `tags.type = 'experiment'` | trained experiments; other types: `baseline`, `fold` |
| `tags.dataset = 'mnist'` | on one dataset |
| `tags.model = 'cnn'` | of one family of models |
| `tags.task = 'classification'` | of one task; e.g. `regression`, `generation` |
| `tags.loop = 'supervised'` | of one training loop; others: `gradient_descent`, `grid_search`, `adversarial` |
| `tags.champion != ''` | the best of each dataset by its validation score |
| `tags.DVC_EXP_NAME = '...'` | of one `dvc exp run` |

`validation_..._best` is the score of the epoch whose weights were saved; `test_...` was measured once, afterwards, and
no choice was based on it.
"""


def view_tags() -> dict[str, str]:
    """The views as tags of an MLflow experiment."""
    tags = {}
    for key, (title, runs, columns_of_view, order) in VIEWS.items():
        columns = [_quoted(column) for column in ("attributes.Dataset", *columns_of_view)]
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
    """In pixels. Names of datasets and models are longer than their headings."""
    kind, name = column.replace("`", "").split(".")
    return {"attributes": 270, "tags": 130}.get(kind, max(100, 30 + 7 * len(name)))
