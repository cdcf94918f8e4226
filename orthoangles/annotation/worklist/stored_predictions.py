"""Predictions on disk, one file per image, so that a restart does not run the network again.

A file is named after the image's key and holds no name and no pixels: the landmarks of each foot, or of the spine,
and from where in the image it was read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.worklist.files import writing_in
from orthoangles.annotation.worklist.upright_views import rebuilt_view, view_record
from orthoangles.atomic import write_json
from orthoangles.images import Image
from orthoangles.prediction_json import prediction_from_record, prediction_record
from orthoangles.protocols import Protocol
from orthoangles.subjects import Subject, laterality_of

_FORMAT, _VERSION = "orthoangles-stored-prediction", 1


@dataclass(frozen=True)
class StoredPrediction:
    """What the network said of one image: how many ``subjects`` (feet), or the ``failure``, why it could not be read.

    ``confidence`` 0..1 is that of the least certain subject, see :func:`overall_confidence`, NaN where unknown;
    ``images`` the first 16 hex digits of the digests of the image and of each subject's view of it.
    """

    subjects: int
    confidence: float
    images: tuple[str, ...] = ()
    failure: str = ""


def overall_confidence(confidence: np.ndarray) -> float:
    """Mean confidence of an image's landmarks (n,); one that was not found counts as 0. NaN where none is known."""
    return float("nan") if np.isnan(confidence).all() else float(np.nan_to_num(confidence).mean())


class StoredPredictions:
    """The predictions in ``folder`` for ``protocol`` by the model whose weights have the digest ``model``.

    Those of another model count as not there; None takes those of any.
    """

    def __init__(self, folder: Path, protocol: Protocol, model: str | None = None) -> None:
        self.folder, self.protocol, self.model = folder, protocol, model
        self._known: dict[str, tuple[tuple, StoredPrediction | None]] = {}

    def get(self, key: str) -> StoredPrediction | None:
        """What is stored of the image with that key, None where there is nothing; cheap when asked again."""
        try:
            status = self._path(key).stat()
        except OSError:
            return None
        stamp = (status.st_mtime_ns, status.st_size, self.model)
        known = self._known.get(key)
        if known is None or known[0] != stamp:
            content = self._read(key)
            known = self._known[key] = (stamp, None if content is None else self._summary(content))
        return known[1]

    def subjects(self, key: str, image: Image) -> tuple[Subject, ...] | None:
        """The subjects as the backend found them in ``image``; None where there are none, or not of this image."""
        content = self._read(key)
        if content is None or content["failure"]:
            return None
        try:
            subjects = tuple(self._subject(image, each) for each in content["subjects"])
        except (ValueError, KeyError, TypeError):
            return None
        return None if None in subjects else subjects

    def put(self, key: str, image: Image, subjects: Sequence[Subject]) -> bool:
        """Store what was found. False where a subject's view cannot be made of the image's pixels again."""
        records = [_record(image, subject) for subject in subjects]
        if not records or None in records:
            return False
        self._write(key, image.sha256[:16], subjects=records)
        return True

    def put_failure(self, key: str, reason: str) -> None:
        """Store why an image could not be read; ``reason`` must hold no file name."""
        self._write(key, "", failure=reason)

    def _write(self, key: str, image: str, subjects: Sequence[dict] = (), failure: str = "") -> None:
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "protocol": self.protocol.id,
            "landmarks": list(self.protocol.landmark_ids),
            "model": subjects[0]["prediction"]["model"]["sha256"] if subjects else self.model or "",
            "image": image,
            "failure": failure,
            "subjects": list(subjects),
        }
        with writing_in(self.folder):
            write_json(self._path(key), content)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _read(self, key: str) -> dict[str, Any] | None:
        """A damaged file is as good as none: the network runs again."""
        try:
            content = json.loads(self._path(key).read_text(encoding="utf-8"))
            fits = (
                (content["format"], content["version"]) == (_FORMAT, _VERSION)
                and content["landmarks"] == list(self.protocol.landmark_ids)
                and self.model in (None, content["model"])
                and bool(content["subjects"] or content["failure"])
            )
            return content if fits else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _summary(self, content: dict[str, Any]) -> StoredPrediction | None:
        try:
            predictions = [prediction_from_record(each["prediction"], self.protocol) for each in content["subjects"]]
        except (ValueError, KeyError, TypeError):
            return None
        least = min((overall_confidence(each.confidence) for each in predictions), default=float("nan"))
        images = [content["image"], *(each["sha256"][:16] for each in content["subjects"])]
        return StoredPrediction(len(predictions), least, tuple(dict.fromkeys(images)), content["failure"])

    def _subject(self, image: Image, record: dict[str, Any]) -> Subject | None:
        view = image if record["view"] is None else rebuilt_view(image, record["view"])
        if view is None or view.sha256 != record["sha256"]:
            return None
        side = record["side"]
        return Subject(
            replace(view, laterality=laterality_of(side)),
            prediction_from_record(record["prediction"], self.protocol),
            side,
            record["stated"],
            record["view"] is None,
            record["alone"],
        )


def _record(image: Image, subject: Subject) -> dict[str, Any] | None:
    view = None if subject.whole else view_record(image, subject.image)
    if view is None and not subject.whole:
        return None
    warnings = tuple(text.replace(image.name, "image") for text in subject.prediction.warnings)
    return {
        "view": view,
        "sha256": subject.image.sha256,
        "side": subject.side,
        "stated": subject.stated,
        "alone": subject.alone,
        "prediction": prediction_record(replace(subject.prediction, warnings=warnings)),
    }
