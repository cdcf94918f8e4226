"""``measure --ground``: on which ground a volume was measured, in every file and on the screen."""

import csv
import json

import numpy as np
import pytest
import SimpleITK
from support.feet import RIGHT_LPS, ordered, standing_foot

from orthoangles.annotation.markups_json import write_markups
from orthoangles.batch import measure_files
from orthoangles.cli import main
from orthoangles.measurement_frame import frame_on
from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol

pytestmark = pytest.mark.unit

WBCT = load_protocol("foot-wbct")


@pytest.fixture
def points():
    """A foot that stands on a floor which leans by 8 degrees in the scanner."""
    c, s = np.cos(np.radians(8.0)), np.sin(np.radians(8.0))
    return ordered("foot-wbct", standing_foot()) * RIGHT_LPS @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@pytest.fixture
def scan(tmp_path):
    """A file of a volume with a block of bone in air."""
    array = np.full((20, 24, 20), -1000, np.int16)
    array[4:16, 6:18, 6:14] = 600
    volume = SimpleITK.GetImageFromArray(array)
    volume.SetSpacing((10.0, 12.0, 10.0))
    SimpleITK.WriteImage(volume, str(tmp_path / "scan.nrrd"))
    return tmp_path / "scan.nrrd"


def measured(scan, points, ground=None):
    """Record and CSV rows of a scan with these landmarks."""
    write_markups(scan.with_name("placed.mrk.json"), WBCT.landmark_ids, points)
    options = {} if ground is None else {"ground": ground}
    (result,) = measure_files(
        [scan], WBCT, scan.parent / "out", landmarks=scan.with_name("placed.mrk.json"), **options
    )  # fmt: skip
    assert result.error is None
    table = next(path for path in result.files if path.suffix == ".csv")
    return result.record, list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))


def values(record):
    return {entry["id"]: entry["value"] for entry in record["measurements"]}


def test_the_scanners_vertical_is_the_ground_unless_told_otherwise(scan, points):
    record, rows = measured(scan, points)
    assert record["frame"] == {"up": [0.0, 0.0, 1.0], "forward": None, "ground": "scanner"}
    assert values(record) == pytest.approx({m.id: m.value for m in measure(WBCT, points).measurements})
    details = {row["id"]: row["details"] for row in rows}
    assert details["hindfoot-angle"] == "ground: scanner's vertical; foot axis: from landmarks"
    assert details["hindfoot-angle-3d"] == ""


def test_the_ground_of_the_landmarks_is_used_and_reported(scan, points):
    record, rows = measured(scan, points, "landmarks")
    frame, _ = frame_on("landmarks", WBCT, points)
    assert record["frame"]["ground"] == "landmarks"
    assert record["frame"]["up"] == pytest.approx(frame.up)
    expected = {m.id: m.value for m in measure(WBCT, points, frame=frame).measurements}
    assert values(record) == pytest.approx(expected)
    assert (
        abs(expected["talocalcaneal-angle-axial"] - measure(WBCT, points).by_id("talocalcaneal-angle-axial").value) > 1
    )
    assert rows[0]["details"].startswith("ground: from landmarks")


def test_landmarks_that_show_no_ground_are_warned_of(scan, points):
    points[WBCT.index("M5")] = np.nan
    record, _ = measured(scan, points, "landmarks")
    assert record["frame"]["ground"] == "scanner"
    assert any("do not tell the ground (M5 not placed)" in text for text in record["warnings"])


def test_the_command_takes_the_ground_and_says_it(scan, points, capsys):
    placed = scan.with_name("placed.mrk.json")
    write_markups(placed, WBCT.landmark_ids, points)
    common = ["measure", scan, "--protocol", "foot-wbct", "--landmarks", placed, "--output", scan.parent / "out"]
    assert main([*map(str, common), "--ground", "landmarks"]) == 0
    assert "  ground: from landmarks; foot axis: from landmarks\n" in capsys.readouterr().out
    assert main([*map(str, common), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frame"]["ground"] == "scanner"


def test_a_radiograph_has_no_ground_to_choose(scan, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["measure", str(scan), "--protocol", "foot-ap", "--landmarks", str(scan), "--ground", "landmarks"])
    assert leaving.value.code == 2
    assert "only a volume has a ground" in capsys.readouterr().err


def test_a_scene_is_measured_on_the_same_ground(scan, points, tmp_path):
    pytest.importorskip("slicer")
    from orthoangles.scene import MeasurementSession, session_nodes
    from orthoangles.scene.saving import load_scene

    placed = scan.with_name("placed.mrk.json")
    write_markups(placed, WBCT.landmark_ids, points)
    (result,) = measure_files([scan], WBCT, tmp_path / "out", landmarks=placed, scene=True, ground="landmarks")
    assert result.error is None
    host = load_scene(tmp_path / "out" / "scan.mrb")
    (node,) = session_nodes(host.scene)
    session = MeasurementSession.restore(node)
    found = {entry.id: entry.value for entry in session.result.measurements}
    assert found == pytest.approx(values(result.record), abs=1e-3)
    assert session.result.frame.ground == "landmarks"
    session.remove()
