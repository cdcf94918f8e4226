"""Fits the spread that a landmark bundle states to the errors that it makes on validation cases.

    python tools/calibrate_landmarks.py --bundle models/foot_ap --dataset VALIDATION [VALIDATION ...] --write

``scale`` and ``floor`` of the bundle's HeatmapDecoder are those under which the errors are most likely, if they are
normal in each direction with a variance of (scale * excess)^2 + floor^2 pixels. Validation cases should be of the
persons that the network was trained on but not among its images: test persons stay out of it. With ``--write`` they go
into the bundle's inference.json.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orthoangles.annotation.dataset import Dataset
from orthoangles.atomic import write_json
from orthoangles.predicting import bundle_folder, bundle_metadata
from orthoangles.protocols import load_protocol
from orthoangles.training.data import LandmarkData


def residuals(bundle: Path, datasets: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Errors (m, 2) in frame pixels, and the excess (m,) of the maps' width in pixels, over all landmarks found."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", map_location="cpu", weights_only=True))
    decoder = parser.get_parsed_content("postprocessing")
    decoder.scale, decoder.floor = 1.0, 0.0
    protocol = load_protocol(bundle_metadata(bundle)["orthoangles"]["protocol"])
    errors, excess = [], []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        data = LandmarkData(parser["size"], parser["size"])
        samples = data.prepare([Dataset(path) for path in datasets], Path(folder), protocol).training
        for k in range(len(samples)):
            images, points = samples.batch([k])
            found = decoder(tuple(part[0] for part in network(images)))
            errors.append(found.points - points[0].numpy())
            excess.append(found.spread)
    errors, excess = np.concatenate(errors), np.concatenate(excess)
    known = np.isfinite(errors).all(1)
    return errors[known], excess[known]


def most_likely(errors: np.ndarray, excess: np.ndarray) -> tuple[float, float]:
    """``scale`` and ``floor`` (pixels) of greatest likelihood."""
    squared = (errors**2).sum(1)

    def cost(logarithms: np.ndarray) -> float:
        variance = np.exp(2 * logarithms[0]) * excess**2 + np.exp(2 * logarithms[1])
        return float(np.mean(np.log(variance) + squared / (2 * variance)))

    found = minimize(cost, np.log([1.0, 1.0]), method="Nelder-Mead")
    return tuple(float(value) for value in np.exp(found.x))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--dataset", required=True, nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="into the bundle's inference.json")
    options = parser.parse_args()
    bundle = bundle_folder(options.bundle)
    errors, excess = residuals(bundle, options.dataset)
    scale, floor = most_likely(errors, excess)
    print(f"{len(errors)} landmarks: scale {scale:.3f}, floor {floor:.3f} px")
    if options.write:
        path = bundle / "configs" / "inference.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["postprocessing"].update(scale=round(scale, 3), floor=round(floor, 3))
        write_json(path, config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
