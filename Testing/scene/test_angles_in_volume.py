"""The chosen angle of a foot in a volume: drawn as measured, in the plane that it was measured in."""

import numpy as np
import pytest
from support.feet import standing_angles, standing_foot
from support.meshes import mesh_points, normal_of, shown, sweep
from support.standing_volume import PROTOCOL, foot_in_volume

from orthoangles.protocols import load_protocol
from orthoangles.scene import DrawingSettings

pytestmark = pytest.mark.scene
MEASUREMENTS = load_protocol(PROTOCOL).measurements
ANGLES = [each.id for each in MEASUREMENTS if each.rule == "angle"]
# The hand-built foot points straight to the front: its planes are those of the patient.
NORMALS = {"axial": (0, 0, 1), "coronal": (0, 1, 0), "sagittal": (1, 0, 0)}


def nodes_of(session, measurement_id):
    """Role -> node of what is drawn of a measurement, and of its plane."""
    parameters = session.parameter_node
    roles = {part: f"{measurement_id}.{part}" for part in ("line1", "line2", "legs", "arc", "label")} | {
        "plane": "plane"
    }
    return {part: parameters.GetNodeReference(role) for part, role in roles.items()}


def text_of(session, measurement_id):
    return nodes_of(session, measurement_id)["label"].GetNthControlPointLabel(0)


def test_nothing_is_drawn_before_a_measurement_is_chosen(a_foot_session):
    assert not any(shown(node) for each in ANGLES for node in nodes_of(a_foot_session, each).values())


@pytest.mark.parametrize("chosen", ANGLES)
def test_the_arc_turns_through_the_measured_angle(a_foot_session, chosen):
    a_foot_session.choose_measurement(chosen)
    value = a_foot_session.result.by_id(chosen).value
    assert value == pytest.approx(standing_angles(standing_foot())[chosen])
    nodes = nodes_of(a_foot_session, chosen)
    assert all(shown(node) for node in nodes.values())
    assert f" {value:.1f}°" in text_of(a_foot_session, chosen)
    assert sweep(mesh_points(nodes["arc"])) == pytest.approx(abs(value), abs=0.05)


@pytest.mark.parametrize("chosen", ANGLES)
def test_lines_arc_and_sheet_lie_in_the_plane_of_measurement(a_foot_session, chosen):
    a_foot_session.choose_measurement(chosen)
    nodes = nodes_of(a_foot_session, chosen)
    sheet = mesh_points(nodes["plane"])
    plane = a_foot_session.result.by_id(chosen).plane
    normal = normal_of(sheet) if plane is None else np.array(NORMALS[plane], float)
    drawn = np.concatenate([mesh_points(nodes[part]) for part in ("line1", "line2", "arc", "plane")])
    np.testing.assert_allclose((drawn - sheet[0]) @ normal, 0, atol=1e-9)
    inside = (drawn - sheet.mean(axis=0)) @ (sheet[1] - sheet[0]) / np.sum((sheet[1] - sheet[0]) ** 2)
    assert np.abs(inside).max() <= 0.5 + 1e-9


def test_an_offset_is_drawn_as_the_way_from_the_line_to_the_point(a_foot_session):
    chosen = "foot-ankle-offset"
    a_foot_session.choose_measurement(chosen)
    nodes = nodes_of(a_foot_session, chosen)
    line, way = mesh_points(nodes["line1"]), mesh_points(nodes["line2"])
    length = np.linalg.norm(line[1] - line[0])
    value = a_foot_session.result.by_id(chosen).value
    assert 100 * np.linalg.norm(way[1] - way[0]) / length == pytest.approx(abs(value))
    assert (way[1] - way[0]) @ (line[1] - line[0]) == pytest.approx(0, abs=1e-6)
    dome = foot_in_volume()[a_foot_session.protocol.index("TA1")]
    np.testing.assert_allclose(way[1][:2], dome[:2])
    assert text_of(a_foot_session, chosen) == f"FAO {value:.1f} %"


def test_choosing_another_hides_the_one_before_and_none_hides_all(a_foot_session):
    for chosen in ("meary-angle", "hallux-valgus-angle"):
        a_foot_session.choose_measurement(chosen)
    assert not shown(nodes_of(a_foot_session, "meary-angle")["arc"])
    assert nodes_of(a_foot_session, "meary-angle")["plane"].GetName() == "Hallux valgus angle: axial"
    a_foot_session.choose_measurement("")
    assert not any(shown(node) for node in nodes_of(a_foot_session, "hallux-valgus-angle").values())


def test_an_unknown_measurement_is_refused(a_foot_session):
    with pytest.raises(ValueError, match="has no measurement 'cobb'"):
        a_foot_session.choose_measurement("cobb")


def test_a_missing_landmark_takes_the_drawing_away_and_brings_it_back(a_foot_session):
    a_foot_session.choose_measurement("hallux-valgus-angle")
    place = a_foot_session.points[a_foot_session.protocol.index("P2")]
    a_foot_session.unset_point("P2")
    assert not any(shown(node) for node in nodes_of(a_foot_session, "hallux-valgus-angle").values())
    assert "P2 not placed" in a_foot_session.result.by_id("hallux-valgus-angle").reason
    a_foot_session.set_point("P2", place)
    assert all(shown(node) for node in nodes_of(a_foot_session, "hallux-valgus-angle").values())


def test_axes_lie_in_their_bones_and_follow_the_landmarks(a_foot_session):
    session, at = a_foot_session, a_foot_session.protocol.index
    axis = session.parameter_node.GetNodeReference("axis.mt1-axis")
    assert axis.GetName() == "axis of the first metatarsal"
    assert shown(axis)
    assert not axis.GetDisplayNode().GetVisibility2D()
    session.set_point("M1b", session.points[at("M1b")] + [3.0, -2.0, 1.0])
    np.testing.assert_allclose(mesh_points(axis), session.points[[at("M1a"), at("M1b")]])
    session.unset_point("M1a")
    assert not shown(axis)


def test_axes_can_be_switched_off(a_foot_session):
    session = a_foot_session
    axis = session.parameter_node.GetNodeReference("axis.mt1-axis")
    session.settings = DrawingSettings((), levels=False, midline=False, axes=False)
    assert not shown(axis)
    session.set_point("M1b", session.points[session.protocol.index("M1b")] + 1.0)
    assert not shown(axis)


def test_a_deleted_sheet_comes_back_with_the_next_move(a_foot_session):
    session = a_foot_session
    session.choose_measurement("hallux-valgus-angle")
    session.scene.RemoveNode(nodes_of(session, "hallux-valgus-angle")["plane"])
    session.set_point("P2", session.points[session.protocol.index("P2")] + 2.0)
    assert shown(nodes_of(session, "hallux-valgus-angle")["plane"])


def test_removing_the_session_leaves_no_node_behind(a_foot_volume):
    from support.standing_volume import standing_prediction

    from orthoangles.scene import FrameSettings, MeasurementSession

    def ids(scene):
        return {scene.GetNthNode(k).GetID() for k in range(scene.GetNumberOfNodes())}

    scene = a_foot_volume.GetScene()
    before = ids(scene)
    session = MeasurementSession.create(a_foot_volume, PROTOCOL)
    session.set_prediction(standing_prediction())
    session.choose_measurement("hallux-valgus-angle")
    session.frame_settings = FrameSettings("plane", "line")
    session.remove()
    left = {scene.GetNodeByID(each).GetClassName() for each in ids(scene) - before}
    assert left <= {"vtkMRMLSubjectHierarchyNode"}
