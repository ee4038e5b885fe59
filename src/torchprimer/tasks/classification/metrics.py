"""Scores of a classifier, computed by scikit-learn, under the names that the field gives them."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


def classification_metrics(targets: Integers, probabilities: Floats, classes: list[str]) -> dict[str, float]:
    """Flat scores of one split, from class indices (N,) and probabilities (N, K).

    Returns:
        accuracy, precision_macro, recall_macro, f1_macro, roc_auc_macro (one class against the rest; left out if a
        class is absent); for two classes also the four counts, the second class being the positive one.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

    predictions = probabilities.argmax(1)
    indices = list(range(len(classes)))
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predictions, labels=indices, average="macro", zero_division=0
    )
    scores = {
        "accuracy": float((predictions == targets).mean()),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
    }
    if len(np.unique(targets)) == len(classes):
        areas = [roc_auc_score(targets == i, probabilities[:, i]) for i in indices]
        scores["roc_auc_macro"] = float(np.mean(areas))
    if len(classes) == 2:
        counts = confusion_matrix(targets, predictions, labels=indices).ravel()
        names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
        scores |= {name: int(count) for name, count in zip(names, counts, strict=True)}
    return scores


def per_class(targets: Integers, probabilities: Floats, classes: list[str]) -> pd.DataFrame:
    """One row per class: precision, recall, f1, and support (its samples)."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        targets, probabilities.argmax(1), labels=list(range(len(classes))), zero_division=0
    )
    table = dict(zip(("precision", "recall", "f1", "support"), columns, strict=True))
    return pd.DataFrame({"class": classes} | table)


def roc_points(targets: Integers, probabilities: Floats, classes: list[str]) -> pd.DataFrame:
    """Receiver operating characteristic, each class against the rest; for two classes only the second.

    Returns:
        Columns class, false_positive_rate, true_positive_rate; classes without samples are left out.
    """
    from sklearn.metrics import roc_curve

    tables = []
    for number in range(len(classes)) if len(classes) > 2 else (1,):
        positive = targets == number
        if positive.any() and not positive.all():
            false_rate, true_rate, _ = roc_curve(positive, probabilities[:, number])
            rates = {"false_positive_rate": false_rate.round(6), "true_positive_rate": true_rate.round(6)}
            tables.append(pd.DataFrame({"class": classes[number]} | rates))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
