"""Screenshot of the slice view with a measured spine: ``python Testing/render_views.py [--output PNG]``.

Shows the shipped sample radiograph with its true landmarks, as the extension draws them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from support.views import SliceView

from orthoangles.annotation.markups_json import read_markups
from orthoangles.images import read_image
from orthoangles.paths import resources_dir
from orthoangles.predictions import ModelInfo, Prediction
from orthoangles.protocols import load_protocol
from orthoangles.scene import MeasurementSession, add_volume, start_host

SAMPLE = resources_dir() / "SampleData" / "spine-ap-sample.png"
TRUTH = SAMPLE.with_suffix(".truth.mrk.json")
SCREENSHOT = resources_dir() / "Screenshots" / "cobb-view.png"


def main() -> None:
    """Write the screenshot and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=SCREENSHOT)
    parser.add_argument("--size", type=int, nargs=2, default=(560, 1100), metavar=("WIDTH", "HEIGHT"))
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    render(arguments.output, tuple(arguments.size))
    print(f"wrote {arguments.output}")


def render(path: Path, size: tuple[int, int]) -> None:
    """Measure the sample in a head-less scene and draw it."""
    host = start_host()
    volume = add_volume(host.scene, read_image(SAMPLE))
    session = MeasurementSession.create(volume, "spine-ap-cobb")
    session.set_prediction(_truth())
    view = SliceView(host, size)
    view.show(volume)
    view.screenshot(path)
    view.close()
    session.close()


def _truth() -> Prediction:
    """The sample's true landmarks in the shape of a prediction."""
    protocol, markups = load_protocol("spine-ap-cobb"), read_markups(TRUTH)
    places = dict(zip(markups.labels, markups.points, strict=True))
    points = np.array([places[landmark_id] for landmark_id in protocol.landmark_ids])
    unknown = np.full(len(points), np.nan)
    return Prediction(protocol.id, protocol.landmark_ids, points, unknown, unknown, ModelInfo("truth", "1", ""))


if __name__ == "__main__":
    main()
