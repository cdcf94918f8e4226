"""Screenshots of a measured volume: ``python Testing/render_volume.py [VOLUME] [--output DIR] [--network]``.

Writes foot-wbct-view.png (three slice views and the 3D view) and foot-wbct-panel.png, by default of the shipped sample
with its true landmarks: those in the .mrk.json or .truth.mrk.json file beside the volume. With ``--network``, and for a
volume without such a file, the landmarks are those that the shipped network finds.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.view_3d import FourUp, write_png

from orthoangles.annotation.markups_json import read_markups
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "Resources" / "SampleData" / "foot-wbct-sample.nrrd"
SCREENSHOTS = REPOSITORY / "Resources" / "Screenshots"
PROTOCOL = "foot-wbct"
SIZE = (560, 460)
ZOOM = 1.3
AGE = 45


def main() -> int:
    """Write both pictures; 1 where something went wrong in the panel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volume", nargs="?", type=Path, default=SAMPLE, metavar="VOLUME")
    parser.add_argument("--output", type=Path, default=SCREENSHOTS, metavar="DIR")
    parser.add_argument("--network", action="store_true", help="landmarks of the shipped network")
    parser.add_argument("--angle", default="hallux-valgus-angle", metavar="ID", help="the measurement that is chosen")
    parser.add_argument("--ground", default="landmarks", choices=("scanner", "landmarks", "plane"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory() as folder:
        return int(not render(options, Path(folder)))


def render(options: argparse.Namespace, folder: Path) -> bool:
    """Measure in a panel of its own; False where an exception was swallowed."""
    from gui.slicerhost.host import SlicerHost
    from render_gui import grab

    host = SlicerHost(REPOSITORY, folder / "settings")
    host.load("CobbModule")
    host.load("FootAngleModule")
    panel = host.panel("FootAngleModule")
    views = FourUp(host.scene_host, SIZE)
    measure(host, panel, options)
    views.show(panel.session.volume_node)
    show_bones_by_processor(panel.session.volume_node)
    show(panel, views, options)
    host.process_events(0.3)
    print(f"wrote {write_png(views.pixels(), options.output / 'foot-wbct-view.png')}")
    grab(host, "FootAngleModule", options.output / "foot-wbct-panel.png")
    well = not host.errors
    views.close()
    host.close()
    return well


def measure(host, panel, options: argparse.Namespace) -> None:
    """Load the volume into the panel and place its landmarks."""
    panel.image.load(str(options.volume))
    panel.ui.protocolComboBox.currentIndex = [offer.id for offer in panel.offers()].index(PROTOCOL)
    panel.ui.ageSpinBox.value = AGE
    panel.ui.readerLineEdit.text = "Reader A"
    truth = true_landmarks(options.volume)
    if truth is None or options.network:
        panel.ui.runButton.click()
        host.wait_until(lambda: panel.session is not None, seconds=600)
        return
    session = panel.logic.createSession(panel.parameters.volume, PROTOCOL)
    session.set_prediction(truth)
    panel.showSession(session)


def true_landmarks(volume: Path) -> Prediction | None:
    """The landmarks beside the volume in the shape of a prediction; None where there are none."""
    files = [volume.with_suffix(ending) for ending in (".truth.mrk.json", ".mrk.json")]
    file = next((each for each in files if each.is_file()), None)
    if file is None:
        return None
    ids = load_protocol(PROTOCOL).landmark_ids
    points = read_markups(file).ordered(ids)
    unknown = np.full(len(points), np.nan)
    return Prediction(PROTOCOL, ids, points, unknown, unknown, ModelInfo("truth", "1", ""))


def show_bones_by_processor(volume_node) -> None:
    """Without a graphics card the rendering that Slicer would choose takes ten times as long."""
    from orthoangles.scene import bones

    bones.forget_bones(volume_node)
    bones.show_bones(volume_node, by_processor=True)


def show(panel, views: FourUp, options: argparse.Namespace) -> None:
    """Choose an angle and a ground, and look at the foot from in front and from one side."""
    session = panel.session
    rows = [definition.id for definition in panel.measurements._rows]
    panel.ui.groundComboBox.currentIndex = panel.ui.groundComboBox.findData(options.ground)
    panel.ui.measurementTable.selectRow(rows.index(options.angle))
    for view in views.slices.values():
        view.zoom(ZOOM)
    points = session.points[np.isfinite(session.points[:, 0])]
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    side = -np.sign(points[:, 0].mean() - centre[0]) or 1.0
    reach = np.linalg.norm(points - centre, axis=1).max() + 15.0  # toes and heel reach beyond their landmarks
    views.space.look_from((0.9 * side, -0.85, 0.55), centre, reach)


if __name__ == "__main__":
    sys.exit(main())
