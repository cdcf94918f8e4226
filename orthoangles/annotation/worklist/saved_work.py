"""What a reader has made of an image so far, so that opening it again, also after a crash, goes on where it was left.

Work that is not yet in the dataset is kept beside it, one file per image (of two feet: per foot) and reader; work that
was exported is read from the dataset.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.annotation.worklist.files import writing_in
from orthoangles.annotation.worklist.states import STATES
from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError
from orthoangles.prediction_json import prediction_from_record, prediction_record
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import Protocol

_FORMAT, _VERSION = "orthoangles-work", 1


@dataclass(frozen=True, eq=False)
class SavedWork:
    """Landmarks ``points`` (n, 3) LPS mm as a reader left them, NaN where unset, the ``prediction`` that they began as,
    the review ``state``, the ``seconds`` of work, and when it was saved (UTC, ISO 8601).
    """

    points: np.ndarray
    prediction: Prediction | None
    state: str
    seconds: float = 0.0
    at: str = ""


class SavedWorkFolder:
    """Unfinished work of ``reader`` in ``folder``. ``source`` is the digest of an image, ``view`` that of the foot that
    was cut from it, or of the image again.
    """

    def __init__(self, folder: Path, protocol: Protocol, reader: str) -> None:
        self._folder = folder / hashlib.sha256(reader.encode()).hexdigest()[:12]
        self._protocol = protocol
        self._known: dict[Path, tuple[tuple, SavedWork | None]] = {}

    def save(self, source: str, view: str, work: SavedWork) -> None:
        """Write it, whole or not at all. Raises DatasetError."""
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "landmarks": list(self._protocol.landmark_ids),
            "points": [None if np.isnan(point).any() else point.tolist() for point in work.points],
            "prediction": None if work.prediction is None else prediction_record(work.prediction),
            "state": work.state,
            "seconds": work.seconds,
            "at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        }
        with writing_in(self._folder):
            write_json(self._path(source, view), content)

    def get(self, source: str, view: str) -> SavedWork | None:
        """What was saved of one view; None where there is nothing, or nothing of this protocol's landmarks."""
        return self._get(self._path(source, view))

    def all(self) -> dict[str, dict[str, SavedWork]]:
        """What was saved, by the first 16 hex digits of the digests of the image and of the view."""
        found: dict[str, dict[str, SavedWork]] = {}
        for path in self._folder.glob("*-*.json"):
            work = self._get(path)
            if work is not None:
                source, _, view = path.stem.partition("-")
                found.setdefault(source, {})[view] = work
        return found

    def drop(self, source: str, view: str) -> None:
        """Forget it, for example since it is in the dataset now."""
        self._path(source, view).unlink(missing_ok=True)

    def _path(self, source: str, view: str) -> Path:
        return self._folder / f"{source[:16]}-{view[:16]}.json"

    def _get(self, path: Path) -> SavedWork | None:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if path not in self._known or self._known[path][0] != stamp:
                content = json.loads(path.read_text(encoding="utf-8"))
                self._known[path] = (stamp, self._work(content))
            return self._known[path][1]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _work(self, content: dict[str, Any]) -> SavedWork | None:
        if (content["format"], content["version"]) != (_FORMAT, _VERSION) or content["state"] not in STATES:
            return None
        if content["landmarks"] != list(self._protocol.landmark_ids):
            return None
        points = np.array([[np.nan] * 3 if point is None else point for point in content["points"]], dtype=np.float64)
        proposal = content["prediction"]
        prediction = None if proposal is None else prediction_from_record(proposal, self._protocol)
        fits = points.shape == (len(self._protocol.landmark_ids), 3)
        return SavedWork(points, prediction, content["state"], content["seconds"], content["at"]) if fits else None


def exported_work(
    dataset: Dataset, cases: Iterable[Case], protocol: Protocol, reader: str, view: str
) -> SavedWork | None:
    """The newest of the reader's ``cases`` that shows the view with this digest, as it lies in the dataset."""
    found = [case for case in cases if _shows(case, reader, view)]
    if not found:
        return None
    case = max(found, key=lambda each: str(each.provenance.get("exported") or ""))
    try:
        points = dataset.read_points(case, protocol.landmark_ids)
        prediction = _prediction(dataset, case, protocol)
    except DatasetError:
        return None  # another program replaced it this moment
    review = case.provenance["review"]
    state = review.get("state") if review.get("state") in STATES else "corrected"
    return SavedWork(points, prediction, state, float(review.get("seconds") or 0.0))


def _shows(case: Case, reader: str, view: str) -> bool:
    review, image = case.provenance.get("review"), case.provenance.get("image")
    return bool(review and image) and review.get("reader") == reader and image.get("sha256") == view


def _prediction(dataset: Dataset, case: Case, protocol: Protocol) -> Prediction | None:
    predicted = dataset.read_predicted(case, protocol.landmark_ids)
    model = case.provenance.get("model")
    if predicted is None or not model:
        return None
    confidence, spread = dataset.read_certainty(case, protocol.landmark_ids)
    warnings = tuple(case.provenance.get("prediction_warnings") or ())
    return Prediction(
        protocol.id, protocol.landmark_ids, predicted, confidence, spread, ModelInfo(**model), warnings=warnings
    )
