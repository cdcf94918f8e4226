"""Render Resources/SampleData again: ``python tools/make_sample_data.py [FOLDER]`` (2 seconds)."""

import sys
from pathlib import Path

from orthoangles.annotation.markups_json import write_markups
from orthoangles.atomic import write_json
from orthoangles.images import Image
from orthoangles.measuring import measure
from orthoangles.paths import resources_dir
from orthoangles.protocols import load_protocol
from orthoangles.reporting import record
from orthoangles.simulation.spine.drawn import simulate_spine

NAME = "spine-ap-sample"
SEED, SIZE, CURVE_ANGLE, CURVE_COUNT = 2032, (1536, 640), 46.0, 2


def main(folder: Path) -> None:
    """Write the image, its true landmarks and its true measurements."""
    folder.mkdir(parents=True, exist_ok=True)
    spine = simulate_spine(SEED, SIZE, curve_angle=CURVE_ANGLE, curve_count=CURVE_COUNT)
    protocol = load_protocol("spine-ap-cobb")
    spine.write_png(folder / f"{NAME}.png")
    descriptions = [landmark.description for landmark in protocol.landmarks]
    write_markups(folder / f"{NAME}.truth.mrk.json", protocol.landmark_ids, spine.points, descriptions)
    image = Image(spine.image[None])
    truth = record(f"{NAME}.png", protocol, spine.points, measure(protocol, spine.points, image=image))
    write_json(folder / f"{NAME}.truth.json", {**truth, "parameters": spine.parameters})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else resources_dir() / "SampleData")
