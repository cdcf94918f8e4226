"""What a dataset notes of a case: who looked at it, what came of it, by which protocol, model and image."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from orthoangles.annotation.review_states import REVIEW_STATES
from orthoangles.predictions import Prediction

_MOVED = 1e-6
"""mm: a point that came back from undo or a file may differ in the last bits and has not been moved."""
_CODE = re.compile(r"[A-Z0-9]{1,10}")
_SPACING = re.compile(
    r"ImagerPixelSpacing|PixelSpacing|NominalScannedPixelSpacing|(NRRD|NIfTI|MetaImage) header|Slicer volume|reader"
)


@dataclass(frozen=True)
class Review:
    """Who looked at a case and what came of it.

    ``reader`` is a name or initials, "" if unknown; ``state`` one of REVIEW_STATES; ``started`` and
    ``finished`` are aware datetimes or ISO 8601 texts, or None; ``seconds`` the time at work, or None; ``reason`` why
    an image was rejected, in the reader's words, and empty in any other state. Raises ValueError.
    """

    reader: str = ""
    state: str = "corrected"
    started: datetime | str | None = None
    finished: datetime | str | None = None
    seconds: float | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.state not in REVIEW_STATES:
            raise ValueError(f"review state '{self.state}' is not one of {', '.join(REVIEW_STATES)}")
        if (self.state == "rejected") != bool(self.reason.strip()):
            raise ValueError("a rejected image needs a reason, and no other state has one")

    def as_json(self) -> dict[str, Any]:
        """JSON types only; ``elapsed_seconds`` from start to finish, pauses included, where both are known."""
        record = asdict(self)
        for key in ("started", "finished"):
            if isinstance(record[key], datetime):
                record[key] = record[key].astimezone(timezone.utc).isoformat(timespec="seconds")
        record["elapsed_seconds"] = _elapsed(record["started"], record["finished"])
        return record


def _elapsed(started: str | None, finished: str | None) -> float | None:
    try:
        return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    except (TypeError, ValueError):  # One is missing, or only one names its time zone.
        return None


def is_rejected(provenance: Mapping[str, Any]) -> bool:
    """Whether a reader rejected the image of the case with this provenance: nothing may be learned from it."""
    return (provenance.get("review") or {}).get("state") == "rejected"


def protocol_record(protocol) -> dict[str, str]:
    """Id, version and SHA-256 of a protocol; the digest is that of its JSON, whatever its spaces and order of keys."""
    text = json.dumps(_definition(protocol), sort_keys=True, default=str)
    return {"id": protocol.id, "version": protocol.version, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _definition(protocol) -> Mapping[str, Any]:
    from orthoangles.paths import protocols_dir
    from orthoangles.protocols import available_protocols, load_protocol

    if protocol.id in available_protocols() and load_protocol(protocol.id) is protocol:
        return json.loads((protocols_dir() / f"{protocol.id}.json").read_text(encoding="utf-8"))
    return asdict(protocol)  # Made from a file of the user's own, which it does not name.


def image_record(image, burned_in: list | None = None) -> dict[str, Any]:
    """What a dataset keeps of an image beside its pixels: codes and numbers, nothing that names the patient.

    ``burned_in_text``: the boxes [left, top, right, bottom] px of marks that look like text, searched for unless
    ``burned_in`` gives them; None for a volume, which is not searched.
    """
    from orthoangles.annotation.burned_in import text_marks

    if burned_in is None and image.is_radiograph:
        burned_in = [mark.box for mark in text_marks(image.array[0])]
    return {
        "sha256": image.sha256,
        "size": list(image.size),
        "spacing_source": _fitting(_SPACING, image.spacing_source, "stated" if image.has_spacing else None),
        "laterality": image.laterality if image.laterality in ("L", "R", "B") else None,
        "view": _fitting(_CODE, image.view),
        "modality": _fitting(_CODE, image.modality),
        # Above 89 an age may single out a person.
        "patient_age": image.patient_age if image.patient_age is None or image.patient_age < 90 else None,
        "burned_in_text": burned_in,
    }


def _fitting(pattern: re.Pattern, text: str | None, otherwise: str | None = None) -> str | None:
    """``text`` where it is of a known form: whoever made the image may have put anything there."""
    return text if text is not None and pattern.fullmatch(text) else otherwise


def changes(protocol, points: np.ndarray, prediction: Prediction | None, image) -> list[dict[str, Any]]:
    """Landmarks that the reader moved, placed where the network had none, or removed.

    ``distance_px`` says how far one was moved, ``distance_mm`` too where the image's spacing is known; None in both
    where it was not moved.
    """
    if prediction is None:
        return []
    was, now = np.isfinite(prediction.points).all(axis=1), np.isfinite(points).all(axis=1)
    moved = np.linalg.norm(points - prediction.points, axis=1)
    steps = np.linalg.norm(image.index_points(points) - image.index_points(prediction.points), axis=1)
    found = []
    for i, landmark_id in enumerate(protocol.landmark_ids):
        if was[i] and now[i] and moved[i] > _MOVED:
            millimetres = float(moved[i]) if image.has_spacing else None
            found.append(
                {"id": landmark_id, "change": "moved", "distance_mm": millimetres, "distance_px": float(steps[i])}
            )
        elif was[i] != now[i]:
            what = "placed" if now[i] else "removed"
            found.append({"id": landmark_id, "change": what, "distance_mm": None, "distance_px": None})
    return found


# --- records of unknown origin: only what is of the known form is passed on


def known_review(record: Any) -> dict[str, Any] | None:
    """The review of a record as it may leave a dataset or enter one; None where there is none."""
    if not isinstance(record, Mapping) or record.get("state") not in REVIEW_STATES:
        return None
    rejected = record["state"] == "rejected"
    try:
        review = Review(
            reader=str(record.get("reader") or "")[:100],
            state=record["state"],
            started=_time(record.get("started")),
            finished=_time(record.get("finished")),
            seconds=_number(record.get("seconds")),
            reason=(str(record.get("reason") or "")[:500] or "no reason given") if rejected else "",
        )
    except ValueError:
        return None
    return review.as_json()


def known_model(record: Any) -> dict[str, str] | None:
    """Name, version and digest of a model; None where one is missing or is not such."""
    forms = {"name": r"[\w.-]{1,80}", "version": r"[\w.+-]{1,40}", "sha256": r"[0-9a-f]{64}"}
    if not isinstance(record, Mapping):
        return None
    known = {key: str(record.get(key, "")) for key in forms}
    return known if all(re.fullmatch(form, known[key]) for key, form in forms.items()) else None


def _time(value: Any) -> str | None:
    try:
        return datetime.fromisoformat(value).isoformat(timespec="seconds")
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> float | None:
    try:
        return float(value) if value is not None and np.isfinite(float(value)) else None
    except (TypeError, ValueError):
        return None
