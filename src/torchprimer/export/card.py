"""MODEL.md."""

from typing import Any


def card(description: dict[str, Any]) -> str:
    return f"# {description['experiment']}\n"
