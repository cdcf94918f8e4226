"""Results as files: the JSON record, a CSV table and a picture with landmarks, lines and angles."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.atomic import replacing, write_bytes, write_json
from orthoangles.measurement_frame import MeasurementFrame
from orthoangles.predictions import ModelInfo
from orthoangles.results import Measurement, MeasurementResult

CSV_COLUMNS = (
    *("image", "side", "protocol", "id", "name", "value", "unit", "plane", "grade"),
    *("low", "high", "reason", "details"),
)


def record(
    image_name: str,
    protocol,
    points: np.ndarray,
    result: MeasurementResult,
    *,
    confidence: np.ndarray | None = None,
    model: ModelInfo | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """One image's result in JSON types, the same as ``measure --json`` prints.

    ``points`` (n, 3) LPS mm and ``confidence`` (n,) in the order of ``protocol.landmark_ids``; NaN becomes null.
    ``model`` is null where the landmarks did not come from a network; only a volume has a ``frame``.
    """
    sure = np.full(len(points), np.nan) if confidence is None else confidence
    return {
        "image": image_name,
        "protocol": protocol.id,
        "model": asdict(model) if model else None,
        **({"frame": result.frame.as_json()} if result.frame else {}),
        "landmarks": [
            {"id": name, "position": _position(point), "confidence": _number(value)}
            for name, point, value in zip(protocol.landmark_ids, points, sure, strict=True)
        ],
        "measurements": [_measurement(entry) for entry in result.measurements],
        "findings": [
            {"id": entry.id, "name": entry.name, "present": entry.present, "rule": entry.rule}
            for entry in result.findings
        ],
        "warnings": list(dict.fromkeys([*warnings, *result.warnings])),
    }


def _measurement(entry: Measurement) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "value": _number(entry.value),
        "unit": entry.unit,
        "plane": entry.plane,
        "grade": entry.grade,
        "interval": None if entry.interval is None else [_number(x) for x in entry.interval],
        "reason": entry.reason,
        "definition": entry.definition,
        "source": entry.source,
        "details": _plain(entry.details),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _position(point: np.ndarray) -> list[float] | None:
    return [float(x) for x in point] if np.isfinite(point).all() else None


def _plain(value: Any) -> Any:
    """Rule details as JSON types."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def write_measurements_json(path: Path, content: dict[str, Any]) -> None:
    """Write a record of :func:`record`, atomically."""
    write_json(path, content)


def write_measurements_csv(path: Path, content: dict[str, Any]) -> None:
    """Write the measurements of a record as a table with one row each (UTF-8 with a mark, which spreadsheets need)."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(CSV_COLUMNS)
    table.writerows(measurement_rows(content))
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def measurement_rows(content: dict[str, Any]) -> Iterator[list[Any]]:
    """The cells of ``CSV_COLUMNS`` for each measurement of a record; what there is not is empty."""
    for entry in content["measurements"]:
        low, high = entry["interval"] or (None, None)
        details = "; ".join(f"{key}: {value}" for key, value in entry["details"].items())
        of_image = (content["image"], content.get("side"), content["protocol"])
        row = (*of_image, entry["id"], entry["name"], entry["value"], entry["unit"], entry["plane"], entry["grade"])
        row += (low, high, entry["reason"], details)
        yield ["" if cell is None else cell for cell in row]


def write_overlay(path: Path, image, points: np.ndarray, result: MeasurementResult, protocol) -> None:
    """Write a PNG of an image with its landmarks and the lines and values of the measurements its protocol draws.

    ``image`` is an :class:`orthoangles.images.Image`, ``points`` (n, 3) LPS mm. The picture is between 1,000 and 2,000
    pixels high, so that its text can be read; a volume's is a sheet of slices through each landmark.
    """
    from orthoangles.overlay import draw_overlay

    figure = draw_overlay(image, points, result, protocol)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=figure.dpi)


def summary_lines(content: dict[str, Any]) -> list[str]:
    """A record for people: one line per measurement that has a value or a reason, then findings and warnings."""
    lines = [f"{content['image']} ({content['protocol']})"]
    if "frame" in content:
        lines.append(f"  {MeasurementFrame(**content['frame']).description}")
    width = max((len(entry["name"]) for entry in content["measurements"]), default=0)
    for entry in content["measurements"]:
        value = "-" if entry["value"] is None else f"{entry['value']:.1f} {entry['unit']}"
        lines.append(f"  {entry['name']:<{width}} {value:>10}  {_remark(entry)}".rstrip())
    for entry in content["findings"]:
        if entry["present"]:
            lines.append(f"  {entry['name']}: present ({entry['rule']})")
    return lines + [f"  warning: {text}" for text in content["warnings"]]


def _remark(entry: dict[str, Any]) -> str:
    if entry["value"] is None:
        return entry["reason"] or ""
    interval = "{:.1f} to {:.1f}".format(*entry["interval"]) if entry["interval"] else ""
    details = entry["details"]
    ends = [details.get(key) for key in ("upper_end_vertebra", "lower_end_vertebra")]
    between = "-".join(ends) if all(ends) else ""
    return ", ".join(part for part in (interval, between, entry["grade"]) if part)
