"""Render Resources/SampleData again: ``python tools/make_sample_data.py [SAMPLE ...] [--output FOLDER]`` (one minute).

The samples are spine-ap, foot-ap, foot-lateral and foot-wbct, a volume; without one all are made. The three feet are
one foot. No patient stands behind them, and no scanned bones: spine and foot are built by code.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.markups_json import write_markups
from orthoangles.atomic import write_json, write_with
from orthoangles.images import Image
from orthoangles.measuring import measure
from orthoangles.paths import resources_dir
from orthoangles.protocols import load_protocol
from orthoangles.reporting import record
from orthoangles.simulation.foot import FootOptions, SimulatedFoot, simulate_foot
from orthoangles.simulation.spine.drawn import SimulatedSpine, simulate_spine
from orthoangles.simulation.tissue.tissue import foot_tissue
from orthoangles.simulation.tomography.volume import Volume, simulate_wbct
from orthoangles.simulation.tomography.volume_style import VolumeStyle

SPINE_SEED, SPINE_SIZE, CURVE_ANGLE, CURVE_COUNT = 2032, (1536, 640), 46.0, 2
FOOT_SEED, FOOT_ANGLES = 2, {"hallux_valgus": 29.0, "meary": 13.0}
VOXEL, GREY_STEP = 1.0, 4
"""mm, and HU to which values are rounded, so that the file stays small."""
SCAN = VolumeStyle(height=200.0, margin=8.0, floor=((8.0, 60.0),), density=1.1, blur=0.35, noise=4.0, noise_cutoff=0.3)
"""High enough for the landmark on the shaft of the tibia."""
PROTOCOLS = {
    "spine-ap": {"": "spine-ap-cobb"},
    "foot-ap": {"": "foot-ap", "-hallux": "foot-ap-hallux"},
    "foot-lateral": {"": "foot-lateral"},
    "foot-wbct": {"": "foot-wbct"},
}
"""Sample -> what is added to "truth" in the names of its files -> protocol."""


def spine() -> SimulatedSpine:
    """The spine of the sample."""
    return simulate_spine(SPINE_SEED, SPINE_SIZE, curve_angle=CURVE_ANGLE, curve_count=CURVE_COUNT)


@cache
def foot() -> SimulatedFoot:
    """The foot of all its samples."""
    return simulate_foot(FootOptions(distribution="clinic", angles=FOOT_ANGLES), FOOT_SEED)


def volume() -> Volume:
    """The scan of that foot."""
    tissue = foot_tissue(foot().posed, np.random.default_rng(FOOT_SEED))
    made = simulate_wbct(foot().posed, tissue, np.random.default_rng(FOOT_SEED), spacing=VOXEL, style=SCAN)
    return replace(made, array=(GREY_STEP * np.rint(made.array / GREY_STEP)).astype(np.int16))


def write_sample(name: str, folder: Path) -> None:
    """Write image, true landmarks and true measurements of one sample."""
    if name == "spine-ap":
        made = spine()
        ids = load_protocol("spine-ap-cobb").landmark_ids
        points = dict(zip(ids, made.points[:, :2], strict=True))
        _write_picture(name, folder, made.image)
        _write_truth(name, folder, f"{name}-sample.png", Image(made.image[None]), points, None, made.parameters)
        return
    age = round(foot().age, 1)
    if name == "foot-wbct":
        made = volume()
        made.write(folder / f"{name}-sample.nrrd")
        image = Image(made.array, made.spacing, made.origin, made.direction, spacing_source="NRRD header")
        _write_truth(name, folder, f"{name}-sample.nrrd", image, made.points, age, {"view": made.parameters})
        return
    view = getattr(foot(), name.removeprefix("foot-"))
    _write_picture(name, folder, view.image)
    about = {"foot": foot().parameters, "view": view.parameters}
    _write_truth(name, folder, f"{name}-sample.png", Image(view.image[None]), view.points, age, about)


def _write_truth(
    name: str,
    folder: Path,
    file: str,
    image: Image,
    places: Mapping,
    age: float | None,
    parameters: Mapping[str, Any],
) -> None:
    """Landmarks and measurements; ``places`` holds (2,) pixels or (3,) mm by landmark."""
    for ending, protocol_id in PROTOCOLS[name].items():
        protocol = load_protocol(protocol_id)
        points = np.zeros((len(protocol.landmarks), 3))
        for row, landmark in zip(points, protocol.landmark_ids, strict=True):
            row[: len(places[landmark])] = places[landmark]
        descriptions = [landmark.description for landmark in protocol.landmarks]
        truth_name = f"{name}-sample.truth{ending}"
        write_markups(folder / f"{truth_name}.mrk.json", protocol.landmark_ids, points, descriptions)
        truth = record(file, protocol, points, measure(protocol, points, image=image, age=age))
        write_json(folder / f"{truth_name}.json", {**truth, "parameters": parameters})


def _write_picture(name: str, folder: Path, pixels: np.ndarray) -> None:
    write_with(folder / f"{name}-sample.png", lambda path: _write_png(pixels, path))


def _write_png(pixels: np.ndarray, path: Path) -> None:
    import SimpleITK

    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(pixels), str(path), useCompression=True)


def main() -> None:
    """Write the samples that are asked for."""
    parser = argparse.ArgumentParser(description="Render the sample data again.")
    parser.add_argument("samples", nargs="*", metavar="SAMPLE", help=f"{', '.join(PROTOCOLS)}; default: all")
    parser.add_argument("--output", type=Path, default=resources_dir() / "SampleData", metavar="FOLDER")
    options = parser.parse_args()
    unknown = [name for name in options.samples if name not in PROTOCOLS]
    if unknown:
        parser.error(f"there is no sample '{unknown[0]}'; choose among {', '.join(PROTOCOLS)}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.samples or PROTOCOLS:
        write_sample(name, options.output)


if __name__ == "__main__":
    main()
