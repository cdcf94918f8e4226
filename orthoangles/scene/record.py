"""What is known about a set of landmarks besides their places: the network's proposal and the reader's review.

It is written into attributes of the landmark node itself, so undo, redo and a saved scene bring points, proposal and
review back together.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone

import numpy as np

from orthoangles.prediction_json import prediction_from_record, prediction_record
from orthoangles.predictions import Prediction
from orthoangles.protocols import Protocol

PREDICTION = "OrthoAngles.prediction"
REVIEW = "OrthoAngles.review"

# Positions in a saved scene are rounded; a reader's move is larger than this.
_SAME_MM = 1e-3


def same_places(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,) bool: whether rows of two (n, 3) arrays are the same place, or both unset (NaN)."""
    x, y, z = ((np.abs(a - b) <= _SAME_MM) | (np.isnan(a) & np.isnan(b))).T
    return x & y & z  # faster than all(axis=1)


def now() -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Review:
    """What a reader confirmed.

    ``places`` maps landmark ids to the position confirmed, None for "not visible". ``complete`` says that the whole
    case was confirmed; ``reader``, ``started`` and ``finished`` (UTC, ISO 8601) by whom and when.
    """

    places: dict[str, list[float] | None] = field(default_factory=dict)
    complete: bool = False
    reader: str = ""
    started: str = ""
    finished: str = ""


class CaseRecord:
    """Prediction and review in the attributes of ``node``; :meth:`refresh` follows changes made by undo or a file."""

    def __init__(self, node, protocol: Protocol) -> None:
        self._node = node
        self._protocol = protocol
        self._texts: tuple[str | None, str | None] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Read the attributes again where they changed; True when they did."""
        texts = (self._node.GetAttribute(PREDICTION), self._node.GetAttribute(REVIEW))
        if texts == self._texts:
            return False
        self._texts = texts
        self.prediction = prediction_from_record(json.loads(texts[0]), self._protocol) if texts[0] else None
        self.review = Review(**json.loads(texts[1])) if texts[1] else Review()
        self._set_arrays()
        return True

    def set_prediction(self, prediction: Prediction) -> None:
        """Store a proposal; it starts a new review."""
        self._write(PREDICTION, json.dumps(prediction_record(prediction)))
        self.set_review(Review(started=now()))

    def set_review(self, review: Review) -> None:
        """Store a review."""
        self._write(REVIEW, json.dumps(asdict(review)))
        self.refresh()

    def _write(self, key: str, text: str) -> None:
        self._node.SetAttribute(key, text)

    def _set_arrays(self) -> None:
        count = len(self._protocol.landmarks)
        nothing = np.full(count, np.nan)
        proposal = self.prediction
        self.predicted = np.full((count, 3), np.nan) if proposal is None else proposal.points
        self.confidence = nothing if proposal is None else proposal.confidence
        self.spread = nothing if proposal is None else proposal.spread

    def corrected(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: landmarks that lie elsewhere than proposed, or that only a reader placed."""
        return ~same_places(points, self.predicted)

    def confirmed(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: landmarks still where the reader confirmed them."""
        confirmed = np.zeros(len(points), dtype=bool)
        if self.review.places:
            rows = [self._protocol.index(landmark_id) for landmark_id in self.review.places]
            places = np.array([_position(place) for place in self.review.places.values()])
            confirmed[rows] = same_places(points[rows], places)
        return confirmed

    def state(self, points: np.ndarray) -> str:
        """``new``, ``predicted``, ``corrected`` or ``confirmed``, see the session."""
        if self.review.complete and self.confirmed(points).all():
            return "confirmed"
        if self.prediction is None:
            return "new" if np.isnan(points).all() else "corrected"
        return "corrected" if self.corrected(points).any() else "predicted"

    def confirm(self, points: np.ndarray, landmark_ids: Iterable[str]) -> None:
        """Note that a reader accepts these landmarks as they stand, unset ones as not visible."""
        places = dict(self.review.places)
        for landmark_id in landmark_ids:
            point = points[self._protocol.index(landmark_id)]
            places[landmark_id] = None if np.isnan(point).any() else point.tolist()
        self.set_review(replace(self.review, places=places))

    def confirm_all(self, points: np.ndarray, reader: str) -> None:
        """Note that ``reader`` vouches for the whole case."""
        self.confirm(points, self._protocol.landmark_ids)
        self.set_review(replace(self.review, complete=True, reader=reader, finished=now()))

    def take_back(self, points: np.ndarray) -> None:
        """Drop confirmations given for another place, and that of the case with them."""
        if not self.review.places:
            return
        confirmed = self.confirmed(points)
        kept = {name: place for name, place in self.review.places.items() if confirmed[self._protocol.index(name)]}
        if len(kept) < len(self.review.places):
            self.set_review(replace(self.review, places=kept, complete=False, finished=""))


def _position(place: list[float] | None) -> list[float]:
    return [float("nan")] * 3 if place is None else place
