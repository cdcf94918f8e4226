"""An agreement to be read: the Markdown of summary.md."""

from collections.abc import Sequence

from orthoangles.annotation.agreement.comparisons import AngleComparison, LandmarkComparison, Pair
from orthoangles.annotation.agreement.finding import Agreement
from orthoangles.annotation.agreement.outliers import Outlier
from orthoangles.annotation.agreement.report import rater_record
from orthoangles.markdown import between, number, table

_UNITS = {"deg": "degrees"}
_ANGLE_HEAD = (
    "measurement", "images", "mean absolute", "bias (95 %)", "limits of agreement (95 % of each)", "ICC(2,1) (95 %)",
)  # fmt: skip
_LANDMARK_HEAD = ("landmark", "points", "mean distance", "median", "95th percentile", "largest", "only one placed")
_KINDS = {
    "readers": "Differences between two readers.",
    "model": "Differences of the model's proposal from the reader. A reader who started from the proposal is drawn to "
    "it, so this says how much was corrected, not how right the model is.",
    "repeated": "Two readings by one reader.",
}


def as_markdown(agreement: Agreement) -> str:
    """The figures as tables; nothing else is in it than in summary.json."""
    protocol = agreement.source.protocol
    parts = [
        f"# Agreement, {protocol.name}",
        f"{len(agreement.compared)} images compared of {len(agreement.images)}; protocol {protocol.id} "
        f"{protocol.version}. Intervals are 95 % and take images as independent. Definitions: docs/AGREEMENT.md.",
        _raters(agreement),
        _among_all(agreement),
        *(part for pair in agreement.pairs for part in _of_pair(agreement, pair)),
        _outliers(agreement.outliers),
        _incomplete(agreement),
        _remarks("Left out", [f"{each.dataset}, case {each.case}: {each.reason}" for each in agreement.left_out]),
        _remarks("Notes", agreement.source.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _raters(agreement: Agreement) -> str:
    rows = [
        [
            _cell(each["name"]),
            "model" if each["is_model"] else "reader",
            f"{each['readings']}",
            f"{each['repeated']}",
            "-" if each["is_model"] else f"{each['started_from_a_proposal']}",
            number(float("nan") if each["median_seconds"] is None else each["median_seconds"], 0),
        ]
        for each in (rater_record(agreement, name) for name in agreement.raters)
    ]
    return table(["rater", "", "readings", "of them repeated", "started from a proposal", "median seconds"], rows)


def _among_all(agreement: Agreement) -> str:
    rows = [
        [angle.name, f"{number(angle.icc, 3)} ({between(angle.icc_interval, 3)})", f"{angle.icc_images}"]
        for angle in agreement.angles
        if angle.icc_images
    ]
    heading = f"## All {len(agreement.readers)} readers\n\n"
    return heading + table(["measurement", "ICC(2,1) (95 %)", "images"], rows) if rows else ""


def _of_pair(agreement: Agreement, pair: Pair) -> list[str]:
    place = agreement.pairs.index(pair)
    angles = [_angle(angle.name, angle.unit, angle.comparisons[place]) for angle in agreement.angles]
    entries = (agreement.all_landmarks, *agreement.landmarks)
    landmarks = [row for landmark in entries for row in _landmark(landmark.id, landmark.comparisons[place])]
    repeated = ["95 % repeatability"] if pair.kind == "repeated" else []
    return [
        f"## {_cell(pair.name)}",
        _KINDS[pair.kind],
        table([*_ANGLE_HEAD, *repeated, "only one measured"], angles),
        table(_LANDMARK_HEAD, landmarks),
    ]


def _angle(name: str, unit: str, comparison: AngleComparison) -> list[str]:
    figures = comparison.figures
    (low, high), (of_low, of_high) = figures.limits, figures.limit_intervals
    repeatability = [number(figures.repeatability)] if comparison.pair.kind == "repeated" else []
    return [
        f"{name}, {_UNITS.get(unit, unit)}",
        f"{figures.cases}",
        number(figures.mean_absolute),
        f"{number(figures.bias)} ({between(figures.bias_interval)})",
        f"{number(low)} ({between(of_low)}) / {number(high)} ({between(of_high)})",
        f"{number(comparison.icc, 3)} ({between(comparison.icc_interval, 3)})",
        *repeatability,
        f"{comparison.only_first + comparison.only_second}",
    ]


def _landmark(landmark_id: str, comparison: LandmarkComparison) -> list[list[str]]:
    rows = []
    for unit in ("mm", "px"):
        if figures := comparison.figures(unit):
            told = [number(figures[key], 2, f" {unit}") for key in ("mean", "median", "p95", "largest")]
            missed = f"{comparison.only_first + comparison.only_second}" if not rows else ""
            rows.append([landmark_id, f"{figures['points']}", *told, missed])
    return rows


def _outliers(outliers: Sequence[Outlier]) -> str:
    rows = [
        [
            outlier.image.label,
            outlier.name,
            f"{number(outlier.difference)} {_UNITS.get(outlier.unit, outlier.unit)}",
            "yes" if outlier.outside else "",
            _cell(outlier.pair.name),
            _cell("; ".join(dict.fromkeys(f"{each.dataset.folder.name}/{each.case.id}" for each in outlier.readings))),
        ]
        for outlier in outliers
    ]
    head = ["image", "largest difference of", "difference", "outside limits", "compared", "cases"]
    return "## Largest differences\n\n" + table(head, rows) if rows else ""


def _incomplete(agreement: Agreement) -> str:
    lines = [
        f"image {image.label} (case {', '.join(sorted({reading.case.id for reading in image.readings}))}): "
        f"only {', '.join(image.readers)}"
        for image in agreement.incomplete
    ]
    return _remarks("Not read by all", lines)


def _remarks(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {_cell(line)}" for line in lines) if lines else ""


def _cell(text: str) -> str:
    """Text that readers wrote, safe inside a table."""
    return text.replace("|", "\\|").replace("\n", " ")
