"""Tables of a network for CT volumes count what was missed, what was invented, and how far off the rest is."""

import csv
import json

import numpy as np
import pytest

from orthoangles.protocols import load_protocol
from orthoangles.training.volume_cases import VolumeCase, _compared
from orthoangles.training.volume_evaluation import as_markdown, summarise, write_summary

pytestmark = pytest.mark.unit

WBCT = load_protocol("foot-wbct")
COUNT = len(WBCT.landmarks)
C1, P1, M5 = (WBCT.landmark_ids.index(name) for name in ("C1", "P1", "M5"))


def feet(count=12, persons=6, error=1.0) -> list[VolumeCase]:
    """Feet whose every landmark is proposed ``error`` mm away in a random direction; the spread says just that."""
    rng = np.random.default_rng(3)
    shape = 60 * rng.standard_normal((COUNT, 3))
    cases = []
    for k in range(count):
        labels = shape + rng.standard_normal((COUNT, 3))
        away = rng.standard_normal((COUNT, 3))
        points = labels + error * away / np.linalg.norm(away, axis=1, keepdims=True)
        if k == 0:
            points[C1] = np.nan
        if k == 1:
            labels[P1] = np.nan
        if k == 2:
            labels[M5] = points[M5] = np.nan
        spread = np.where(np.isfinite(points[:, 0]), error / np.sqrt(8 / np.pi), np.nan)
        cases.append(_compared(f"foot-{k}", f"person {k % persons}", labels, points, spread, WBCT, (), 2.0))
    return cases


def test_distances_are_in_mm_and_missing_ones_are_counted_apart():
    summary = summarise(feet(), WBCT)
    assert summary["overall"]["mean"] == pytest.approx(1.0)
    assert summary["overall"]["visible"] == 12 * COUNT - 2
    assert (summary["overall"]["missed"], summary["overall"]["not_visible"], summary["overall"]["invented"]) == (
        1,
        2,
        1,
    )
    assert summary["landmarks"]["C1"]["missed"] == 1
    assert summary["landmarks"]["C1"]["within"]["2"] == pytest.approx(11 / 12)
    assert summary["landmarks"]["P1"]["invented"] == 1
    assert (summary["landmarks"]["M5"]["invented"], summary["landmarks"]["M5"]["not_visible"]) == (0, 1)
    assert summary["intervals_over"] == "person"


def test_a_bias_is_what_random_errors_are_not():
    cases = feet(count=400, persons=10)
    assert summarise(cases, WBCT)["landmarks"]["T2"]["bias"] < 0.12
    for case in cases:
        case.vectors[:] = (0.6, 0.0, 0.8)
    assert summarise(cases, WBCT)["landmarks"]["T2"]["bias"] == pytest.approx(1.0)


def test_angles_that_need_a_missing_landmark_have_no_value():
    summary = summarise(feet(), WBCT)
    hindfoot = summary["angles"]["hindfoot-angle"]
    assert (hindfoot["cases"], hindfoot["not_measured"]) == (12, 1)
    hallux = summary["angles"]["hallux-valgus-angle-3d"]
    assert hallux["cases"] == 11
    assert 0 < hallux["mae"] < 5


def test_a_spread_that_is_right_is_told_to_be_right():
    calibration = summarise(feet(), WBCT)["calibration"]
    assert calibration["expected"] == pytest.approx(calibration["observed"])
    doubled = summarise(feet(error=2.0), WBCT)["calibration"]
    assert doubled["observed"] == pytest.approx(2 * calibration["observed"])


def test_the_tables_stand_beside_what_s2_reports(tmp_path):
    cases = feet()
    summary = summarise(cases, WBCT)
    text = as_markdown(summary)
    row = next(line for line in text.splitlines() if line.startswith("| C1 |"))
    assert row.endswith("| 1 of 12 | 0 of 0 | 1.88 |")
    assert "| 2.90 |" in next(line for line in text.splitlines() if line.startswith("| boehler-angle |"))
    write_summary(summary, cases, WBCT, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["cases"] == 12
    with (tmp_path / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["C1 mm"] == "inf"
    assert rows[1]["P1 mm"] == "nan"
    assert float(rows[3]["T1 mm"]) == pytest.approx(1.0, abs=1e-3)
    assert (tmp_path / "summary.md").read_text() == text
