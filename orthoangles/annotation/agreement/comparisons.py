"""Readings side by side: which series are compared, and what comes out for each measurement and landmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orthoangles.agreement_statistics import (
    Differences,
    describe_differences,
    intraclass_correlation,
    intraclass_interval,
)
from orthoangles.annotation.agreement.readings import Reading


@dataclass(frozen=True)
class Series:
    """All that a rater read for the first time, or for the ``number``-th."""

    rater: str
    number: int
    is_model: bool

    @property
    def name(self) -> str:
        """The rater, and which reading where it is not the first."""
        return self.rater if self.number == 1 else f"{self.rater}, reading {self.number}"


@dataclass(frozen=True)
class Pair:
    """Two series that are compared; differences are ``second`` minus ``first``.

    ``kind`` is "readers", "model" (a reader and the model's proposal, or two models) or "repeated" (one reader twice).
    """

    first: Series
    second: Series

    @property
    def kind(self) -> str:
        """Which question the comparison answers."""
        if self.first.rater == self.second.rater:
            return "repeated"
        return "model" if self.first.is_model or self.second.is_model else "readers"

    @property
    def name(self) -> str:
        """``second - first``, as the differences are taken."""
        return f"{self.second.name} \N{MINUS SIGN} {self.first.name}"


@dataclass(frozen=True, eq=False)
class AngleComparison:
    """One measurement in two series: values ``first`` and ``second`` (n,) of the images at ``images`` (n,).

    Where the unit is degrees, ``second`` is the turn of it nearest to ``first``. ``only_first`` and ``only_second``
    count images that both read and only one could measure.
    """

    pair: Pair
    images: np.ndarray
    first: np.ndarray
    second: np.ndarray
    only_first: int
    only_second: int

    @property
    def differences(self) -> np.ndarray:
        """(n,) second minus first."""
        return self.second - self.first

    @cached_property
    def figures(self) -> Differences:
        """Bias, limits of agreement and the rest."""
        return describe_differences(self.differences)

    @cached_property
    def icc(self) -> float:
        """ICC(2,1), NaN below three images."""
        return intraclass_correlation(self._ratings)

    @cached_property
    def icc_interval(self) -> tuple[float, float]:
        """95 % interval of :attr:`icc`."""
        return intraclass_interval(self._ratings)

    @property
    def outside(self) -> np.ndarray:
        """(n,) whether a difference lies outside the limits of agreement."""
        low, high = self.figures.limits
        return (self.differences < low) | (self.differences > high)

    @property
    def _ratings(self) -> np.ndarray:
        return np.column_stack([self.first, self.second])


@dataclass(frozen=True, eq=False)
class AngleAgreement:
    """One measurement of the protocol, in ``unit``.

    ``icc`` over all readers at once, with its interval, is of the ``icc_images`` that all of them measured; NaN with
    fewer than three readers, where the comparisons say the same.
    """

    id: str
    name: str
    unit: str
    comparisons: tuple[AngleComparison, ...]
    icc: float
    icc_interval: tuple[float, float]
    icc_images: int


@dataclass(frozen=True, eq=False)
class LandmarkComparison:
    """One landmark in two series: ``distances`` (n,) of the images at ``images`` (n,), in mm where ``in_mm`` (n,).

    ``only_first`` and ``only_second`` count images that both read and only one placed it on.
    """

    pair: Pair
    images: np.ndarray
    distances: np.ndarray
    in_mm: np.ndarray
    only_first: int
    only_second: int

    def figures(self, unit: str) -> dict[str, float | int] | None:
        """Figures of the distances in ``unit``: "mm", or "px" of images without a spacing; None where there is none."""
        distances = self.distances[self.in_mm == (unit == "mm")]
        if not len(distances):
            return None
        return {
            "points": len(distances),
            "mean": float(distances.mean()),
            "median": float(np.median(distances)),
            "p95": float(np.percentile(distances, 95)),
            "largest": float(distances.max()),
        }


@dataclass(frozen=True, eq=False)
class LandmarkAgreement:
    """One landmark of the protocol."""

    id: str
    name: str
    comparisons: tuple[LandmarkComparison, ...]

    @classmethod
    def pooled(cls, landmarks: Sequence["LandmarkAgreement"]) -> "LandmarkAgreement":
        """All ``landmarks`` as one, each point of each image counted once."""
        by_pair = zip(*(landmark.comparisons for landmark in landmarks), strict=True)
        return cls("all", "all landmarks", tuple(_joined(comparisons) for comparisons in by_pair))


def _joined(comparisons: Sequence[LandmarkComparison]) -> LandmarkComparison:
    images, distances, in_mm = (
        np.concatenate([getattr(each, name) for each in comparisons]) for name in ("images", "distances", "in_mm")
    )
    missed = sum(each.only_first for each in comparisons), sum(each.only_second for each in comparisons)
    return LandmarkComparison(comparisons[0].pair, images, distances, in_mm, *missed)


@dataclass(frozen=True, eq=False)
class ComparedImage:
    """An image with all its readings; ``label`` is short: the case id where all share it, else the digest's start."""

    digest: str
    label: str
    readings: tuple[Reading, ...]

    def reading(self, series: Series) -> Reading | None:
        """The reading of a series, None where it has none of this image."""
        for reading in self.readings:
            if (reading.rater, reading.number) == (series.rater, series.number):
                return reading
        return None

    @property
    def readers(self) -> tuple[str, ...]:
        """Names of the readers, models left out."""
        return tuple(dict.fromkeys(reading.rater for reading in self.readings if not reading.is_model))
