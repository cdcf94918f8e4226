"""How well readings of the same images agree: ICC(2,1), limits of agreement and repeatability, with 95 % intervals.

Ratings are (n, k): n images by k readers, all finite. Quantiles come from scipy.stats; why no larger library is used
stands in docs/AGREEMENT.md.
"""

import math
from dataclasses import dataclass

import numpy as np

_NAN = float("nan")
_NO_INTERVAL = (_NAN, _NAN)
_HALF_WIDTH = 1.96
"""Standard deviations between bias and limit of agreement."""
_UPPER = 0.975
"""Quantile that leaves 95 % between itself and its mirror image."""
FEWEST_IMAGES = 3
"""Images below which there is no ICC."""


def shorter_way(degrees: np.ndarray) -> np.ndarray:
    """Differences of angles as turns the shorter way round, -180 to below 180 degrees."""
    return (degrees + 180) % 360 - 180


# --- intraclass correlation
def intraclass_correlation(ratings: np.ndarray) -> float:
    """ICC(2,1) of ratings (n, k): absolute agreement of single measurements by readers drawn at random.

    Shrout and Fleiss 1979, McGraw and Wong's ICC(A,1). NaN below three images or two readers, and where all values are
    the same.
    """
    n, k = ratings.shape
    if n < FEWEST_IMAGES or k < 2 or np.ptp(ratings) == 0:
        return _NAN
    rows, columns, rest = _mean_squares(ratings)
    return float((rows - rest) / (rows + (k - 1) * rest + k * (columns - rest) / n))


def intraclass_interval(ratings: np.ndarray) -> tuple[float, float]:
    """95 % interval of :func:`intraclass_correlation` (McGraw and Wong 1996, case 2A, with their correction).

    (NaN, NaN) where there is no ICC. Images are taken as independent of each other.
    """
    from scipy.stats import f

    icc = intraclass_correlation(ratings)
    if math.isnan(icc):
        return _NO_INTERVAL
    n, k = ratings.shape
    rows, columns, rest = _mean_squares(ratings)
    # Satterthwaite's degrees of freedom of the readers' part, multiplied through by n (1 - ICC), which may be zero.
    of_readers = k * icc * columns
    of_rest = (n * (1 - icc) + k * icc * (n - 1)) * rest
    if of_readers == of_rest == 0:
        return icc, icc
    freedom = (of_readers + of_rest) ** 2 / (of_readers**2 / (k - 1) + of_rest**2 / ((n - 1) * (k - 1)))
    noise = k * columns + (k * n - k - n) * rest
    below, above = f.ppf(_UPPER, n - 1, freedom), f.ppf(_UPPER, freedom, n - 1)
    return (
        float(n * (rows - below * rest) / (below * noise + n * rows)),
        float(n * (above * rows - rest) / (noise + n * above * rows)),
    )


def _mean_squares(ratings: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between images, between readers and of the rest, of a two-way analysis of variance."""
    n, k = ratings.shape
    mean = ratings.mean()
    image, reader = ratings.mean(axis=1, keepdims=True), ratings.mean(axis=0, keepdims=True)
    rows = k * ((image - mean) ** 2).sum() / (n - 1)
    columns = n * ((reader - mean) ** 2).sum() / (k - 1)
    rest = ((ratings - image - reader + mean) ** 2).sum() / ((n - 1) * (k - 1))
    return rows, columns, rest


# --- differences of two readers
@dataclass(frozen=True)
class Differences:
    """Differences of ``cases`` pairs in their unit, second minus first.

    ``limits`` are the limits of agreement, bias +- 1.96 SD; ``bias_interval`` and the two ``limit_intervals`` hold the
    true ones with 95 % probability where differences are normal. ``repeatability`` is what two readings by one reader
    stay within in 95 % (Bland and Altman 1999): 1.96 sqrt(2) within-image standard deviations. NaN where there are too
    few pairs.
    """

    cases: int
    bias: float
    deviation: float
    limits: tuple[float, float]
    bias_interval: tuple[float, float]
    limit_intervals: tuple[tuple[float, float], tuple[float, float]]
    mean_absolute: float
    largest: float
    repeatability: float


def describe_differences(differences: np.ndarray) -> Differences:
    """Figures of finite ``differences`` (n,); the intervals of the limits are those of Bland and Altman 1999."""
    n = len(differences)
    if n == 0:
        return Differences(0, _NAN, _NAN, _NO_INTERVAL, _NO_INTERVAL, (_NO_INTERVAL, _NO_INTERVAL), _NAN, _NAN, _NAN)
    bias = float(differences.mean())
    deviation = float(differences.std(ddof=1)) if n > 1 else _NAN
    limits = bias - _HALF_WIDTH * deviation, bias + _HALF_WIDTH * deviation
    of_bias = _half_interval(n, deviation / math.sqrt(n))
    of_limit = _half_interval(n, deviation * math.sqrt(1 / n + _HALF_WIDTH**2 / (2 * max(n - 1, 1))))
    return Differences(
        n,
        bias,
        deviation,
        limits,
        (bias - of_bias, bias + of_bias),
        ((limits[0] - of_limit, limits[0] + of_limit), (limits[1] - of_limit, limits[1] + of_limit)),
        float(np.abs(differences).mean()),
        float(np.abs(differences).max()),
        # A within-image variance is half the mean squared difference of two readings.
        _HALF_WIDTH * float(np.sqrt((differences**2).mean())),
    )


def _half_interval(n: int, standard_error: float) -> float:
    from scipy.stats import t

    return float(t.ppf(_UPPER, n - 1)) * standard_error if n > 1 else _NAN
