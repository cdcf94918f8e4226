"""Export of one corrected case: image without its header, points before and after, who and when."""

import hashlib
import re
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

import orthoangles
from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.picture_files import image_suffix, write_image
from orthoangles.annotation.records import REVIEW_STATES, Review, changes, image_record, protocol_record
from orthoangles.errors import DatasetError
from orthoangles.predictions import Prediction

__all__ = ["REVIEW_STATES", "Review", "export_case", "export_session", "image_record", "image_suffix", "write_image"]


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
        confidence=prediction.confidence if prediction else None,
        spread=prediction.spread if prediction else None,
        group=group or digest[:16],
        split=split,
        provenance={
            "source": "reader",
            "protocol": protocol_record(protocol),
            "image": image_record(image),
            "review": review.as_json(),
            "model": asdict(prediction.model) if prediction else None,
            "prediction_warnings": [_without_name(text, image.name) for text in prediction.warnings]
            if prediction
            else [],
            "changes": changes(protocol, points, prediction, image),
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
    rejected: str = "",
) -> str:
    """Export what a reader made of one image in the scene: :func:`export_case` of a ``scene.MeasurementSession``.

    ``reader`` is named where the session knows none; ``seconds`` is the time at work where the caller measured it;
    ``rejected`` says why the image is not to be used, if so. Raises DatasetError.
    """
    stored = session.review
    review = Review(
        session.reader or reader,
        "rejected" if rejected else session.review_state,
        stored.started or None,
        stored.finished or None,
        seconds,
        rejected,
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


def _without_name(text: str, name: str) -> str:
    """A warning without the image's file name."""
    return text.replace(name, "image") if name else text
