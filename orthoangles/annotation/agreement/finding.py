"""From datasets to an agreement: which readings pair up, and everything found about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from orthoangles.annotation.agreement.comparing import ReadingGrid
from orthoangles.annotation.agreement.comparisons import AngleAgreement, ComparedImage, LandmarkAgreement, Pair, Series
from orthoangles.annotation.agreement.outliers import Outlier, find_outliers
from orthoangles.annotation.agreement.readings import LeftOut, Progress, Reading, Readings, read_readings
from orthoangles.errors import DatasetError

OUTLIERS = 20
"""How many outliers of each kind are listed unless the caller wants more."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Everything that a report or a panel shows.

    ``incomplete`` are images that not every reader has read; ``left_out`` are cases that were not compared at all.
    """

    source: Readings
    series: tuple[Series, ...]
    pairs: tuple[Pair, ...]
    images: tuple[ComparedImage, ...]
    angles: tuple[AngleAgreement, ...]
    landmarks: tuple[LandmarkAgreement, ...]
    outliers: tuple[Outlier, ...]

    @property
    def raters(self) -> tuple[str, ...]:
        """Readers, then models."""
        return tuple(dict.fromkeys(series.rater for series in self.series))

    @property
    def readers(self) -> tuple[str, ...]:
        """Readers alone."""
        return tuple(dict.fromkeys(series.rater for series in self.series if not series.is_model))

    @property
    def all_landmarks(self) -> LandmarkAgreement:
        """All landmarks as one."""
        return LandmarkAgreement.pooled(self.landmarks)

    @property
    def compared(self) -> tuple[ComparedImage, ...]:
        """Images with at least two readings."""
        return tuple(image for image in self.images if len(image.readings) > 1)

    @property
    def incomplete(self) -> tuple[ComparedImage, ...]:
        """Images that not every reader has read."""
        return tuple(image for image in self.images if len(image.readers) < len(self.readers))

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Cases that were not compared, each with the reason."""
        return self.source.left_out


def find_agreement(
    datasets: Sequence[Path | str],
    *,
    protocol: str | None = None,
    model: bool = False,
    names: Sequence[str] = (),
    outliers: int = OUTLIERS,
    progress: Progress | None = None,
) -> Agreement:
    """Compare the readings in ``datasets``; the arguments are those of :func:`readings.read_readings`.

    ``outliers`` is how many are listed of angles and of landmarks. Raises DatasetError where nothing can be compared.
    """
    source = read_readings(datasets, protocol=protocol, model=model, names=names, progress=progress)
    series, images = _series(source.readings), _images(source.readings)
    pairs = tuple(pair for pair in _pairs(series) if any(_both(image, pair) for image in images))
    if not pairs:
        raise DatasetError(_nothing(source))
    grid = ReadingGrid(source.protocol, series, images)
    angles = tuple(grid.angle(column, pairs) for column in range(len(source.protocol.measurements)))
    landmarks = tuple(grid.landmark(row, pairs) for row in range(len(source.protocol.landmarks)))
    found = find_outliers(angles, landmarks, images, outliers)
    return Agreement(source, series, pairs, images, angles, landmarks, found)


def _both(image: ComparedImage, pair: Pair) -> bool:
    return image.reading(pair.first) is not None and image.reading(pair.second) is not None


def _series(readings: Sequence[Reading]) -> tuple[Series, ...]:
    """Readers before models, each rater's readings in their order."""
    seen = dict.fromkeys(reading.rater for reading in sorted(readings, key=lambda each: each.is_model))
    found = {Series(reading.rater, reading.number, reading.is_model) for reading in readings}
    order = list(seen)
    return tuple(sorted(found, key=lambda series: (order.index(series.rater), series.number)))


def _pairs(series: Sequence[Series]) -> tuple[Pair, ...]:
    """First readings of any two raters, then any two readings by one rater."""
    firsts = [each for each in series if each.number == 1]
    repeated = [pair for pair in combinations(series, 2) if pair[0].rater == pair[1].rater]
    return tuple(Pair(*pair) for pair in (*combinations(firsts, 2), *repeated))


def _images(readings: Sequence[Reading]) -> tuple[ComparedImage, ...]:
    by_digest: dict[str, list[Reading]] = {}
    for reading in readings:
        by_digest.setdefault(reading.image, []).append(reading)
    return tuple(ComparedImage(digest, _label(digest, own), tuple(own)) for digest, own in by_digest.items())


def _label(digest: str, readings: Sequence[Reading]) -> str:
    first, *others = {reading.case.id for reading in readings}
    return first if not others and not first.startswith(digest[:8]) else digest[:8]


def _nothing(source: Readings) -> str:
    raters = sorted({reading.rater for reading in source.readings})
    told = f"{len(source.readings)} readings by {', '.join(raters)}" if raters else "no reading"
    left = ""
    if source.left_out:
        left = f"; {len(source.left_out)} cases were left out, the first: {source.left_out[0].reason}"
    return f"nothing can be compared: found {told} of protocol {source.protocol.id}, and no image read twice{left}."
