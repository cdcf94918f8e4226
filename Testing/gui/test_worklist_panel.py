"""From image to image: predictions ahead, states that are kept, export, rejection, the next one."""

import json

import numpy as np
import pytest
from gui.conftest import SlowNetwork, cells, click, spine_points

pytestmark = pytest.mark.gui

NAMES = ["a.png", "b.png", "c.png"]


def states(panel) -> list[str]:
    return cells(panel.ui.worklistTable, 1)


def measure_and_export(host, panel) -> None:
    host.wait_until(lambda: panel.session is not None)
    panel.session.set_point("T6-TL", spine_points()[20] + (0.0, 25.0, 0.0))
    click(host, panel.ui.confirmButton)
    click(host, panel.ui.exportButton)


def all_predicted(host, panel) -> None:
    host.wait_until(lambda: states(panel) == ["predicted"] * 3)


def cases_of(dataset) -> list[dict]:
    return json.loads((dataset / "dataset.json").read_text())["cases"]


@pytest.fixture
def dataset(tmp_path):
    return tmp_path / "dataset"


@pytest.fixture
def by_hand(working):
    """The panel without predictions in the background."""
    working.ui.aheadCheckBox.checked = False
    return working


# The list


def test_the_folder_is_listed(by_hand):
    assert cells(by_hand.ui.worklistTable, 0) == NAMES
    assert states(by_hand) == ["new"] * 3
    assert by_hand.ui.exportLabel.text == "0 of 3 images are done."
    assert not by_hand.ui.exportButton.enabled
    assert not by_hand.ui.rejectReasonLineEdit.enabled


def test_order_filter_and_search(slicer_host, working):
    all_predicted(slicer_host, working)
    ui = working.ui
    for _ in range(2):
        click(slicer_host, ui.openNextButton)
    ui.rejectReasonLineEdit.text = "blurred"
    click(slicer_host, ui.rejectButton)
    ui.stateComboBox.currentIndex = ui.stateComboBox.findText("to do")
    assert cells(ui.worklistTable, 0) == ["a.png", "c.png"]
    ui.stateComboBox.currentIndex = ui.stateComboBox.findText("rejected")
    assert cells(ui.worklistTable, 0) == ["b.png"]
    assert ui.worklistTable.item(0, 1).toolTip() == "blurred"
    ui.stateComboBox.currentIndex = 0
    ui.searchLineEdit.text = "C."
    assert cells(ui.worklistTable, 0) == ["c.png"]
    ui.searchLineEdit.text = ""
    for text, expected in (("lowest confidence first", NAMES), ("largest disagreement first", NAMES)):
        ui.orderComboBox.currentIndex = ui.orderComboBox.findText(text)
        assert cells(ui.worklistTable, 0) == expected


def test_a_double_click_opens_that_image(slicer_host, working):
    slicer_host.native(working.ui.worklistTable).cellDoubleClicked.emit(2, 0)
    assert working.parameters.volume.GetName() == "c"
    assert working.ui.worklistTable.currentRow() == 2


def test_next_and_previous_go_through_the_list(slicer_host, working):
    for button, expected in (
        (working.ui.nextImageButton, "a"), (working.ui.nextImageButton, "b"), (working.ui.previousImageButton, "a"),
        (working.ui.previousImageButton, "a"),
    ):  # fmt: skip
        click(slicer_host, button)
        assert working.parameters.volume.GetName()[0] == expected


# Predictions ahead


def test_images_are_predicted_in_the_background_and_open_with_their_landmarks(slicer_host, working, networks):
    all_predicted(slicer_host, working)
    assert cells(working.ui.worklistTable, 2) == ["94%"] * 3
    click(slicer_host, working.ui.openNextButton)
    assert np.allclose(working.session.points[:67], spine_points()[:67])
    assert working.session.review_state == "predicted"
    assert [network.calls for network in networks.made] == [3]


def test_predictions_are_not_made_again_after_a_restart(slicer_host, working, networks, images):
    all_predicted(slicer_host, working)
    for folder in ("", str(images)):
        working.ui.imagesFolderPathLineEdit.currentPath = folder
    all_predicted(slicer_host, working)
    slicer_host.process_events(0.3)
    assert [network.calls for network in networks.made] == [3]


def test_an_image_that_is_opened_before_its_prediction_gets_it_when_it_is_there(slicer_host, networks, working):
    click(slicer_host, working.ui.openNextButton)
    slicer_host.wait_until(lambda: working.session is not None)
    assert working.session.review_state == "predicted"


def test_running_the_network_by_hand_comes_first(slicer_host, cobb_panel, networks, working_folders):
    networks.kind = SlowNetwork
    working_folders(cobb_panel)
    slicer_host.wait_until(lambda: networks.made and networks.made[0].started.is_set())
    click(slicer_host, cobb_panel.ui.openNextButton)
    click(slicer_host, cobb_panel.ui.runButton)
    slicer_host.wait_until(lambda: networks.made[0].stopped.is_set())
    networks.made[0].go_on.set()
    slicer_host.wait_until(lambda: cobb_panel.session is not None)
    all_predicted(slicer_host, cobb_panel)


def test_no_prediction_runs_where_it_is_switched_off(slicer_host, working, networks):
    all_predicted(slicer_host, working)
    working.ui.aheadCheckBox.checked = False
    working.ui.datasetFolderPathLineEdit.currentPath += "-other"
    slicer_host.process_events(0.3)
    assert states(working) == ["new"] * 3
    assert [network.calls for network in networks.made] == [3]


def test_a_failure_in_the_background_is_said_and_the_rest_goes_on(slicer_host, cobb_panel, networks, working_folders):
    from gui.conftest import PromptNetwork

    from orthoangles.errors import PredictionError

    class Failing(PromptNetwork):
        def predict(self, image, **options):
            if image.name == "a.png":
                raise PredictionError("out of memory")
            return super().predict(image, **options)

    networks.kind = Failing
    working_folders(cobb_panel)
    slicer_host.wait_until(lambda: states(cobb_panel) == ["new", "predicted", "predicted"])
    assert "A prediction in the background failed: out of memory" in cobb_panel.ui.exportLabel.text


# Done with an image


def test_export_writes_the_case_and_open_next_goes_on(slicer_host, working, dataset):
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    assert working.parameters.volume.GetName() == "a"
    measure_and_export(slicer_host, working)
    assert states(working) == ["confirmed", "predicted", "predicted"]
    assert working.ui.exportLabel.text.startswith("Exported as case ")
    (case,) = cases_of(dataset)
    review = case["provenance"]["review"]
    assert (review["reader"], review["state"]) == ("AB", "confirmed")
    assert review["seconds"] > 0
    assert [change["id"] for change in case["provenance"]["changes"]] == ["T6-TL"]
    click(slicer_host, working.ui.openNextButton)
    assert working.parameters.volume.GetName() == "b"
    assert working.session.review_state == "predicted"


def test_confirm_and_next(slicer_host, working, dataset):
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    for expected in ("b", "c", "c"):
        click(slicer_host, working.ui.confirmNextButton)
        assert working.parameters.volume.GetName() == expected
    assert states(working) == ["confirmed"] * 3
    assert "Nothing is left to be done in this list." in working.ui.exportLabel.text
    assert [case["provenance"]["review"]["state"] for case in cases_of(dataset)] == ["confirmed"] * 3
    assert not working.ui.openNextButton.enabled


def test_without_a_dataset_confirmations_are_kept_beside_the_images(slicer_host, working, images):
    working.ui.datasetFolderPathLineEdit.currentPath = ""
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    click(slicer_host, working.ui.confirmNextButton)
    assert states(working) == ["confirmed", "predicted", "predicted"]
    for folder in ("", str(images)):
        working.ui.imagesFolderPathLineEdit.currentPath = folder
    assert states(working) == ["confirmed", "predicted", "predicted"]


def test_exporting_again_replaces_the_case_and_takes_the_confirmation_back(slicer_host, working, dataset):
    click(slicer_host, working.ui.openNextButton)
    measure_and_export(slicer_host, working)
    working.session.set_point("T6-TL", spine_points()[20])
    click(slicer_host, working.ui.exportButton)
    (case,) = cases_of(dataset)
    assert case["provenance"]["review"]["state"] in ("predicted", "corrected")
    assert states(working)[0] == case["provenance"]["review"]["state"]


def test_an_image_is_rejected_with_a_reason(slicer_host, working, dataset):
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    assert not working.ui.rejectButton.enabled
    working.ui.rejectReasonLineEdit.text = "a metal plate"
    click(slicer_host, working.ui.rejectButton)
    assert states(working) == ["rejected", "predicted", "predicted"]
    assert working.parameters.volume.GetName() == "b"
    assert working.ui.rejectReasonLineEdit.text == ""
    assert not dataset.joinpath("dataset.json").exists()  # it never was in the dataset
    working.worklist.open(0)
    assert working.ui.exportLabel.text.startswith("Rejected: a metal plate.")


def test_rejecting_what_was_exported_marks_the_case_too(slicer_host, working, dataset):
    click(slicer_host, working.ui.openNextButton)
    measure_and_export(slicer_host, working)
    working.ui.rejectReasonLineEdit.text = "another patient"
    click(slicer_host, working.ui.rejectButton)
    (case,) = cases_of(dataset)
    review = case["provenance"]["review"]
    assert (review["state"], review["reason"]) == ("rejected", "another patient")


def test_an_image_loaded_beside_the_list_is_exported_as_its_own(slicer_host, working, radiograph, dataset):
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    working.image.load(str(radiograph))
    click(slicer_host, working.ui.runButton)
    slicer_host.wait_until(lambda: not working.logic.runner.running and working.session is not None)
    click(slicer_host, working.ui.exportButton)
    assert len(cases_of(dataset)) == 1
    assert states(working) == ["predicted"] * 3
    assert not any(entry.cases for entry in working.worklist._entries)


# What is kept


def test_work_that_is_not_exported_comes_back_when_the_image_is_opened_again(slicer_host, working):
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    moved = spine_points()[20] + (0.0, 25.0, 0.0)
    working.session.set_point("T6-TL", moved)
    click(slicer_host, working.ui.nextImageButton)
    assert states(working)[0] == "corrected"
    click(slicer_host, working.ui.previousImageButton)
    assert np.allclose(working.session.points[20], moved)
    assert working.session.corrected_landmarks == {"T6-TL"}
    working.session.undo()
    assert np.allclose(working.session.points[20], moved)  # what was there before it was opened is nothing to undo


def test_a_crash_loses_nothing_that_is_older_than_a_second(slicer_host, working, images, dataset):
    from orthoangles.annotation.worklist import Worklist

    click(slicer_host, working.ui.openNextButton)
    slicer_host.wait_until(lambda: working.session is not None)
    working.session.set_point("T6-TL", spine_points()[20] + (0.0, 25.0, 0.0))
    after = Worklist(images, dataset, protocol="spine-ap-cobb", reader="AB")
    slicer_host.wait_until(lambda: after.entries()[0].state == "corrected")
    assert after.position == after.entries()[0].key


def test_closing_the_scene_keeps_the_work(slicer_host, working):
    click(slicer_host, working.ui.openNextButton)
    slicer_host.wait_until(lambda: working.session is not None)
    moved = spine_points()[20] + (0.0, 25.0, 0.0)
    working.session.set_point("T6-TL", moved)
    slicer_host.scene.Clear()
    assert states(working)[0] == "corrected"
    click(slicer_host, working.ui.openNextButton)  # the one that was open
    assert np.allclose(working.session.points[20], moved)


def test_opening_the_next_image_takes_the_last_case_out_of_the_scene(slicer_host, working):
    all_predicted(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    nodes = slicer_host.scene.GetNumberOfNodes()
    measure_and_export(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    slicer_host.process_events(0.15)
    assert slicer_host.scene.GetNumberOfNodes() <= nodes + 2
    assert slicer_host.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_a_new_scene_keeps_reader_and_folders(slicer_host, working, images):
    slicer_host.scene.Clear()
    assert working.ui.readerLineEdit.text == "AB"
    assert working.ui.imagesFolderPathLineEdit.currentPath == str(images)
    assert cells(working.ui.worklistTable, 0) == NAMES


def test_file_names_do_not_reach_the_dataset(slicer_host, working, images, dataset):
    (images / "a.png").rename(images / "Miller_Anna.png")
    working.ui.imagesFolderPathLineEdit.currentPath = ""
    working.ui.imagesFolderPathLineEdit.currentPath = str(images)
    working.worklist.open(cells(working.ui.worklistTable, 0).index("Miller_Anna.png"))
    measure_and_export(slicer_host, working)
    files = [path for path in dataset.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if "Miller" in path.name or b"Miller" in path.read_bytes()]


# Others, and trouble


def test_an_image_that_another_reader_has_open_is_not_opened(slicer_host, working, images, dataset):
    from orthoangles.annotation.worklist import Worklist

    all_predicted(slicer_host, working)
    other = Worklist(images, dataset, protocol="spine-ap-cobb", reader="CD")
    other.claims.take(other.key(images / "a.png"))
    working.worklist.open(0)
    assert working.parameters.volume is None
    assert working.ui.exportLabel.text.startswith("a.png is open at CD.")
    assert states(working)[0] == "predicted, open at CD"
    click(slicer_host, working.ui.openNextButton)
    assert working.parameters.volume.GetName() == "b"
    assert other.claims.take(other.key(images / "b.png")) == "AB"
    other.close()


def test_the_panel_gives_its_image_back_when_it_goes(slicer_host, working, images, dataset):
    from orthoangles.annotation.worklist import Worklist

    click(slicer_host, working.ui.openNextButton)
    other = Worklist(images, dataset, protocol="spine-ap-cobb", reader="CD")
    assert list(other.claims.holders().values()) == ["AB"]
    slicer_host.application.moduleManager().moduleAboutToBeUnloaded.emit("CobbModule")
    assert other.claims.holders() == {}


def test_an_image_that_cannot_be_read_is_said_and_can_be_rejected(slicer_host, working, images, caplog):
    (images / "b.png").write_bytes(b"broken")
    for folder in ("", str(images)):
        working.ui.imagesFolderPathLineEdit.currentPath = folder
    slicer_host.native(working.ui.worklistTable).cellDoubleClicked.emit(NAMES.index("b.png"), 0)
    assert len(slicer_host.errors) == 1
    slicer_host.errors.clear()
    assert "The image could not be loaded." in caplog.text
    working.ui.rejectReasonLineEdit.text = "damaged file"
    click(slicer_host, working.ui.rejectButton)
    assert states(working)[1] == "rejected"
    assert working.parameters.volume.GetName() == "c"


def test_malformed_notes_are_said(slicer_host, working, tmp_path, caplog):
    from orthoangles.errors import DatasetError

    notes = tmp_path / "other" / "worklist-spine-ap-cobb" / "readers"
    notes.mkdir(parents=True)
    (notes / "reader-0.json").write_text("{broken")
    working.ui.datasetFolderPathLineEdit.currentPath = str(tmp_path / "other")
    slicer_host.process_events()
    assert slicer_host.errors
    assert all(isinstance(error, DatasetError) for error in slicer_host.errors)
    slicer_host.errors.clear()
    assert "The worklist could not be read." in caplog.text
    assert "reader-0.json" in caplog.text


def test_where_nothing_can_be_noted_images_open_all_the_same(slicer_host, by_hand, dataset, caplog):
    dataset.write_text("a file where the folder should be")
    click(slicer_host, by_hand.ui.openNextButton)
    assert by_hand.parameters.volume.GetName() == "a"
    assert "the worklist cannot be written" in by_hand.ui.exportLabel.text
    click(slicer_host, by_hand.ui.runButton)
    slicer_host.wait_until(lambda: by_hand.session is not None)
    assert "The prediction could not be kept" in by_hand.ui.exportLabel.text
    click(slicer_host, by_hand.ui.exportButton)
    assert len(slicer_host.errors) == 1
    slicer_host.errors.clear()
    assert "The correction could not be exported." in caplog.text
    assert states(by_hand)[0] == "new"
