"""A dataset as one table: a row per landmark of each case."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.exports.selection import USABLE_STATES, ExportReport, Progress, Selection
from orthoangles.annotation.interchange import ExportedCase
from orthoangles.annotation.records import known_model, known_review, protocol_record
from orthoangles.atomic import write_bytes
from orthoangles.errors import DatasetError

TABLE = "landmarks.csv"
COLUMNS = (
    "case", "image_sha256", "group", "split", "protocol", "protocol_version", "protocol_sha256", "landmark",
    "x_mm", "y_mm", "z_mm", "column_px", "row_px", "slice_px", "spacing_known", "visibility",
    "predicted_column_px", "predicted_row_px", "predicted_slice_px", "confidence", "spread_mm", "moved_px", "moved_mm",
    "state", "reason", "reader", "started", "finished", "seconds", "model", "model_version", "model_sha256",
)  # fmt: skip


def write_table(
    dataset, output: Path | str, *, states: Iterable[str] = USABLE_STATES, progress: Progress | None = None
) -> ExportReport:
    """Write a CSV file, ``output`` itself or landmarks.csv in the folder ``output``: one row per landmark.

    Places are LPS mm (px where the image has no spacing, see ``spacing_known``) and pixel coordinates; empty where a
    landmark is unset. Volumes are in it too. Raises DatasetError.
    """
    output = Path(output)
    path = output if output.suffix.lower() == ".csv" else output / TABLE
    selection = Selection(dataset, states, progress, flat=False)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for exported in selection.cases():
        writer.writerows(_rows(exported))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.getvalue().encode())
    except OSError as error:
        raise DatasetError(f"{path.name}: cannot be written ({error.strerror or 'write error'}).") from error
    return selection.report()


def _rows(exported: ExportedCase) -> Iterator[dict[str, Any]]:
    case, protocol, image = exported.case, exported.protocol, exported.image
    record, review = protocol_record(protocol), known_review(case.provenance.get("review")) or {}
    model = known_model(case.provenance.get("model")) or {}
    common = {
        "case": case.id, "image_sha256": image.sha256, "group": case.group, "split": case.split,
        "protocol": record["id"], "protocol_version": record["version"], "protocol_sha256": record["sha256"],
        "spacing_known": int(image.has_spacing),
        **{key: review.get(key) for key in ("state", "reason", "reader", "started", "finished", "seconds")},
        "model": model.get("name"), "model_version": model.get("version"), "model_sha256": model.get("sha256"),
    }  # fmt: skip
    proposed = np.full_like(exported.points, np.nan) if exported.predicted is None else exported.predicted
    steps = np.linalg.norm(exported.points - proposed, axis=1)
    places = image.physical_points(exported.points)
    moved = np.linalg.norm(places - image.physical_points(proposed), axis=1)
    for i, name in enumerate(protocol.landmark_ids):
        yield {
            **common,
            "landmark": name,
            **_named(("x_mm", "y_mm", "z_mm"), places[i]),
            **_named(("column_px", "row_px", "slice_px"), exported.points[i]),
            **_named(("predicted_column_px", "predicted_row_px", "predicted_slice_px"), proposed[i]),
            "visibility": int(exported.visible[i]),
            "confidence": _number(exported.confidence[i]),
            "spread_mm": _number(exported.spread[i]),
            "moved_px": _number(steps[i]),
            "moved_mm": _number(moved[i]) if image.has_spacing else None,
        }


def _named(names: tuple[str, ...], values: np.ndarray) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(names, values, strict=True)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
