"""A measurement as its definition words it: with the value, or with the reason why there is none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orthoangles.grading import grade
from orthoangles.protocols import MeasurementDefinition
from orthoangles.results import AxisLine, Measurement

if TYPE_CHECKING:
    from orthoangles.measuring_case import Case


def with_value(
    case: "Case",
    definition: MeasurementDefinition,
    value: float,
    interval: tuple[float, float] | None,
    axes: tuple[AxisLine, ...],
    details: Mapping[str, Any] | None = None,
) -> Measurement:
    """A measurement that was made, graded for the age of the ``case``; ``interval`` as in :class:`Measurement`."""
    d = definition
    graded = grade(d.grades, value, case.age)
    details = {**(details or {}), **case.frame_details(d.id)}
    return Measurement(
        d.id, d.name, value, d.unit, d.plane, d.definition, d.source, graded, interval, axes=axes, details=details
    )


def without_value(definition: MeasurementDefinition, reason: str) -> Measurement:
    """A measurement that could not be made, and why."""
    d = definition
    return Measurement(d.id, d.name, None, d.unit, d.plane, d.definition, d.source, reason=reason)
