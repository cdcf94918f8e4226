"""The order of a worklist, what of it is shown, and what comes next."""

import math
from collections.abc import Callable, Collection, Sequence

from orthoangles.annotation.worklist.entries import Entry
from orthoangles.annotation.worklist.image_files import name_order
from orthoangles.annotation.worklist.states import STATES

ORDERS = ("name", "confidence", "disagreement")
"""By name; the lowest confidence first; the largest disagreement between readers and the network first."""


def arranged(
    entries: Sequence[Entry],
    order: str,
    states: Collection[str] = (),
    text: str = "",
    disagreement: Callable[[Entry], float] = lambda entry: math.nan,
) -> tuple[Entry, ...]:
    """Entries in one of :data:`ORDERS`; with ``states`` only those in one of them, with ``text`` only those whose name
    holds it. What has no confidence or nothing to disagree comes last, by name. ValueError: an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f"order '{order}' is not one of {', '.join(ORDERS)}")
    wanted = set(states) or set(STATES)
    shown = [each for each in entries if each.state in wanted and text.casefold() in each.name.casefold()]
    shown.sort(key=lambda each: name_order(each.name))
    if order == "confidence":
        shown.sort(key=lambda each: _missing_last(each.confidence))
    elif order == "disagreement":
        shown.sort(key=lambda each: _missing_last(-disagreement(each)))
    return tuple(shown)


def place_of(entries: Sequence[Entry], current: Entry | str) -> int | None:
    """Where an entry stands, or the first one with that key; None where it is not among them.

    Copies of one image have the same key: only their paths tell them apart.
    """
    if isinstance(current, Entry):
        paths = [entry.path for entry in entries]
        if current.path in paths:
            return paths.index(current.path)
        current = current.key
    keys = [entry.key for entry in entries]
    return keys.index(current) if current in keys else None


def neighbour(entries: Sequence[Entry], current: Entry | str, by: int) -> Entry | None:
    """The entry ``by`` places after ``current``, or from the end where that is not shown; None beyond the list."""
    place = place_of(entries, current)
    if place is None:
        place = -1 if by > 0 else len(entries)
    return entries[place + by] if 0 <= place + by < len(entries) else None


def next_open(entries: Sequence[Entry], current: Entry | str = "") -> Entry | None:
    """The next entry after ``current`` that is to be done and that nobody has open, from the top again at the end.

    None where there is none but perhaps ``current`` itself.
    """
    place = place_of(entries, current)
    start = 0 if place is None else place + 1
    key = current.key if isinstance(current, Entry) else current
    return next((each for each in (*entries[start:], *entries[:start]) if each.free and each.key != key), None)


def _missing_last(value: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(value) else (False, value)
