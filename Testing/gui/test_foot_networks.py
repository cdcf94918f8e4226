"""The foot's panel with networks: one foot as the Cobb panel does it, two feet, turned ones, other views."""

import importlib

import numpy as np
import pytest
from gui.conftest import SlowNetwork, cells, click, give_networks
from support.foot_images import ANGLES, FootNetwork, foot_picture

pytestmark = pytest.mark.gui

PROTOCOLS = tuple(ANGLES)
NAME, VALUE, GRADE = 0, 1, 3


@pytest.fixture
def foot_panel(slicer_host, monkeypatch):
    """The panel, opened, as if a network shipped with each protocol of a radiograph."""
    # By name: the host has loaded the package anew.
    shipped = {"shipped_bundle": lambda protocol_id: protocol_id in PROTOCOLS and "stand-in"}
    for module, changed in (("protocols", shipped), ("predicting", {"require_network": lambda protocol: None})):
        for name, function in changed.items():
            monkeypatch.setattr(importlib.import_module(f"orthoangles.{module}"), name, function)
    return slicer_host.panel("FootAngleModule")


@pytest.fixture
def run(slicer_host, foot_panel, tmp_path):
    """Load a picture, let the network that knows its feet run, and wait for it."""

    def load_and_run(picture, network=None, name: str = "foot.png"):
        foot_panel.ui.protocolComboBox.currentIndex = PROTOCOLS.index(picture.protocol_id)
        give_networks(foot_panel, network or picture.network)
        foot_panel.image.load(str(picture.write(tmp_path / name)))
        click(slicer_host, foot_panel.ui.runButton)
        slicer_host.wait_until(lambda: not foot_panel.logic.runner.running)
        slicer_host.process_events(0.15)
        return foot_panel

    return load_and_run


def angle(session) -> float:
    return session.result.by_id(ANGLES[session.protocol.id]).value


def volumes(host) -> list[str]:
    import slicer

    return [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", host.scene)]


def turn_of_view(view) -> np.ndarray:
    import slicer

    return slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())[:3, :3]


# One foot, as the Cobb panel does it


@pytest.mark.parametrize("protocol_id", PROTOCOLS)
def test_run_measures_one_foot_on_the_image_itself(slicer_host, run, protocol_id):
    panel = run(foot_picture(protocol_id, (28.0,)))
    assert panel.session.volume_node is panel.parameters.volume
    assert volumes(slicer_host) == ["foot"]
    assert angle(panel.session) == pytest.approx(28.0, abs=1e-3)
    assert "28.0°" in cells(panel.ui.measurementTable, VALUE)
    assert panel.ui.predictionLabel.text.startswith("Network feet 1.0 on cpu.\nConfidence 40% to 90%")
    assert ": present (" in panel.ui.findingsLabel.text
    assert " > " in panel.ui.findingsLabel.text or "≥" in panel.ui.findingsLabel.text
    assert len(panel.session.arc_nodes) == sum(m.drawn for m in panel.session.protocol.measurements)
    assert all(node.GetDisplayVisibility() for node in panel.session.arc_nodes)


@pytest.mark.parametrize("protocol_id", PROTOCOLS)
def test_dragging_changes_the_table_at_every_move_and_undo_takes_it_back(slicer_host, run, protocol_id):
    from support.views import SliceView

    panel = run(foot_picture(protocol_id, (28.0,)))
    view = SliceView(slicer_host.scene_host)
    view.show(panel.parameters.volume)
    view.render()
    # An end of the axis: the middle handle of a robust fit is meant to bend nothing.
    landmark = {"foot-ap-hallux": "PP1-5", "foot-ap": "A1", "foot-lateral": "L1"}[protocol_id]
    shown, before = [], angle(panel.session)
    x, y = view.display_point(panel.session.points[panel.session.protocol.index(landmark)])
    view.press(x, y)
    for step in range(1, 11):
        view.move(x + step, y + step)
        shown.append(tuple(cells(panel.ui.measurementTable, VALUE)))
    view.release(x + 10, y + 10)
    view.close()
    assert len(set(shown)) > 6
    slicer_host.process_events(0.15)
    assert panel.session.review_state == "corrected"
    click(slicer_host, panel.ui.undoButton)
    assert angle(panel.session) == pytest.approx(before)


@pytest.mark.parametrize("protocol_id", PROTOCOLS)
def test_review_goes_from_the_least_certain_and_shows_it_by_colour(slicer_host, run, protocol_id):
    panel = run(foot_picture(protocol_id))
    table = panel.ui.reviewTable
    assert cells(table, 0)[0] == panel.session.protocol.landmarks[3].name
    assert cells(table, 1)[:2] == ["40%", "90%"]
    hues = [table.item(row, 1).background().color().hue() for row in (0, 1)]
    assert hues[0] < 60 < 100 < hues[1]  # reddish, green
    table.selectRow(0)
    click(slicer_host, panel.ui.acceptButton)
    panel.ui.readerLineEdit.text = "AB"
    click(slicer_host, panel.ui.confirmButton)
    assert panel.ui.reviewStateLabel.text == "Confirmed by AB."


@pytest.mark.parametrize("protocol_id", PROTOCOLS)
def test_a_saved_scene_comes_back_with_its_feet_alive(slicer_host, run, tmp_path, protocol_id):
    from orthoangles.scene.saving import load_scene, save_scene

    panel = run(foot_picture(protocol_id, (20.0, 35.0), (True, False), turns=1), name="feet.png")
    name, others = (
        panel.parameters.volume.GetName(),
        [node.GetName() for node in panel.logic.otherFeet(panel.parameters.volume)],
    )
    save_scene(slicer_host.scene, tmp_path / "case.mrb")
    slicer_host.scene.Clear()
    load_scene(tmp_path / "case.mrb", slicer_host.scene_host)
    assert panel.parameters.volume.GetName() == name
    assert angle(panel.session) == pytest.approx(20.0, abs=1e-2)
    (other,) = panel.logic.otherFeet(panel.parameters.volume)
    assert [other.GetName()] == others
    panel.ui.volumeSelector.setCurrentNode(other)
    assert angle(panel.session) == pytest.approx(35.0, abs=1e-2)
    before = angle(panel.session)
    landmark = {"foot-ap-hallux": "PP1-", "foot-ap": "A1", "foot-lateral": "L1"}[protocol_id]
    for one in (name for name in panel.session.protocol.landmark_ids if name.startswith(landmark)):
        place = panel.session.points[panel.session.protocol.index(one)]
        panel.session.set_point(one, place + np.array([8.0, 8.0, 0.0]) * float(one[-1]))
    assert abs(angle(panel.session) - before) > 0.5


# The side


def test_the_side_is_filled_in_from_the_landmarks_and_said_to_be(slicer_host, run):
    panel = run(foot_picture("foot-ap", mirrored=(True,)))
    assert panel.parameters.side.value == "L"
    assert panel.ui.sideComboBox.currentText == "left"
    assert "told from the image" in panel.ui.imageInfoLabel.text
    panel.ui.sideComboBox.currentIndex = 2
    assert panel.parameters.volume.GetAttribute("OrthoAngles.laterality") == "R"
    assert "told from the image" not in panel.ui.imageInfoLabel.text
    click(slicer_host, panel.ui.runButton)
    slicer_host.wait_until(lambda: not panel.logic.runner.running)
    slicer_host.process_events(0.15)
    assert panel.parameters.side.value == "R"
    assert "look like a left foot, but the image is stated to be of the right one" in panel.ui.predictionLabel.text


def test_a_side_told_by_the_landmarks_does_not_bind_the_next_run(slicer_host, run):
    panel = run(foot_picture("foot-ap", mirrored=(True,)))
    click(slicer_host, panel.ui.runButton)
    slicer_host.wait_until(lambda: not panel.logic.runner.running)
    slicer_host.process_events(0.15)
    assert "told from the image" in panel.ui.imageInfoLabel.text
    assert panel.session.prediction.warnings == ()


def test_a_lateral_view_tells_no_side(run):
    panel = run(foot_picture("foot-lateral"))
    assert panel.parameters.side.value == ""
    assert "told from the image" not in panel.ui.imageInfoLabel.text


# Two feet, turned feet


def test_two_feet_become_two_upright_volumes_each_with_its_session(slicer_host, run):
    picture = foot_picture("foot-ap-hallux", (20.0, 35.0), (True, False), turns=3)
    panel = run(picture, name="feet.png")
    assert volumes(slicer_host) == ["feet", "feet right foot", "feet left foot"]
    assert panel.parameters.volume.GetName() == "feet right foot"
    assert angle(panel.session) == pytest.approx(35.0, abs=1e-3)
    assert np.allclose(panel.session.points, picture.feet[1][1])
    text = panel.ui.predictionLabel.text
    assert "An upright foot of 'feet'. To see the other one, choose it as image: 'feet left foot'." in text
    assert panel.parameters.side.value == "R"
    (other,) = panel.logic.otherFeet(panel.parameters.volume)
    panel.ui.volumeSelector.setCurrentNode(other)
    assert angle(panel.session) == pytest.approx(20.0, abs=1e-3)
    assert panel.parameters.side.value == "L"
    columns, rows, _ = other.GetImageData().GetDimensions()
    assert rows > columns


def test_running_again_measures_the_same_volumes(slicer_host, run):
    panel = run(foot_picture("foot-ap-hallux", (20.0, 35.0), (True, False)), name="feet.png")
    before = panel.session
    panel.ui.volumeSelector.setCurrentNode(panel.logic.sourceImage(before.volume_node))
    assert "'feet left foot', 'feet right foot'" in panel.ui.predictionLabel.text
    click(slicer_host, panel.ui.runButton)
    slicer_host.wait_until(lambda: not panel.logic.runner.running)
    assert len(volumes(slicer_host)) == 3
    assert panel.session is before


def test_age_is_the_patients_and_side_the_foots(run):
    panel = run(foot_picture("foot-ap-hallux", (20.0, 35.0), (True, False)))
    panel.ui.ageSpinBox.value = 44
    (other,) = panel.logic.otherFeet(panel.parameters.volume)
    panel.ui.volumeSelector.setCurrentNode(other)
    assert (panel.ui.ageSpinBox.value, panel.parameters.side.value) == (44, "R")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_foot_is_shown_upright(slicer_host, foot_panel, run, turns):
    from support.views import SliceView

    view = SliceView(slicer_host.scene_host)
    axial = turn_of_view(view).copy()
    picture = foot_picture("foot-ap", (28.0,), turns=turns)
    panel = run(picture)
    assert volumes(slicer_host) == ["foot", "foot right foot"]
    assert view.logic.GetSliceCompositeNode().GetBackgroundVolumeID() == panel.parameters.volume.GetID()
    view.logic.FitSliceToBackground()
    points = picture.feet[0][1]
    toe, heel = (np.array(view.display_point(points[panel.session.protocol.index(name)])) for name in ("A1", "A16"))
    assert toe[1] > heel[1] + abs(toe[0] - heel[0])  # display coordinates go up
    medial, lateral = (view.display_point(points[panel.session.protocol.index(name)]) for name in ("A6", "A8"))
    assert medial[0] < lateral[0]  # and not mirrored: a right foot, seen from above
    panel.ui.volumeSelector.setCurrentNode(panel.logic.sourceImage(panel.parameters.volume))
    assert np.allclose(turn_of_view(view), axial)
    view.close()


def test_a_deleted_foot_is_made_anew(slicer_host, run):
    panel = run(foot_picture("foot-ap", turns=1))
    source = panel.logic.sourceImage(panel.parameters.volume)
    slicer_host.scene.RemoveNode(panel.parameters.volume)
    assert panel.session is None
    panel.ui.volumeSelector.setCurrentNode(source)
    click(slicer_host, panel.ui.runButton)
    slicer_host.wait_until(lambda: panel.session is not None)
    assert len(volumes(slicer_host)) == 2


# What cannot be measured


@pytest.mark.parametrize(
    ("feet", "reason"),
    [("lateral", "this is a lateral view; protocol foot-ap needs an AP view"), ("none", "no foot was recognised")],
)
def test_another_view_or_no_foot_is_said(slicer_host, run, caplog, feet, reason):
    found = foot_picture("foot-lateral").feet if feet == "lateral" else ()
    panel = run(foot_picture("foot-ap"), lambda protocol, device: FootNetwork(protocol, found, device))
    assert [type(error).__name__ for error in slicer_host.errors] == ["ImageError"]
    slicer_host.errors.clear()
    assert "The landmarks could not be placed." in caplog.text
    assert f"foot.png: {reason}" in caplog.text
    assert panel.session is None
    assert volumes(slicer_host) == ["foot"]
    assert panel.ui.runButton.enabled


def test_cancel_while_the_second_foot_is_looked_at_changes_nothing(slicer_host, foot_panel, tmp_path):
    picture = foot_picture("foot-ap", (20.0, 35.0), (True, False))

    class Slow(SlowNetwork):
        def __init__(self, protocol, device) -> None:
            super().__init__(protocol, device)
            self.views = picture.network().views
            made.append(self)

        def predict(self, image, *, progress=None, cancelled=None):
            if not self.calls:
                self.calls = 1
                return picture.network().predict(image, progress=progress)
            return super().predict(image, progress=progress, cancelled=cancelled)

    made = []
    foot_panel.ui.protocolComboBox.currentIndex = 1
    give_networks(foot_panel, Slow)
    foot_panel.image.load(str(picture.write(tmp_path / "feet.png")))
    click(slicer_host, foot_panel.ui.runButton)
    slicer_host.wait_until(lambda: made and made[0].started.is_set())
    slicer_host.wait_until(lambda: foot_panel.ui.progressBar.value == 65)
    assert foot_panel.ui.predictionLabel.text == "Foot 2 of 2: Looking for landmarks"
    click(slicer_host, foot_panel.ui.cancelButton)
    slicer_host.wait_until(lambda: not foot_panel.logic.runner.running)
    slicer_host.process_events()
    assert foot_panel.session is None
    assert volumes(slicer_host) == ["feet"]


# Scripts, worklist and export


def test_a_script_gets_the_first_session_or_all(slicer_host, foot_panel, tmp_path):
    picture = foot_picture("foot-ap-hallux", (20.0, 35.0), (True, False))
    give_networks(foot_panel, picture.network)
    volume = foot_panel.logic.loadImage(picture.write(tmp_path / "feet.png"))
    sessions = foot_panel.logic.processAll(volume, "foot-ap-hallux")
    assert [angle(session) for session in sessions] == pytest.approx([20.0, 35.0], abs=1e-3)
    assert foot_panel.logic.process(volume, "foot-ap-hallux") is sessions[0]
    foot_panel.parameters.volume = sessions[1].volume_node
    foot_panel.ui.protocolComboBox.currentIndex = PROTOCOLS.index("foot-ap-hallux")
    assert foot_panel.session is sessions[1]


def test_an_image_is_done_when_both_feet_are_exported_as_one_patient(slicer_host, foot_panel, tmp_path):
    from orthoangles.annotation.dataset import Dataset

    picture = foot_picture("foot-ap", (20.0, 35.0), (True, False))
    (tmp_path / "images").mkdir()
    picture.write(tmp_path / "images" / "feet.png")
    give_networks(foot_panel, picture.network)
    foot_panel.ui.readerLineEdit.text = "AB"
    foot_panel.ui.protocolComboBox.currentIndex = PROTOCOLS.index("foot-ap")
    foot_panel.ui.imagesFolderPathLineEdit.currentPath = str(tmp_path / "images")
    foot_panel.ui.datasetFolderPathLineEdit.currentPath = str(tmp_path / "dataset")
    click(slicer_host, foot_panel.ui.openNextButton)
    slicer_host.wait_until(lambda: foot_panel.session is not None)
    click(slicer_host, foot_panel.ui.confirmButton)
    click(slicer_host, foot_panel.ui.exportButton)
    assert "Still to be exported from this image: feet right foot." in foot_panel.ui.exportLabel.text
    assert cells(foot_panel.ui.worklistTable, 1) == ["corrected"]  # begun and not done
    (other,) = foot_panel.logic.otherFeet(foot_panel.parameters.volume)
    foot_panel.ui.volumeSelector.setCurrentNode(other)
    click(slicer_host, foot_panel.ui.confirmNextButton)
    assert cells(foot_panel.ui.worklistTable, 1) == ["confirmed"]
    first, second = Dataset(tmp_path / "dataset").cases
    assert first.group == second.group
    assert first.id != second.id
    assert Dataset(tmp_path / "dataset").problems(digests=True) == ()


def test_confirm_and_next_goes_to_the_other_foot_first(slicer_host, foot_panel, tmp_path):
    picture = foot_picture("foot-ap", (20.0, 35.0), (True, False))
    (tmp_path / "images").mkdir()
    picture.write(tmp_path / "images" / "feet.png")
    give_networks(foot_panel, picture.network)
    foot_panel.ui.readerLineEdit.text = "AB"
    foot_panel.ui.protocolComboBox.currentIndex = PROTOCOLS.index("foot-ap")
    foot_panel.ui.imagesFolderPathLineEdit.currentPath = str(tmp_path / "images")
    click(slicer_host, foot_panel.ui.openNextButton)
    slicer_host.wait_until(lambda: foot_panel.session is not None)
    first = foot_panel.session.volume_node
    click(slicer_host, foot_panel.ui.confirmNextButton)
    assert foot_panel.session.volume_node is not first
    assert foot_panel.session.review_state == "predicted"
    click(slicer_host, foot_panel.ui.confirmNextButton)
    assert cells(foot_panel.ui.worklistTable, 1) == ["confirmed"]


def test_the_next_image_takes_both_feet_of_the_last_out_of_the_scene(slicer_host, foot_panel, tmp_path):
    (tmp_path / "images").mkdir()
    for name, angles in (("a.png", (20.0, 35.0)), ("b.png", (20.0,))):
        foot_picture("foot-ap", angles, (True, False)[: len(angles)]).write(tmp_path / "images" / name)
    picture = foot_picture("foot-ap", (20.0, 35.0), (True, False))
    foot_panel.ui.aheadCheckBox.checked = False
    foot_panel.ui.imagesFolderPathLineEdit.currentPath = str(tmp_path / "images")
    give_networks(foot_panel, picture.network)
    click(slicer_host, foot_panel.ui.openNextButton)
    before = slicer_host.scene.GetNumberOfNodes()
    for protocol_id in ("foot-ap", "foot-ap"):
        foot_panel.logic.processAll(foot_panel.parameters.volume, protocol_id)
    foot_panel.logic.createSession(foot_panel.parameters.volume, "foot-lateral")
    click(slicer_host, foot_panel.ui.openNextButton)
    slicer_host.process_events(0.15)
    assert volumes(slicer_host) == ["b"]
    assert slicer_host.scene.GetNumberOfNodes() <= before + 2


# Sample data


@pytest.mark.parametrize(("name", "ending"), [("FootAP", ".png"), ("FootLateral", ".png"), ("FootWBCT", ".nrrd")])
def test_the_samples_are_offered_with_digest_and_thumbnail(slicer_host, name, ending):
    import qt
    import SampleData

    logic = SampleData.SampleDataLogic()
    source = logic.sourceForSampleName(name)
    assert logic.downloadFileIntoCache(source.uris, source.fileNames, source.checksums).endswith(ending)
    assert not qt.QIcon(source.thumbnailFileName).isNull()
