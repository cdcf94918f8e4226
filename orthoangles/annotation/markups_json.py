"""Slicer's .mrk.json landmark files, read and written without Slicer. Positions here are LPS mm.

The format is Slicer's markups schema 1.0.x; positions may be LPS or RAS in a file. A landmark without a place
is written with an empty position, as Slicer writes an unset control point.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_VALUES = "orthoangles"
_SIGNS = {"LPS": (1.0, 1.0, 1.0), "RAS": (-1.0, -1.0, 1.0)}


@dataclass(frozen=True, eq=False)
class MarkupsFile:
    """Landmarks of one file: ``labels``, ``points`` (n, 3) LPS mm (NaN where unset), ``descriptions``.

    ``values`` holds what :func:`write_markups` added: numbers per landmark (n,) by name, NaN where unknown.
    """

    name: str
    labels: tuple[str, ...]
    points: np.ndarray
    descriptions: tuple[str, ...]
    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    def ordered(self, landmark_ids: Sequence[str]) -> np.ndarray:
        """Points (len(landmark_ids), 3) in this order, NaN where the file has none.

        Raises DatasetError where a label is unknown or twice there: guessing would swap landmarks.
        """
        position = {label: i for i, label in enumerate(landmark_ids)}
        points = np.full((len(landmark_ids), 3), np.nan)
        seen = set()
        for label, point in zip(self.labels, self.points, strict=True):
            if label not in position:
                raise DatasetError(
                    f"{self.name}: landmark '{label}' is not one of the protocol's "
                    f"({landmark_ids[0]} ... {landmark_ids[-1]}); rename it or choose another protocol."
                )
            if label in seen:
                raise DatasetError(f"{self.name}: landmark '{label}' stands there twice; delete one of the two.")
            seen.add(label)
            points[position[label]] = point
        return points


def write_markups(
    path: Path,
    labels: Sequence[str],
    points: np.ndarray,
    descriptions: Sequence[str] = (),
    values: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write landmarks atomically as a fiducial list that Slicer opens, exact to the last bit.

    ``points`` (n, 3) LPS mm, NaN rows where unset; ``descriptions`` empty or one per label; ``values`` numbers per
    landmark (n,) by name, which Slicer passes over, NaN where unknown.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.shape != (len(labels), 3):
        raise ValueError(f"points have shape {points.shape}, expected ({len(labels)}, 3)")
    if np.isinf(points).any() or (np.isnan(points).any(axis=1) != np.isnan(points).all(axis=1)).any():
        raise ValueError("a point is either three finite numbers or three NaN")
    texts = descriptions or [""] * len(labels)
    controls = [_control_point(*item) for item in zip(range(1, len(labels) + 1), labels, points, texts, strict=True)]
    node = {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(controls),
        "controlPoints": controls,
        "measurements": [],
    }
    content = {"@schema": _SCHEMA, "markups": [node]}
    if values:
        content[_VALUES] = {name: _numbers(numbers, len(labels)) for name, numbers in values.items()}
    write_json(Path(path), content)


def _numbers(values: np.ndarray, count: int) -> list[float | None]:
    """JSON has no NaN: null instead."""
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(f"values have shape {values.shape}, expected ({count},)")
    return [float(value) if np.isfinite(value) else None for value in values]


def _control_point(number: int, label: str, point: np.ndarray, description: str) -> dict[str, Any]:
    placed = bool(np.isfinite(point).all())
    return {
        "id": str(number),
        "label": label,
        "description": description,
        "associatedNodeID": "",
        "position": [float(x) for x in point] if placed else "",
        "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined" if placed else "undefined",
    }


def read_markups(path: Path) -> MarkupsFile:
    """Read the first point list of a .mrk.json file (schema 1.x.y).

    Raises DatasetError, which quotes nothing of the file: any text in it may hold a name.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path.name}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise DatasetError(f"{path.name}: is not a JSON file; save the markups node again as .mrk.json.") from error
    try:
        return _parse(path.name, content)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise DatasetError(
            f"{path.name}: is no Slicer markups file with control points; save the markups node again as .mrk.json."
        ) from None


def _parse(name: str, content: Mapping[str, Any]) -> MarkupsFile:
    if "markups-schema-v1." not in str(content.get("@schema", "markups-schema-v1.")):
        raise DatasetError(f"{name}: its markups schema is not version 1; save it with Slicer 5.")
    node = content["markups"][0]
    system = str(node.get("coordinateSystem", "LPS")).upper()
    if system not in _SIGNS:
        raise DatasetError(f"{name}: its coordinate system is neither LPS nor RAS; save it with Slicer 5.")
    controls = node["controlPoints"]
    points = np.full((len(controls), 3), np.nan)
    for i, control in enumerate(controls):
        if control.get("positionStatus", "defined") == "defined" and control.get("position"):
            points[i] = np.asarray(control["position"], dtype=np.float64).reshape(3) * _SIGNS[system]
    if np.isinf(points).any():
        raise DatasetError(f"{name}: a position is infinite; save the markups node again.")
    return MarkupsFile(
        name,
        tuple(str(control["label"]) for control in controls),
        points,
        tuple(str(control.get("description", "")) for control in controls),
        _values(content.get(_VALUES), len(controls)),
    )


def _values(content: Any, count: int) -> dict[str, np.ndarray]:
    """What another program made of the numbers is left out: the landmarks hold without them."""
    found = {}
    for name, numbers in content.items() if isinstance(content, dict) else ():
        try:
            values = np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)
        except (TypeError, ValueError):
            continue
        if values.shape == (count,):
            found[name] = values
    return found
