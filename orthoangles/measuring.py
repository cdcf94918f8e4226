"""Protocol and points to measurements: a pure function, fast enough to run at every move of the mouse.

Example::

    protocol = load_protocol("spine-ap-cobb")
    result = measure(protocol, prediction.points, spread=prediction.spread, image=image)
    result.by_id("cobb-clinical-major").value      # degrees
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from orthoangles.axis_angles import measure_angle
from orthoangles.cobb_rules import measure_aasce, measure_clinical
from orthoangles.grading import find
from orthoangles.measurement_frame import SCANNER, MeasurementFrame, frame_warnings
from orthoangles.measuring_case import Case, plan_of
from orthoangles.offsets import measure_offset
from orthoangles.plausibility import column_warnings
from orthoangles.protocol_checks import AASCE, AASCE_PYTHON, ANGLE, CLINICAL, OFFSET
from orthoangles.protocols import Protocol
from orthoangles.results import AxisLine, Finding, Measurement, MeasurementResult

__all__ = ["AxisLine", "Finding", "Measurement", "MeasurementResult", "axis_lines", "measure", "plausibility"]

_RULES = {
    ANGLE: measure_angle,
    OFFSET: measure_offset,
    AASCE: measure_aasce,
    AASCE_PYTHON: measure_aasce,
    CLINICAL: measure_clinical,
}


def measure(
    protocol: Protocol,
    points: np.ndarray,
    *,
    spread: np.ndarray | None = None,
    image: Any = None,
    age: float | None = None,
    laterality: str | None = None,
    foreground: Mapping[str, np.ndarray] | None = None,
    frame: MeasurementFrame | None = None,
) -> MeasurementResult:
    """Measure everything a protocol defines.

    Args:
        protocol: what to measure.
        points: (n, 3) LPS mm in the order of ``protocol.landmark_ids``; a row of NaN where a landmark is
        missing.
        spread: (n,) mm, one standard deviation of each point in each direction; NaN where unknown.
        image: anything with ``size`` (columns, rows, slices) and ``index_points(lps)``: gives the image plane
            and its height. Without it a 2D protocol takes LPS x and y for the image's, and what needs the
            height has no value.
        age: years, to choose among criteria for children and adults.
        laterality: ``L``, ``R``, ``left`` or ``right``: side of a limb, where signs are mirrored; DICOM's ``B``
            (both) and ``U`` (unpaired) name no side.
        foreground: axis id to (m, 3) LPS points that the network gave to a fitted axis besides its handles.
        frame: of a 3D protocol: which way is up and where the foot points; without one the scanner's vertical and the
            axis that the landmarks show. Intervals take it as exact.

    Returns:
        A value or a reason for every measurement of the protocol, in its order.

    Raises:
        ValueError: an array of the wrong shape, an infinite coordinate, a row that is NaN in part, a negative
            spread or age, an unknown laterality, a frame for a 2D protocol.
    """
    if frame is None and protocol.dimension == 3:
        frame = SCANNER
    facts = {"spread": spread, "image": image, "age": age, "laterality": laterality}
    case = Case(protocol, points, **facts, foreground=foreground, frame=frame)
    measurements = tuple(_RULES[definition.rule](case, definition) for definition in protocol.measurements)
    values = {measurement.id: measurement.value for measurement in measurements}
    findings = tuple(find(definition, values, case.age) for definition in protocol.findings)
    return MeasurementResult(measurements, findings, partial(_warnings, case), frame)


def plausibility(protocol: Protocol, points: np.ndarray, *, image: Any = None) -> tuple[str, ...]:
    """What does not look right about points (n, 3) LPS mm, one sentence each; empty where all looks right.

    For columns of vertebrae: crossed corners, vertebrae out of order, overlapping or too far apart. For a foot in a
    volume: a ground that leans. Landmarks that are missing are not a fault. ValueError as :func:`measure`.
    """
    return _warnings(Case(protocol, points, image=image))


def axis_lines(
    protocol: Protocol,
    points: np.ndarray,
    *,
    foreground: Mapping[str, np.ndarray] | None = None,
    frame: MeasurementFrame | None = None,
) -> dict[str, AxisLine]:
    """Every axis of the protocol whose points are there, by its id; ValueError as :func:`measure`."""
    case = Case(protocol, points, foreground=foreground, frame=frame)
    solved = {axis.id: case.axis(axis.id) for axis in protocol.axes}
    return {axis_id: axis.line for axis_id, axis in solved.items() if not isinstance(axis, str)}


def _warnings(case: Case) -> tuple[str, ...]:
    found: list[str] = []
    for column in plan_of(case.protocol).columns.values():
        found += column_warnings(case.column(column.definition.id))
    if case.protocol.dimension == 3:
        found += frame_warnings(case.protocol, case.points, case.frame or SCANNER)
    return tuple(found)
