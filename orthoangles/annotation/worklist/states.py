"""How far an image is, for one reader and for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from orthoangles.annotation.review_states import REVIEW_STATES

STATES = REVIEW_STATES
DONE = ("confirmed", "rejected")
"""States in which nothing is left to be done with an image."""

# What one reader confirmed is done, whatever others did with the image.
_RANK = {state: rank for rank, state in enumerate(("new", "predicted", "corrected", "rejected", "confirmed"))}


@dataclass(frozen=True)
class ReaderState:
    """What one reader made of an image: ``state`` of STATES, why it was rejected, and when (UTC, ISO 8601)."""

    reader: str
    state: str
    reason: str = ""
    at: str = ""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state '{self.state}' is not one of {', '.join(STATES)}")


def furthest(states: Iterable[ReaderState]) -> ReaderState | None:
    """The one that stands for all readers: confirmed before rejected before corrected; None where there is none."""
    return max(states, key=lambda each: (_RANK[each.state], each.at), default=None)


def least(states: Iterable[str]) -> str:
    """The state of an image whose feet are in ``states``: one that still is to be confirmed leaves it so."""
    return min(states, key=_RANK.__getitem__)
