"""Render Resources/SampleData again: ``python tools/make_sample_data.py [SAMPLE ...] [--output FOLDER]`` (15 seconds).

The samples are spine-ap, foot-ap and foot-lateral; without one all are made. The two feet are one foot. No patient
stands behind them, and no scanned bones: spine and foot are built by code.
"""

import argparse
from collections.abc import Mapping
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

SPINE_SEED, SPINE_SIZE, CURVE_ANGLE, CURVE_COUNT = 2032, (1536, 640), 46.0, 2
FOOT_SEED, FOOT_ANGLES = 2, {"hallux_valgus": 29.0, "meary": 13.0}
PROTOCOLS = {
    "spine-ap": {"": "spine-ap-cobb"},
    "foot-ap": {"": "foot-ap", "-hallux": "foot-ap-hallux"},
    "foot-lateral": {"": "foot-lateral"},
}
"""Sample -> what is added to "truth" in the names of its files -> protocol."""


def spine() -> SimulatedSpine:
    """The spine of the sample."""
    return simulate_spine(SPINE_SEED, SPINE_SIZE, curve_angle=CURVE_ANGLE, curve_count=CURVE_COUNT)


@cache
def foot() -> SimulatedFoot:
    """The foot of both samples."""
    return simulate_foot(FootOptions(distribution="clinic", angles=FOOT_ANGLES), FOOT_SEED)


def write_sample(name: str, folder: Path) -> None:
    """Write image, true landmarks and true measurements of one sample."""
    if name == "spine-ap":
        made = spine()
        ids = load_protocol("spine-ap-cobb").landmark_ids
        points = dict(zip(ids, made.points[:, :2], strict=True))
        _write(name, folder, made.image, points, None, made.parameters)
    else:
        view = getattr(foot(), name.removeprefix("foot-"))
        about = {"foot": foot().parameters, "view": view.parameters}
        _write(name, folder, view.image, view.points, round(foot().age, 1), about)


def _write(
    name: str, folder: Path, pixels: np.ndarray, places: Mapping, age: float | None, parameters: Mapping[str, Any]
) -> None:
    stem, image = f"{name}-sample", Image(pixels[None])
    write_with(folder / f"{stem}.png", lambda path: _write_png(pixels, path))
    for ending, protocol_id in PROTOCOLS[name].items():
        protocol = load_protocol(protocol_id)
        points = np.array([(*places[landmark], 0.0) for landmark in protocol.landmark_ids])
        descriptions = [landmark.description for landmark in protocol.landmarks]
        write_markups(folder / f"{stem}.truth{ending}.mrk.json", protocol.landmark_ids, points, descriptions)
        truth = record(f"{stem}.png", protocol, points, measure(protocol, points, image=image, age=age))
        write_json(folder / f"{stem}.truth{ending}.json", {**truth, "parameters": parameters})


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
