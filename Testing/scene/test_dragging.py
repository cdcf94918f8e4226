"""Landmarks moved by a mouse in a rendered slice view: everything shown is measured anew in the same event."""

import numpy as np
import pytest
import slicer
from support.spines import PROTOCOL, spine_points

from orthoangles.measuring import measure
from orthoangles.protocols import load_protocol
from orthoangles.scene.volumes import volume_geometry

pytestmark = pytest.mark.scene
MAJOR = "cobb-clinical-mt"


def measured_afresh(session):
    """The result of the points as they stand in the node, measured from scratch."""
    points = node_points(session.markups_node)
    predicted = session.prediction.points
    spread = np.where(np.abs(points - predicted).max(axis=1) <= 1e-3, session.prediction.spread, np.nan)
    return measure(session.protocol, points, spread=spread, image=volume_geometry(session.volume_node))


def node_points(node):
    points = np.full((node.GetNumberOfControlPoints(), 3), np.nan)
    for i in range(len(points)):
        if node.GetNthControlPointPositionStatus(i) == node.PositionDefined:
            points[i] = np.array(node.GetNthControlPointPositionWorld(i)) * (-1, -1, 1)
    return points


def table_values(session):
    table = session.table_node.GetTable()
    names = table.GetColumnByName("Measurement")
    values = table.GetColumnByName("Value")
    return {names.GetValue(i): values.GetValue(i) for i in range(table.GetNumberOfRows())}


def arc_sweep(arc_node):
    """Degrees through which the drawn arc turns."""
    mesh = arc_node.GetPolyData()
    arc = np.array([mesh.GetPoint(i)[:2] for i in range(mesh.GetNumberOfPoints())])
    steps = np.diff(arc, axis=0)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    return abs(np.degrees(headings[-1] - headings[0])) * len(steps) / (len(steps) - 1)


def assert_everything_shows(session, result):
    for measurement in result.measurements:
        assert session.result.by_id(measurement.id).value == measurement.value
        expected = "" if measurement.value is None else f"{measurement.value:.1f}"
        assert table_values(session)[measurement.name] == expected
    value = result.by_id(MAJOR).value
    (label,) = [node for node in session.label_nodes if node.GetName().startswith("MT")]
    assert label.GetNthControlPointLabel(0).startswith(f"MT {value:.1f}°")
    (arc,) = [node for node in session.arc_nodes if node.GetName().startswith("MT")]
    assert arc_sweep(arc) == pytest.approx(value, abs=0.05)


def a_corner_of_the_upper_end_vertebra(session):
    return session.protocol.index(session.result.by_id(MAJOR).details["upper_end_vertebra"] + "-TL")


def drag(session, view, index, offsets):
    x, y = view.display_point(session.points[index])
    view.press(x, y)
    for dx, dy in offsets:
        view.move(x + dx, y + dy)
        yield
    view.release(x + offsets[-1][0], y + offsets[-1][1])


def test_each_of_fifty_moves_is_measured_in_its_event(a_spine_session, a_slice_view):
    session = a_spine_session
    index = a_corner_of_the_upper_end_vertebra(session)
    start = session.points[index]
    seen = []
    session.add_update_callback(lambda live: seen.append(live.result.by_id(MAJOR).value))
    offsets = [(k // 2, -((k + 1) // 2)) for k in range(1, 51)]
    for count, _ in enumerate(drag(session, a_slice_view, index, offsets), start=1):
        assert len(seen) == count
        assert_everything_shows(session, measured_afresh(session))
    assert np.linalg.norm(session.points[index] - start) > 5
    assert len(set(seen)) > 40


def test_undo_brings_points_and_values_back_together_and_redo_forth(a_spine_session, a_slice_view):
    session = a_spine_session
    index = a_corner_of_the_upper_end_vertebra(session)
    before = session.points
    value_before = session.result.by_id(MAJOR).value
    for _ in drag(session, a_slice_view, index, [(0, -3), (0, -9)]):
        pass
    after, value_after = session.points, session.result.by_id(MAJOR).value
    assert value_after != value_before

    session.undo()
    np.testing.assert_array_equal(session.points, before)
    assert session.result.by_id(MAJOR).value == value_before
    assert_everything_shows(session, measured_afresh(session))
    assert session.review_state == "predicted"

    session.redo()
    np.testing.assert_array_equal(session.points, after)
    assert session.result.by_id(MAJOR).value == value_after
    assert_everything_shows(session, measured_afresh(session))
    assert session.review_state == "corrected"


def test_one_undo_takes_back_one_drag_and_no_more(a_spine_session, a_slice_view):
    session = a_spine_session
    first, second = session.protocol.index("T5-TL"), session.protocol.index("L2-BR")
    start = session.points
    for _ in drag(session, a_slice_view, first, [(4, 4)]):
        pass
    between = session.points
    for _ in drag(session, a_slice_view, second, [(4, 4)]):
        pass
    session.undo()
    np.testing.assert_array_equal(session.points, between)
    session.undo()
    np.testing.assert_array_equal(session.points, start)


def test_a_missing_landmark_is_placed_by_a_click(a_spine_session, a_slice_view):
    session = a_spine_session
    goal = session.points[session.protocol.index("T9-BR")]
    session.unset_point("T9-BR")
    assert session.result.by_id("cobb-aasce-max").value is None
    assert "T9-BR" in session.result.by_id("cobb-aasce-max").reason

    session.start_placing("T9-BR")
    x, y = a_slice_view.display_point(goal)
    a_slice_view.move(x - 30, y)
    assert np.isnan(session.points[session.protocol.index("T9-BR")]).all(), "a preview is no landmark"
    a_slice_view.click(x, y)

    placed = session.points[session.protocol.index("T9-BR")]
    assert np.linalg.norm(placed - goal) < 1.0
    assert not np.isnan(session.points).any()
    assert session.result.by_id("cobb-aasce-max").value == pytest.approx(
        measure(session.protocol, session.points, image=volume_geometry(session.volume_node))
        .by_id("cobb-aasce-max")
        .value
    )
    interaction = session.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    assert interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.ViewTransform


def test_lines_and_numbers_cannot_be_dragged(a_spine_session, a_slice_view):
    session = a_spine_session
    (label,) = [node for node in session.label_nodes if node.GetName().startswith("MT")]
    place = np.array(label.GetNthControlPointPosition(0))
    x, y = a_slice_view.display_point(place * (-1, -1, 1))
    a_slice_view.press(x, y)
    a_slice_view.move(x + 20, y + 20)
    a_slice_view.release(x + 20, y + 20)
    np.testing.assert_array_equal(label.GetNthControlPointPosition(0), place)


def test_a_closed_session_cannot_be_dragged_out_of_step(a_spine_session, a_slice_view):
    session = a_spine_session
    index = a_corner_of_the_upper_end_vertebra(session)
    before = node_points(session.markups_node)
    session.close()
    x, y = a_slice_view.display_point(before[index])
    a_slice_view.press(x, y)
    a_slice_view.move(x + 10, y + 10)
    a_slice_view.release(x + 10, y + 10)
    np.testing.assert_array_equal(node_points(session.markups_node), before)


def test_the_picture_shows_what_was_measured(a_spine_session, a_slice_view, tmp_path):
    from PIL import Image

    def picture(name):
        return np.asarray(Image.open(a_slice_view.screenshot(tmp_path / f"{name}.png")).convert("RGB")).astype(int)

    full = picture("full")
    a_spine_session.settings = type(a_spine_session.settings)((), levels=False, midline=False)
    plain = picture("plain")
    orange = (np.abs(full - [255, 173, 38]) < 30).all(axis=2)
    assert orange.sum() > 300
    assert not (np.abs(plain - [255, 173, 38]) < 30).all(axis=2).any()
    # The 68 landmarks remain.
    assert (np.abs(plain - [89, 230, 255]) < 30).all(axis=2).sum() > 68


def test_a_move_without_a_mouse_measures_the_same(a_spine_session):
    session = a_spine_session
    points = spine_points(thoracic=52.0)
    session.set_points(points)
    expected = measure(load_protocol(PROTOCOL), points, image=volume_geometry(session.volume_node))
    assert session.result.by_id(MAJOR).value == pytest.approx(expected.by_id(MAJOR).value)
    assert session.result.by_id(MAJOR).value > 45
