"""From image to image: export, what is done, the next one."""

import json

import numpy as np
import pytest
from gui.conftest import cells, click, spine_points

pytestmark = pytest.mark.gui


@pytest.fixture
def images(tmp_path):
    """Three radiographs, each with other pixels, and a file that is none."""
    from PIL import Image

    folder = tmp_path / "images"
    folder.mkdir()
    for k, name in enumerate(("a.png", "b.png", "c.png")):
        pixels = np.full((1400, 600), 40, np.uint8)
        pixels[:, 240 : 350 + k] = 180
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture
def working(cobb_panel, images, tmp_path):
    """The panel with reader, images and dataset chosen."""
    cobb_panel.ui.readerLineEdit.text = "AB"
    cobb_panel.ui.imagesFolderPathLineEdit.currentPath = str(images)
    cobb_panel.ui.datasetFolderPathLineEdit.currentPath = str(tmp_path / "dataset")
    return cobb_panel


def measure_and_export(host, panel) -> None:
    click(host, panel.ui.runButton)
    host.wait_until(lambda: panel.session is not None)
    panel.session.set_point("T6-TL", spine_points()[20] + (0.0, 25.0, 0.0))
    click(host, panel.ui.confirmButton)
    click(host, panel.ui.exportButton)


def test_the_folder_is_listed(working):
    assert cells(working.ui.worklistTable, 0) == ["a.png", "b.png", "c.png"]
    assert cells(working.ui.worklistTable, 1) == ["to do"] * 3
    assert working.ui.exportLabel.text == "0 of 3 images are in the dataset."
    assert not working.ui.exportButton.enabled


def test_export_writes_the_case_and_open_next_goes_on(slicer_host, working, tmp_path):
    click(slicer_host, working.ui.openNextButton)
    assert working.parameters.volume.GetName() == "a"
    measure_and_export(slicer_host, working)
    assert cells(working.ui.worklistTable, 1) == ["exported", "to do", "to do"]
    assert working.ui.exportLabel.text.startswith("Exported as case ")
    content = json.loads((tmp_path / "dataset" / "dataset.json").read_text())
    (case,) = content["cases"]
    review = case["provenance"]["review"]
    assert (review["reader"], review["state"]) == ("AB", "confirmed")
    assert [change["id"] for change in case["provenance"]["changes"]] == ["T6-TL"]
    click(slicer_host, working.ui.openNextButton)
    assert working.parameters.volume.GetName() == "b"
    assert working.session is None


def test_opening_the_next_image_takes_the_last_case_out_of_the_scene(slicer_host, working):
    click(slicer_host, working.ui.openNextButton)
    nodes = slicer_host.scene.GetNumberOfNodes()
    measure_and_export(slicer_host, working)
    click(slicer_host, working.ui.openNextButton)
    slicer_host.process_events(0.15)
    assert slicer_host.scene.GetNumberOfNodes() <= nodes + 2
    assert slicer_host.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_exporting_again_replaces_the_case(slicer_host, working, tmp_path):
    click(slicer_host, working.ui.openNextButton)
    measure_and_export(slicer_host, working)
    working.session.set_point("T6-TL", spine_points()[20])
    click(slicer_host, working.ui.exportButton)
    content = json.loads((tmp_path / "dataset" / "dataset.json").read_text())
    (case,) = content["cases"]
    assert case["provenance"]["review"]["state"] in ("predicted", "corrected")


def test_a_double_click_opens_that_image(slicer_host, working):
    slicer_host.native(working.ui.worklistTable).cellDoubleClicked.emit(2, 0)
    assert working.parameters.volume.GetName() == "c"
    assert working.ui.worklistTable.currentRow() == 2


def test_when_all_are_done_nothing_is_left_to_open(slicer_host, working):
    for _ in range(3):
        click(slicer_host, working.ui.openNextButton)
        measure_and_export(slicer_host, working)
    assert cells(working.ui.worklistTable, 1) == ["exported"] * 3
    assert not working.ui.openNextButton.enabled


def test_file_names_do_not_reach_the_dataset(slicer_host, working, images, tmp_path):
    (images / "a.png").rename(images / "Miller_Anna.png")
    working.ui.imagesFolderPathLineEdit.currentPath = ""
    working.ui.imagesFolderPathLineEdit.currentPath = str(images)
    row = cells(working.ui.worklistTable, 0).index("Miller_Anna.png")
    working.worklist.open(row)
    measure_and_export(slicer_host, working)
    files = [path for path in (tmp_path / "dataset").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if "Miller" in path.name or b"Miller" in path.read_bytes()]


def test_a_new_scene_keeps_reader_and_folders(slicer_host, working, images):
    slicer_host.scene.Clear()
    assert working.ui.readerLineEdit.text == "AB"
    assert working.ui.imagesFolderPathLineEdit.currentPath == str(images)
    assert cells(working.ui.worklistTable, 0) == ["a.png", "b.png", "c.png"]


def test_a_malformed_dataset_is_said(slicer_host, working, tmp_path, caplog):
    from orthoangles.errors import DatasetError

    dataset = tmp_path / "other"
    dataset.mkdir()
    (dataset / "worklist.json").write_text("{broken")
    working.ui.datasetFolderPathLineEdit.currentPath = str(dataset)
    slicer_host.process_events()
    assert slicer_host.errors
    assert all(isinstance(error, DatasetError) for error in slicer_host.errors)
    slicer_host.errors.clear()
    assert "The worklist could not be read." in caplog.text
    assert "worklist.json" in caplog.text


def test_a_folder_that_cannot_be_written_is_said(slicer_host, working, tmp_path, caplog):
    click(slicer_host, working.ui.openNextButton)
    (tmp_path / "dataset").write_text("a file where the folder should be")
    measure_and_export(slicer_host, working)
    assert len(slicer_host.errors) == 1
    slicer_host.errors.clear()
    assert "The correction could not be exported." in caplog.text
    assert cells(working.ui.worklistTable, 1)[0] == "to do"
