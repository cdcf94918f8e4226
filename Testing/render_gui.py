"""Renders the panels as they look with the shipped sample: ``python Testing/render_gui.py``.

Writes Resources/Screenshots/cobb-panel.png and foot-panel.png. The landmarks are those of the shipped network.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing")]

SAMPLE = REPOSITORY / "Resources" / "SampleData" / "spine-ap-sample.png"
SCREENSHOTS = REPOSITORY / "Resources" / "Screenshots"
WIDTH = 500


def make_worklist(folder: Path) -> None:
    """Three images to work through; the sample is the first."""
    (folder / "radiographs").mkdir()
    for k in range(1, 4):
        shutil.copy(SAMPLE, folder / "radiographs" / f"spine-{k:02}.png")


def fill_cobb_panel(host, panel) -> None:
    """Open the first image, let the network place the landmarks, accept some, name the reader."""
    panel.ui.readerLineEdit.text = "Reader A"
    panel.ui.imagesFolderPathLineEdit.currentPath = "radiographs"
    panel.ui.datasetFolderPathLineEdit.currentPath = "dataset"
    panel.ui.openNextButton.click()
    panel.ui.runButton.click()
    host.wait_until(lambda: panel.session is not None, seconds=300)
    panel.ui.reviewTable.selectRow(0)
    for _ in range(2):
        panel.ui.acceptButton.click()
    host.process_events(0.3)


def grab(host, name: str, path: Path) -> None:
    """The whole panel in one picture."""
    widget = host.representation(name)
    widget.show()
    widget.resize(WIDTH, 100)
    host.process_events(0.2)
    widget.resize(WIDTH, widget.layout().totalHeightForWidth(WIDTH))
    host.process_events(0.2)
    path.parent.mkdir(parents=True, exist_ok=True)
    widget.grab().save(str(path))
    print(path.relative_to(REPOSITORY))


def main() -> int:
    from gui.slicerhost.host import SlicerHost

    with tempfile.TemporaryDirectory() as folder:
        make_worklist(Path(folder))
        os.chdir(folder)
        host = SlicerHost(REPOSITORY, Path(folder) / "settings")
        host.load("CobbModule")
        host.load("FootAngleModule")
        fill_cobb_panel(host, host.panel("CobbModule"))
        grab(host, "CobbModule", SCREENSHOTS / "cobb-panel.png")
        host.representation("CobbModule").exit()
        host.scene.Clear()
        host.panel("FootAngleModule")
        grab(host, "FootAngleModule", SCREENSHOTS / "foot-panel.png")
        failed = bool(host.errors)
        host.close()
        os.chdir(REPOSITORY)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
