"""A day of one's own making, and how many people rent a bike in each of its hours, as the models have it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from torchprimer.demo import components
from torchprimer.demo.models import Exports, Known

if TYPE_CHECKING:
    import gradio as gr

TITLE = "Bike riders"
HOUR = "hr"  # the column that the curve runs over
DERIVED = "workingday"  # follows from the day of the week and the holiday
MEANINGS = {  # of columns and categories; what is not here is shown as the data has it
    "season": ("season", {"1": "winter", "2": "spring", "3": "summer", "4": "autumn"}),
    "mnth": (
        "month",
        {
            "Jan": "January", "Feb": "February", "March": "March", "April": "April", "May": "May", "June": "June",
            "July": "July", "Aug": "August", "Sept": "September", "Oct": "October", "Nov": "November",
            "Dec": "December",
        },
    ),
    "holiday": ("holiday", {"0": "no", "1": "yes"}),
    "weekday": (
        "day",
        {
            "0": "Sunday", "1": "Monday", "2": "Tuesday", "3": "Wednesday", "4": "Thursday", "5": "Friday",
            "6": "Saturday",
        },
    ),
    "weathersit": ("weather", {}),
    "temp": ("temperature", {}),
    "atemp": ("felt temperature", {}),
    "hum": ("humidity", {}),
    "windspeed": ("wind", {}),
}  # fmt: skip

TYPICAL = {"season": "2", "mnth": "May", "weekday": "3"}  # what the page begins with; of other columns the first


def wanted(known: Known) -> bool:
    return known.dataset == "bike_sharing"


def choices(column: str, categories: Sequence[str]) -> list[tuple[str, str]]:
    """What is shown for each category, and the category; in the order of the calendar, where that is known."""
    meanings = MEANINGS.get(column, ("", {}))[1]
    known = [category for category in meanings if category in categories]
    return [(meanings.get(category, category), category) for category in dict.fromkeys([*known, *categories])]


def span(numbers: Mapping[str, float]) -> tuple[float, float]:
    """Where most training rows are: two deviations about the mean, within 0..1, to which the data is scaled."""
    low, high = numbers["mean"] - 2 * numbers["std"], numbers["mean"] + 2 * numbers["std"]
    return round(max(low, 0.0), 2), round(min(high, 1.0), 2)


def day(values: Mapping[str, Any], hours: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the table for one day, an hour each; whether it is a working day follows from the other columns."""
    working = values.get("weekday") in ("1", "2", "3", "4", "5") and values.get("holiday") == "0"
    return [{**values, DERIVED: str(int(working)), HOUR: hour} for hour in hours]


def curves(exports: Exports, names: Sequence[str], values: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """What the models say of the day: for each its riders by hour, in the order of the hours."""
    found = {}
    for name in names:
        hours = sorted(exports.descriptions[name]["transform"]["categorical"][HOUR], key=int)
        riders = (answer["prediction"] for answer in exports[name].predict(day(values, hours)))
        found[name] = dict(zip(map(int, hours), riders, strict=True))
    return found


def summary(exports: Exports, riders: Mapping[str, Mapping[int, float]]) -> str:
    """HTML: the day's riders and its busiest hour, for each model."""
    rows = []
    for name, by_hour in riders.items():
        busiest = max(by_hour, key=lambda hour: by_hour[hour])
        score = exports.descriptions[name]["scores"]["test"]["r2"]
        rows.append(
            f"<tr><th>{escape(name)} <small>R² {score:.2f}</small></th><td>{sum(by_hour.values()):,.0f}</td>"
            f"<td>{busiest}:00</td><td>{by_hour[busiest]:,.0f}</td></tr>"
        )
    return (
        '<table class="answers"><thead><tr><th>model <small>on the test split</small></th><th>riders of the day</th>'
        f"<th>busiest hour</th><th>riders then</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def build(exports: Exports, names: Sequence[str], selected: "gr.Tab") -> None:
    import gradio as gr
    import pandas as pd

    transform = exports.descriptions[names[0]]["transform"]  # the same for all: it is the dataset's
    categorical = {name: of for name, of in transform["categorical"].items() if name not in (HOUR, DERIVED)}
    gr.Markdown(
        "Make up a day; the curve shows how many people rent a bike in each of its hours. Temperatures, humidity and "
        "wind are scaled to 0..1, as in the data."
    )
    controls: dict[str, gr.Dropdown | gr.Slider] = {}
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            with gr.Row():
                for name, categories in categorical.items():
                    offered, typical = choices(name, categories), TYPICAL.get(name)
                    controls[name] = gr.Dropdown(
                        offered, value=typical if typical in categories else offered[0][1],
                        label=MEANINGS.get(name, (name,))[0], elem_id=f"bikes-{name}", min_width=130,
                    )  # fmt: skip
            for name, numbers in transform["numeric"].items():
                low, high = span(numbers)
                controls[name] = gr.Slider(
                    low, high, value=round(numbers["median"], 2), step=0.01, label=MEANINGS.get(name, (name,))[0],
                    elem_id=f"bikes-{name}", buttons=[],
                )  # fmt: skip
        with gr.Column(scale=3, min_width=320):
            chart = gr.LinePlot(
                x="hour", y="riders", color="model", x_lim=[0, 23], height=340, elem_id="bikes-chart", buttons=[],
                color_map=dict(zip(names, ("#f58214", "#3c82f5"), strict=False)),
            )  # fmt: skip
            told = gr.HTML(elem_id="bikes-summary", apply_default_css=False)

    @components.said
    def look(*values: object) -> tuple[pd.DataFrame, str]:
        riders = curves(exports, names, dict(zip(controls, values, strict=True)))
        rows = [(hour, count, name) for name, by_hour in riders.items() for hour, count in by_hour.items()]
        return pd.DataFrame(rows, columns=["hour", "riders", "model"]), summary(exports, riders)

    changes = [control.change for control in controls.values()]
    gr.on([selected.select, *changes], look, list(controls.values()), [chart, told], **components.LISTENER)
