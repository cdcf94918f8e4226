"""The frame of measurement in the scene: shown, set by the reader, live, undone, saved and restored."""

import numpy as np
import pytest
import vtk
from support.meshes import mesh_points, normal_of, shown
from support.standing_volume import PROTOCOL, foot_in_volume

from orthoangles.measurement_frame import MeasurementFrame, ground_from_points
from orthoangles.measuring import measure
from orthoangles.scene import FrameSettings, MeasurementSession, SceneError, load_scene, save_scene, session_nodes

pytestmark = pytest.mark.scene


def values(result):
    return {each.id: each.value for each in result.measurements}


def measured(session, **frame):
    return values(measure(session.protocol, session.points, frame=MeasurementFrame(**frame)))


def assert_measured_in(session, **frame):
    for name, value in measured(session, **frame).items():
        assert session.result.by_id(name).value == pytest.approx(value, abs=1e-9), name


def turn(plane_node, degrees):
    """Turn a plane about the patient's left-right axis, as its handles do."""
    turning = vtk.vtkTransform()
    turning.RotateX(degrees)
    plane_node.ApplyTransform(turning)


def leaning(degrees):
    """LPS normal of a level plane so turned."""
    return (0.0, float(np.sin(np.radians(degrees))), float(np.cos(np.radians(degrees))))


def drawn(session, role):
    return session.parameter_node.GetNodeReference(role)


def test_the_ground_lies_level_under_the_lowest_landmark_and_the_arrow_points_to_the_toes(a_foot_session):
    ground = mesh_points(drawn(a_foot_session, "frame.ground"))
    points = foot_in_volume()
    np.testing.assert_allclose(ground[:, 2], points[:, 2].min())
    assert (ground[:, :2].min(axis=0) < points[:, :2].min(axis=0)).all()
    assert (ground[:, :2].max(axis=0) > points[:, :2].max(axis=0)).all()
    arrows = mesh_points(drawn(a_foot_session, "frame.arrows"))
    forward = arrows[1] - arrows[0]
    np.testing.assert_allclose(forward / np.linalg.norm(forward), [0, -1, 0], atol=1e-9)
    words = drawn(a_foot_session, "frame.words")
    assert [words.GetNthControlPointLabel(k) for k in range(3)] == ["forward", "up", "lateral"]
    right, _, _ = np.subtract(words.GetNthControlPointPositionWorld(2), words.GetNthControlPointPositionWorld(0))
    assert right > 0  # lateral of a right foot


def test_the_frame_can_be_hidden(a_foot_session):
    a_foot_session.frame_settings = FrameSettings(shown=False)
    assert not any(shown(drawn(a_foot_session, f"frame.{part}")) for part in ("ground", "arrows", "words"))
    a_foot_session.frame_settings = FrameSettings()
    assert all(shown(drawn(a_foot_session, f"frame.{part}")) for part in ("ground", "arrows", "words"))


def test_a_ground_from_landmarks_follows_them(a_foot_session):
    session = a_foot_session
    session.frame_settings = FrameSettings("landmarks")
    for _ in range(2):
        up = ground_from_points(session.protocol, session.points)
        assert_measured_in(session, up=tuple(up), ground="landmarks")
        np.testing.assert_allclose(np.abs(normal_of(mesh_points(drawn(session, "frame.ground"))) @ up), 1)
        session.set_point("M5", session.points[session.protocol.index("M5")] + [0.0, 0.0, 6.0])
    assert measured(session) != values(session.result)


def test_a_ground_whose_landmarks_are_missing_is_the_scanners_and_says_so(a_foot_session):
    a_foot_session.frame_settings = FrameSettings("landmarks")
    assert a_foot_session.frame_notes == ()
    a_foot_session.unset_point("M5")
    assert a_foot_session.frame_notes == ("M5 not placed: the scanner's vertical is taken",)
    assert_measured_in(a_foot_session)


def test_an_own_plane_starts_level_and_measures_as_it_is_turned(a_foot_session):
    session = a_foot_session
    before = values(session.result)
    session.frame_settings = FrameSettings("plane")
    assert values(session.result) == pytest.approx(before)
    (plane,) = session.frame_nodes
    assert shown(plane)
    assert not shown(drawn(session, "frame.ground"))
    seen = []
    session.add_update_callback(lambda live: seen.append(live.result.by_id("calcaneal-pitch").value))
    for count in (1, 2, 3):
        turn(plane, 4.0)
        assert len(seen) == count
        assert_measured_in(session, up=leaning(4.0 * count), ground="reader")
    assert len(set(seen)) == 3
    assert session.result.by_id("boehler-angle-3d").value == pytest.approx(before["boehler-angle-3d"])


def test_an_own_axis_starts_on_the_landmarks_and_measures_as_it_is_dragged(a_foot_session):
    session = a_foot_session
    before = values(session.result)
    session.frame_settings = FrameSettings(axis="line")
    assert values(session.result) == pytest.approx(before)
    (line,) = session.frame_nodes
    heel, toes = (np.array(line.GetNthControlPointPositionWorld(k)) for k in (0, 1))
    aside = toes + np.array([25.0, 0.0, 0.0])
    line.SetNthControlPointPositionWorld(1, *aside)
    forward = (aside - heel) * (-1, -1, 1)
    assert_measured_in(session, forward=tuple(forward))
    assert session.result.by_id("hindfoot-angle").value != pytest.approx(before["hindfoot-angle"], abs=0.1)
    assert session.result.by_id("hallux-valgus-angle").value == pytest.approx(before["hallux-valgus-angle"])


def test_an_upright_axis_is_not_taken_and_says_so(a_foot_session):
    session = a_foot_session
    before = values(session.result)
    session.frame_settings = FrameSettings(axis="line")
    (line,) = session.frame_nodes
    x, y, z = line.GetNthControlPointPositionWorld(0)
    line.SetNthControlPointPositionWorld(1, x, y, z + 50.0)
    assert values(session.result) == pytest.approx(before)
    assert session.frame_notes == (
        "the line of the axis does not run along the ground: the axis of the landmarks is taken",
    )


def test_undo_turns_the_plane_back_and_then_takes_it_away(a_foot_session):
    session = a_foot_session
    before = values(session.result)
    session.set_point("M1b", session.points[session.protocol.index("M1b")] + [0.0, 0.0, 5.0])
    moved = values(session.result)
    session.frame_settings = FrameSettings("plane")
    session.scene.SaveStateForUndo()  # as the handles do at the start of a drag
    turn(session.frame_nodes[0], 8.0)
    turned = values(session.result)
    assert turned["calcaneal-pitch"] == pytest.approx(measured(session, up=leaning(8.0))["calcaneal-pitch"])
    session.undo()
    assert values(session.result) == pytest.approx(moved)
    session.redo()
    assert values(session.result) == pytest.approx(turned)
    session.undo()
    session.undo()
    assert session.frame_nodes == ()
    assert session.frame_settings == FrameSettings()
    assert values(session.result) == pytest.approx(moved)
    session.undo()
    assert values(session.result) == pytest.approx(before)


def test_a_deleted_plane_gives_way_to_the_scanners_vertical(a_foot_session):
    session = a_foot_session
    session.frame_settings = FrameSettings("plane", "line")
    turn(session.frame_nodes[0], 9.0)
    session.scene.RemoveNode(session.frame_nodes[0])
    assert session.frame_settings == FrameSettings("scanner", "line")
    assert_measured_in(session)
    session.frame_settings = FrameSettings("plane", "line")
    assert len(session.frame_nodes) == 2


def test_going_back_to_an_own_plane_finds_it_as_it_was_left(a_foot_session):
    session = a_foot_session
    session.frame_settings = FrameSettings("plane")
    plane = session.frame_nodes[0]
    turn(plane, 6.0)
    session.frame_settings = FrameSettings("scanner")
    assert not shown(plane)
    assert_measured_in(session)
    turn(plane, 1.0)
    assert_measured_in(session)
    session.frame_settings = FrameSettings("plane")
    assert session.frame_nodes == (plane,)
    assert_measured_in(session, up=leaning(7.0), ground="reader")


def test_a_plane_can_be_laid_before_any_landmark(a_foot_volume):
    session = MeasurementSession.create(a_foot_volume, PROTOCOL)
    session.frame_settings = FrameSettings("plane", "line")
    plane, line = session.frame_nodes
    np.testing.assert_allclose(plane.GetNormalWorld(), (0, 0, 1), atol=1e-12)
    assert line.GetNumberOfDefinedControlPoints() == 2
    turn(plane, 5.0)
    session.set_points(foot_in_volume())
    forward = np.subtract(*(line.GetNthControlPointPositionWorld(k) for k in (1, 0))) * (-1, -1, 1)
    assert_measured_in(session, up=leaning(5.0), forward=tuple(forward), ground="reader")
    session.close()


def test_saved_and_restored_it_is_live_again(a_foot_session, tmp_path):
    session = a_foot_session
    session.choose_measurement("calcaneal-pitch")
    session.frame_settings = FrameSettings("plane", "line")
    turn(session.frame_nodes[0], 7.0)
    path = save_scene(session.scene, tmp_path / "foot.mrb")
    host = load_scene(path)
    restored = MeasurementSession.restore(session_nodes(host.scene)[0])
    assert restored.frame_settings == session.frame_settings
    assert restored.settings == session.settings
    assert values(restored.result) == pytest.approx(values(session.result), abs=1e-4)
    assert restored.result.frame.description == session.result.frame.description
    assert shown(drawn(restored, "plane"))
    turn(restored.frame_nodes[0], 3.0)
    expected = measured(restored, up=restored.result.frame.up, forward=restored.result.frame.forward)
    np.testing.assert_allclose(restored.result.frame.up, leaning(10.0), atol=1e-5)
    assert restored.result.by_id("calcaneal-pitch").value == pytest.approx(expected["calcaneal-pitch"])
    assert restored.result.by_id("calcaneal-pitch").value != pytest.approx(
        session.result.by_id("calcaneal-pitch").value, abs=1
    )
    restored.close()


def test_a_closed_session_follows_no_plane(a_foot_session):
    session = a_foot_session
    session.frame_settings = FrameSettings("plane")
    plane, before = session.frame_nodes[0], session.result
    session.close()
    turn(plane, 10.0)
    assert session.result is before
    with pytest.raises(SceneError, match="closed"):
        session.frame_settings = FrameSettings()


def test_a_radiograph_has_no_frame(a_spine_session):
    assert a_spine_session.frame_settings is None
    assert a_spine_session.frame_nodes == a_spine_session.frame_notes == ()
    with pytest.raises(SceneError, match="has no frame"):
        a_spine_session.frame_settings = FrameSettings()


@pytest.mark.parametrize("wrong", [{"ground": "floor"}, {"axis": "plane"}])
def test_settings_of_another_name_are_refused(wrong):
    with pytest.raises(ValueError, match="expected one of"):
        FrameSettings(**wrong)
