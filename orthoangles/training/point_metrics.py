"""Figures of merit for landmarks, angles and findings as S1 and S0 count them, with intervals and paired tests.

One convention throughout: NaN is what was not labelled and counts nowhere, infinity is what was labelled and not found.
The infinite ones fail every limit; they are left out of means, and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from orthoangles import agreement_statistics

SDR_LIMITS = (1.0, 2.0, 3.0, 4.0)
"""mm, S1's Table 4."""
ANGLE_LIMITS = (3.0, 5.0)
"""Degrees, S0's acc at 3 and 5."""
LEVELS = (0.5, 0.9, 0.95)
"""Probabilities whose intervals are checked against what was observed."""
FEWEST_GROUPS = 5


# --- landmarks
def point_errors(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Distances of (..., 2) points in their unit: NaN without a label, infinite where nothing was found."""
    distance = np.linalg.norm(truth - predicted, axis=-1)
    labelled = np.isfinite(truth).all(axis=-1)
    return np.where(labelled, np.where(np.isfinite(distance), distance, np.inf), np.nan)


def mean_found(errors: np.ndarray) -> float:
    """Mean of the finite errors; NaN where there is none."""
    found = np.asarray(errors)[np.isfinite(errors)]
    return float(found.mean()) if found.size else float("nan")


def share_within(errors: np.ndarray, limit: float) -> float:
    """Share of all labelled entries with an absolute error below ``limit`` (not at it), pooled.

    What was not found counts as beyond. Of errors in mm this is S1's successful detection rate, of degrees S0's acc.
    """
    labelled = np.abs(np.asarray(errors)[~np.isnan(errors)])
    return float((labelled < limit).mean()) if labelled.size else float("nan")


# --- angles
def angle_differences(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Predicted minus true degrees, the shorter way round (-180 to 180); NaN without truth, infinite without value."""
    difference = agreement_statistics.shorter_way(predicted - truth)
    return np.where(np.isnan(truth), np.nan, np.where(np.isnan(predicted), np.inf, difference))


def angle_figures(differences: np.ndarray) -> dict[str, float | int | tuple[float, float]]:
    """Figures of one angle's differences (n,) from :func:`angle_differences`.

    ``mae`` and ``mae_sd`` are mean and SD of the absolute difference; ``limits`` are the limits of agreement, bias +-
    1.96 SD (Bland and Altman 1986).
    """
    found = differences[np.isfinite(differences)]
    bias, deviation = mean_found(found), _deviation(found)
    return {
        "cases": int((~np.isnan(differences)).sum()),
        "not_measured": int(np.isinf(differences).sum()),
        "mae": mean_found(np.abs(found)),
        "mae_sd": _deviation(np.abs(found)),
        **{f"within_{limit:g}": share_within(differences, limit) for limit in ANGLE_LIMITS},
        "bias": bias,
        "limits": (bias - 1.96 * deviation, bias + 1.96 * deviation),
    }


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def intraclass_correlation(truth: np.ndarray, predicted: np.ndarray) -> float:
    """ICC(2,1), absolute agreement of single measurements (Shrout and Fleiss 1979).

    NaN below three pairs, and where all values are the same.
    """
    pairs = np.column_stack([truth, predicted])
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    return agreement_statistics.intraclass_correlation(pairs)


# --- findings
@dataclass(frozen=True)
class Counts:
    """Outcomes of one finding, or of several pooled by ``+`` (micro-average)."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def total(self) -> int:
        """How many outcomes were counted."""
        return sum(astuple(self))

    def rates(self) -> dict[str, float]:
        """Accuracy, sensitivity, specificity and predictive values, 0 to 1; NaN where nothing was counted for one."""
        tp, fp, fn, tn = astuple(self)
        parts = {
            "accuracy": (tp + tn, self.total),
            "sensitivity": (tp, tp + fn),
            "specificity": (tn, tn + fp),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
        }
        return {name: right / of if of else float("nan") for name, (right, of) in parts.items()}


def count_outcomes(truth: Sequence[bool | None], predicted: Sequence[bool | None]) -> Counts:
    """Outcomes of one finding. An unknown truth (None) is left out; a finding left open (None) counts as wrong."""
    counts = Counts()
    for true, said in zip(truth, predicted, strict=True):
        if true is not None:
            said = not true if said is None else said
            counts += Counts(true and said, said and not true, true and not said, not true and not said)
    return counts


# --- intervals and tests
def resampling_groups(groups: Sequence[str]) -> tuple[np.ndarray, str]:
    """What an interval draws anew, (n,), and its name: whole persons, or ``case`` with fewer than five persons.

    An interval over cases says how well the figure is known for these persons, and nothing about others.
    """
    if len(set(groups)) >= FEWEST_GROUPS:
        return np.asarray(groups), "person"
    return np.arange(len(groups)), "case"


def resampled_interval(
    statistic: Callable[[np.ndarray], float], groups: np.ndarray, repeats: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of ``statistic(indices)``, drawing whole ``groups`` (n,) anew.

    Draws for which it is NaN are left out; (NaN, NaN) where all are.
    """
    names, member = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(member == k) for k in range(len(names))]
    drawn = np.random.default_rng(seed).integers(0, len(names), (repeats, len(names)))
    values = np.array([statistic(np.concatenate([rows[k] for k in draw])) for draw in drawn])
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def paired_tests(first: np.ndarray, second: np.ndarray) -> dict[str, float | int]:
    """Paired t-test (S1) and Wilcoxon signed-rank test of two networks' errors on the same cases, two-sided.

    Cases that either of them left without a value are left out. ``difference`` is the mean of second minus first.
    The tests take cases as independent, which feet of one person are not: read small p-values with that in mind.
    """
    from scipy import stats

    both = np.isfinite(first) & np.isfinite(second)
    a, b = np.asarray(first)[both], np.asarray(second)[both]
    figures: dict[str, float | int] = {"cases": len(a), "difference": mean_found(b - a)}
    if len(a) < 2 or np.ptp(b - a) == 0:
        # The same value throughout: no evidence where it is zero, and no t statistic otherwise.
        same = 1.0 if len(a) and not (b - a).any() else float("nan")
        return figures | {"t_p": same, "wilcoxon_p": same}
    return figures | {"t_p": float(stats.ttest_rel(a, b).pvalue), "wilcoxon_p": float(stats.wilcoxon(a, b).pvalue)}


def area_under_curve(scores: np.ndarray, positive: np.ndarray) -> float:
    """AUC: probability that a positive case (n,) bool scores above a negative one, ties half; NaN without both."""
    above, below = scores[positive], np.sort(scores[~positive])
    if not above.size or not below.size:
        return float("nan")
    passed = [np.searchsorted(below, above, side) for side in ("left", "right")]
    return float(np.mean(passed) / below.size)


# --- calibration
def expected_distance(spread: np.ndarray) -> np.ndarray:
    """Mean distance of a point with one standard deviation ``spread`` per coordinate (Rayleigh), in its unit."""
    return np.sqrt(np.pi / 2) * np.asarray(spread)


def calibration_bins(expected: np.ndarray, observed: np.ndarray, bins: int = 10) -> list[dict[str, float | int]]:
    """Mean expected and mean observed error (n,) in ``bins`` equally filled bins, from the surest on.

    Only finite pairs count; there are fewer bins than asked for where there are fewer pairs.
    """
    both = np.isfinite(expected) & np.isfinite(observed)
    expected, observed = expected[both], observed[both]
    parts = np.array_split(np.argsort(expected, kind="stable"), bins)
    return [
        {"count": len(part), "expected": float(expected[part].mean()), "observed": float(observed[part].mean())}
        for part in parts
        if len(part)
    ]


def point_coverage(spread: np.ndarray, distance: np.ndarray) -> dict[str, float]:
    """Share of points (n,) inside the circle that holds 50, 90 and 95 % of a normal distribution of ``spread``."""
    return _coverage(spread, distance, lambda level: np.sqrt(-2 * np.log(1 - level)))


def value_coverage(deviation: np.ndarray, error: np.ndarray) -> dict[str, float]:
    """Share of values (n,) with an error inside the central 50, 90 and 95 % interval of a normal ``deviation``."""
    from scipy.stats import norm

    return _coverage(deviation, error, lambda level: norm.ppf(0.5 + level / 2))


def _coverage(deviation: np.ndarray, error: np.ndarray, factor: Callable[[float], float]) -> dict[str, float]:
    stated = np.isfinite(deviation) & ~np.isnan(error)
    if not stated.any():
        return {}
    inside = {level: np.abs(error[stated]) <= factor(level) * deviation[stated] for level in LEVELS}
    return {f"{100 * level:g}": float(values.mean()) for level, values in inside.items()}
