"""What a user sees of a mistake: what is wrong, where, what is allowed, what to do. Never a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave (params, files, machine, input); its text is the whole message."""


class InvalidInput(UserError):  # noqa: N818 (said of an input, not of the program)
    """An input that a model cannot use; its text says what is wrong with it and what is allowed.

    Attributes:
        index: its position in the inputs, from 0; None: all of them, such as a table without a column.
    """

    def __init__(self, reason: str, index: int | None = None) -> None:
        super().__init__(reason)
        self.index = index


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest of `allowed`, or an empty string when none is close."""
    by_lower_case = {name.lower(): name for name in allowed}
    given = str(word).lower()
    close = difflib.get_close_matches(given, by_lower_case, n=1, cutoff=0.6)
    close = close or [name for name in by_lower_case if given and (given in name or name in given)]
    return f" Did you mean '{by_lower_case[close[0]]}'?" if close else ""
