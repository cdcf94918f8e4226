"""Renders the panels as they look with the shipped samples: ``python Testing/render_gui.py [--truth] [--output DIR]``.

Writes cobb-panel.png, foot-panel.png (AP) and foot-lateral-panel.png to Resources/Screenshots. The landmarks are those
of the shipped networks; with ``--truth``, and where no network ships, the true ones of the samples.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "Testing")]

SAMPLES = REPOSITORY / "Resources" / "SampleData"
SCREENSHOTS = REPOSITORY / "Resources" / "Screenshots"
WIDTH = 500


# Picture -> module, shot of render_views with the same sample and protocol, age of the patient.
PANELS = {
    "cobb-panel": ("CobbModule", "cobb-view", 14),
    "foot-panel": ("FootAngleModule", "foot-ap-view", 30),
    "foot-lateral-panel": ("FootAngleModule", "foot-lateral-view", 30),
}


def make_worklist(folder: Path, name: str, sample: Path) -> str:
    """A folder of three images to work through; the sample is the first."""
    images = folder / f"radiographs-{name}"
    images.mkdir()
    for k in range(1, 4):
        shutil.copy(sample, images / f"{sample.stem.removesuffix('-sample')}-{k:02}.png")
    return images.name


def fill_panel(host, panel, images: str, shot, age: float, truth: bool) -> None:
    """Open the first image, let the network place the landmarks, accept some, name the reader."""
    protocols = [offer.id for offer in panel.offers()]
    panel.ui.protocolComboBox.currentIndex = protocols.index(shot.protocol)
    panel.ui.readerLineEdit.text = "Reader A"
    panel.ui.aheadCheckBox.checked = not truth
    panel.ui.imagesFolderPathLineEdit.currentPath = images
    panel.ui.datasetFolderPathLineEdit.currentPath = "dataset"
    panel.ui.openNextButton.click()
    panel.ui.ageSpinBox.value = age
    if truth or not panel.networkAvailable():
        session = panel.logic.createSession(panel.parameters.volume, shot.protocol)
        session.set_prediction(shot.true_prediction())
        panel.showSession(session)
    else:
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
    print(f"wrote {path}")


def render_panel(name: str, output: Path, folder: Path, truth: bool) -> bool:
    """One panel in a Slicer of its own; False where something went wrong in it."""
    from gui.slicerhost.host import SlicerHost
    from render_views import SHOTS

    module, shot_name, age = PANELS[name]
    shot = SHOTS[shot_name]
    images = make_worklist(folder, name, shot.image)
    host = SlicerHost(REPOSITORY, folder / "settings" / name)
    host.load("CobbModule")
    host.load("FootAngleModule")
    fill_panel(host, host.panel(module), images, shot, age, truth)
    grab(host, module, output / f"{name}.png")
    well = not host.errors
    host.close()
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truth", action="store_true", help="true landmarks, no network")
    parser.add_argument("--output", type=Path, default=SCREENSHOTS, metavar="DIR")
    options = parser.parse_args()
    output = options.output.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        well = [render_panel(name, output, Path(folder), options.truth) for name in PANELS]
        os.chdir(REPOSITORY)
    return int(not all(well))


if __name__ == "__main__":
    sys.exit(main())
