"""From the JSON of a protocol to its dataclasses."""

from collections.abc import Mapping
from typing import Any

from orthoangles.protocols import (
    Ages,
    Axis,
    Band,
    Code,
    Column,
    Condition,
    Conditions,
    Criterion,
    DerivedPoint,
    FindingDefinition,
    FrameDefinition,
    GradeScale,
    Group,
    Landmark,
    MeasurementDefinition,
    Plane,
    Protocol,
    Region,
    Source,
    Vertebra,
)


def protocol_from(data: Mapping[str, Any]) -> Protocol:
    """The protocol in parsed JSON that has passed :func:`orthoangles.protocol_checks.check_protocol`."""
    return Protocol(
        **{key: data[key] for key in ("id", "name", "version", "description", "region", "view", "dimension")},
        bundle=data.get("bundle", ""),
        sources={key: Source(**value) for key, value in data["sources"].items()},
        groups=tuple(_entry(Group, entry) for entry in data.get("groups", ())),
        landmarks=tuple(_entry(Landmark, entry) for entry in data["landmarks"]),
        points=tuple(_entry(DerivedPoint, entry) for entry in data.get("points", ())),
        axes=tuple(_entry(Axis, entry) for entry in data.get("axes", ())),
        planes=tuple(_entry(Plane, entry) for entry in data.get("planes", ())),
        columns=tuple(_column(entry) for entry in data.get("columns", ())),
        measurements=tuple(_measurement(entry) for entry in data["measurements"]),
        findings=tuple(_finding(entry) for entry in data.get("findings", ())),
        codes=_codes(data),
        frame=_entry(FrameDefinition, data["frame"]) if "frame" in data else None,
    )


def _codes(entry: Mapping[str, Any]) -> tuple[Code, ...]:
    return tuple(Code(**code) for code in entry.get("codes", ()))


def _entry(kind: type, entry: Mapping[str, Any], **replaced: Any) -> Any:
    """Make ``kind`` from a JSON object whose keys are its fields; lists become tuples."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    if "codes" in values:
        values["codes"] = _codes(entry)
    return kind(**{**values, **replaced})


def _column(entry: Mapping[str, Any]) -> Column:
    regions = tuple(
        _entry(Region, {key: value for key, value in region.items() if key not in ("from", "to")},
               start=region["from"], end=region["to"])
        for region in entry["regions"]
    )  # fmt: skip
    return _entry(Column, entry, vertebrae=tuple(_entry(Vertebra, v) for v in entry["vertebrae"]), regions=regions)


def _ages(entry: Mapping[str, Any]) -> Ages:
    ages = entry.get("ages", {})
    return Ages(ages.get("from", 0.0), ages.get("below", float("inf")))


def _measurement(entry: Mapping[str, Any]) -> MeasurementDefinition:
    return _entry(MeasurementDefinition, entry, grades=tuple(_scale(scale) for scale in entry.get("grades", ())))


def _scale(entry: Mapping[str, Any]) -> GradeScale:
    bands = tuple(
        Band(band["name"], tuple((key, band[key]) for key in band if key != "name")) for band in entry["bands"]
    )
    return GradeScale(bands, entry["source"], _ages(entry), entry.get("inferred", False))


def _finding(entry: Mapping[str, Any]) -> FindingDefinition:
    return _entry(FindingDefinition, entry, criteria=tuple(_criterion(c) for c in entry["criteria"]))


def _criterion(entry: Mapping[str, Any]) -> Criterion:
    joined = _joined(entry)
    return Criterion(joined.conditions, entry["source"], joined.joined, _ages(entry), entry.get("inferred", False))


def _joined(entry: Mapping[str, Any]) -> Conditions:
    joined = "any" if "any" in entry else "all"
    return Conditions(tuple(_condition(each) for each in entry[joined]), joined)


def _condition(entry: Mapping[str, Any]) -> Condition | Conditions:
    if "measurement" not in entry:
        return _joined(entry)
    return Condition(entry["measurement"], entry["is"], entry["value"])
