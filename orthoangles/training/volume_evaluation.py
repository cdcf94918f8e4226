"""Figures of a network for CT volumes: distances, angles, what was missed and what invented, and how sure it was."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.atomic import replacing, write_json
from orthoangles.errors import DatasetError
from orthoangles.networks.volumes.finding import within
from orthoangles.predicting import Backend
from orthoangles.protocols import Protocol
from orthoangles.training import point_metrics as metrics
from orthoangles.training.landmark_cases import angle_ids
from orthoangles.training.landmark_tables import between, number, percent, plain, shares, table
from orthoangles.training.volume_cases import VolumeCase, backend_cases

PUBLISHED = {"P1": "1.00", "C1": "1.88", "hindfoot-angle": "0.91", "boehler-angle": "2.90"}
"""What S2's abstract names, of 74 real feet in five folds: its best and worst landmark (mm) and angle (degrees)."""


def evaluate_volumes(
    backend: Backend, cases: Sequence[tuple[Dataset, Case]], output: Path, details: Mapping[str, Any] | None = None
) -> dict:
    """Measures ``cases`` and writes summary.json, summary.md and cases.csv to ``output``; returns the summary."""
    if not cases:
        raise DatasetError("there is no case to evaluate on")
    measured = backend_cases(backend, cases)
    summary = {"model": vars(backend.model), **(details or {}), **summarise(measured, backend.protocol)}
    write_summary(summary, measured, backend.protocol, output)
    print(as_markdown(summary))
    return summary


def write_summary(summary: Mapping[str, Any], cases: Sequence[VolumeCase], protocol: Protocol, output: Path) -> None:
    """The figures as JSON and Markdown, and the cases as CSV, into the folder ``output``."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "summary.json", plain(summary))
    (output / "summary.md").write_text(as_markdown(summary), encoding="utf-8")
    write_cases(output / "cases.csv", cases, protocol)


def summarise(cases: Sequence[VolumeCase], protocol: Protocol) -> dict:
    """Figures over ``cases``; intervals draw whole persons anew where there are five or more."""
    groups, unit = metrics.resampling_groups([case.group for case in cases])
    distances = np.stack([case.distances for case in cases])
    invented = np.stack([~case.visible & case.found for case in cases])
    unseen = np.stack([~case.visible for case in cases])
    return {
        "protocol": protocol.id,
        "cases": len(cases),
        "persons": len({case.group for case in cases}),
        "intervals_over": unit,
        "overall": _distance_figures(distances, groups) | _presence(distances, invented, unseen),
        "landmarks": {
            name: _distance_figures(distances[:, k], groups)
            | _presence(distances[:, k], invented[:, k], unseen[:, k])
            | {"bias": _bias([case.vectors[k] for case in cases if case.visible[k]])}
            for k, name in enumerate(protocol.landmark_ids)
        },
        "angles": {name: _angle_figures(cases, name, groups) for name in angle_ids(protocol)},
        "calibration": _calibration(cases),
        "seconds": float(np.nanmedian([case.seconds for case in cases])),
    }


def _distance_figures(distances: np.ndarray, groups: np.ndarray) -> dict:
    found = distances[np.isfinite(distances)]
    return {
        "mean": metrics.mean_found(distances),
        "interval": metrics.resampled_interval(lambda rows: metrics.mean_found(distances[rows]), groups, repeats=500),
        "sd": float(found.std(ddof=1)) if found.size > 1 else float("nan"),
        "median": float(np.median(found)) if found.size else float("nan"),
        "p95": float(np.percentile(found, 95)) if found.size else float("nan"),
        "within": {f"{limit:g}": metrics.share_within(distances, limit) for limit in (1.0, 2.0, 4.0)},
    }


def _presence(distances: np.ndarray, invented: np.ndarray, unseen: np.ndarray) -> dict:
    """How many landmarks were in view, and of these not found; how many were not in view, and of these invented."""
    return {
        "visible": int((~np.isnan(distances)).sum()),
        "missed": int(np.isinf(distances).sum()),
        "not_visible": int(unseen.sum()),
        "invented": int(invented.sum()),
    }


def _bias(vectors: Sequence[np.ndarray]) -> float:
    """Length of the mean error: what more cases of the same kind would not average out."""
    vectors = np.array(vectors).reshape(-1, 3)
    vectors = vectors[np.isfinite(vectors).all(axis=1)]
    return float(np.linalg.norm(vectors.mean(axis=0))) if len(vectors) else float("nan")


def _angle_figures(cases: Sequence[VolumeCase], name: str, groups: np.ndarray) -> dict:
    truth = np.array([case.truth[name] for case in cases])
    predicted = np.array([case.predicted[name] for case in cases])
    difference = metrics.angle_differences(truth, predicted)
    error = np.abs(difference)
    return {
        **metrics.angle_figures(difference),
        "mae_interval": metrics.resampled_interval(lambda rows: metrics.mean_found(error[rows]), groups, repeats=500),
        "icc": metrics.intraclass_correlation(truth, predicted),
    }


def _calibration(cases: Sequence[VolumeCase]) -> dict:
    """Expected distance, from the stated spread, against the observed one; coverage of points and angles."""
    spread = np.stack([case.spread for case in cases]).ravel()
    distances = np.stack([case.distances for case in cases]).ravel()
    expected = np.sqrt(8 / np.pi) * spread
    both = np.isfinite(expected) & np.isfinite(distances)
    names = [(case, name) for case in cases for name in case.deviations]
    differences = [metrics.angle_differences(case.truth[name], case.predicted[name]) for case, name in names]
    return {
        "bins": metrics.calibration_bins(expected, distances),
        "expected": metrics.mean_found(expected[both]),
        "observed": metrics.mean_found(distances[both]),
        "point_coverage": _ball_coverage(distances[both] / spread[both]),
        "angle_coverage": metrics.value_coverage(
            np.array([case.deviations[name] for case, name in names]), np.array(differences)
        ),
    }


def _ball_coverage(ratio: np.ndarray) -> dict[str, float]:
    """Share of points inside the ball that holds 50, 90 and 95 % of a normal distribution."""
    probability = within(ratio)
    return {f"{100 * level:g}": float((probability <= level).mean()) for level in metrics.LEVELS} if ratio.size else {}


def as_markdown(summary: Mapping[str, Any]) -> str:
    """The summary as Markdown tables."""
    overall, calibration = summary["overall"], summary["calibration"]
    model = summary.get("model")
    named = f"Model {model['name']} {model['version']}, weights {model['sha256'][:12]}; " if model else ""
    head = (
        f"{named}{summary['cases']} volumes of {summary['persons']} person(s), protocol {summary['protocol']}. 95 % "
        f"intervals draw each {summary['intervals_over']} anew."
    )
    rows = [
        ["mean distance, mm (95 %)", f"{number(overall['mean'])} ({between(overall['interval'])})"],
        ["median / 95th percentile, mm", f"{number(overall['median'])} / {number(overall['p95'])}"],
        [
            "within " + " / ".join(overall["within"]) + " mm",
            " / ".join(percent(share) for share in overall["within"].values()),
        ],
        ["landmarks in view / of these not found", f"{overall['visible']} / {overall['missed']}"],
        ["landmarks not in view / of these invented", f"{overall['not_visible']} / {overall['invented']}"],
        [
            "expected distance from the stated spread / observed, mm",
            f"{number(calibration['expected'])} / {number(calibration['observed'])}",
        ],
        ["points inside their 50 / 90 / 95 % balls", shares(calibration["point_coverage"])],
        ["angles inside their 50 / 90 / 95 % intervals", shares(calibration["angle_coverage"])],
        ["seconds per volume, median", number(summary["seconds"], 1)],
    ]
    return "\n\n".join([head, table(["figure", "value"], rows), _landmark_table(summary), _angle_table(summary)]) + "\n"


def _landmark_table(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{number(each['mean'])} ± {number(each['sd'])} ({between(each['interval'])})",
            number(each["median"]),
            number(each["p95"]),
            percent(each["within"]["2"]),
            f"{each['missed']} of {each['visible']}",
            f"{each['invented']} of {each['not_visible']}",
            PUBLISHED.get(name, "1.00 to 1.88"),
        ]
        for name, each in summary["landmarks"].items()
    ]
    head = ["landmark", "distance ± SD, mm (95 %)", "median", "95th percentile", "below 2 mm"]
    return table([*head, "not found, in view", "invented, not in view", "S2, mm"], rows)


def _angle_table(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{number(each['mae'])} ± {number(each['mae_sd'])} ({between(each['mae_interval'])})",
            percent(each["within_3"]),
            f"{number(each['bias'])} ({between(each['limits'])})",
            number(each["icc"], 3),
            f"{each['cases']} / {each['not_measured']}",
            PUBLISHED.get(name, "0.91 to 2.90"),
        ]
        for name, each in summary["angles"].items()
    ]
    head = ["angle", "absolute error ± SD, degrees (95 %)", "within 3", "bias (limits of agreement)", "ICC(2,1)"]
    return table([*head, "cases / not measured", "S2, degrees"], rows)


def write_cases(path: Path, cases: Sequence[VolumeCase], protocol: Protocol) -> None:
    """One CSV row per case: distance of each landmark, each angle as labelled and as predicted."""
    names = angle_ids(protocol)
    head = ["case", "group", "mean distance mm", "warnings", *(f"{name} mm" for name in protocol.landmark_ids)]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(head + [f"{side} {name}" for name in names for side in ("labelled", "predicted")])
        for case in cases:
            distances = [f"{value:.3f}" for value in case.distances]
            angles = [f"{side[name]:.2f}" for name in names for side in (case.truth, case.predicted)]
            mean = f"{metrics.mean_found(case.distances):.3f}"
            rows.writerow([case.id, case.group, mean, "; ".join(case.warnings), *distances, *angles])
