"""Export of one corrected case: image without its header, points before and after, who and when."""

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

import orthoangles
from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.predictions import Prediction

REVIEW_STATES = ("new", "predicted", "corrected", "confirmed")
_MOVED = 1e-6
"""mm: a point that came back from undo or a file may differ in the last bits and has not been moved."""


@dataclass(frozen=True)
class Review:
    """Who looked at a case and what came of it.

    ``reader`` is a name or initials, "" if unknown; ``state`` one of REVIEW_STATES; ``started`` and
    ``finished`` are aware datetimes or ISO 8601 texts, or None; ``seconds`` the time at work, or None.
    """

    reader: str = ""
    state: str = "corrected"
    started: datetime | str | None = None
    finished: datetime | str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.state not in REVIEW_STATES:
            raise ValueError(f"review state '{self.state}' is not one of {', '.join(REVIEW_STATES)}")

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        record = asdict(self)
        for key in ("started", "finished"):
            if isinstance(record[key], datetime):
                record[key] = record[key].astimezone(timezone.utc).isoformat(timespec="seconds")
        return record


def export_case(
    dataset_dir: Path | str,
    *,
    image,
    protocol,
    points: np.ndarray,
    prediction: Prediction | None = None,
    review: Review | None = None,
    group: str | None = None,
    split: str = "",
    case_id: str | None = None,
) -> str:
    """Write one case to the dataset in ``dataset_dir`` (made where it is missing) and return its id.

    ``image`` is an :class:`orthoangles.images.Image`, ``points`` (n, 3) LPS mm in the order of
    ``protocol.landmark_ids``, NaN where unset. The id comes from the image's digest, the protocol and the
    reader, never from a file name, which may hold a patient's name; ``group`` stands for the patient and is
    the image's digest unless given. The same image, protocol and reader replace what was exported before. The
    image is written without any header: PNG where it has no place in space, else NRRD. Raises DatasetError.
    """
    protocol = _protocol(protocol)
    points = np.asarray(points, dtype=np.float64)
    if points.shape != (len(protocol.landmarks), 3):
        raise DatasetError(
            f"{len(points)} landmarks do not fit protocol {protocol.id}, which has {len(protocol.landmarks)}."
        )
    review = review or Review()
    digest = image.sha256
    dataset = Dataset(dataset_dir)
    suffix = image_suffix(image)
    case = dataset.add_case(
        case_id or _case_id(digest, protocol.id, review.reader),
        image_suffix=suffix,
        write_image=lambda path: write_image(image, path),
        protocol=protocol,
        points=points,
        predicted=_predicted_points(prediction, protocol),
        group=group or digest[:16],
        split=split,
        provenance={
            "source": "reader",
            "image": image_record(image),
            "review": review.as_json(),
            "model": asdict(prediction.model) if prediction else None,
            "prediction_warnings": [_without_name(text, image.name) for text in prediction.warnings]
            if prediction
            else [],
            "changes": _changes(protocol, points, prediction),
            "exported": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "software": f"orthoangles {orthoangles.__version__}",
        },
    )
    return case.id


def export_session(
    dataset_dir: Path | str,
    session,
    *,
    reader: str = "",
    group: str | None = None,
    seconds: float | None = None,
) -> str:
    """Export what a reader made of one image in the scene: :func:`export_case` of a ``scene.MeasurementSession``.

    ``reader`` is named where the session knows none; ``seconds`` is the time at work where the caller measured it.
    Raises DatasetError.
    """
    stored = session.review
    review = Review(
        session.reader or reader, session.review_state, stored.started or None, stored.finished or None, seconds
    )
    return export_case(
        dataset_dir,
        image=session.image,
        protocol=session.protocol,
        points=session.points,
        prediction=session.prediction,
        review=review,
        group=group,
    )


def image_record(image) -> dict[str, Any]:
    """What a dataset keeps of an image beside its pixels: nothing that names the patient."""
    return {
        "sha256": image.sha256,
        "size": list(image.size),
        "spacing_source": image.spacing_source,
        "laterality": image.laterality,
        "view": image.view,
        "modality": image.modality,
        # Above 89 an age may single out a person.
        "patient_age": image.patient_age if image.patient_age is None or image.patient_age < 90 else None,
    }


def image_suffix(image) -> str:
    """Suffix ``.png`` where the file format loses nothing of this image, else ``.nrrd``."""
    placed = image.has_spacing or not (
        np.allclose(image.spacing, 1) and np.allclose(image.origin, 0) and np.allclose(image.direction, np.eye(3))
    )
    return ".png" if image.is_radiograph and not placed and image.array.dtype in (np.uint8, np.uint16) else ".nrrd"


def write_image(image, path: Path) -> None:
    """Write pixels and geometry alone; the suffix of ``path`` (.png or .nrrd) chooses the format."""
    import SimpleITK

    if path.suffix == ".png":
        picture = SimpleITK.GetImageFromArray(image.array[0])
    else:
        picture = SimpleITK.GetImageFromArray(image.array)
        picture.SetSpacing([float(x) for x in image.spacing])
        picture.SetOrigin([float(x) for x in image.origin])
        picture.SetDirection([float(x) for x in np.asarray(image.direction).ravel()])
    try:
        SimpleITK.WriteImage(picture, str(path), useCompression=True)
    except RuntimeError as error:
        raise DatasetError(f"the image cannot be written ({str(error).strip().splitlines()[-1]}).") from error


def _protocol(protocol):
    from orthoangles.protocols import load_protocol

    return load_protocol(protocol) if isinstance(protocol, str) else protocol


def _case_id(digest: str, protocol_id: str, reader: str) -> str:
    """The reader is part of it: two readers of one image are two cases of one group."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", reader).strip("-").lower()[:40]
    if name != reader:
        # What the id cannot spell still tells two readers apart.
        name = f"{name}-{hashlib.sha256(reader.encode()).hexdigest()[:4]}".strip("-")
    return "-".join(part for part in (digest[:12], protocol_id, name) if part)


def _predicted_points(prediction: Prediction | None, protocol) -> np.ndarray | None:
    if prediction is None:
        return None
    if prediction.landmark_ids != protocol.landmark_ids:
        raise DatasetError(f"the prediction's landmarks are not those of protocol {protocol.id}.")
    return prediction.points


def _changes(protocol, points: np.ndarray, prediction: Prediction | None) -> list[dict[str, Any]]:
    """Landmarks that the reader moved (how far, in mm), placed where the network had none, or took away."""
    if prediction is None:
        return []
    was, now = np.isfinite(prediction.points).all(axis=1), np.isfinite(points).all(axis=1)
    distance = np.linalg.norm(points - prediction.points, axis=1)
    changes = []
    for i, landmark_id in enumerate(protocol.landmark_ids):
        if was[i] and now[i] and distance[i] > _MOVED:
            changes.append({"id": landmark_id, "change": "moved", "distance_mm": float(distance[i])})
        elif was[i] != now[i]:
            changes.append({"id": landmark_id, "change": "placed" if now[i] else "removed", "distance_mm": None})
    return changes


def _without_name(text: str, name: str) -> str:
    """A warning without the image's file name."""
    return text.replace(name, "image") if name else text
