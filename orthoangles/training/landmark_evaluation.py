"""Held-out figures of a landmark network: every radiograph from its file through the backend to angles and findings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError
from orthoangles.protocols import Protocol
from orthoangles.training import point_metrics as metrics
from orthoangles.training.landmark_cases import (
    REFUSED,
    LandmarkCase,
    Predictor,
    angle_ids,
    angle_pairs,
    measured_cases,
    stacked,
)
from orthoangles.training.landmark_plots import plot_agreement, plot_calibration, plot_landmarks
from orthoangles.training.landmark_tables import as_markdown, plain, write_cases

MICRO = "micro-average"


def evaluate_landmarks(
    backend: Predictor, cases: Sequence[tuple[Dataset, Case]], output: Path, details: Mapping[str, Any] | None = None
) -> dict:
    """Measures ``cases`` and writes summary.json, summary.md, cases.csv and three plots to ``output``.

    Returns the summary, with ``details`` in it. Labels are taken as they stand. A landmark that is off the image counts
    nowhere; one that is on it but hidden (collimated, burnt out) counts in everything, and figures without the hidden
    ones stand beside.
    """
    if not cases:
        raise DatasetError("there is no case to evaluate on")
    measured = measured_cases(backend, cases)
    summary = {"model": vars(backend.model), **(details or {}), **summarise(measured, backend.protocol)}
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "summary.json", plain(summary))
    (output / "summary.md").write_text(as_markdown(summary), encoding="utf-8")
    write_cases(output / "cases.csv", measured, backend.protocol)
    plot_calibration(output / "calibration.png", summary["calibration"])
    plot_agreement(output / "agreement.png", measured, backend.protocol)
    plot_landmarks(output / "landmarks.png", measured, backend.protocol)
    print(as_markdown(summary))
    return summary


def summarise(cases: Sequence[LandmarkCase], protocol: Protocol) -> dict:
    """Figures over ``cases``; see :mod:`orthoangles.training.point_metrics` for how missing values count."""
    groups, unit = metrics.resampling_groups([case.group for case in cases])
    findings = finding_counts(cases)
    if len(findings) > 1:
        findings[MICRO] = sum(findings.values(), metrics.Counts())
    return {
        "protocol": protocol.id,
        "cases": len(cases),
        "persons": len({case.group for case in cases}),
        "intervals_over": unit,
        "landmarks": landmark_figures(cases, protocol, groups),
        "angles": {name: _angle_summary(cases, name, groups) for name in angle_ids(protocol)},
        "findings": {name: {**vars(counts), **counts.rates()} for name, counts in findings.items()},
        "calibration": calibration(cases),
        "flagged": float(np.mean([bool(case.warnings) for case in cases])),
        "refused": sum(any(text.startswith(REFUSED) for text in case.warnings) for case in cases),
        "seconds": float(np.median([case.seconds for case in cases])),
    }


def landmark_figures(cases: Sequence[LandmarkCase], protocol: Protocol, groups: np.ndarray) -> dict:
    """NME, mean errors and detection rates, over all landmarks on the image and for each."""
    errors = stacked(cases)
    seen = np.where(errors["hidden"], np.nan, errors["nme"])
    return {
        "labelled": int((~np.isnan(errors["px"])).sum()),
        "not_found": int(np.isinf(errors["px"]).sum()),
        "hidden": int((errors["hidden"] & ~np.isnan(errors["px"])).sum()),
        "nme": metrics.mean_found(errors["nme"]),
        "nme_interval": metrics.resampled_interval(lambda rows: metrics.mean_found(errors["nme"][rows]), groups),
        "nme_without_hidden": metrics.mean_found(seen),
        "mre_px": metrics.mean_found(errors["px"]),
        "mre_mm": metrics.mean_found(errors["mm"]),
        "sdr": {f"{limit:g}": metrics.share_within(errors["mm"], limit) for limit in metrics.SDR_LIMITS},
        "each": {
            name: {f"mre_{unit}": metrics.mean_found(errors[unit][:, k]) for unit in ("px", "mm")}
            | {"nme": metrics.mean_found(errors["nme"][:, k]), "sdr_2": metrics.share_within(errors["mm"][:, k], 2.0)}
            for k, name in enumerate(protocol.landmark_ids)
        },
    }


def _angle_summary(cases: Sequence[LandmarkCase], name: str, groups: np.ndarray) -> dict:
    truth, predicted = angle_pairs(cases, name)
    difference = metrics.angle_differences(truth, predicted)
    error = np.abs(difference)
    return {
        **metrics.angle_figures(difference),
        "mae_interval": metrics.resampled_interval(lambda rows: metrics.mean_found(error[rows]), groups),
        "icc": metrics.intraclass_correlation(truth, predicted),
        "icc_interval": metrics.resampled_interval(
            lambda rows: metrics.intraclass_correlation(truth[rows], predicted[rows]), groups
        ),
    }


def finding_counts(cases: Sequence[LandmarkCase]) -> dict[str, metrics.Counts]:
    """Outcomes of each finding: the protocol's rule on predicted landmarks against the rule on true ones."""
    return {
        name: metrics.count_outcomes([case.true_findings[name] for case in cases], [case.found[name] for case in cases])
        for name in cases[0].true_findings
    }


def calibration(cases: Sequence[LandmarkCase]) -> dict:
    """Expected error (from the stated spread) against the observed one, in NME; coverage of points and angles."""
    side = np.array([[case.side] for case in cases])
    spread = (np.stack([case.spread for case in cases]) / side).ravel()
    error, expected = stacked(cases)["nme"].ravel(), metrics.expected_distance(spread)
    both = np.isfinite(error) & np.isfinite(expected)
    names = [(case, name) for case in cases for name in case.deviations]
    differences = [metrics.angle_differences(case.truth[name], case.predicted[name]) for case, name in names]
    return {
        "bins": metrics.calibration_bins(expected, error),
        "expected": metrics.mean_found(expected[both]),
        "observed": metrics.mean_found(error[both]),
        "rank_correlation": _rank_correlation(expected[both], error[both]),
        "point_coverage": metrics.point_coverage(spread, error),
        "angle_coverage": metrics.value_coverage(
            np.array([case.deviations[name] for case, name in names]), np.array(differences)
        ),
    }


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's; NaN where either of them does not vary."""
    from scipy.stats import spearmanr

    varies = len(first) > 2 and np.ptp(first) > 0 and np.ptp(second) > 0
    return float(spearmanr(first, second)[0]) if varies else float("nan")
