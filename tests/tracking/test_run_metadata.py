"""What MLflow shows of a training: metrics, tags, the dataset, the description, the signature of its model."""

import json

import pytest

from tests.objects import make_experiment, make_meta
from tests.tracking.conftest import RECORD
from torchprimer.models import RunSettings
from torchprimer.tasks import get_task
from torchprimer.tracking.registry import registered_name, signature_of
from torchprimer.tracking.run_metadata import (
    baseline_description,
    description,
    tags_of,
    tracked_metrics,
    training_metrics,
)

TRAINING = {
    "epochs": 7, "best_epoch": 5, "validation_loss_best": 0.25, "validation_accuracy_best": 0.9,
    "train_loss_final": 0.1, "validation_loss_final": 0.3, "parameters": 1234,
}  # fmt: skip
TEST = {"loss": 0.26, "accuracy": 0.875, "precision_macro": 0.8, "f1_macro": 0.85, "true_positives": 3}


def test_only_compared_scores_are_metrics() -> None:
    best = {"best_epoch": 5, "validation_loss_best": 0.25, "validation_accuracy_best": 0.9, "parameters": 1234}
    assert training_metrics(TRAINING, {"seconds": 12.5}) == best | {"training_seconds": 12.5}
    assert training_metrics(TRAINING, {}) == best  # trained on another machine
    compared = {"test_loss": 0.26, "test_accuracy": 0.875, "test_f1_macro": 0.85}
    for task, scores, metrics in (
        ("classification", TEST, compared),
        ("regression", {"mse": 4.0, "rmse": 2.0}, {"test_rmse": 2.0}),
        ("reconstruction", {"mse": 4.0}, {"test_mse": 4.0}),
        ("generation", {"frechet_distance": 2.0, "frechet_distance_real": 1.0}, {"test_frechet_distance": 2.0}),
    ):
        assert tracked_metrics(scores, "test_", get_task(task).file_metrics) == metrics


def test_the_description_has_command_data_and_scores() -> None:
    text = description(RECORD, TRAINING, TEST, {})
    assert text.startswith("Multilayer perceptron: linear layers with a nonlinearity between them.")
    for line in (
        "accuracy 0.9000 on validation, 0.8750 on test",
        "- command: `dvc repro train@tiny`",
        "- data: `mnist`, images of 1 x 28 x 28, 2 classes (0, 1); 5 train, 2 validation, 3 test",
        "- training: `supervised`, 7 epochs on cpu in float32; 1,234 parameters",
        "| score | validation, epoch 5 | test |",
        "| accuracy | 0.9000 | 0.8750 |",
        "| true_positives |  | 3 |",
    ):
        assert line in text.splitlines()
    assert "Not evaluated yet" in description(RECORD, TRAINING, {}, {})


def test_the_description_names_reduction_and_folds() -> None:
    run = RunSettings(**RECORD.run.model_dump() | {"limit": 256})
    folds = {"accuracy_mean": 0.75, "accuracy_std": 0.03, "folds": 10}
    lines = description(RECORD.model_copy(update={"run": run}), TRAINING, TEST, folds).splitlines()
    assert "- reduced to at most 256 samples per split" in lines
    assert "- cross-validation: accuracy 0.7500 ± 0.0300 over 10 folds, each a nested run" in lines


def test_scores_without_held_out_split_are_of_the_training_rows() -> None:
    data = RECORD.data.model_copy(update={"held_out": False})
    lines = description(RECORD.model_copy(update={"data": data}), TRAINING, TEST, {}).splitlines()
    assert "accuracy 0.8750 on training rows" in lines
    assert "| score | training rows |" in lines
    assert not [line for line in lines if "test" in line.replace("Not evaluated", "")]
    baseline = baseline_description("hours", "dummy", {"accuracy": 0.5}, held_out=False).splitlines()
    assert "accuracy 0.5000 on training rows" in baseline
    assert "| score | training rows |" in baseline


def test_features_belong_to_the_dataset_of_their_images() -> None:
    """A classifier of extracted features takes the same images, so it competes with all others for them."""
    meta = make_meta(
        kind="features", dataset="dogs_vs_cats", experiment="dogs_vs_cats_vgg16", image_shape=[3, 64, 64], shape=[512]
    )
    record = RECORD.model_copy(
        update={"data": meta, "params": make_experiment(model="mlp", dataset="dogs_vs_cats_vgg16_conv")}
    )
    assert tags_of(record, "experiment")["dataset"] == "dogs_vs_cats"
    assert registered_name(record) == "dogs_vs_cats"


def test_models_whose_output_is_images_do_not_compete() -> None:
    record = RECORD.model_copy(update={"params": make_experiment(model="autoencoder", dataset="mnist")})
    assert tags_of(record, "experiment")["task"] == "reconstruction"
    assert registered_name(record) == "tiny"


def test_a_dataset_has_its_columns_or_the_shapes_of_its_arrays() -> None:
    table = make_meta(
        kind="tabular", task="regression", shape=[2], numeric={"temp": {}}, categorical={"hr": []}, target="bikers"
    )
    columns = json.loads(table.mlflow_schema())["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [
        ("temp", "double"), ("hr", "string"), ("bikers", "double")
    ]  # fmt: skip
    arrays = json.loads(RECORD.data.mlflow_schema())["mlflow_tensorspec"]
    assert json.loads(arrays["features"])[0]["tensor-spec"] == {"dtype": "uint8", "shape": [-1, 1, 28, 28]}


@pytest.mark.parametrize(
    ("task", "classes", "outputs"),
    [
        ("classification", ["cat", "dog"], ["prediction", "p_cat", "p_dog"]),
        ("regression", [], ["prediction"]),
        ("sequence_labelling", ["h", "e"], ["prediction"]),
        ("reconstruction", [], ["image", "mse"]),
        ("generation", [], ["image"]),
    ],
)
def test_signature_of_each_task(task: str, classes: list[str], outputs: list[str]) -> None:
    signature = signature_of([{"name": "column", "type": "string"}], get_task(task), classes)
    assert signature.inputs.input_names() == ["column"]
    assert signature.outputs.input_names() == outputs
