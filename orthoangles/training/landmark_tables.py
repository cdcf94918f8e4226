"""The figures of a landmark network as Markdown, CSV and JSON."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.atomic import replacing
from orthoangles.markdown import between, number, percent, plain, table
from orthoangles.protocols import Protocol
from orthoangles.training.landmark_cases import LandmarkCase, angle_ids

__all__ = ["RATES", "as_markdown", "between", "number", "percent", "plain", "table", "write_cases"]

RATES = ("accuracy", "sensitivity", "specificity", "ppv", "npv")


def as_markdown(summary: Mapping[str, Any]) -> str:
    """The summary of :func:`orthoangles.training.landmark_evaluation.summarise` with its model, as Markdown."""
    model = summary["model"]
    head = (
        f"Model {model['name']} {model['version']}, weights {model['sha256'][:12]}; {summary['cases']} radiographs of "
        f"{summary['persons']} person(s), protocol {summary['protocol']}. 95 % intervals draw each "
        f"{summary['intervals_over']} anew."
    )
    parts = [head, _overall(summary), _angles(summary), _findings(summary), _landmarks(summary)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _overall(summary: Mapping[str, Any]) -> str:
    marks, calibration = summary["landmarks"], summary["calibration"]
    low_high = between(marks["nme_interval"], factor=1000)
    rows = [
        ["NME (longer side of the image)", f"{number(1000 * marks['nme'])}e-3 (95 % {low_high})"],
        ["NME without hidden landmarks", f"{number(1000 * marks['nme_without_hidden'])}e-3"],
        ["mean radial error", f"{number(marks['mre_px'])} px, {number(marks['mre_mm'])} mm"],
        [
            "SDR below " + " / ".join(f"{limit}" for limit in marks["sdr"]) + " mm",
            " / ".join(percent(share) for share in marks["sdr"].values()),
        ],
        ["landmarks labelled / hidden / not found", f"{marks['labelled']} / {marks['hidden']} / {marks['not_found']}"],
        [
            "expected NME from the stated spread / observed",
            f"{number(1000 * calibration['expected'])}e-3 / {number(1000 * calibration['observed'])}e-3",
        ],
        ["rank correlation of expected and observed error", number(calibration["rank_correlation"])],
        ["landmarks inside their 50 / 90 / 95 % circles", shares(calibration["point_coverage"])],
        ["angles inside their 50 / 90 / 95 % intervals", shares(calibration["angle_coverage"])],
        ["images flagged as doubtful / refused", f"{percent(summary['flagged'])} / {summary['refused']}"],
        ["seconds per image, median", number(summary["seconds"], 3)],
    ]
    return table(["figure", "value"], rows)


def shares(parts: Mapping[str, float]) -> str:
    """Several shares as percent, one after the other; a dash where there is none."""
    return " / ".join(percent(share) for share in parts.values()) or "-"


def _angles(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{number(each['mae'])} ± {number(each['mae_sd'])} ({between(each['mae_interval'])})",
            percent(each["within_3"]),
            percent(each["within_5"]),
            f"{number(each['bias'])} ({between(each['limits'])})",
            f"{number(each['icc'], 3)} ({between(each['icc_interval'], 3)})",
            f"{each['cases']} / {each['not_measured']}",
        ]
        for name, each in summary["angles"].items()
    ]
    head = ["angle", "absolute error ± SD, degrees (95 %)", "within 3", "within 5"]
    return table([*head, "bias (limits of agreement)", "ICC(2,1) (95 %)", "cases / not measured"], rows)


def _findings(summary: Mapping[str, Any]) -> str:
    if not summary["findings"]:
        return ""
    rows = [
        [name, *(percent(each[rate]) for rate in RATES), f"{each['true_positive'] + each['false_negative']}"]
        for name, each in summary["findings"].items()
    ]
    return table(["finding", "accuracy", "sensitivity", "specificity", "PPV", "NPV", "present"], rows)


def _landmarks(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{number(1000 * each['nme'])}e-3",
            number(each["mre_px"]),
            number(each["mre_mm"]),
            percent(each["sdr_2"]),
        ]
        for name, each in summary["landmarks"]["each"].items()
    ]
    return table(["landmark", "NME", "mean error, px", "mm", "below 2 mm"], rows)


def write_cases(path: Path, cases: Sequence[LandmarkCase], protocol: Protocol) -> None:
    """One CSV row per case: errors, confidence, warnings, and each angle and finding as labelled and as predicted."""
    names, findings = angle_ids(protocol), [finding.id for finding in protocol.findings]
    head = ["case", "group", "nme", "mean error px", "mean error mm", "not found", "lowest confidence", "warnings"]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(head + [f"{side} {name}" for name in (*names, *findings) for side in ("labelled", "predicted")])
        for case in cases:
            angles = [f"{side[name]:.2f}" for name in names for side in (case.truth, case.predicted)]
            told = [side[name] for name in findings for side in (case.true_findings, case.found)]
            rows.writerow([*_figures(case), *angles, *("" if said is None else int(said) for said in told)])


def _figures(case: LandmarkCase) -> list[str]:
    error = case.mean_error
    lengths = [f"{error / case.side:.5f}", f"{error:.2f}", f"{error * case.mm_per_pixel:.2f}"]
    missing, least = np.isinf(case.errors).sum(), np.min(case.confidence)
    return [case.id, case.group, *lengths, str(missing), f"{least:.3f}", "; ".join(case.warnings)]
