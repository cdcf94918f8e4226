"""Out-of-fold figures of a bundle: every held-out radiograph from its file through the backend to angles."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.atomic import replacing, write_json
from orthoangles.measuring import measure
from orthoangles.predicting import Backend
from orthoangles.training.metrics import bootstrap_interval, distances, image_smape, smape_per_angle

RULES = {
    "aasce": ("cobb-aasce-max", "cobb-aasce-upper", "cobb-aasce-lower"),
    "aasce-python": ("cobb-aasce-python-max", "cobb-aasce-python-upper", "cobb-aasce-python-lower"),
}
MAJOR = "cobb-clinical-major"


@dataclass(frozen=True, eq=False)
class EvaluatedCase:
    """One radiograph: labelled and predicted values by measurement id, and landmark distances in original pixels."""

    id: str
    group: str
    truth: dict[str, float]
    predicted: dict[str, float]
    pixel_errors: np.ndarray
    confidence: float
    warnings: tuple[str, ...]
    intervals: dict[str, tuple[float, float]]


def evaluate(backend: Backend, cases: Sequence[tuple[Dataset, Case]], output: Path, details: Mapping[str, Any]) -> dict:
    """Measures ``cases`` and writes summary.json, summary.md, cases.csv and plots to ``output``.

    Returns the summary. Labels are taken as they stand in the dataset, faulty ones included.
    """
    evaluated = [_evaluated(backend, store, case) for store, case in tqdm(cases, desc="Evaluating", unit="case")]
    summary = {"model": vars(backend.model), "cases": len(evaluated), **details, **summarise(evaluated)}
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "summary.json", summary)
    (output / "summary.md").write_text(as_table(summary), encoding="utf-8")
    _write_cases(output / "cases.csv", evaluated)
    _plot_agreement(output / "agreement.png", evaluated)
    print(as_table(summary))
    return summary


def _evaluated(backend: Backend, store: Dataset, case: Case) -> EvaluatedCase:
    image = store.read_image(case)
    labels = store.read_points(case, backend.protocol.landmark_ids)
    prediction = backend.predict(image)
    truth = measure(backend.protocol, labels, image=image)
    found = measure(backend.protocol, prediction.points, spread=prediction.spread, image=image)
    wanted = [*RULES["aasce"], *RULES["aasce-python"], MAJOR]
    return EvaluatedCase(
        case.id,
        case.group,
        {name: _number(truth.by_id(name).value) for name in wanted},
        {name: _number(found.by_id(name).value) for name in wanted},
        distances(image.index_points(labels)[:, :2], image.index_points(prediction.points)[:, :2]),
        float(np.min(prediction.confidence)),
        prediction.warnings,
        {name: found.by_id(name).interval for name in wanted if found.by_id(name).interval},
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _columns(cases: Sequence[EvaluatedCase], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    truth = np.array([[case.truth[name] for name in names] for case in cases])
    return truth, np.array([[case.predicted[name] for name in names] for case in cases])


def summarise(cases: Sequence[EvaluatedCase]) -> dict:
    """Figures of merit over ``cases``; an angle that could not be measured counts as zero in SMAPE."""
    groups = np.array([case.group for case in cases])
    errors = np.concatenate([case.pixel_errors for case in cases])
    summary: dict = {"rules": {}}
    for rule, names in RULES.items():
        truth, predicted = _columns(cases, names)
        ratio = image_smape(truth, predicted)
        summary["rules"][rule] = {
            "smape": float(ratio.mean()),
            "smape_interval": bootstrap_interval(ratio, groups),
            "smape_median": float(np.median(ratio)),
            "smape_per_angle": smape_per_angle(truth, predicted).tolist(),
            "mean_absolute_error": np.nanmean(np.abs(truth - predicted), axis=0).tolist(),
        }
    truth, predicted = (values[:, 0] for values in _columns(cases, [MAJOR]))
    difference = np.abs(truth - predicted)
    measured = np.isfinite(difference)
    summary["clinical_major"] = {
        "cases": int(measured.sum()),
        "mean_absolute_error": float(difference[measured].mean()),
        "within_5_degrees": float((difference[measured] <= 5).mean()),
    }
    summary["landmarks"] = {
        "mean_distance_px": float(np.nanmean(errors)),
        "median_distance_px": float(np.nanmedian(errors)),
        "mean_squared_error_px2": float(np.nanmean(errors**2)),
    }
    covered = [
        low <= case.truth[name] <= high
        for case in cases
        for name, (low, high) in case.intervals.items()
        if name in RULES["aasce"] and np.isfinite(case.truth[name])
    ]
    summary["interval_coverage"] = float(np.mean(covered)) if covered else None
    summary["all_vertebrae_found"] = float(np.mean([np.isfinite(case.pixel_errors).all() for case in cases]))
    summary["flagged"] = float(np.mean([bool(case.warnings) for case in cases]))
    unflagged = [case for case in cases if not case.warnings]
    if unflagged:
        summary["smape_unflagged"] = float(image_smape(*_columns(unflagged, RULES["aasce"])).mean())
    return summary


def as_table(summary: dict) -> str:
    """The summary as Markdown."""
    rows = [
        f"Model {summary['model']['name']} {summary['model']['version']}, weights {summary['model']['sha256'][:12]}; "
        f"{summary['cases']} held-out of {summary['of']} radiographs.",
        "",
        "| figure | value |",
        "|-|-|",
    ]
    for rule, values in summary["rules"].items():
        low, high = values["smape_interval"]
        per = " / ".join(f"{value:.2f}" for value in values["smape_per_angle"])
        error = " / ".join(f"{value:.2f}" for value in values["mean_absolute_error"])
        rows += [
            f"| SMAPE, rule {rule} | {values['smape']:.2f} % (95 % {low:.2f} to {high:.2f}), "
            f"median {values['smape_median']:.2f} % |",
            f"| SMAPE per angle (largest / upper / lower), rule {rule} | {per} % |",
            f"| mean absolute error (largest / upper / lower), rule {rule} | {error} degrees |",
        ]
    clinical, landmarks = summary["clinical_major"], summary["landmarks"]
    rows += [
        f"| clinical major curve, mean absolute error ({clinical['cases']} cases) | "
        f"{clinical['mean_absolute_error']:.2f} degrees |",
        f"| clinical major curve within 5 degrees | {100 * clinical['within_5_degrees']:.1f} % |",
        f"| landmark distance, mean / median | {landmarks['mean_distance_px']:.1f} / "
        f"{landmarks['median_distance_px']:.1f} original px |",
        f"| landmark mean squared error | {landmarks['mean_squared_error_px2']:.0f} px^2 |",
        f"| all 17 vertebrae found | {100 * summary['all_vertebrae_found']:.1f} % |",
        f"| flagged as doubtful | {100 * summary['flagged']:.1f} % |",
    ]
    if "smape_unflagged" in summary:
        rows.append(f"| SMAPE of those not flagged, rule aasce | {summary['smape_unflagged']:.2f} % |")
    if summary["interval_coverage"] is not None:
        rows.append(f"| labelled angle inside the stated 95 % interval | {100 * summary['interval_coverage']:.1f} % |")
    return "\n".join(rows) + "\n"


def _write_cases(path: Path, cases: Sequence[EvaluatedCase]) -> None:
    names = [*RULES["aasce"], MAJOR]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(
            ["case", "group", "smape", "mean distance px", "confidence", "warnings"]
            + [f"{side} {name}" for name in names for side in ("labelled", "predicted")]
        )
        for case in cases:
            ratio = image_smape(*_columns([case], RULES["aasce"]))[0]
            angles = [f"{side[name]:.2f}" for name in names for side in (case.truth, case.predicted)]
            distance = float(np.nanmean(case.pixel_errors)) if np.isfinite(case.pixel_errors).any() else float("nan")
            table.writerow(
                [
                    case.id,
                    case.group,
                    f"{ratio:.2f}",
                    f"{distance:.1f}",
                    f"{case.confidence:.3f}",
                    "; ".join(case.warnings),
                    *angles,
                ]
            )


def _plot_agreement(path: Path, cases: Sequence[EvaluatedCase]) -> None:
    """Predicted against labelled angles by the AASCE rule, and their differences (Bland and Altman, 1986)."""
    from matplotlib.figure import Figure

    truth, predicted = _columns(cases, RULES["aasce"])
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for column, name in enumerate(("largest", "upper", "lower")):
        left.scatter(truth[:, column], predicted[:, column], s=12, alpha=0.7, label=name)
        right.scatter((truth + predicted)[:, column] / 2, (predicted - truth)[:, column], s=12, alpha=0.7)
    limit = float(np.nanmax([truth, predicted])) * 1.05
    left.plot([0, limit], [0, limit], color="0.5", linewidth=1)
    left.set(xlabel="labelled angle (degrees)", ylabel="predicted angle (degrees)", title="Cobb, AASCE rule")
    left.legend(title="angle")
    difference = (predicted - truth)[np.isfinite(predicted - truth)]
    bias, deviation = float(difference.mean()), float(difference.std(ddof=1))
    for height, style in ((bias, "-"), (bias - 1.96 * deviation, "--"), (bias + 1.96 * deviation, "--")):
        right.axhline(height, color="0.3", linestyle=style, linewidth=1)
    right.set(
        xlabel="mean of both (degrees)",
        ylabel="predicted minus labelled (degrees)",
        title=f"bias {bias:.1f}, limits of agreement {bias - 1.96 * deviation:.1f} to {bias + 1.96 * deviation:.1f}",
    )
    figure.savefig(path, dpi=120)
