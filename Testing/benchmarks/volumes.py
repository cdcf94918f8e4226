"""Coarse to fine against the fine network slid over the whole volume: ``python Testing/benchmarks/volumes.py [FILE]``.

Both find the landmarks of one foot in the same volume in this run, each in a process of its own so that its peak of
memory can be told. Without FILE the volume is 400 x 400 x 325 voxels of 0.4 mm, the sample's foot brought to that grid.
The weights are the bundle's, or as drawn by chance where there are none yet: they change no time.
"""

import argparse
import json
import multiprocessing
import os
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from orthoangles.images import Image, read_image
from orthoangles.paths import models_dir, resources_dir

_SIZE, _SPACING = (400, 400, 325), 0.4
_CHANCE = 0
_ROUNDS = 3
"""The fastest counts: other work on the machine only slows; the first one also pays for what is loaded when needed."""


def main() -> None:
    """Run and print one JSON object: seconds and MiB of each way, and what they are in ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volume", nargs="?", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--overlap", type=float, default=0.25, help="of the slid windows (default: 0.25)")
    options = parser.parse_args()
    found = {name: _apart(way, options) for name, way in (("coarse to fine", coarse_to_fine), ("whole", slid_over))}
    ratio = {
        key: round(found["whole"][key] / found["coarse to fine"][key], 2)
        for key in ("seconds", "processor_seconds", "added_mib")
    }
    print(json.dumps({"threads": options.threads, **found, "whole / coarse to fine": ratio}, indent=1))


def _apart(way, options: argparse.Namespace) -> dict:
    """``way`` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measured, (way, options))


def _measured(way, options: argparse.Namespace) -> dict:
    import resource

    import torch

    torch.set_num_threads(options.threads)
    image = read_image(options.volume) if options.volume else a_volume()
    network, finder = load()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, worked = [], []
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            started, before_it = perf_counter(), os.times()
            found = way(image, network, finder, options)
            seconds.append(perf_counter() - started)
            worked.append(sum(os.times()[:2]) - sum(before_it[:2]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "voxels": list(image.size),
        "seconds": round(min(seconds), 2),
        "processor_seconds": round(min(worked), 2),
        "first_seconds": round(seconds[0], 2),
        "peak_mib": round(peak),
        "added_mib": max(1, round(peak - before)),
        "windows": found,
    }


def a_volume() -> Image:
    """The sample's foot about the ankle, on the grid of a clinic's scanner."""
    from scipy.ndimage import affine_transform

    sample = read_image(resources_dir() / "SampleData" / "foot-wbct-sample.nrrd")
    scale = _SPACING / sample.spacing[::-1]
    shape = _SIZE[::-1]
    middle = np.array([75.0, 150.0, 56.0])  # of the hindfoot, in voxels of the sample
    start = middle - scale * np.array(shape) / 2
    array = affine_transform(sample.array, scale, start, shape, order=1, cval=-1000)
    array += np.random.default_rng(0).normal(0, 15, array.shape).astype(np.int16)
    origin = sample.physical_points([start[::-1]])[0]
    about = {"spacing_source": "benchmark", "name": "benchmark", "modality": "CT"}
    return Image(array, (_SPACING,) * 3, origin, sample.direction, **about)


def load():
    """Network and finder of the bundle."""
    import torch
    from monai.bundle import ConfigParser

    from orthoangles.networks.memory_layout import memory_layout

    parser = ConfigParser()
    parser.read_config(str(models_dir() / "foot_wbct" / "configs" / "inference.json"))
    torch.manual_seed(_CHANCE)
    network = parser.get_parsed_content("network_def").eval()
    weights = models_dir() / "foot_wbct" / "models" / "model.pt"
    if weights.is_file():
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.to(memory_format=memory_layout(network)), parser.get_parsed_content("postprocessing")


def coarse_to_fine(image: Image, network, finder, options: argparse.Namespace) -> int:
    """As the extension does it, finding the foot included: all crops, whatever the coarse network says."""
    import torch

    from orthoangles.predicting_progress import Reporter
    from orthoangles.predicting_volumes import read_foot

    read_foot(image, _Everywhere(finder), network, torch.device("cpu"), Reporter(None, None))
    return len(finder.crops)


class _Everywhere:
    """A finder that looks closely at every crop, so that weights by chance take as long as learnt ones."""

    def __init__(self, finder) -> None:
        self._finder = finder

    def coarse(self, *arguments):
        """That of the finder, with every landmark in sight and in the volume."""
        found = self._finder.coarse(*arguments)
        return found._replace(present=np.ones_like(found.present))

    def __call__(self, *arguments):
        """That of the finder, with every landmark found."""
        found = self._finder(*arguments)
        return found._replace(points=np.zeros_like(found.points))


def slid_over(image: Image, network, finder, options: argparse.Namespace) -> int:
    """MONAI's sliding window of the fine network over the whole volume at the fine network's voxels."""
    import torch
    from monai.inferers import sliding_window_inference

    from orthoangles.networks.volumes.grid import VolumeView, as_input, working_volume

    corners = image.physical_points([(0, 0, 0), np.array(image.size) - 1])
    view = VolumeView(image.array, np.linalg.inv(image.affine), corners.min(axis=0), corners.max(axis=0))
    volume = as_input(working_volume(view).grey)[None, None]
    windows = 0

    def fine(batch: torch.Tensor) -> torch.Tensor:
        nonlocal windows
        windows += len(batch)
        maps, _ = network.fine(batch.contiguous(memory_format=torch.channels_last_3d))
        return maps

    maps = sliding_window_inference(volume, (finder.size,) * 3, 1, fine, overlap=options.overlap)
    assert maps.isfinite().all()
    return windows


if __name__ == "__main__":
    main()
