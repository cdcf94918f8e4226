"""Feet in one go: two in an image, turned ones, the side, and what is no foot of that view."""

import dataclasses
import json

import numpy as np
import pytest
from support.feet import RIGHT_LPS, ordered, standing_foot
from support.foot_images import ANGLES, foot_picture
from support.image_files import write_dicom

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.batch import measure_files
from orthoangles.errors import PredictionError
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

HALLUX = "foot-ap-hallux"


def measured(paths, picture, output, **options):
    protocol = load_protocol(picture.protocol_id)
    options = options or {"backend": picture.network()}
    return list(measure_files(paths, protocol, output, **options))


def value(result, protocol_id=HALLUX) -> float:
    return next(e["value"] for e in result.record["measurements"] if e["id"] == ANGLES[protocol_id])


@pytest.fixture
def both():
    """A left foot of 20 degrees at the left, a right one of 35 at the right."""
    return foot_picture(HALLUX, (20.0, 35.0), (True, False))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_two_feet_are_two_results_each_upright(tmp_path, turns):
    from matplotlib.image import imread

    both = foot_picture(HALLUX, (20.0, 35.0), (True, False), turns)
    results = {r.record["side"]: r for r in measured([both.write(tmp_path / "feet.png")], both, tmp_path / "out")}
    assert set(results) == {"left", "right"}
    for side, angle, (_, points) in zip(("left", "right"), (20.0, 35.0), both.feet, strict=True):
        result = results[side]
        assert (result.name, result.index, result.record["image"]) == ("feet.png", 0, "feet.png")
        assert value(result) == pytest.approx(angle, abs=1e-3)
        assert result.files[0].name == f"feet-{side}.mrk.json"
        landmarks = read_markups(result.files[0]).ordered(load_protocol(HALLUX).landmark_ids)
        assert np.allclose(landmarks, points)
        height, width = imread(result.files[3]).shape[:2]
        assert height > 1.2 * width
        assert json.loads(result.files[1].read_text()) == result.record
    assert len(list((tmp_path / "out").iterdir())) == 8


def test_one_upright_foot_keeps_the_name_of_its_image(tmp_path):
    foot = foot_picture(HALLUX, (27.0,), (True,))
    (result,) = measured([foot.write(tmp_path / "foot.png")], foot, tmp_path / "out")
    assert result.record["side"] == "left"
    assert {path.name.partition(".")[0] for path in result.files} == {"foot"}
    assert value(result) == pytest.approx(27.0, abs=1e-3)


def test_feet_whose_side_is_not_told_are_numbered(tmp_path):
    feet = foot_picture("foot-lateral", (5.0, 15.0), (True, False))
    first, second = measured([feet.write(tmp_path / "x.png")], feet, tmp_path / "out")
    assert [r.files[0].name for r in (first, second)] == ["x-1.mrk.json", "x-2.mrk.json"]
    assert first.record["side"] is second.record["side"] is None
    assert [value(r, "foot-lateral") for r in (first, second)] == pytest.approx([5.0, 15.0], abs=1e-3)


def test_the_feet_of_one_image_do_not_take_the_name_of_another(tmp_path, both):
    paths = [both.write(tmp_path / name) for name in ("x.png", "x-left.png")]
    results = measured(paths, both, tmp_path / "out")
    names = [result.files[0].name.removesuffix(".mrk.json") for result in results]
    assert names == ["x-left-2", "x-right", "x-left-left", "x-left-right"]
    assert [result.index for result in results] == [0, 0, 1, 1]


def test_where_one_foot_fails_the_other_is_measured(tmp_path, both):
    class Halting:
        def __init__(self, failing: int) -> None:
            self.network, self.calls, self.failing = both.network(), 0, failing
            self.views = self.network.views

        def predict(self, image):
            self.calls += 1
            if self.calls == self.failing:
                raise PredictionError("feet.png: no landmarks on this foot.")
            return self.network.predict(image)

    path = both.write(tmp_path / "feet.png")
    first, second = measured([path], both, tmp_path / "out", backend=Halting(2))
    assert (first.error, second.error) == (None, "feet.png: no landmarks on this foot.")
    assert first.files
    assert second.files == ()
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "feet-left.mrk.json").mkdir()
    first, second = measured([path], both, tmp_path / "blocked")
    assert "unexpected error" in first.error
    assert second.error is None
    assert second.record["side"] == "right"


@pytest.mark.parametrize(
    ("stated", "side", "warned"), [("R", "right", False), ("L", "left", True), (None, "right", False)]
)
def test_the_side_of_the_file_counts_and_is_doubted_where_the_landmarks_differ(tmp_path, stated, side, warned):
    foot = foot_picture(HALLUX)
    header = {"PixelSpacing": [1, 1], **({"ImageLaterality": stated} if stated else {})}
    path = write_dicom(tmp_path / "foot.dcm", foot.pixels, **header)
    (result,) = measured([path], foot, tmp_path / "out")
    assert result.error is None
    assert result.record["side"] == side
    doubts = [text for text in result.record["warnings"] if "look like a right foot" in text]
    assert len(doubts) == warned
    assert all("stated to be of the left" in text for text in doubts)


def test_a_file_of_both_feet_names_no_side_of_either(tmp_path, both):
    path = write_dicom(tmp_path / "feet.dcm", both.pixels, PixelSpacing=[1, 1], ImageLaterality="R")
    results = measured([path], both, tmp_path / "out")
    assert [result.record["side"] for result in results] == ["left", "right"]
    assert not [text for result in results for text in result.record["warnings"] if "look like" in text]


def test_another_view_and_no_foot_are_named(tmp_path):
    lateral = foot_picture("foot-lateral", (5.0,), (False,))
    path = lateral.write(tmp_path / "foot.png")
    for feet, reason in ((lateral.feet, "this is a lateral view"), ((), "no foot was recognised")):
        picture = dataclasses.replace(lateral, protocol_id=HALLUX, feet=feet)
        (result,) = measured([path], picture, tmp_path / "out")
        assert result.error.startswith(f"foot.png: {reason}")
        assert not list((tmp_path / "out").iterdir())


def test_landmarks_of_a_file_are_taken_as_they_are_and_tell_the_side(tmp_path):
    turned = foot_picture(HALLUX, (27.0,), (True,), turns=1)
    points = turned.feet[0][1]
    write_markups(tmp_path / "foot.mrk.json", load_protocol(HALLUX).landmark_ids, points)
    path = turned.write(tmp_path / "foot.png")
    (result,) = measured([path], turned, tmp_path / "out", landmarks=tmp_path)
    assert result.record["side"] == "left"
    assert result.record["model"] is None
    assert value(result) == pytest.approx(27.0, abs=1e-3)


def test_a_flat_image_is_no_volume_even_with_landmarks(tmp_path):
    foot = foot_picture(HALLUX)
    protocol = load_protocol("foot-wbct")
    write_markups(tmp_path / "foot.mrk.json", protocol.landmark_ids, ordered("foot-wbct", standing_foot()) * RIGHT_LPS)
    path = foot.write(tmp_path / "foot.png")
    (result,) = measure_files([path], protocol, tmp_path / "out", landmarks=tmp_path / "foot.mrk.json")
    assert result.error.startswith("foot.png: this is a flat image; a CT volume is needed here")
    assert not list((tmp_path / "out").iterdir())


def test_each_foot_has_a_scene_of_its_own(tmp_path, both):
    pytest.importorskip("slicer")
    from orthoangles.scene import MeasurementSession, session_nodes
    from orthoangles.scene.saving import load_scene

    path = both.write(tmp_path / "feet.png")
    results = measured([path], both, tmp_path / "out", backend=both.network(), scene=True)
    for result, angle in zip(results, (20.0, 35.0), strict=True):
        host = load_scene(result.files[-1])
        (node,) = session_nodes(host.scene)
        session = MeasurementSession.restore(node)
        assert session.volume_node.GetName() == f"feet-{result.record['side']}"
        assert session.result.by_id("hallux-valgus-angle").value == pytest.approx(angle, abs=1e-3)
        session.remove()
