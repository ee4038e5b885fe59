"""Every metric by its name: how people call it, which direction is better, how it is written."""

from typing import NamedTuple


class Metric(NamedTuple):
    """One metric."""

    name: str  # its key in train.json (with a prefix), test.json and MLflow
    label: str  # how tables and charts call it
    higher_is_better: bool
    decimals: int | None = None  # fixed decimals for what lies between 0 and 1; None: four significant digits
    headline: bool = False  # may stand for all scores of an experiment; the first of METRICS that it has does
    validation: str = ""  # its name on the validation split, where the loop computes it under another one

    @property
    def validation_name(self) -> str:
        return self.validation or self.name

    def format(self, value: float | None) -> str:
        """The value as tables show it; empty if there is none."""
        if value is None:
            return ""
        return f"{value:.{self.decimals}f}" if self.decimals is not None else f"{value:.4g}"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", True, decimals=4, headline=True),
        Metric("r2", "R²", True, decimals=4, headline=True),
        Metric("frechet_distance", "Fréchet distance", False, headline=True),
        Metric("mse", "MSE", False, headline=True, validation="loss"),
        Metric("loss", "loss", False),
    )
}
LOSS_NAMES = {  # function of torch.nn.functional -> name of the quantity
    "binary_cross_entropy_with_logits": "cross-entropy",
    "cross_entropy": "cross-entropy",
    "nll_loss": "cross-entropy",
    "multi_margin_loss": "margin",
    "mse_loss": "mean squared error",
    "l1_loss": "mean absolute error",
}
HEADLINE_METRICS = tuple(metric for metric in METRICS.values() if metric.headline)
