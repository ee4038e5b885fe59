"""Scores of a regression, computed by scikit-learn."""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def regression_metrics(targets: Doubles, predictions: Doubles) -> dict[str, float]:
    """mse, rmse, mae and r2, the coefficient of determination (0 where nothing deviates), in original units, (N,)."""
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    mse = float(mean_squared_error(targets, predictions))
    r2 = float(r2_score(targets, predictions)) if np.ptp(targets) else 0.0
    return {"mse": mse, "rmse": mse**0.5, "mae": float(mean_absolute_error(targets, predictions)), "r2": r2}
