"""Grades and findings from measured values, by the rules in the protocol."""

import operator
from collections.abc import Mapping
from functools import cache

from orthoangles.protocols import Band, Condition, Conditions, Criterion, FindingDefinition, GradeScale
from orthoangles.results import Finding

_COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def grade(scales: tuple[GradeScale, ...], value: float, age: float | None) -> str | None:
    """Name of the grade of a value; None without a scale for the age (years), or outside all bands."""
    for scale in scales:
        if scale.ages.everyone or (age is not None and scale.ages.includes(age)):
            for band in scale.bands:
                if _inside(band, value):
                    return band.name
            return None
    return None


def _inside(band: Band, value: float) -> bool:
    return False not in [_COMPARE[comparison](value, limit) for comparison, limit in band.limits]


def find(definition: FindingDefinition, values: Mapping[str, float | None], age: float | None) -> Finding:
    """Whether a finding is present.

    Without an age, it is told only where the criteria of all ages agree.
    """
    criteria = [c for c in definition.criteria if age is None or c.ages.includes(age)]
    outcomes = {_holds(criterion, values) for criterion in criteria}
    present = outcomes.pop() if len(outcomes) == 1 else None
    rule = " | ".join(rule_text(criterion) for criterion in criteria) or "no rule for this age"
    return Finding(definition.id, definition.name, present, rule)


@cache
def rule_text(criterion: Criterion) -> str:
    """The criterion in words, for example ``cobb-clinical-major >= 10``."""
    text = _joined_text(criterion)
    return text if criterion.ages.everyone else f"{criterion.ages}: {text}"


def _joined_text(joined: Criterion | Conditions) -> str:
    parts = [
        f"({_joined_text(c)})" if isinstance(c, Conditions) else f"{c.measurement} {c.comparison} {c.value:g}"
        for c in joined.conditions
    ]
    return (" or " if joined.joined == "any" else " and ").join(parts)


def _holds(joined: Criterion | Conditions, values: Mapping[str, float | None]) -> bool | None:
    """Three-valued: a value that is not known leaves the outcome open, unless the others decide."""
    decided = joined.joined == "any"
    outcomes = [
        _holds(c, values) if isinstance(c, Conditions) else _met(c, values[c.measurement]) for c in joined.conditions
    ]
    if decided in outcomes:
        return decided
    return None if None in outcomes else not decided


def _met(condition: Condition, value: float | None) -> bool | None:
    return None if value is None else bool(_COMPARE[condition.comparison](value, condition.value))
