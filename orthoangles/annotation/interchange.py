"""What our exports add to the formats of other tools, under the key ``orthoangles``, and how it is read back.

The formats know pixels and labels only. The addition holds an image's place in space, its facts, and of a case its
group, split, protocol, review, model and proposal. It may come back from anywhere, so it is checked piece by piece and
what is not of the known form is passed over. Points here are pixel coordinates (column, row, slice) with (0, 0) the
middle of the first pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orthoangles.annotation.dataset_index import SPLITS, Case, is_case_id
from orthoangles.annotation.picture_files import packing, unpacked
from orthoangles.annotation.records import image_record, known_model, known_review, protocol_record
from orthoangles.errors import OrthoAnglesError

KEY = "orthoangles"


@dataclass(frozen=True, eq=False)
class ExportedCase:
    """A case with all that an export says of it: ``points`` and ``predicted`` (n, 3) px, NaN where unset."""

    case: Case
    protocol: Any
    image: Any
    points: np.ndarray
    predicted: np.ndarray | None
    confidence: np.ndarray
    spread: np.ndarray
    facts: Mapping[str, Any]

    @property
    def visible(self) -> np.ndarray:
        """(n,) int as COCO counts: 0 unset, 1 set but hidden or outside the image, 2 visible."""
        placed = np.isfinite(self.points).all(axis=1)
        index = np.where(placed[:, None], self.points, 0.0)
        outside = ((index < -0.5) | (index > np.asarray(self.image.size) - 0.5)).any(axis=1)
        hidden = np.isin(self.protocol.landmark_ids, list(self.case.provenance.get("occluded", ())))
        return np.where(placed, np.where(outside | hidden, 1, 2), 0)


def read_case(dataset, case: Case) -> ExportedCase:
    """A case of a dataset with its image. Raises DatasetError, ImageError or ProtocolError."""
    from orthoangles.protocols import load_protocol

    protocol = load_protocol(case.protocol)
    ids = protocol.landmark_ids
    image = dataset.read_image(case)
    predicted = dataset.read_predicted(case, ids)
    confidence, spread = dataset.read_certainty(case, ids)
    return ExportedCase(
        case,
        protocol,
        image,
        image.index_points(dataset.read_points(case, ids)),
        None if predicted is None else image.index_points(predicted),
        confidence,
        spread,
        image_record(image, case.provenance.get("image", {}).get("burned_in_text")),
    )


def image_block(exported: ExportedCase) -> dict[str, Any]:
    """The addition to an image."""
    image = exported.image
    return {
        **exported.facts,
        "spacing": image.spacing.tolist(),
        "origin": image.origin.tolist(),
        "direction": image.direction.tolist(),
        "pixels": packing(image.array[0]),
    }


def case_block(exported: ExportedCase) -> dict[str, Any]:
    """The addition to a case."""
    case = exported.case
    return {
        "case": case.id,
        "group": case.group,
        "split": case.split,
        "protocol": protocol_record(exported.protocol),
        "review": known_review(case.provenance.get("review")),
        "model": known_model(case.provenance.get("model")),
        "predicted": None if exported.predicted is None else _rows(exported.predicted[:, :2]),
        "confidence": _rows(exported.confidence),
        "spread": _rows(exported.spread),
    }


def _rows(values: np.ndarray) -> list:
    """JSON has no NaN: null instead of a row with one."""
    return [row.tolist() if np.isfinite(row).all() else None for row in np.asarray(values)]


# --- back


@dataclass(frozen=True, eq=False)
class CaseFacts:
    """What an addition says of a case; the defaults where it says nothing."""

    id: str = ""
    group: str = ""
    split: str = ""
    review: Mapping[str, Any] | None = None
    model: Mapping[str, str] | None = None
    predicted: np.ndarray | None = None
    confidence: np.ndarray | None = None
    spread: np.ndarray | None = None


def placed_image(image, block: Any):
    """``image`` as read from a PNG, with place, facts and grey values that the addition states."""
    if not isinstance(block, Mapping):
        return image
    try:
        geometry = {key: np.array(block[key], dtype=np.float64) for key in ("spacing", "origin", "direction")}
        known = image_record(replace(image, **{key: block.get(key) for key in _TEXTS}), burned_in=[])
        facts = {key: known[key] for key in _TEXTS}
        age = block.get("patient_age")
        facts["patient_age"] = float(age) if isinstance(age, int | float) and 0 <= age < 90 else None
        pixels = unpacked(image.array[0], block["pixels"])[None]
        return replace(image, array=pixels, **geometry, **facts)
    except (KeyError, TypeError, ValueError, OverflowError, OrthoAnglesError):
        return image


_TEXTS = ("spacing_source", "laterality", "view", "modality")


def case_facts(block: Any, count: int) -> CaseFacts:
    """What an addition says of a case with ``count`` landmarks."""
    if not isinstance(block, Mapping):
        return CaseFacts()
    predicted = _array(block.get("predicted"), (count, 2))
    return CaseFacts(
        id=block["case"] if is_case_id(block.get("case")) else "",
        group=block["group"] if isinstance(block.get("group"), str) else "",
        split=block["split"] if block.get("split") in SPLITS else "",
        review=known_review(block.get("review")),
        model=known_model(block.get("model")),
        predicted=None if predicted is None else np.column_stack([predicted, np.zeros(count)]),
        confidence=_array(block.get("confidence"), (count,)),
        spread=_array(block.get("spread"), (count,)),
    )


def _array(rows: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Rows of numbers, null for unset, as an array of ``shape``; None where they are not such."""
    if not isinstance(rows, list) or len(rows) != shape[0]:
        return None
    empty = np.full(shape[1:], np.nan)
    try:
        values = np.array([empty if row is None else row for row in rows], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return values if values.shape == shape and not np.isinf(values).any() else None
