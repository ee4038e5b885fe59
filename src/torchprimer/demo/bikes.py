"""Tab "Bike riders": predicted bike rentals for each hour of a day that the user describes."""

import calendar
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr
import pandas as pd

from torchprimer.demo import components
from torchprimer.demo.models import Exports
from torchprimer.experiment_results import ExperimentResults

TITLE = "Bike riders"
HOUR = "hr"  # the column on the x axis
DERIVED = "workingday"  # computed from weekday and holiday
LABELS = {  # of columns; without an entry the name of the column is shown
    "mnth": "month", "weekday": "day", "weathersit": "weather", "temp": "temperature", "atemp": "felt temperature",
    "hum": "humidity", "windspeed": "wind",
}  # fmt: skip
CATEGORY_LABELS = {  # of columns, in the order of the choices
    "season": {"1": "winter", "2": "spring", "3": "summer", "4": "autumn"},
    "mnth": {
        "Jan": "January", "Feb": "February", "March": "March", "April": "April", "May": "May", "June": "June",
        "July": "July", "Aug": "August", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
    },
    "holiday": {"0": "no", "1": "yes"},
    "weekday": dict(zip("0123456", calendar.day_name[6:] + calendar.day_name[:6], strict=True)),
}  # fmt: skip
DEFAULTS = {"season": "2", "mnth": "May", "weekday": "3"}  # initially selected; in other columns the first category


def handles(result: ExperimentResults) -> bool:
    return result.raw_dataset == "bike_sharing"


def choices(column: str, categories: Sequence[str]) -> list[tuple[str, str]]:
    """Label and category, in the order of CATEGORY_LABELS, then the other categories."""
    labels = CATEGORY_LABELS.get(column, {})
    ordered = [category for category in labels if category in categories]
    return [(labels.get(category, category), category) for category in dict.fromkeys([*ordered, *categories])]


def slider_range(fitted: Mapping[str, float]) -> tuple[float, float]:
    """Mean ± 2 standard deviations, clipped to 0..1, the range of these columns."""
    low, high = fitted["mean"] - 2 * fitted["std"], fitted["mean"] + 2 * fitted["std"]
    return round(max(low, 0.0), 2), round(min(high, 1.0), 2)


def hourly_rows(values: Mapping[str, Any], hours: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the table for one day, one for each hour; DERIVED is computed from the other columns."""
    is_working_day = values.get("weekday") in ("1", "2", "3", "4", "5") and values.get("holiday") == "0"
    return [{**values, DERIVED: str(int(is_working_day)), HOUR: hour} for hour in hours]


def hourly_riders(exports: Exports, names: Sequence[str], values: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """Model -> hour -> predicted riders."""
    riders = {}
    for name in names:
        hours = sorted(exports.descriptions[name]["transform"]["categorical"][HOUR], key=int)
        predictions = exports[name].predict(hourly_rows(values, hours))
        counts = [prediction["prediction"] for prediction in predictions]
        riders[name] = dict(zip(map(int, hours), counts, strict=True))
    return riders


def summary(exports: Exports, riders: Mapping[str, Mapping[int, float]]) -> str:
    """HTML: total riders that day and the busiest hour, for each model."""
    rows = []
    for name, by_hour in riders.items():
        busiest = max(by_hour, key=lambda hour: by_hour[hour])
        score = exports.descriptions[name]["scores"]["test"]["r2"]
        rows.append(
            f"<tr><th>{escape(name)} <small>{score:.2f}</small></th><td>{sum(by_hour.values()):,.0f}</td>"
            f"<td>{busiest}:00</td><td>{by_hour[busiest]:,.0f}</td></tr>"
        )
    return (
        '<table class="predictions"><thead><tr><th>model <small>R² on the test split</small></th>'
        "<th>riders that day</th><th>busiest hour</th><th>riders in that hour</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def build(exports: Exports, names: Sequence[str], selected: gr.Tab) -> None:
    transform = exports.descriptions[names[0]]["transform"]  # fitted to the dataset, so equal for all models
    categorical = {name: values for name, values in transform["categorical"].items() if name not in (HOUR, DERIVED)}
    gr.Markdown(
        "Describe a day: the chart shows how many people rent a bike in each hour. Temperatures, humidity and wind are "
        "scaled to 0..1, as in the data."
    )
    controls: dict[str, gr.Dropdown | gr.Slider] = {}
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                for name, categories in categorical.items():
                    options, default = choices(name, categories), DEFAULTS.get(name)
                    controls[name] = gr.Dropdown(
                        options, value=default if default in categories else options[0][1],
                        label=LABELS.get(name, name), elem_id=f"bikes-{name}", min_width=130,
                    )  # fmt: skip
            for name, fitted in transform["numeric"].items():
                low, high = slider_range(fitted)
                controls[name] = gr.Slider(
                    low, high, value=round(fitted["median"], 2), step=0.01, label=LABELS.get(name, name),
                    elem_id=f"bikes-{name}", buttons=[],
                )  # fmt: skip
        with gr.Column(scale=3, min_width=320):
            chart = gr.LinePlot(
                x="hour", y="riders", color="model", x_lim=[0, 23], height=340, elem_id="bikes-chart", buttons=[],
                color_map=dict(zip(names, ("#f58214", "#3c82f5"), strict=False)),
            )  # fmt: skip
            table = gr.HTML(elem_id="bikes-summary", apply_default_css=False)

    @components.report_errors
    def predict(*values: object) -> tuple[pd.DataFrame, str]:
        riders = hourly_riders(exports, names, dict(zip(controls, values, strict=True)))
        rows = [(hour, count, name) for name, by_hour in riders.items() for hour, count in by_hour.items()]
        return pd.DataFrame(rows, columns=["hour", "riders", "model"]), summary(exports, riders)

    changes = [control.change for control in controls.values()]
    gr.on([selected.select, *changes], predict, list(controls.values()), [chart, table], **components.LISTENER)
