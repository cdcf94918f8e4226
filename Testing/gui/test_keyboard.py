"""The panel by key events alone."""

import json

import numpy as np
import pytest
from gui.conftest import cells, spine_points
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

pytestmark = pytest.mark.gui

CTRL, SHIFT, NONE = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)


@pytest.fixture
def window(slicer_host):
    """The window of the Cobb panel, shown and active: what has no window gets no keys."""
    shown = slicer_host.representation("CobbModule")
    shown.show()
    shown.activateWindow()
    slicer_host.wait_until(shown.isActiveWindow)
    return shown


@pytest.fixture
def press(slicer_host, window):
    """Press a key in the panel's window, wherever the focus is."""

    def press_key(key, modifiers=NONE) -> None:
        target = window.focusWidget() or window
        if isinstance(key, str):
            QTest.keyClicks(target, key, modifiers)
        else:
            QTest.keyClick(target, key, modifiers)
        slicer_host.process_events()

    return press_key


@pytest.fixture
def placed(measured, window):
    """The Cobb panel with the landmarks of one radiograph."""
    return measured


def selected(panel) -> str:
    return panel.ui.reviewTable.item(panel.ui.reviewTable.currentRow(), 0).toolTip().split(":")[0]


def place_of(panel, landmark: str) -> np.ndarray:
    return panel.session.points[panel.session.protocol.index(landmark)]


def test_a_folder_of_right_predictions_is_confirmed_without_the_mouse(slicer_host, working, press, tmp_path):
    slicer_host.wait_until(lambda: cells(working.ui.worklistTable, 1) == ["predicted"] * 3)
    press(Qt.Key.Key_PageDown)
    for expected in ("a", "b", "c"):
        assert working.parameters.volume.GetName() == expected
        press("NN")
        press(Qt.Key.Key_Return, CTRL)
    assert cells(working.ui.worklistTable, 1) == ["confirmed"] * 3
    cases = json.loads((tmp_path / "dataset" / "dataset.json").read_text())["cases"]
    assert [case["provenance"]["review"]["state"] for case in cases] == ["confirmed"] * 3
    assert [case["provenance"]["changes"] for case in cases] == [[]] * 3


def test_a_landmark_is_corrected_without_the_mouse(slicer_host, working, press, tmp_path):
    slicer_host.wait_until(lambda: cells(working.ui.worklistTable, 1) == ["predicted"] * 3)
    press(Qt.Key.Key_PageDown)
    press("NN")
    landmark = selected(working)
    press(Qt.Key.Key_Right, CTRL)
    press(Qt.Key.Key_Down, CTRL | SHIFT)
    press(Qt.Key.Key_Return, CTRL)
    (case,) = json.loads((tmp_path / "dataset" / "dataset.json").read_text())["cases"]
    (change,) = case["provenance"]["changes"]
    assert (change["id"], change["change"]) == (landmark, "moved")
    assert change["distance_px"] == pytest.approx(np.hypot(1, 10))


def test_next_and_back_go_through_the_landmarks_least_certain_first(placed, press):
    for key, expected in (("N", "L5-BR"), ("N", "T6-TL"), ("N", "T11-TR"), ("B", "T6-TL")):
        press(key)
        assert selected(placed) == expected


def test_the_views_are_centred_and_enlarged_on_the_landmark(slicer_host, placed, press):
    import slicer

    view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetFieldOfView(600.0, 1400.0, 1.0)
    press("NN")
    close, (x, y, _) = view.GetFieldOfView(), place_of(placed, "T6-TL")
    assert close[0] == pytest.approx(0.25 * np.ptp(spine_points()[:, 1]), rel=0.2)
    assert close[1] / close[0] == pytest.approx(1400 / 600)
    assert (view.GetSliceToRAS().GetElement(0, 3), view.GetSliceToRAS().GetElement(1, 3)) == pytest.approx((-x, -y))
    view.SetFieldOfView(20.0, 30.0, 1.0)
    press("N")
    assert view.GetFieldOfView()[:2] == (20.0, 30.0)  # who looks closer keeps it so
    placed.ui.zoomCheckBox.checked = False
    view.SetFieldOfView(600.0, 1400.0, 1.0)
    press("N")
    assert view.GetFieldOfView()[:2] == (600.0, 1400.0)


@pytest.mark.parametrize(
    ("key", "shift", "step"),
    [
        (Qt.Key.Key_Left, False, (-1, 0)), (Qt.Key.Key_Right, False, (1, 0)), (Qt.Key.Key_Up, False, (0, -1)),
        (Qt.Key.Key_Down, False, (0, 1)), (Qt.Key.Key_Up, True, (0, -10)), (Qt.Key.Key_Left, True, (-10, 0)),
    ],
)  # fmt: skip
def test_control_and_an_arrow_move_by_a_pixel(placed, press, key, shift, step):
    press("NN")
    before = place_of(placed, "T6-TL")
    press(key, CTRL | SHIFT if shift else CTRL)
    assert np.allclose(place_of(placed, "T6-TL") - before, (*step, 0))


def test_unset_reset_undo_and_redo(placed, press):
    press("NN")
    before = place_of(placed, "T6-TL")
    press(Qt.Key.Key_Delete)
    assert np.isnan(place_of(placed, "T6-TL")).all()
    press(Qt.Key.Key_Right, CTRL)  # nothing is there to be moved
    assert np.isnan(place_of(placed, "T6-TL")).all()
    press("R")
    assert np.allclose(place_of(placed, "T6-TL"), before)
    press("ZZ")
    assert np.allclose(place_of(placed, "T6-TL"), before)
    press("Y")
    assert np.isnan(place_of(placed, "T6-TL")).all()


def test_accept_goes_on_and_place_waits_for_a_click(placed, press):
    import slicer

    press("NN")
    press("A")
    assert placed.session.confirmed_landmarks == {"T6-TL"}
    assert selected(placed) == "T11-TR"
    press("P")
    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    assert interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place
    assert np.isnan(place_of(placed, "T11-TR")).all()


def test_an_image_is_rejected_by_keys(slicer_host, working, press):
    slicer_host.wait_until(lambda: cells(working.ui.worklistTable, 1) == ["predicted"] * 3)
    press(Qt.Key.Key_PageDown)
    press("X")
    press("can not be used")  # N, B and A are letters now
    press(Qt.Key.Key_Return)
    assert cells(working.ui.worklistTable, 1)[0] == "rejected"
    assert working.ui.worklistTable.item(0, 1).toolTip() == "can not be used"
    assert working.parameters.volume.GetName() == "b"
    press("NN")  # and keys again
    assert selected(working) == "T6-TL"


def test_without_a_reader_nothing_is_confirmed(slicer_host, placed, press):
    placed.ui.readerLineEdit.text = ""
    press(Qt.Key.Key_Return, CTRL)
    assert placed.session.review_state == "predicted"
    assert placed.ui.exportLabel.text == "Enter the reader first."


def test_without_landmarks_no_key_does_anything(slicer_host, cobb_panel, press):
    for key in "NBAPRZYX":
        press(key)
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
        press(key)
    press(Qt.Key.Key_Return, CTRL)
    press(Qt.Key.Key_Left, CTRL)
    assert cobb_panel.session is None


def test_keys_belong_to_the_module_that_is_open(slicer_host, placed, press):
    slicer_host.representation("CobbModule").exit()
    press("NN")
    assert not placed.ui.reviewTable.selectedItems()
    slicer_host.representation("CobbModule").enter()
    press("NN")
    assert selected(placed) == "T6-TL"


def test_the_panel_lists_its_keys(cobb_panel):
    from OrthoAnglesLib.keyboard import KEYS

    text = cobb_panel.ui.keysLabel.text
    shown = {"Return": "Enter", "Left": "←", "Right": "→", "Up": "↑", "Down": "↓"}
    for key in KEYS:
        part = key.sequences[0].rpartition("+")[2]
        assert shown.get(part, part) in text


def test_a_key_moves_by_the_smallest_side_of_a_voxel_in_a_volume():
    from types import SimpleNamespace

    from orthoangles.images import Image
    from orthoangles.protocols import load_protocol
    from orthoangles.scene.hosting import start_host
    from orthoangles.scene.volumes import add_volume
    from OrthoAnglesLib.landmark_steps import pixelSteps

    host = start_host()
    node = add_volume(host.scene, Image(np.zeros((4, 5, 6), np.int16), (0.4, 0.3, 0.5), spacing_source="NRRD header"))
    session = SimpleNamespace(volume_node=node, protocol=load_protocol("foot-wbct"))
    assert np.allclose(pixelSteps(session, (1, 0, 0)), (0.3, 0, 0))  # to the patient's left
    assert np.allclose(pixelSteps(session, (0, -1, 0)), (0, 0, 0.3))  # up
    assert np.allclose(pixelSteps(session, (0, 0, 10)), (0, 3.0, 0))  # back
    host.scene.Clear(True)
