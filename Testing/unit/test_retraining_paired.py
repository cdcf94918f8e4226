"""When new weights are not worse, and what is said where it cannot be told."""

from types import SimpleNamespace

import numpy as np
import pytest

from orthoangles.protocols import load_protocol
from orthoangles.training.landmark_cases import angle_ids
from orthoangles.training.paired import Reading, compare
from orthoangles.training.retraining_report import as_markdown, verdict_of

pytestmark = pytest.mark.unit
PROTOCOL = load_protocol("foot-lateral")
BACKEND = SimpleNamespace(protocol=PROTOCOL)
ANGLES = angle_ids(PROTOCOL)


def readings(count, error, angle, *, persons=None, missing=0, scatter=0.0, seed=0, scale=0.5):
    """``count`` cases with errors of ``error`` mm and ``angle`` degrees, ``missing`` of them without a landmark."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        errors = np.full(len(PROTOCOL.landmark_ids), error + rng.normal(scale=scatter))
        if k < missing:
            errors[0] = np.inf
        truth, wrong = dict.fromkeys(ANGLES, 20.0), 20.0 + angle + rng.normal(scale=scatter)
        group = f"p{k % (persons or count)}"
        found.append(Reading(str(k), group, errors, errors / scale, truth, dict.fromkeys(ANGLES, wrong)))
    return found


def compared(old, new):
    return compare(old, new, BACKEND, {reading.group: reading.group for reading in old})


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ({"error": 1.0, "angle": 1.0}, "better"),
        ({"error": 2.02, "angle": 2.02}, "not worse"),
        ({"error": 2.5, "angle": 1.0}, "worse"),
        ({"error": 1.0, "angle": 3.0}, "worse"),
        ({"error": 2.0, "angle": 2.0, "scatter": 1.5, "seed": 3}, "unclear"),
        ({"error": 1.0, "angle": 1.0, "missing": 4}, "worse"),
    ],
)
def test_verdicts(new, verdict):
    assert compared(readings(12, 2.0, 2.0), readings(12, **new))["verdict"] == verdict


def test_four_persons_are_too_few_to_tell_good_from_bad_but_worse_is_worse():
    old = readings(12, 2.0, 2.0, persons=4)
    part = compared(old, readings(12, 1.0, 1.0, persons=4))
    assert (part["verdict"], part["intervals_over"]) == ("too few", "case")
    assert compared(old, readings(12, 4.0, 4.0, persons=4))["verdict"] == "worse"
    few = compared(old[:3], readings(3, 4.0, 4.0, persons=4))
    assert few["verdict"] == "too few"
    assert np.isnan(few["landmarks"]["interval"]).all()


def test_figures_and_the_paired_difference():
    part = compared(readings(6, 2.0, -3.0), readings(6, 1.5, 1.0))
    landmarks, angle = part["landmarks"], part["each_angle"]["meary-angle"]
    assert (landmarks["old"], landmarks["new"], landmarks["difference"]) == pytest.approx((2.0, 1.5, -0.5))
    assert landmarks["interval"] == pytest.approx((-0.5, -0.5))
    assert (angle["old"], angle["new"], angle["difference"]) == pytest.approx((3.0, 1.0, -2.0))
    assert part["unit"] == "mm"


def test_only_landmarks_found_by_both_are_compared():
    old, new = readings(6, 2.0, 1.0), readings(6, 2.0, 1.0)
    new[0].errors[1], new[0].errors[2:] = np.inf, 1.0
    part = compared(old, new)
    assert part["landmarks"]["cases"] == 6
    assert part["not_found"] == {"old": 0, "new": 1}
    # The mean of the first case: landmark 0 at 2 mm, the nine others at 1.
    assert part["landmarks"]["difference"] == pytest.approx((11 / 10 - 2) / 6)


def test_without_a_scale_errors_are_shares_of_the_image():
    old, new = readings(6, 2.0, 1.0), readings(6, 1.0, 1.0)
    old[3].errors[:] = np.nan
    part = compared(old, new)
    assert part["unit"].startswith("thousandths")
    assert part["landmarks"]["old"] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("corrected", "old", "recommended", "said"),
    [
        ("better", None, True, "what it may have forgotten is not known"),
        ("not worse", "better", True, "are not worse"),
        ("better", "too few", True, "too few to tell"),
        ("better", "worse", False, "Not recommended."),
        ("better", "unclear", False, "Not recommended."),
        ("too few", "better", False, "it takes 5 persons"),
        ("unclear", "better", False, "not clear"),
        ("worse", "better", False, "are worse"),
    ],
)
def test_only_what_is_not_worse_is_recommended(corrected, old, recommended, said):
    parts = {name: {"verdict": verdict, "cases": 9, "persons": 7} for name, verdict in
             (("corrected", corrected), ("old", old)) if verdict}  # fmt: skip
    advised, text = verdict_of(parts)
    assert advised is recommended
    assert said in text


def test_nobody_held_out_is_said():
    advised, text = verdict_of({})
    assert not advised
    assert text.startswith("Too few to tell")


def test_the_page_shows_both_and_the_missing():
    part = compared(readings(6, 2.0, 2.0), readings(6, 1.0, 1.0, missing=1))
    models = [{"name": "tiny", "version": version, "sha256": digit * 64} for version, digit in (("1", "a"), ("2", "b"))]
    page = as_markdown({"old": models[0], "new": models[1], "verdict": "As it is.", "parts": {"corrected": part}})
    assert "| landmark error, mm | 2.00 | 1.00 | -1.00 (-1.00 to -1.00) | 6 | 0 / 1 |" in page
    assert "**As it is.**" in page
    assert "| meary-angle, degrees | 2.00 | 1.00 |" in page
