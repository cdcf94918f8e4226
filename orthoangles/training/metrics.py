"""Figures of merit for Cobb angles and landmarks, as the AASCE challenge and its followers count them."""

import numpy as np


def image_smape(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Symmetric absolute percentage error of every image: (n, 3) angles -> (n,) percent.

    The sum of absolute differences over the sum of all six angles, as in the challenge, whose SMAPE is the mean of
    these. A prediction that is not finite (nothing was found) counts as an angle of zero.
    """
    predicted = np.where(np.isfinite(predicted), predicted, 0.0)
    return 100 * _ratio(np.abs(truth - predicted).sum(-1), (truth + predicted).sum(-1))


def smape_per_angle(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean symmetric percentage error of every angle on its own: (n, 3) -> (3,) percent.

    Zero denominators are raised by 1e-5.
    """
    predicted = np.where(np.isfinite(predicted), predicted, 0.0)
    return 100 * np.mean(_ratio(np.abs(truth - predicted), truth + predicted), axis=0)


def _ratio(difference: np.ndarray, total: np.ndarray) -> np.ndarray:
    return difference / np.where(total == 0, 1e-5, total)


def mean_absolute_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute difference over all finite entries, in their unit."""
    return float(np.nanmean(np.abs(truth - predicted)))


def distances(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Euclidean distances of (..., 2) points; NaN where a point is missing."""
    return np.linalg.norm(truth - predicted, axis=-1)


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray, repeats: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of the mean of ``values`` (n,), resampling whole ``groups`` (persons)."""
    names, member = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(member, values), np.bincount(member)
    drawn = np.random.default_rng(seed).integers(0, len(names), (repeats, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
