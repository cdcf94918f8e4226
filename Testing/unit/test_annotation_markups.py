"""Slicer's landmark files without Slicer: exact, tolerant of what Slicer writes, strict with what would swap points."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.atomic import write_with
from orthoangles.errors import DatasetError

pytestmark = pytest.mark.unit

LABELS = ("T1-TL", "T1-TR", "T1-BL")
POINTS = np.array([[1.1, -2.2, 0.0], [np.nan] * 3, [1e-9, 12345.678901234567, -0.1]])


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "case.mrk.json"
    write_markups(path, LABELS, POINTS, ("upper left corner", "", "lower left corner"))
    return path


def test_points_come_back_to_the_last_bit(written):
    back = read_markups(written)
    assert back.labels == LABELS
    assert np.array_equal(back.points, POINTS, equal_nan=True)
    assert back.descriptions[0] == "upper left corner"


@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3), min_size=1, max_size=5))
def test_any_finite_point_comes_back(tmp_path_factory, positions):
    path = tmp_path_factory.mktemp("markups") / "a.mrk.json"
    labels = [f"P{i}" for i in range(len(positions))]
    write_markups(path, labels, np.array(positions))
    assert np.array_equal(read_markups(path).ordered(labels), np.array(positions))


def test_an_unset_point_is_written_as_slicer_does(written):
    control = json.loads(written.read_text())["markups"][0]["controlPoints"][1]
    assert control["position"] == ""
    assert control["positionStatus"] == "undefined"


def test_ras_positions_become_lps(written):
    content = json.loads(written.read_text())
    content["markups"][0]["coordinateSystem"] = "RAS"
    written.write_text(json.dumps(content))
    assert np.array_equal(read_markups(written).points, POINTS * [-1, -1, 1], equal_nan=True)


def test_a_missing_point_and_another_order_are_no_trouble(written):
    assert np.array_equal(read_markups(written).ordered(("T1-BL", "T9-TL", "T1-TR", "T1-TL"))[[0, 3]], POINTS[[2, 0]])
    assert np.isnan(read_markups(written).ordered(("T1-BL", "T9-TL", "T1-TR", "T1-TL"))[[1, 2]]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["markups"][0]["controlPoints"][0].update(label="T1-XX"), "'T1-XX' is not one of"),
        (lambda c: c["markups"][0]["controlPoints"][0].update(label="T1-BL"), "'T1-BL' stands there twice"),
    ],
)
def test_labels_that_would_swap_points_are_refused(written, change, message):
    content = json.loads(written.read_text())
    change(content)
    written.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message) as caught:
        read_markups(written).ordered(LABELS)
    assert "case.mrk.json" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "not json", "[]", "{}", '{"markups": []}', '{"markups": [{}]}',
        '{"markups": [{"controlPoints": [{"label": "a", "position": [1, 2]}]}]}',
        '{"markups": [{"controlPoints": [{"label": "a", "position": ["x", 2, 3]}]}]}',
        '{"markups": [{"controlPoints": [{"position": [1, 2, 3]}]}]}',
        '{"markups": [{"coordinateSystem": "IJK", "controlPoints": []}]}',
        '{"markups": [{"controlPoints": [{"label": "a", "position": [1, 2, Infinity]}]}]}',
        '{"@schema": "markups-schema-v2.0.0.json", "markups": [{"controlPoints": []}]}',
    ],
)  # fmt: skip
def test_a_malformed_file_is_named_with_its_reason(tmp_path, text):
    path = tmp_path / "broken.mrk.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"broken\.mrk\.json"):
        read_markups(path)


def test_a_missing_file_is_named_without_its_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"^gone\.mrk\.json: cannot be read"):
        read_markups(tmp_path / "gone.mrk.json")


def test_a_wrong_number_of_points_is_a_fault_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="shape"):
        write_markups(tmp_path / "a.mrk.json", LABELS, POINTS[:2])


@pytest.mark.parametrize("point", [(0.0, 0.0, np.inf), (0.0, np.nan, 0.0)])
def test_a_point_that_is_neither_there_nor_missing_is_refused(tmp_path, point):
    with pytest.raises(ValueError, match="three finite numbers or three NaN"):
        write_markups(tmp_path / "a.mrk.json", ("A",), np.array([point]))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(written):
    before = written.read_bytes()

    def fail(path):
        path.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_with(written, fail)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_a_result_is_as_readable_as_other_files(written, tmp_path):
    (tmp_path / "other").touch()
    assert written.stat().st_mode == (tmp_path / "other").stat().st_mode
