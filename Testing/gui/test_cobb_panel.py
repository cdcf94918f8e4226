"""The Cobb panel from loading an image to leaving the scene, over the real scene."""

import threading

import numpy as np
import pytest
from gui.conftest import SlowNetwork, cells, click, spine_points

pytestmark = pytest.mark.gui

VALUE, GRADE, REMARK = 1, 3, 4


def major(panel) -> float:
    return panel.session.result.by_id("cobb-clinical-major").value


# Image


def test_an_empty_scene_offers_only_loading(cobb_panel):
    ui = cobb_panel.ui
    for button in (ui.runButton, ui.cancelButton, ui.byHandButton, ui.confirmButton, ui.exportButton, ui.copyButton):
        assert not button.enabled
    assert ui.loadImageButton.enabled
    assert ui.imageInfoLabel.text == "Choose or load an image."
    assert not ui.noticeLabel.visible


def test_loading_shows_the_image_and_says_that_the_pixel_size_is_unknown(cobb_panel, radiograph):
    cobb_panel.image.load(str(radiograph))
    assert cobb_panel.ui.volumeSelector.currentNode() is cobb_panel.parameters.volume
    assert cobb_panel.ui.imageInfoLabel.text.startswith("600 x 1400 pixels; pixel size unknown")
    assert cobb_panel.ui.runButton.enabled


def test_the_load_button_asks_for_a_file(slicer_host, cobb_panel, radiograph, monkeypatch):
    from PySide6.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: (str(radiograph), ""))
    click(slicer_host, cobb_panel.ui.loadImageButton)
    assert cobb_panel.parameters.volume.GetName() == "radiograph"


def test_a_broken_file_is_said_and_changes_nothing(slicer_host, cobb_panel, tmp_path, caplog):
    from orthoangles.errors import ImageError

    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(ImageError):
        cobb_panel.image.load(str(broken))
    assert "The image could not be loaded." in caplog.text
    assert "broken.png" in caplog.text
    assert cobb_panel.parameters.volume is None


def test_age_belongs_to_the_image_and_is_measured_with(cobb_panel, radiograph):
    cobb_panel.image.load(str(radiograph))
    cobb_panel.ui.ageSpinBox.value = 14.5
    first = cobb_panel.parameters.volume
    assert first.GetAttribute("OrthoAngles.patient_age") == "14.5"
    cobb_panel.image.load(str(radiograph))
    assert cobb_panel.ui.ageSpinBox.value == 0.0
    cobb_panel.ui.volumeSelector.setCurrentNode(first)
    assert cobb_panel.ui.ageSpinBox.value == 14.5
    cobb_panel.ui.ageSpinBox.value = 0.0
    assert first.GetAttribute("OrthoAngles.patient_age") is None


# Network


def test_run_places_the_landmarks_and_measures(measured, networks):
    assert np.allclose(measured.session.points[:67], spine_points()[:67])
    assert np.isnan(measured.session.points[67]).all()
    assert len(networks.made) == 1
    assert measured.ui.predictionLabel.text.startswith("Network prompt 1.0 on cpu.\nConfidence 31% to 99%")
    assert f"{major(measured):.1f}°" in cells(measured.ui.measurementTable, VALUE)
    assert measured.ui.runButton.enabled
    assert not measured.ui.cancelButton.enabled


def test_the_network_runs_on_its_own_thread_and_stays_warm(slicer_host, measured, networks):
    networks.made[0].points = np.add(spine_points(), (5.0, 0.0, 0.0))
    click(slicer_host, measured.ui.runButton)
    slicer_host.wait_until(lambda: not measured.logic.runner.running)
    assert len(networks.made) == 1
    assert networks.made[0].calls == 2
    assert np.allclose(measured.session.points[0], spine_points()[0] + (5.0, 0.0, 0.0))


@pytest.fixture
def running(slicer_host, cobb_panel, networks, radiograph):
    """The panel while a slow network runs, and that network."""
    networks.kind = SlowNetwork
    cobb_panel.image.load(str(radiograph))
    click(slicer_host, cobb_panel.ui.runButton)
    slicer_host.wait_until(lambda: networks.made and networks.made[0].started.is_set())
    slicer_host.wait_until(lambda: cobb_panel.ui.progressBar.value == 30)
    yield cobb_panel, networks.made[0]
    networks.made[0].go_on.set()


def test_the_panel_stays_alive_while_the_network_runs(slicer_host, running):
    panel, network = running
    assert network.thread is not threading.main_thread()
    assert panel.ui.predictionLabel.text == "Looking for landmarks"
    assert panel.ui.cancelButton.enabled
    assert not panel.ui.runButton.enabled
    panel.ui.ageSpinBox.value = 9.0
    assert panel.parameters.age == 9.0
    network.go_on.set()
    slicer_host.wait_until(lambda: panel.session is not None)
    assert panel.ui.progressBar.value == 0


def test_cancel_stops_the_network_and_changes_nothing(slicer_host, running):
    panel, network = running
    click(slicer_host, panel.ui.cancelButton)
    slicer_host.wait_until(lambda: panel.ui.runButton.enabled)
    assert network.stopped.is_set()
    assert panel.session is None
    assert panel.ui.predictionLabel.text == "Cancelled; nothing was changed."
    network.go_on.set()
    click(slicer_host, panel.ui.runButton)
    slicer_host.wait_until(lambda: panel.session is not None)


def test_an_error_of_the_network_is_shown(slicer_host, cobb_panel, networks, radiograph, caplog):
    from orthoangles.errors import PredictionError

    class Broken(SlowNetwork):
        def predict(self, image, **_):
            raise PredictionError("model.pt is not the file its metadata names")

    networks.kind = Broken
    cobb_panel.image.load(str(radiograph))
    click(slicer_host, cobb_panel.ui.runButton)
    slicer_host.wait_until(lambda: slicer_host.errors)
    assert [type(error) for error in slicer_host.errors] == [PredictionError]
    slicer_host.errors.clear()
    assert "The landmarks could not be placed." in caplog.text
    assert "model.pt is not the file" in caplog.text
    assert cobb_panel.ui.runButton.enabled


def test_the_image_may_be_deleted_while_the_network_runs(slicer_host, running):
    panel, network = running
    slicer_host.scene.RemoveNode(panel.parameters.volume)
    network.go_on.set()
    slicer_host.wait_until(lambda: not panel.logic.runner.running)
    assert panel.session is None


def test_the_scene_may_be_closed_while_the_network_runs(slicer_host, running):
    panel, network = running
    slicer_host.scene.Clear()
    slicer_host.wait_until(lambda: not panel.logic.runner.running)
    assert network.stopped.is_set()
    assert panel.session is None
    assert panel.ui.progressBar.value == 0


def test_the_user_may_look_at_another_module_while_the_network_runs(slicer_host, running):
    panel, network = running
    slicer_host.representation("CobbModule").exit()
    network.go_on.set()
    slicer_host.wait_until(lambda: panel.session is not None)
    slicer_host.panel("CobbModule")
    assert cells(panel.ui.measurementTable, VALUE)


# Review


def test_the_least_certain_landmarks_come_first(measured):
    ids = measured.session.protocol.landmark_ids
    names = [measured.session.protocol.landmark(landmark).name for landmark in (ids[67], ids[20], ids[41])]
    assert cells(measured.ui.reviewTable, 0)[:3] == names
    assert cells(measured.ui.reviewTable, 1)[:3] == ["", "31%", "52%"]
    assert cells(measured.ui.reviewTable, 2)[:2] == ["missing", "as predicted"]


def test_next_and_previous_walk_and_go_round(slicer_host, measured):
    table = measured.ui.reviewTable
    click(slicer_host, measured.ui.nextButton)
    assert table.currentRow() == 0
    click(slicer_host, measured.ui.nextButton)
    assert table.currentRow() == 1
    for _ in range(2):
        click(slicer_host, measured.ui.previousButton)
    assert table.currentRow() == 67


def test_accept_marks_the_landmark_and_goes_on(slicer_host, measured):
    measured.ui.reviewTable.selectRow(1)
    click(slicer_host, measured.ui.acceptButton)
    slicer_host.process_events(0.15)
    assert measured.session.confirmed_landmarks == {measured.session.protocol.landmark_ids[20]}
    assert cells(measured.ui.reviewTable, 2)[1] == "accepted"
    assert measured.ui.reviewTable.currentRow() == 2
    assert "1 of 68" in measured.ui.reviewStateLabel.text


def test_as_predicted_undo_and_redo(slicer_host, measured):
    landmark = measured.session.protocol.landmark_ids[20]
    before = major(measured)
    measured.session.set_point(landmark, spine_points()[20] + (0.0, 25.0, 0.0))
    moved = major(measured)
    assert abs(moved - before) > 1
    slicer_host.process_events(0.15)
    assert cells(measured.ui.reviewTable, 2)[1] == "moved"
    click(slicer_host, measured.ui.undoButton)
    assert major(measured) == pytest.approx(before)
    click(slicer_host, measured.ui.redoButton)
    assert major(measured) == pytest.approx(moved)
    measured.ui.reviewTable.selectRow(1)
    click(slicer_host, measured.ui.resetPointButton)
    assert major(measured) == pytest.approx(before)
    slicer_host.process_events(0.15)
    assert cells(measured.ui.reviewTable, 2)[1] == "as predicted"


def test_confirm_needs_a_reader_and_a_move_takes_it_back(slicer_host, measured):
    assert not measured.ui.confirmButton.enabled
    measured.ui.readerLineEdit.text = "AB"
    click(slicer_host, measured.ui.confirmButton)
    assert (measured.session.review_state, measured.session.reader) == ("confirmed", "AB")
    assert measured.ui.reviewStateLabel.text == "Confirmed by AB."
    slicer_host.process_events(0.15)
    assert cells(measured.ui.reviewTable, 2)[:2] == ["not visible", "accepted"]
    measured.session.set_point("T6-TL", (250.0, 480.0, 0.0))
    slicer_host.process_events(0.15)
    assert measured.session.review_state == "corrected"
    assert "Corrected" in measured.ui.reviewStateLabel.text


# Mouse


@pytest.fixture
def view(slicer_host, measured):
    """A rendered slice view of the radiograph."""
    from support.views import SliceView

    view = SliceView(slicer_host.scene_host)
    view.show(measured.parameters.volume)
    view.render()
    yield view
    view.close()


def test_dragging_a_landmark_changes_the_table_at_every_move(slicer_host, measured, view):
    row = cells(measured.ui.measurementTable, VALUE).index(f"{major(measured):.1f}°")
    shown = []
    x, y = view.display_point(measured.session.points[20])
    view.press(x, y)
    for step in range(1, 31):
        view.move(x, y + step)
        shown.append(cells(measured.ui.measurementTable, VALUE)[row])
    view.release(x, y + 30)
    assert len(set(shown)) > 25
    assert shown[-1] == f"{major(measured):.1f}°"
    assert measured.session.points[20, 1] < spine_points()[20, 1] - 20
    slicer_host.process_events(0.15)
    assert cells(measured.ui.reviewTable, 2)[1] == "moved"


def test_place_again_takes_the_next_click(slicer_host, measured, view):
    measured.ui.reviewTable.selectRow(0)
    click(slicer_host, measured.ui.placeAgainButton)
    assert measured.ui.reviewStateLabel.text.startswith("Click in the image to place")
    target = spine_points()[67]
    view.click(*view.display_point(target))
    slicer_host.process_events(0.15)
    assert np.linalg.norm(measured.session.points[67] - target) < 3
    assert cells(measured.ui.reviewTable, 2)[0] == "placed"


def test_place_by_hand_asks_for_one_landmark_after_the_other(slicer_host, cobb_panel, radiograph):
    from support.views import SliceView

    cobb_panel.image.load(str(radiograph))
    view = SliceView(slicer_host.scene_host)
    view.show(cobb_panel.parameters.volume)
    view.render()
    click(slicer_host, cobb_panel.ui.byHandButton)
    for k in range(5):
        assert cobb_panel.ui.reviewTable.currentRow() == k
        view.click(*view.display_point(spine_points()[k]))
        slicer_host.process_events(0.02)
    view.close()
    assert np.isfinite(cobb_panel.session.points).all(axis=1).sum() == 5
    assert np.abs(cobb_panel.session.points[:5] - spine_points()[:5]).max() < 3
    assert cobb_panel.session.prediction is None
    assert not cobb_panel.ui.byHandButton.enabled


# Measurements


def test_grades_are_named_and_tinted(measured):
    table = measured.ui.measurementTable
    grades = cells(table, GRADE)
    graded = [row for row, grade in enumerate(grades) if grade]
    assert graded
    for row in range(table.rowCount):
        assert (table.item(row, GRADE).background().color().alpha() == 110) == (row in graded)


def test_a_value_that_cannot_be_taken_has_its_reason(measured):
    table = measured.ui.measurementTable
    empty = [row for row, value in enumerate(cells(table, VALUE)) if not value]
    assert empty
    assert all("L5" in table.item(row, REMARK).toolTip() for row in empty)


def test_copy_puts_the_table_on_the_clipboard(slicer_host, measured):
    import slicer

    click(slicer_host, measured.ui.copyButton)
    lines = slicer.app.clipboard().text().splitlines()
    assert lines[0].split("\t")[:2] == ["Measurement", "Value"]
    assert len(lines) == 1 + measured.ui.measurementTable.rowCount
    assert any(f"{major(measured):.1f}°" in line for line in lines)


def test_save_writes_a_csv(slicer_host, measured, tmp_path, monkeypatch):
    from PySide6.QtWidgets import QFileDialog

    path = tmp_path / "table.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: (str(path), ""))
    click(slicer_host, measured.ui.saveButton)
    assert "cobb-clinical-major" in path.read_text(encoding="utf-8-sig")


# Scene


def test_closing_the_scene_empties_the_panel_and_the_next_image_works(slicer_host, measured, radiograph):
    slicer_host.scene.Clear()
    assert measured.session is None
    assert measured.parameters.volume is None
    assert measured.ui.measurementTable.rowCount == 0
    assert measured.ui.reviewTable.rowCount == 0
    measured.image.load(str(radiograph))
    click(slicer_host, measured.ui.runButton)
    slicer_host.wait_until(lambda: measured.session is not None)


def test_deleting_the_image_or_the_landmarks_ends_the_session(slicer_host, measured):
    slicer_host.scene.RemoveNode(measured.session.markups_node)
    assert measured.session is None
    click(slicer_host, measured.ui.runButton)
    slicer_host.wait_until(lambda: measured.session is not None)
    slicer_host.scene.RemoveNode(measured.parameters.volume)
    assert measured.session is None
    assert not measured.ui.runButton.enabled


def test_a_saved_scene_comes_back_with_parameters_and_live_angles(slicer_host, measured, tmp_path):
    from orthoangles.scene.saving import load_scene, save_scene

    measured.ui.readerLineEdit.text = "AB"
    measured.ui.ageSpinBox.value = 31.0
    measured.ui.deviceComboBox.currentIndex = 1
    click(slicer_host, measured.ui.confirmButton)
    before = major(measured)
    save_scene(slicer_host.scene, tmp_path / "case.mrb")
    slicer_host.scene.Clear()
    assert measured.ui.ageSpinBox.value == 0.0
    load_scene(tmp_path / "case.mrb", slicer_host.scene_host)
    assert (measured.ui.readerLineEdit.text, measured.ui.ageSpinBox.value) == ("AB", 31.0)
    assert measured.ui.deviceComboBox.currentIndex == 1
    assert measured.session.review_state == "confirmed"
    assert major(measured) == pytest.approx(before, abs=1e-3)
    measured.session.set_point("T6-TL", spine_points()[20] + (0.0, 25.0, 0.0))
    assert abs(major(measured) - before) > 1
    assert f"{major(measured):.1f}°" in cells(measured.ui.measurementTable, VALUE)


def test_reload_brings_the_panel_back_alive(slicer_host, measured):
    import sys

    import slicer

    before, old_library = major(measured), sys.modules["OrthoAnglesLib.widget"]
    measured.onReload()
    panel = slicer.modules.CobbModuleWidget
    slicer_host.process_events(0.15)
    assert panel is not measured
    assert sys.modules["OrthoAnglesLib.widget"] is not old_library
    assert major(panel) == pytest.approx(before)
    panel.session.set_point("T6-TL", spine_points()[20] + (0.0, 25.0, 0.0))
    assert f"{major(panel):.1f}°" in cells(panel.ui.measurementTable, VALUE)
    assert measured.session is None


def test_cleanup_leaves_no_thread_and_no_observer(slicer_host, measured):
    def observers() -> int:
        import re

        return len(re.findall(r"vtkObserver", str(slicer_host.scene)))

    with_panel = observers()
    landmarks = measured.session.markups_node
    measured.cleanup()
    assert observers() < with_panel
    assert landmarks.GetLocked()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("OrthoAngles")]
    landmarks.SetNthControlPointPosition(20, 1.0, 2.0, 0.0)


def test_entering_again_follows_the_parameters_once_though_slicer_gives_no_tag(slicer_host, cobb_panel, monkeypatch):
    kind = type(cobb_panel.parameters)
    connect_gui = kind.connectGui
    monkeypatch.setattr(kind, "connectGui", lambda self, gui: connect_gui(self, gui) and None)
    monkeypatch.setattr(kind, "disconnectGui", lambda self, tag: None)
    for _ in range(3):
        slicer_host.representation("CobbModule").exit()
        slicer_host.representation("CobbModule").enter()
    calls = []
    monkeypatch.setattr(cobb_panel, "refresh", lambda: calls.append(1))
    cobb_panel.parameters.parameterNode.Modified()
    assert calls == [1]


def test_two_images_keep_their_own_measurements(slicer_host, measured, radiograph):
    first = measured.parameters.volume
    measured.image.load(str(radiograph))
    assert measured.session is None
    assert measured.ui.measurementTable.rowCount == 0
    measured.ui.volumeSelector.setCurrentNode(first)
    assert measured.session.volume_node is first
    assert f"{major(measured):.1f}°" in cells(measured.ui.measurementTable, VALUE)
