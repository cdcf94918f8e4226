"""The Cobb rules as measurements: values with the lines they were taken between, intervals, grades and
details.
"""

from typing import TYPE_CHECKING, Any

from orthoangles.axis_angles import NORMAL_95
from orthoangles.cobb import AasceAngles, aasce_both_unchecked
from orthoangles.cobb_clinical import ClinicalCobb, Curve, cobb_clinical
from orthoangles.grading import grade
from orthoangles.protocol_checks import AASCE, AASCE_PYTHON
from orthoangles.protocols import Column, MeasurementDefinition
from orthoangles.results import AxisLine, Measurement

if TYPE_CHECKING:
    from orthoangles.measuring_case import Case, ColumnCase

_DEGREES = 57.29577951308232
_SUPERIOR, _INFERIOR, _MIDLINE = range(3)
_ANGLES = {"max": "maximum", "upper": "upper", "lower": "lower"}


def measure_aasce(case: "Case", definition: MeasurementDefinition) -> Measurement:
    """The rules ``cobb-aasce`` and ``cobb-aasce-python``: one of their three angles."""
    column = case.column(definition.column)
    if not column.complete:
        return _without_value(definition, f"{column.absent_text()}; the AASCE rule needs every vertebra")
    angles = _aasce_angles(column, definition.rule)
    chosen = getattr(angles, _ANGLES[definition.angle])
    if chosen is None:
        return _without_value(
            definition,
            "the image is not given; the rule needs its height for the lower angle of an S-shaped spine",
        )
    ids = column.definition.vertebra_ids
    return Measurement(
        definition.id,
        definition.name,
        chosen.degrees,
        definition.unit,
        definition.plane,
        definition.definition,
        definition.source,
        grade=grade(definition.grades, chosen.degrees, case.age),
        interval=_interval(column, chosen.degrees, (_MIDLINE, chosen.first), (_MIDLINE, chosen.second)),
        axes=(_line(column, _MIDLINE, chosen.first), _line(column, _MIDLINE, chosen.second)),
        details={
            "upper_end_vertebra": ids[chosen.first],
            "lower_end_vertebra": ids[chosen.second],
            "s_shaped": angles.s_shaped,
            "branch": angles.branch,
        },
    )


def measure_clinical(case: "Case", definition: MeasurementDefinition) -> Measurement:
    """The rule ``cobb-clinical``: the major curve, or the largest curve of some regions."""
    column = case.column(definition.column)
    found = _clinical_cobb(column)
    if found.major is None:
        reason = column.absent_text() or "corners are crossed"
        return _without_value(definition, f"{reason}; the clinical rule needs three sound vertebrae or more")
    curve = found.major
    if definition.regions:
        curve = _largest_of(found, column.definition, definition.regions)
        if curve is None:
            minimum = column.definition.minimum_curve
            return _without_value(
                definition, f"no curve of {minimum:g} degrees or more has its apex there", _spine_details(column)
            )
    return Measurement(
        definition.id,
        definition.name,
        curve.degrees,
        definition.unit,
        definition.plane,
        definition.definition,
        definition.source,
        grade=grade(definition.grades, curve.degrees, case.age),
        interval=_interval(column, curve.degrees, (_SUPERIOR, curve.upper), (_INFERIOR, curve.lower)),
        axes=(_line(column, _SUPERIOR, curve.upper), _line(column, _INFERIOR, curve.lower)),
        details=_curve_details(column, found, curve, major=not definition.regions),
    )


def _without_value(
    definition: MeasurementDefinition, reason: str, details: dict[str, Any] | None = None
) -> Measurement:
    d = definition
    return Measurement(
        d.id, d.name, None, d.unit, d.plane, d.definition, d.source, reason=reason, details=details or {}
    )


def _aasce_angles(column: "ColumnCase", rule: str) -> AasceAngles:
    memo = column.memo
    if rule not in memo:
        memo[AASCE], memo[AASCE_PYTHON] = aasce_both_unchecked(column.corners, column.height)
    return memo[rule]


def _clinical_cobb(column: "ColumnCase") -> ClinicalCobb:
    if "clinical" not in column.memo:
        minimum = column.definition.minimum_curve
        present = None if column.all_sound else column.sound
        column.memo["clinical"] = cobb_clinical(column.corners, minimum, present=present)
    return column.memo["clinical"]


def _largest_of(found: ClinicalCobb, column: Column, regions: tuple[str, ...]) -> Curve | None:
    inside = [curve for curve in found.curves if _region_id(column, curve) in regions]
    return max(inside, key=lambda curve: curve.degrees, default=None)


def _region_id(column: Column, curve: Curve) -> str | None:
    region = column.region_of(curve.apex)
    return None if region is None else region.id


def _interval(
    column: "ColumnCase", degrees: float, first: tuple[int, int], second: tuple[int, int]
) -> tuple[float, float] | None:
    """95 % interval of the angle between two lines, each (kind, vertebra)."""
    variances = column.tilt_variances
    if variances is None:
        return None
    if first == second:
        return 0.0, 0.0
    variance = variances[first[0]][first[1]] + variances[second[0]][second[1]]
    if variance != variance:  # NaN: the spread of a corner is not known
        return None
    half = NORMAL_95 * _DEGREES * variance**0.5
    return max(degrees - half, 0.0), degrees + half


def _line(column: "ColumnCase", kind: int, vertebra: int) -> AxisLine:
    line = column.memo.get((kind, vertebra))
    if line is None:
        starts, ends = column.line_ends[kind]
        line = AxisLine(*column.plan.lines[kind][vertebra], starts[vertebra], ends[vertebra])
        column.memo[kind, vertebra] = line
    return line


def _curve_details(column: "ColumnCase", found: ClinicalCobb, curve: Curve, *, major: bool) -> dict[str, Any]:
    details = {**_described(column, curve), **_spine_details(column)}
    if major:
        details["is_curve"] = bool(found.curves)
        details["curves"] = tuple(_described(column, other) for other in found.curves)
    return details


def _described(column: "ColumnCase", curve: Curve) -> dict[str, Any]:
    if curve not in column.memo:
        definition = column.definition
        image_side = "right" if curve.convex > 0 else "left"
        column.memo[curve] = {
            "degrees": curve.degrees,
            "upper_end_vertebra": definition.vertebra_ids[curve.upper],
            "lower_end_vertebra": definition.vertebra_ids[curve.lower],
            "apex": definition.levels[curve.apex],
            "side": "right" if definition.patient_right == f"image-{image_side}" else "left",
            "convex_image_side": image_side,
            "region": _region_id(definition, curve),
        }
    return column.memo[curve]


def _spine_details(column: "ColumnCase") -> dict[str, Any]:
    if "spine" not in column.memo:
        definition = column.definition
        right = definition.patient_right.removeprefix("image-")
        ids = zip(definition.vertebra_ids, column.sound.tolist(), strict=True)
        column.memo["spine"] = {
            "side_convention": f"sides are the patient's; right is taken to lie at the {right} of the image",
            "vertebrae_left_out": tuple(vertebra for vertebra, sound in ids if not sound),
        }
    return column.memo["spine"]
