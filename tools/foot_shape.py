"""Measures how the landmarks of a foot in CT lie to each other, for a volume bundle's ``shape``.

    python tools/foot_shape.py --dataset D [D ...] --bundle models/foot_wbct --least T1=90 --write

The mean of the labelled feet laid over each other, and for each landmark how far from it any of them has it, half as
far again and 10 mm; ``--least`` gives more to a landmark whose place depends on the scan. Feet of bones that are built
by code will do, with deformities drawn evenly: the shape tells a wrong place from a deformed foot, and does not measure
anything.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orthoangles.annotation.dataset import Dataset
from orthoangles.atomic import write_json
from orthoangles.networks.volumes.shape import FootShape, laid_over
from orthoangles.predicting import bundle_folder, bundle_metadata
from orthoangles.protocols import load_protocol
from orthoangles.training.volume_packing import to_canonical

ROUNDS = 10
MARGIN, FACTOR = 10.0, 1.5


def labelled_feet(datasets: list[Path], protocol) -> np.ndarray:
    """(n, k, 3) canonical mm of all feet, NaN where a landmark lies beyond the volume."""
    feet = []
    for store in map(Dataset, datasets):
        for case in store.cases:
            if case.protocol == protocol.id:
                side = case.provenance.get("image", {}).get("laterality")
                feet.append(to_canonical(store.read_points(case, protocol.landmark_ids), side))
    return np.array(feet)


def measured_shape(feet: np.ndarray) -> FootShape:
    """Generalised Procrustes analysis: the mean of all feet turned, scaled and moved over each other."""
    whole = feet[np.isfinite(feet).all(axis=(1, 2))]
    if not len(whole):
        raise SystemExit("no foot shows all landmarks")
    mean = whole[0] - whole[0].mean(axis=0)
    for _ in range(ROUNDS):
        mean = np.nanmean([_over(foot, mean) for foot in feet], axis=0)
    shape = FootShape(mean, np.full(len(mean), np.inf))
    away = [
        np.linalg.norm(foot - shape.expected(foot), axis=1) for foot in feet if np.isfinite(foot).all(axis=1).sum() > 8
    ]
    return FootShape(mean, FACTOR * np.nanmax(away, axis=0) + MARGIN)


def _over(foot: np.ndarray, mean: np.ndarray) -> np.ndarray:
    known = np.isfinite(foot).all(axis=1)
    return laid_over(foot[known], mean[known], np.ones(known.sum()), foot)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True, nargs="+", type=Path)
    parser.add_argument("--bundle", default="foot_wbct")
    parser.add_argument("--least", nargs="*", default=[], metavar="ID=MM", help="the least reach of a landmark")
    parser.add_argument("--write", action="store_true", help="into the bundle's inference.json")
    options = parser.parse_args()
    bundle = bundle_folder(options.bundle)
    protocol = load_protocol(bundle_metadata(bundle)["orthoangles"]["protocol"])
    shape = measured_shape(labelled_feet(options.dataset, protocol))
    for name, _, least in (text.partition("=") for text in options.least):
        k = protocol.index(name)
        shape.reach[k] = max(shape.reach[k], float(least))
    for name, place, reach in zip(protocol.landmark_ids, shape.mean, shape.reach, strict=True):
        print(f"{name:4s} {place[0]:7.1f} {place[1]:7.1f} {place[2]:7.1f}  +- {reach:.0f} mm")
    if options.write:
        path = bundle / "configs" / "inference.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["postprocessing"]["shape"] = {
            "mean": np.round(shape.mean, 1).tolist(),
            "reach": np.round(shape.reach).tolist(),
        }
        write_json(path, config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
