"""Screenshots of the slice view with measured samples: ``python Testing/render_views.py [NAME ...] [--output FOLDER]``.

Shows the shipped sample radiographs as the extension draws them, by default with their true landmarks; with
``--network`` those that the shipped networks find.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

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

SCREENSHOTS = resources_dir() / "Screenshots"


class Shot(NamedTuple):
    """A sample, the end of its truth's name, the protocol, and the picture's (width, height)."""

    sample: str
    truth: str
    protocol: str
    size: tuple[int, int]

    @property
    def image(self) -> Path:
        """File of the radiograph."""
        return resources_dir() / "SampleData" / f"{self.sample}.png"

    def true_prediction(self) -> Prediction:
        """The sample's true landmarks in the shape of a prediction."""
        protocol = load_protocol(self.protocol)
        points = read_markups(self.image.with_suffix(f".truth{self.truth}.mrk.json")).ordered(protocol.landmark_ids)
        unknown = np.full(len(points), np.nan)
        return Prediction(protocol.id, protocol.landmark_ids, points, unknown, unknown, ModelInfo("truth", "1", ""))


SHOTS = {
    "cobb-view": Shot("spine-ap-sample", "", "spine-ap-cobb", (560, 1100)),
    "foot-ap-view": Shot("foot-ap-sample", "", "foot-ap", (560, 1100)),
    "foot-hallux-view": Shot("foot-ap-sample", "-hallux", "foot-ap-hallux", (560, 1100)),
    "foot-lateral-view": Shot("foot-lateral-sample", "", "foot-lateral", (1100, 840)),
}


def main() -> None:
    """Write the screenshots and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SHOTS)}; default: all")
    parser.add_argument("--output", type=Path, default=SCREENSHOTS, metavar="FOLDER")
    parser.add_argument("--network", action="store_true", help="landmarks of the shipped networks")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in SHOTS]
    if unknown:
        parser.error(f"there is no picture '{unknown[0]}'; choose among {', '.join(SHOTS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or SHOTS:
        path = options.output / f"{name}.png"
        render(SHOTS[name], path, network=options.network)
        print(f"wrote {path}")


def render(shot: Shot, path: Path, *, network: bool) -> None:
    """Measure the sample in a head-less scene and draw it."""
    host = start_host()
    image = read_image(shot.image)
    volume = add_volume(host.scene, image)
    session = MeasurementSession.create(volume, shot.protocol, image=image)
    session.set_prediction(_predicted(shot, image) if network else shot.true_prediction())
    view = SliceView(host, shot.size)
    view.show(volume)
    view.screenshot(path)
    view.close()
    session.close()
    host.scene.Clear(True)


def _predicted(shot: Shot, image) -> Prediction:
    from orthoangles.predicting import backend_for

    return backend_for(load_protocol(shot.protocol)).predict(image)


if __name__ == "__main__":
    main()
