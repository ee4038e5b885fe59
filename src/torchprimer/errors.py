"""The one exception a user sees: what is wrong, where, what is allowed, what to do. Never with a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave (params, files, machine); its text is the whole message."""


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest of `allowed`, or an empty string when none is close."""
    by_lower_case = {name.lower(): name for name in allowed}
    given = str(word).lower()
    close = difflib.get_close_matches(given, by_lower_case, n=1, cutoff=0.6)
    close = close or [name for name in by_lower_case if given and (given in name or name in given)]
    return f" Did you mean '{by_lower_case[close[0]]}'?" if close else ""
