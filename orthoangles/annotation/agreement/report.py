"""An agreement as files: summary.json, summary.md and differences.csv."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import orthoangles
from orthoangles.annotation.agreement.comparisons import AngleAgreement, AngleComparison, LandmarkComparison, Pair
from orthoangles.annotation.agreement.finding import Agreement
from orthoangles.annotation.agreement.outliers import Outlier
from orthoangles.annotation.agreement.readings import Progress, Reading
from orthoangles.atomic import replacing, write_json
from orthoangles.markdown import plain

_CSV_HEAD = (
    "kind", "id", "unit", "image", "compared", "first", "second", "first_case", "second_case", "first_value",
    "second_value", "difference", "outside_limits",
)  # fmt: skip


def summarise(agreement: Agreement) -> dict[str, Any]:
    """Everything of an agreement as JSON types, as summary.json holds it; see docs/AGREEMENT.md."""
    protocol = agreement.source.protocol
    return plain(
        {
            "format": "orthoangles-agreement",
            "version": 1,
            "software": f"orthoangles {orthoangles.__version__}",
            "protocol": {"id": protocol.id, "version": protocol.version},
            "raters": [rater_record(agreement, name) for name in agreement.raters],
            "images": len(agreement.images),
            "images_compared": len(agreement.compared),
            "groups_compared": len({image.readings[0].case.group for image in agreement.compared}),
            "pairs": [_pair(pair) for pair in agreement.pairs],
            "angles": [_angle(angle) for angle in agreement.angles],
            "landmarks": [
                {"id": entry.id, "name": entry.name, "pairs": [_landmark(each) for each in entry.comparisons]}
                for entry in (agreement.all_landmarks, *agreement.landmarks)
            ],
            "outliers": [_outlier(outlier) for outlier in agreement.outliers],
            "incomplete": [
                {
                    "image": image.label,
                    "read_by": list(image.readers),
                    "not_read_by": [name for name in agreement.readers if name not in image.readers],
                    "cases": sorted({reading.case.id for reading in image.readings}),
                }
                for image in agreement.incomplete
            ],
            "left_out": [asdict(entry) for entry in agreement.left_out],
            "notes": list(agreement.source.notes),
        }
    )


def rater_record(agreement: Agreement, name: str) -> dict[str, Any]:
    """What is known of one rater and of the circumstances of the readings."""
    own = [reading for reading in agreement.source.readings if reading.rater == name]
    seconds = np.array([reading.seconds for reading in own])
    seconds = seconds[np.isfinite(seconds)]
    return {
        "name": name,
        "is_model": own[0].is_model,
        "readings": len(own),
        "repeated": sum(reading.number > 1 for reading in own),
        # A reader who corrects a proposal is drawn to it.
        "started_from_a_proposal": sum(bool(reading.case.predicted) for reading in own if not reading.is_model),
        "median_seconds": float(np.median(seconds)) if seconds.size else None,
        "datasets": sorted({str(reading.dataset.folder) for reading in own}),
    }


def _pair(pair: Pair) -> dict[str, str]:
    return {"first": pair.first.name, "second": pair.second.name, "kind": pair.kind}


def _angle(angle: AngleAgreement) -> dict[str, Any]:
    among_all = {"value": angle.icc, "interval": angle.icc_interval, "images": angle.icc_images}
    return {
        "id": angle.id,
        "name": angle.name,
        "unit": angle.unit,
        "icc_all_readers": among_all if angle.icc_images else None,
        "pairs": [_compared(comparison) for comparison in angle.comparisons],
    }


def _compared(comparison: AngleComparison) -> dict[str, Any]:
    figures = asdict(comparison.figures)
    if comparison.pair.kind != "repeated":
        del figures["repeatability"]
    return {
        **_pair(comparison.pair),
        **figures,
        "icc": comparison.icc,
        "icc_interval": comparison.icc_interval,
        "outside_limits": int(comparison.outside.sum()),
        "only_first": comparison.only_first,
        "only_second": comparison.only_second,
    }


def _landmark(comparison: LandmarkComparison) -> dict[str, Any]:
    missed = {"only_first": comparison.only_first, "only_second": comparison.only_second}
    return {**_pair(comparison.pair), **missed, **{unit: comparison.figures(unit) for unit in ("mm", "px")}}


def _outlier(outlier: Outlier) -> dict[str, Any]:
    return {
        "kind": outlier.kind,
        "id": outlier.id,
        "name": outlier.name,
        "difference": outlier.difference,
        "unit": outlier.unit,
        **_pair(outlier.pair),
        "image": outlier.image.label,
        "outside_limits": outlier.outside,
        "others_outside": list(outlier.others),
        "readings": [_opened(reading) for reading in outlier.readings],
    }


def _opened(reading: Reading) -> dict[str, str]:
    points = reading.case.predicted if reading.is_model else reading.case.points
    return {
        "rater": reading.rater,
        "dataset": str(reading.dataset.folder),
        "case": reading.case.id,
        "image": reading.case.image,
        "points": points,
    }


def write_differences(path: Path, agreement: Agreement) -> None:
    """One CSV row for each image, pair of readings, and measurement or landmark that both have."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(_CSV_HEAD)
        for angle in agreement.angles:
            for each in angle.comparisons:
                values = zip(each.images, each.first, each.second, each.differences, each.outside, strict=True)
                for image, first, second, difference, outside in values:
                    told = [f"{first:.6g}", f"{second:.6g}", f"{difference:.6g}", int(outside)]
                    rows.writerow(["angle", angle.id, angle.unit, *_place(agreement, image, each.pair), *told])
        for landmark in agreement.landmarks:
            for each in landmark.comparisons:
                for image, distance, in_mm in zip(each.images, each.distances, each.in_mm, strict=True):
                    told = ["", "", f"{distance:.6g}", ""]
                    unit = "mm" if in_mm else "px"
                    rows.writerow(["landmark", landmark.id, unit, *_place(agreement, image, each.pair), *told])


def _place(agreement: Agreement, index: int, pair: Pair) -> list[str]:
    image = agreement.images[index]
    cases = [image.reading(series).case.id for series in (pair.first, pair.second)]
    return [image.label, pair.kind, pair.first.name, pair.second.name, *cases]


def write_report(agreement: Agreement, output: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Write summary.json, summary.md, differences.csv and figures/ to ``output``; returns the summary.

    ``progress`` is told of the figures, which take longest.
    """
    from orthoangles.annotation.agreement.plots import plot_agreement
    from orthoangles.annotation.agreement.text import as_markdown

    output.mkdir(parents=True, exist_ok=True)
    summary = summarise(agreement)
    summary["figures"] = plot_agreement(agreement, output / "figures", progress)
    write_differences(output / "differences.csv", agreement)
    with replacing(output / "summary.md") as temporary:
        temporary.write_text(as_markdown(agreement), encoding="utf-8")
    write_json(output / "summary.json", summary)
    return summary
