"""The panel with a foot in a volume: ground and axis, 3D view, the angle shown for a row, side and series."""

import numpy as np
import pytest
import slicer
from gui.conftest import cells, click, give_networks
from gui.slicerhost.wrapping import unwrap
from support.meshes import shown
from support.standing_volume import PROTOCOL, foot_in_volume, standing_prediction, standing_volume

pytestmark = pytest.mark.gui
NAME, VALUE = 0, 1


class FootNetwork:
    """Finds the standing foot at once; ``mirrored`` finds a left one."""

    mirrored = False

    def __init__(self, protocol, device: str = "auto") -> None:
        self.protocol = protocol

    def predict(self, image, *, progress=None, cancelled=None):
        points = foot_in_volume()
        return standing_prediction(points * (-1, 1, 1) if self.mirrored else points)


class LeftFootNetwork(FootNetwork):
    mirrored = True


@pytest.fixture
def panel(slicer_host, networks):
    """The foot panel with a CT volume and its landmarks proposed, nothing chosen."""
    from orthoangles.scene import add_volume

    networks.kind = FootNetwork
    panel = slicer_host.panel("FootAngleModule")
    give_networks(panel, networks)
    panel.parameters.volume = add_volume(slicer.mrmlScene, standing_volume())
    panel.ui.protocolComboBox.currentIndex = [offer.id for offer in panel.offers()].index(PROTOCOL)
    return panel


@pytest.fixture
def measured(slicer_host, panel):
    """The same with landmarks proposed."""
    session = panel.logic.createSession(panel.parameters.volume, PROTOCOL)
    session.set_prediction(standing_prediction())
    panel.showSession(session)
    slicer_host.process_events(0.15)
    return panel


def hidden(widget) -> bool:
    return unwrap(widget).isHidden()


def row_of(panel, name: str) -> int:
    return cells(panel.ui.measurementTable, NAME).index(name)


def value_of(panel, name: str) -> str:
    return cells(panel.ui.measurementTable, VALUE)[row_of(panel, name)]


def turn(plane, degrees: float) -> None:
    import vtk

    turning = vtk.vtkTransform()
    turning.RotateX(degrees)
    plane.ApplyTransform(turning)


def choose(combo, value: str) -> None:
    combo.currentIndex = combo.findData(value)


def test_ground_and_3d_view_are_for_volumes(slicer_host, panel, radiograph):
    assert hidden(panel.ui.spaceCollapsibleButton)
    session = panel.logic.createSession(panel.parameters.volume, PROTOCOL)
    panel.showSession(session)
    assert not hidden(panel.ui.spaceCollapsibleButton)
    panel.image.load(str(radiograph))
    panel.ui.protocolComboBox.currentIndex = 0
    panel.showSession(panel.logic.createSession(panel.parameters.volume, "foot-ap-hallux"))
    assert hidden(panel.ui.spaceCollapsibleButton)


def test_the_ground_is_chosen_and_every_value_follows(slicer_host, measured):
    before = value_of(measured, "CP")
    choose(measured.ui.groundComboBox, "landmarks")
    assert measured.session.result.frame.ground == "landmarks"
    assert value_of(measured, "CP") != before
    choose(measured.ui.groundComboBox, "plane")
    assert value_of(measured, "CP") != before  # laid along the ground as it was
    up = np.array(measured.session.result.frame.up)
    turn(measured.session.frame_nodes[0], 5.0)
    assert np.degrees(np.arccos(up @ measured.session.result.frame.up)) == pytest.approx(5.0, abs=0.1)
    expected = measured.session.result.by_id("calcaneal-pitch").value
    assert value_of(measured, "CP") == f"{expected:.1f}°"
    slicer_host.process_events(0.15)
    assert "leans" in measured.ui.frameInfoLabel.text
    choose(measured.ui.groundComboBox, "scanner")
    assert value_of(measured, "CP") == before
    assert "leans" not in measured.ui.frameInfoLabel.text


def test_undo_of_an_own_plane_is_shown(slicer_host, measured):
    choose(measured.ui.groundComboBox, "plane")
    choose(measured.ui.axisComboBox, "line")
    for _ in range(2):
        click(slicer_host, measured.ui.undoButton)
    slicer_host.process_events(0.15)
    assert measured.session.frame_nodes == ()
    assert measured.ui.groundComboBox.currentIndex == measured.ui.groundComboBox.findData("scanner")
    assert measured.ui.axisComboBox.currentIndex == measured.ui.axisComboBox.findData("landmarks")


def test_a_ground_that_cannot_be_had_is_said(slicer_host, measured):
    choose(measured.ui.groundComboBox, "landmarks")
    assert "Check" not in measured.ui.frameInfoLabel.text
    measured.session.unset_point("M5")
    slicer_host.process_events(0.15)
    assert "M5 not placed: the scanner's vertical is taken" in measured.ui.frameInfoLabel.text


def test_check_boxes_show_and_hide(slicer_host, measured):
    session = measured.session
    ground, axis = (session.parameter_node.GetNodeReference(role) for role in ("frame.ground", "axis.mt1-axis"))
    for box, is_shown in (
        (measured.ui.frameCheckBox, lambda: shown(ground)),
        (measured.ui.axesCheckBox, lambda: shown(axis)),
        (measured.ui.bonesCheckBox, lambda: measured.logic.bonesShown(session.volume_node)),
    ):
        for expected in (True, False, True):
            assert box.checked is expected
            assert is_shown() is expected
            click(slicer_host, box)


def test_a_row_of_the_measurements_shows_its_angle_with_its_plane_and_goes_there(slicer_host, measured):
    from support.view_3d import FourUp

    views = FourUp(slicer_host.scene_host, (200, 200))
    views.show(measured.parameters.volume)
    measured.ui.measurementTable.selectRow(row_of(measured, "Meary"))
    session = measured.session
    assert session.settings.chosen == "meary-angle"
    plane = session.parameter_node.GetNodeReference("plane")
    assert shown(plane)
    assert plane.GetName() == "Meary's angle: sagittal"
    ends = [session.points[session.protocol.index(name)] for name in ("TA2", "TA3", "M1a", "M1b")]
    _, back, height = np.mean(ends, axis=0)
    assert views.slices["Red"].node.GetSliceOffset() == pytest.approx(height)
    assert views.slices["Green"].node.GetSliceOffset() == pytest.approx(-back)
    views.close()


def test_the_tool_tip_names_plane_and_ground(slicer_host, measured):
    tip = measured.ui.measurementTable.item(row_of(measured, "CP"), NAME).toolTip()
    assert "In the sagittal plane." in tip
    assert "Ground: scanner's vertical." in tip
    assert "In space." in measured.ui.measurementTable.item(row_of(measured, "Gissane 3D"), NAME).toolTip()


def test_selecting_a_landmark_centres_the_views_on_it(slicer_host, measured):
    from support.view_3d import FourUp

    views = FourUp(slicer_host.scene_host, (200, 200))
    views.show(measured.parameters.volume)
    measured.ui.reviewTable.selectRow(0)
    assert measured.ui.reviewTable.item(0, 1).text() == "40%"  # the least certain first
    offsets = [views.slices[name].node.GetSliceOffset() for name in ("Yellow", "Green", "Red")]
    np.testing.assert_allclose(offsets, foot_in_volume()[-1] * (1, -1, 1))  # sagittal slices count leftwards
    views.close()


def test_a_saved_scene_opens_with_ground_plane_and_row(slicer_host, measured, tmp_path):
    from orthoangles.scene import load_scene, save_scene

    measured.ui.measurementTable.selectRow(row_of(measured, "HVA"))
    choose(measured.ui.groundComboBox, "plane")
    turn(measured.session.frame_nodes[0], 6.0)
    expected = [value_of(measured, name) for name in ("CP", "Meary", "HVA")]
    path = save_scene(slicer.mrmlScene, tmp_path / "foot.mrb")
    slicer.mrmlScene.Clear()
    load_scene(path, slicer_host.scene_host)
    slicer_host.process_events(0.15)
    assert [value_of(measured, name) for name in ("CP", "Meary", "HVA")] == expected
    assert measured.ui.measurementTable.currentRow() == row_of(measured, "HVA")
    assert measured.ui.groundComboBox.currentIndex == measured.ui.groundComboBox.findData("plane")
    assert measured.ui.bonesCheckBox.checked
    turn(measured.session.frame_nodes[0], 2.0)
    assert value_of(measured, "CP") != expected[0]


@pytest.mark.parametrize(("network", "side"), [(FootNetwork, "R"), (LeftFootNetwork, "L")])
def test_the_side_of_a_volume_is_told_by_its_landmarks(slicer_host, panel, networks, monkeypatch, network, side):
    import orthoangles.predicting
    from OrthoAnglesLib import dependencies

    networks.kind = network
    monkeypatch.setattr(dependencies, "ensurePredicting", lambda: None)
    monkeypatch.setattr(orthoangles.predicting, "require_network", lambda protocol: None)
    panel.logic.process(panel.parameters.volume, PROTOCOL)
    panel.image.refresh()
    assert panel.logic.imageFacts(panel.parameters.volume)["laterality"] == side
    assert "The side is told from the image" in panel.ui.imageInfoLabel.text


def test_a_volume_is_shown_with_a_3d_view_where_none_is_open(slicer_host, panel):
    layout = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLayoutNode")
    layout.SetViewArrangement(layout.SlicerLayoutOneUpRedSliceView)
    panel.logic.showImage(panel.parameters.volume)
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
    view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLViewNode")
    view.SetMappedInLayout(1)
    layout.SetViewArrangement(layout.SlicerLayoutConventionalView)
    panel.logic.showImage(panel.parameters.volume)
    assert layout.GetViewArrangement() == layout.SlicerLayoutConventionalView


def test_a_folder_of_dicom_slices_is_loaded(slicer_host, panel, tmp_path, monkeypatch):
    import qt
    from support.image_files import grey, write_ct

    folder = write_ct(tmp_path / "ct", np.stack([grey(40, 50, np.int16, seed=k) for k in range(4)]))
    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(folder), raising=False)
    click(slicer_host, panel.ui.loadFolderButton)
    assert panel.parameters.volume.GetImageData().GetDimensions()[2] > 1
    assert "voxels of" in panel.ui.imageInfoLabel.text
    cobb = slicer_host.panel("CobbModule")
    assert hidden(cobb.ui.loadFolderButton)


def test_taking_a_case_away_takes_its_bones(slicer_host, measured):
    volume = measured.parameters.volume
    assert measured.logic.bonesShown(volume)
    measured.logic.removeCase(volume)
    for kind in ("vtkMRMLVolumeRenderingDisplayNode", "vtkMRMLVolumePropertyNode", "vtkMRMLMarkupsPlaneNode"):
        assert slicer.mrmlScene.GetNumberOfNodesByClass(kind) == 0
