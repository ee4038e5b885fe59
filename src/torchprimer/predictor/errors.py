"""Errors that a user can correct. Their text says what is wrong, where, what is allowed and what to do."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """An error in params, files, machine or input; its text is the whole message, shown without a traceback."""


class InvalidInput(UserError):  # noqa: N818 (it describes the input, not the program)
    """A model cannot use an input; the text says why and what is allowed.

    Attributes:
        index: position of the input, from 0; None: all inputs, such as a table without a column.
    """

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason)
        self.index = index


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest of `allowed`, or an empty string when none is close."""
    by_lower_case = {option.lower(): option for option in allowed}
    name = str(word).lower()
    close = difflib.get_close_matches(name, by_lower_case, n=1, cutoff=0.6)
    close = close or [key for key in by_lower_case if name and (name in key or key in name)]
    return f" Did you mean '{by_lower_case[close[0]]}'?" if close else ""
