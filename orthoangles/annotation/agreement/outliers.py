"""The largest differences, one for each image: which cases to open again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orthoangles.annotation.agreement.comparisons import (
    AngleAgreement,
    ComparedImage,
    LandmarkAgreement,
    LandmarkComparison,
    Pair,
)
from orthoangles.annotation.agreement.readings import Reading


@dataclass(frozen=True, eq=False)
class Outlier:
    """The largest difference of its ``kind`` ("angle" or "landmark") between any two readings of one image.

    ``id`` and ``name`` are those of the measurement or landmark; ``difference`` is signed for an angle, a distance for
    a landmark. ``outside`` says whether it lies outside the limits of agreement, which only angles have; ``others`` are
    the ids of further angles of this image that lie outside theirs. ``readings`` are the two, with their datasets and
    cases, so that they can be opened.
    """

    kind: str
    id: str
    name: str
    difference: float
    unit: str
    pair: Pair
    image: ComparedImage
    readings: tuple[Reading, Reading]
    outside: bool = False
    others: tuple[str, ...] = ()


def find_outliers(
    angles: Sequence[AngleAgreement],
    landmarks: Sequence[LandmarkAgreement],
    images: Sequence[ComparedImage],
    count: int,
) -> tuple[Outlier, ...]:
    """The ``count`` images with the largest differences, first of angles (by unit), then of landmarks (mm, px)."""
    found = (*_of_angles(angles, images), *_of_landmarks(landmarks, images))
    kinds = dict.fromkeys((outlier.kind, outlier.unit) for outlier in found)
    ranked = sorted(found, key=lambda outlier: -abs(outlier.difference))
    return tuple(
        outlier for kind in kinds for outlier in [each for each in ranked if (each.kind, each.unit) == kind][:count]
    )


def _of_angles(angles: Iterable[AngleAgreement], images: Sequence[ComparedImage]) -> list[Outlier]:
    found = []
    for angle in angles:
        for comparison in angle.comparisons:
            rows = zip(comparison.images, comparison.differences, comparison.outside, strict=True)
            found += [
                _outlier("angle", angle, difference, angle.unit, comparison.pair, images[image], bool(outside))
                for image, difference, outside in rows
                if difference != 0
            ]
    return _worst_each(found)


def _of_landmarks(landmarks: Iterable[LandmarkAgreement], images: Sequence[ComparedImage]) -> list[Outlier]:
    found = []
    for landmark in landmarks:
        for comparison in landmark.comparisons:
            found += [
                _outlier("landmark", landmark, distance, unit, comparison.pair, images[image])
                for image, distance, unit in _with_units(comparison)
                if distance > 0
            ]
    return _worst_each(found)


def _with_units(comparison: LandmarkComparison) -> Iterable[tuple[int, float, str]]:
    units = np.where(comparison.in_mm, "mm", "px").tolist()
    return zip(comparison.images, comparison.distances, units, strict=True)


def _outlier(
    kind: str,
    entry: AngleAgreement | LandmarkAgreement,
    difference: float,
    unit: str,
    pair: Pair,
    image: ComparedImage,
    outside: bool = False,
) -> Outlier:
    readings = image.reading(pair.first), image.reading(pair.second)
    return Outlier(kind, entry.id, entry.name, float(difference), unit, pair, image, readings, outside)


def _worst_each(found: Iterable[Outlier]) -> list[Outlier]:
    """The largest of each image and unit, with the others that lie outside their limits."""
    by_place: dict[tuple[str, str], list[Outlier]] = {}
    for outlier in found:
        by_place.setdefault((outlier.image.digest, outlier.unit), []).append(outlier)
    worst = []
    for some in by_place.values():
        first, *rest = sorted(some, key=lambda outlier: -abs(outlier.difference))
        others = dict.fromkeys(outlier.id for outlier in rest if outlier.outside and outlier.id != first.id)
        worst.append(replace(first, others=tuple(others)))
    return worst
