"""How sessions begin and end: nodes deleted, scenes closed, nothing left behind."""

import gc
import weakref

import numpy as np
import pytest
import slicer
import vtk
from support.spines import PROTOCOL, spine_image, spine_points, spine_prediction

from orthoangles.errors import ImageError, ProtocolError
from orthoangles.images import Image
from orthoangles.scene import MeasurementSession, SceneError, add_volume, session_nodes

pytestmark = pytest.mark.scene


def nodes_of_classes(scene, *names):
    return [scene.GetNthNodeByClass(i, name) for name in names for i in range(scene.GetNumberOfNodesByClass(name))]


def drawn(scene):
    return nodes_of_classes(scene, "vtkMRMLModelNode", "vtkMRMLMarkupsNode", "vtkMRMLTableNode")


def test_a_new_session_has_every_landmark_named_and_unset(an_empty_session):
    node = an_empty_session.markups_node
    protocol = an_empty_session.protocol
    assert node.GetNumberOfControlPoints() == 68
    assert node.GetFixedNumberOfControlPoints()
    assert node.GetNumberOfDefinedControlPoints() == 0
    labels = [node.GetNthControlPointLabel(i) for i in range(68)]
    assert labels == list(protocol.landmark_ids)
    assert protocol.landmark("T7-BL").description in node.GetNthControlPointDescription(protocol.index("T7-BL"))
    assert np.isnan(an_empty_session.points).all()
    assert an_empty_session.review_state == "new"
    assert an_empty_session.result.by_id("cobb-clinical-major").value is None
    assert an_empty_session.table_node.GetTable().GetNumberOfRows() == len(protocol.measurements)


@pytest.fixture
def an_application(a_scene):
    """What the desktop does for the subject hierarchy: each listed node has an item while it is in the scene."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(a_scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def add(_scene, _event, node):
        if not node.GetHideFromEditors() and node.IsA("vtkMRMLStorableNode"):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def remove(_scene, _event, node):
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False)

    tags = [
        a_scene.AddObserver(a_scene.NodeAddedEvent, add),
        a_scene.AddObserver(a_scene.NodeAboutToBeRemovedEvent, remove),
    ]
    yield hierarchy
    for tag in tags:
        a_scene.RemoveObserver(tag)


def test_the_nodes_stand_in_one_folder_beside_the_volume(an_application, a_spine_session):
    hierarchy = an_application
    nodes = [a_spine_session.markups_node, a_spine_session.table_node, *a_spine_session.arc_nodes]
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes}
    assert len(folders) == 1
    (folder,) = folders
    assert "Cobb" in hierarchy.GetItemName(folder)
    a_spine_session.remove()
    assert hierarchy.GetItemByName("a spine") == hierarchy.GetItemByDataNode(a_spine_session.volume_node)
    assert not any("Cobb" in name for name in item_names(hierarchy))


def item_names(hierarchy):
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return [hierarchy.GetItemName(items.GetId(i)) for i in range(items.GetNumberOfIds())]


@pytest.mark.parametrize("spoil", ["flat volume", "colour", "transform", "no pixels"])
def test_a_volume_that_is_no_radiograph_is_refused_by_name(a_scene, spoil):
    volume = add_volume(a_scene, spine_image())
    volume.SetName("chest")
    if spoil == "flat volume":
        volume = add_volume(a_scene, Image(np.zeros((4, 8, 8), np.uint8), name="chest.nrrd"))
    elif spoil == "colour":
        volume.GetImageData().AllocateScalars(3, 3)
    elif spoil == "transform":
        transform = a_scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        volume.SetAndObserveTransformNodeID(transform.GetID())
    else:
        volume.SetAndObserveImageData(None)
    before = a_scene.GetNumberOfNodes()
    with pytest.raises(ImageError, match="chest"):
        MeasurementSession.create(volume, PROTOCOL)
    assert a_scene.GetNumberOfNodes() == before


def test_an_unknown_protocol_is_refused(a_spine_volume):
    with pytest.raises(ProtocolError, match="knee"):
        MeasurementSession.create(a_spine_volume, "knee")


def test_find_gives_the_session_of_this_volume_and_protocol_only(a_spine_session, a_scene):
    other = add_volume(a_scene, spine_image(name="other.png"))
    find = MeasurementSession.find
    assert find(a_scene, a_spine_session.volume_node, PROTOCOL) is a_spine_session.parameter_node
    assert find(a_scene, other, PROTOCOL) is None
    assert find(a_scene, a_spine_session.volume_node, "foot") is None
    assert session_nodes(a_scene) == (a_spine_session.parameter_node,)


def test_two_images_are_measured_side_by_side(a_spine_session, a_scene):
    other = MeasurementSession.create(add_volume(a_scene, spine_image(name="other.png")), PROTOCOL)
    other.set_prediction(spine_prediction(spine_points(thoracic=60.0)))
    value = a_spine_session.result.by_id("cobb-clinical-mt").value
    assert other.result.by_id("cobb-clinical-mt").value > value + 10
    other.remove()
    a_spine_session.set_point("T5-TL", a_spine_session.points[16] + [0, 3, 0])
    assert a_spine_session.result.by_id("cobb-clinical-mt").value is not None


@pytest.mark.parametrize("role", ["lines", "arc", "label", "table", "midline", "levels"])
def test_a_deleted_drawing_comes_back_with_the_next_move(a_spine_session, role):
    session = a_spine_session

    def nodes():
        by_role = {
            "lines": session.line_nodes[:2],
            "arc": session.arc_nodes[:1],
            "label": session.label_nodes[:1],
            "table": (session._picture.table.node,),
            "midline": (session._picture.midline.node.node,),
            "levels": (session._picture.levels.node.node,),
        }
        return by_role[role]

    before = len(drawn(session.scene))
    for node in nodes():
        session.scene.RemoveNode(node)
    assert len(drawn(session.scene)) < before
    session.set_point("T3-TL", session.points[8] + [0, -2, 0])
    assert len(drawn(session.scene)) == before
    assert all(node.GetScene() is session.scene for node in nodes())
    value = session.result.by_id("cobb-clinical-mt").value
    assert any(node.GetNthControlPointLabel(0).startswith(f"MT {value:.1f}") for node in session.label_nodes)
    assert session.table_node.GetTable().GetValueByName(7, "Value").ToString() == f"{value:.1f}"


def test_deleting_the_landmarks_ends_the_session_and_takes_the_drawing_along(a_spine_session, a_scene):
    ended = []
    a_spine_session.add_close_callback(ended.append)
    a_scene.RemoveNode(a_spine_session.markups_node)
    assert a_spine_session.closed
    assert ended == [a_spine_session]
    assert drawn(a_scene) == []
    with pytest.raises(SceneError, match="closed"):
        a_spine_session.set_point("T1-TL", (0, 0, 0))


def test_deleted_landmarks_brought_back_by_undo_can_be_measured_again(a_spine_session, a_scene):
    points, parameter_node = a_spine_session.points, a_spine_session.parameter_node
    a_scene.SaveStateForUndo()
    a_scene.RemoveNode(a_spine_session.markups_node)
    a_scene.Undo()
    session = MeasurementSession.restore(parameter_node)
    np.testing.assert_allclose(session.points, points)
    session.set_point("T3-TL", points[8] + [0, -2, 0])
    assert session.result.by_id("cobb-clinical-mt").value is not None
    session.close()


def test_deleting_the_volume_ends_the_session_and_keeps_the_readers_work(a_spine_session, a_scene):
    points = a_spine_session.points
    a_scene.RemoveNode(a_spine_session.volume_node)
    assert a_spine_session.closed
    assert a_spine_session.markups_node.GetScene() is a_scene
    np.testing.assert_array_equal(a_spine_session.points, points)
    with pytest.raises(SceneError, match="volume"):
        MeasurementSession.restore(a_spine_session.parameter_node)


def test_deleting_the_parameter_node_ends_the_session(a_spine_session, a_scene):
    a_scene.RemoveNode(a_spine_session.parameter_node)
    assert a_spine_session.closed


def test_closing_the_scene_ends_the_session(a_spine_session, a_scene):
    ended = []
    a_spine_session.add_close_callback(ended.append)
    a_scene.Clear(False)
    assert a_spine_session.closed
    assert ended == [a_spine_session]
    assert drawn(a_scene) == []


def test_remove_leaves_the_volume_alone(a_spine_session, a_scene):
    volume = a_spine_session.volume_node
    a_spine_session.remove()
    assert drawn(a_scene) == []
    assert session_nodes(a_scene) == ()
    assert volume.GetScene() is a_scene
    a_spine_session.remove()


def test_remove_leaves_no_display_node_without_its_node(a_spine_session, a_scene):
    a_spine_session.remove()
    displays = [a_scene.GetNthNodeByClass(k, "vtkMRMLDisplayNode") for k in range(_display_count(a_scene))]
    assert [each.GetID() for each in displays if each.GetDisplayableNode() is None] == []


def _display_count(scene) -> int:
    return scene.GetNumberOfNodesByClass("vtkMRMLDisplayNode")


@pytest.mark.parametrize("end", ["close", "remove", "scene", "landmarks", "volume"])
def test_nothing_is_left_observing(a_scene, end):
    volume = add_volume(a_scene, spine_image())
    session = MeasurementSession.create(volume, PROTOCOL)
    session.set_prediction(spine_prediction())
    markups = session.markups_node
    endings = {
        "close": session.close,
        "remove": session.remove,
        "scene": lambda: a_scene.Clear(False),
        "landmarks": lambda: a_scene.RemoveNode(markups),
        "volume": lambda: a_scene.RemoveNode(volume),
    }
    watched = weakref.ref(session)
    endings[end]()
    assert len(session._observers) == 0
    del session, endings
    gc.collect()
    assert watched() is None, "something still refers to the session"
    # A move after the end reaches nobody: no exception, no change.
    if markups.GetNumberOfControlPoints():
        markups.SetNthControlPointPosition(0, 1.0, 2.0, 0.0)


def test_callbacks_can_be_taken_off(a_spine_session):
    calls = []
    remove = a_spine_session.add_update_callback(lambda session: calls.append(session.result))
    a_spine_session.set_point("T1-TL", (80.0, 20.0, 0.0))
    remove()
    remove()
    a_spine_session.set_point("T1-TL", (81.0, 20.0, 0.0))
    assert len(calls) == 1


def test_a_moved_volume_is_measured_where_it_now_lies(a_spine_session):
    before = a_spine_session.result
    a_spine_session.volume_node.SetSpacing(0.25, 0.25, 1.0)
    assert a_spine_session.result is not before
    assert a_spine_session.image.spacing[0] == 0.25


def test_a_volume_that_loses_its_pixels_ends_the_session(a_spine_session):
    a_spine_session.volume_node.SetAndObserveImageData(None)
    assert a_spine_session.closed
    assert a_spine_session.markups_node.GetLocked()
