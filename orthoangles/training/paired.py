"""Two networks on the same held-out cases: paired differences, and whether the new one is not worse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.training import point_metrics as metrics
from orthoangles.training.landmark_cases import Predictor, angle_ids, measured_case

MARGIN = 0.05
"""Share of the old error by which the new one may be larger, at the upper end of the interval, and be not worse."""
MISSING = 0.01
"""Share of the landmarks that the new network may miss beyond those that the old one misses."""

BETTER, NOT_WORSE, UNCLEAR, WORSE, TOO_FEW = "better", "not worse", "unclear", "worse", "too few"


@dataclass(frozen=True, eq=False)
class Reading:
    """One case: ``errors`` (k,) of its landmarks in mm (NaN without label, infinite where not found), and
    ``in_thousandths`` of the image's longer side, None for volumes; angles by id in degrees, NaN without a value.
    """

    id: str
    group: str
    errors: np.ndarray
    in_thousandths: np.ndarray | None
    truth: Mapping[str, float]
    predicted: Mapping[str, float]


def read_cases(
    backend: Predictor, cases: Sequence[tuple[Dataset, Case]], advance: Callable[[int], None]
) -> list[Reading]:
    """Every case from its file through ``backend``; ``advance(done)`` after each."""
    read = _read_volume if backend.protocol.dimension == 3 else _read_radiograph
    readings = []
    for number, (store, case) in enumerate(cases, 1):
        readings.append(read(backend, store, case))
        advance(number)
    return readings


def _read_radiograph(backend: Predictor, store: Dataset, case: Case) -> Reading:
    found = measured_case(backend, store, case)
    in_mm = found.errors * found.mm_per_pixel
    return Reading(case.id, case.group, in_mm, 1000 * found.errors / found.side, found.truth, found.predicted)


def _read_volume(backend: Predictor, store: Dataset, case: Case) -> Reading:
    from orthoangles.training.volume_cases import backend_cases

    (found,) = backend_cases(backend, [(store, case)])
    return Reading(case.id, case.group, found.distances, None, found.truth, found.predicted)


def compare(
    old: Sequence[Reading], new: Sequence[Reading], backend: Predictor, family_of: Mapping[str, str]
) -> dict[str, Any]:
    """Figures of both networks on the same cases in the same order, paired differences (new minus old), verdict.

    Intervals are of 95 % and draw whole persons anew where there are five or more, else cases.
    """
    protocol = backend.protocol
    families = [family_of[reading.group] for reading in old]
    groups, unit = metrics.resampling_groups(families)
    first, second, length = _errors(old, new)
    both = np.isfinite(first) & np.isfinite(second)
    angles = {name: _angle(old, new, name, groups) for name in angle_ids(protocol)}
    figures = {
        "cases": len(old),
        "persons": len(set(families)),
        "intervals_over": unit,
        "unit": length,
        "landmarks": _paired(_mean(first, both), _mean(second, both), groups),
        "not_found": {"old": int(np.isinf(first).sum()), "new": int(np.isinf(second).sum())},
        "labelled": int((~np.isnan(first)).sum()),
        "angles": _paired(*_mean_angles(old, new, angle_ids(protocol)), groups),
        "each_angle": {name: each for name, each in angles.items() if each["labelled"]},
        "each_landmark": {
            name: {"old": metrics.mean_found(first[:, k]), "new": metrics.mean_found(second[:, k])}
            for k, name in enumerate(protocol.landmark_ids)
        },
    }
    return {**figures, "verdict": judged(figures)}


def judged(figures: Mapping[str, Any]) -> str:
    """``better``, ``not worse``, ``unclear``, ``worse`` or ``too few``: the worse of landmarks and angles.

    Below five persons it is too few to tell, or worse where five cases or more show as much.
    """
    missing = figures["not_found"]
    if missing["new"] > missing["old"] + MISSING * figures["labelled"]:
        return WORSE
    verdicts = [_judged(figures[key]) for key in ("landmarks", "angles") if figures[key]["cases"]]
    worst = max(verdicts, key=(BETTER, NOT_WORSE, UNCLEAR, WORSE).index, default=TOO_FEW)
    if figures["persons"] >= metrics.FEWEST_GROUPS:
        return worst
    return WORSE if worst == WORSE and figures["cases"] >= metrics.FEWEST_GROUPS else TOO_FEW


def _judged(paired: Mapping[str, Any]) -> str:
    low, high = paired["interval"]
    if high < 0:
        return BETTER
    if high <= MARGIN * paired["old"]:
        return NOT_WORSE
    return WORSE if low > 0 else UNCLEAR


def _errors(old: Sequence[Reading], new: Sequence[Reading]) -> tuple[np.ndarray, np.ndarray, str]:
    """Errors (n, k) of both in mm, or in thousandths where the scale of a case is not known."""
    first, second = (np.stack([reading.errors for reading in readings]) for readings in (old, new))
    thousandths = [np.stack([r.in_thousandths for r in part]) if _planar(part) else None for part in (old, new)]
    if thousandths[0] is not None and np.isnan(first[~np.isnan(thousandths[0])]).any():
        return thousandths[0], thousandths[1], "thousandths of the image's longer side"
    return first, second, "mm"


def _planar(readings: Sequence[Reading]) -> bool:
    return all(reading.in_thousandths is not None for reading in readings)


def _mean(errors: np.ndarray, both: np.ndarray) -> np.ndarray:
    """(n,) mean of each case over the landmarks that both networks found; NaN where there is none."""
    return np.array([metrics.mean_found(row[mask]) for row, mask in zip(errors, both, strict=True)])


def _absolute(readings: Sequence[Reading], name: str) -> np.ndarray:
    truth, predicted = (np.array([getattr(r, side)[name] for r in readings]) for side in ("truth", "predicted"))
    return np.abs(metrics.angle_differences(truth, predicted))


def _angle(old: Sequence[Reading], new: Sequence[Reading], name: str, groups: np.ndarray) -> dict[str, Any]:
    first, second = _absolute(old, name), _absolute(new, name)
    missing = {"old": int(np.isinf(first).sum()), "new": int(np.isinf(second).sum())}
    return {**_paired(first, second, groups), "labelled": int((~np.isnan(first)).sum()), "not_measured": missing}


def _mean_angles(old: Sequence[Reading], new: Sequence[Reading], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) mean absolute angle error of each case over the angles that both networks measured."""
    first, second = (np.stack([_absolute(part, name) for name in names], axis=1) for part in (old, new))
    both = np.isfinite(first) & np.isfinite(second)
    return _mean(first, both), _mean(second, both)


def _paired(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    known = np.flatnonzero(np.isfinite(first) & np.isfinite(second))
    first, second = first[known], second[known]
    difference = second - first
    interval = (float("nan"), float("nan"))
    # Of fewer, an interval would only look sure.
    if len(set(groups[known])) >= metrics.FEWEST_GROUPS:
        interval = metrics.resampled_interval(lambda rows: float(difference[rows].mean()), groups[known])
    return {
        "cases": len(known),
        "old": metrics.mean_found(first),
        "new": metrics.mean_found(second),
        "difference": metrics.mean_found(difference),
        "interval": interval,
    }
