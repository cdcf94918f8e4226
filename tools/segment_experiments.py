"""S0's experiments: line widths 1 to 6, and the keypoint network that segments are compared with.

    python tools/segment_experiments.py --train FEET --test OTHER_FEET --output runs/segments --minutes 20
    python tools/segment_experiments.py ... --size 1024 512 --channels 128 --published     # as published
    python tools/segment_experiments.py ... --networks 4 keypoints                         # only these

Trains one hourglass for each width of the lines that it learns to draw, and one that learns the ends of the lines,
``--minutes`` each, on the cases of protocol ``foot-ap-hallux``. Every network then measures the test cases, read in
each way that its maps can be read; the table tells how many come within 3 and 5 degrees of the labelled hallux valgus
and intermetatarsal angle. A case in which an axis was not found counts as missed. Started again, the command goes on
where it was stopped: what a network has been trained counts towards its minutes.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.losses.hourglass import KeypointLoss
from orthoangles.losses.segments import SegmentLoss
from orthoangles.measuring import measure
from orthoangles.networks.decoding import DecodedPoints
from orthoangles.networks.hourglass import KeypointDecoder, SegmentHourglass
from orthoangles.networks.segment_decoding import MODES, SegmentDecoder
from orthoangles.protocols import load_protocol
from orthoangles.training.augmentation import Augmentation
from orthoangles.training.data import LandmarkData, labelled_radiographs
from orthoangles.training.loop import Schedule, Trainer, write_line
from orthoangles.training.packing import PackedCases, pack
from orthoangles.training.samples import LandmarkSamples, Samples

PROTOCOL = load_protocol("foot-ap-hallux")
ANGLES = {"hallux-valgus-angle": "HVA", "intermetatarsal-angle": "IMA"}
LIMITS = (3.0, 5.0)
"""Degrees."""
KEYPOINTS = "keypoints"
NETWORKS = (*(str(width) for width in range(1, 7)), KEYPOINTS)

Decoder = Callable[[Tensor], DecodedPoints]


class Experiment(NamedTuple):
    """A network to train, and the ways to read it."""

    name: str
    network: nn.Module
    loss: nn.Module
    decoders: Mapping[str, Decoder]


class TestCases(NamedTuple):
    """Framed cases, their labelled angles (n, 2), and the millimetres of a pixel of the network's input (n,)."""

    samples: Samples
    angles: np.ndarray
    mm_per_pixel: np.ndarray


class Row(NamedTuple):
    """Of one network read in one way: errors (n, 2) in degrees, NaN where nothing was measured."""

    network: str
    reading: str
    minutes: float
    steps: int
    errors: np.ndarray


def experiment(name: str, size: Sequence[int], channels: int, published: bool) -> Experiment:
    """By its name in :data:`NETWORKS`, freshly initialised; the same seed for all."""
    torch.manual_seed(0)
    if name == KEYPOINTS:
        readings = {"strongest cell": KeypointDecoder(refine=False), "between cells": KeypointDecoder()}
        # S0's Gaussians have a sigma of 4 cells on maps of 256 x 128.
        return Experiment(
            "ends of the lines", SegmentHourglass(6, channels), KeypointLoss(4 * size[0] / 1024), readings
        )
    width = int(name)
    readings = {mode: SegmentDecoder(mode, width) for mode in MODES}
    return Experiment(f"lines, width {width}", SegmentHourglass(3, channels), SegmentLoss(width, published), readings)


def trained(experiment: Experiment, data: Samples, schedule: Schedule, minutes: float, folder: Path) -> Trainer:
    """Trains what is left of ``minutes``; the checkpoint and the log lie in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(experiment.network, experiment.loss, schedule, folder / "checkpoint.pt", device)
    left = minutes - trainer.seconds / 60
    if left > 0:
        trainer.run(data, None, left, write_line(folder / "training.jsonl"))
    return trainer


def framed(folders: Iterable[Path], size: Sequence[int]) -> TestCases:
    """The test cases of these datasets in frames of ``size``; DatasetError where a case's scale is not known."""
    stores = [Dataset(folder) for folder in folders]
    cases = PackedCases.join([pack(labelled_radiographs(store, PROTOCOL), tuple(size)) for store in stores])
    scales = {
        case.id: _mm_per_pixel(store, case) for store in stores for case in store.cases if case.protocol == PROTOCOL.id
    }
    of_frame = np.sqrt(np.abs(np.linalg.det(cases.affines)))
    mm = of_frame * np.array([scales[name] for name in cases.ids])
    angles = np.array([measured(points, scale) for points, scale in zip(cases.points, mm, strict=True)])
    return TestCases(LandmarkSamples(cases, size, Augmentation()), angles, mm)


def _mm_per_pixel(store: Dataset, case: Case) -> float:
    """Of a picture without spacing, as its simulation recorded it; 1 where positions are millimetres already."""
    if store.read_image(case).has_spacing:
        return 1.0
    scale = case.provenance.get("parameters", {}).get("view", {}).get("mm_per_pixel")
    if scale is None:
        raise DatasetError(f"case '{case.id}': nothing tells how many millimetres a pixel has")
    return float(scale)


def measured(points: np.ndarray, mm_per_pixel: float) -> list[float]:
    """Both angles of handles (15, 2) in pixels, NaN where there is none; the fit counts in millimetres."""
    lps = np.column_stack([points * mm_per_pixel, np.where(np.isfinite(points[:, 0]), 0.0, np.nan)])
    result = measure(PROTOCOL, lps)
    return [np.nan if result.by_id(name).value is None else result.by_id(name).value for name in ANGLES]


@torch.no_grad()
def scored(experiment: Experiment, trainer: Trainer, cases: TestCases) -> list[Row]:
    """A row for each way to read the network's maps of the test cases."""
    found: dict[str, list[list[float]]] = {reading: [] for reading in experiment.decoders}
    for k, scale in enumerate(cases.mm_per_pixel):
        images, _ = cases.samples.batch([k])
        output = trainer.averaged(images.to(trainer.device))[0]
        for reading, decode in experiment.decoders.items():
            found[reading].append(measured(decode(output).points, scale))
    minutes = trainer.seconds / 60
    return [
        Row(experiment.name, reading, minutes, trainer.step, np.array(angles) - cases.angles)
        for reading, angles in found.items()
    ]


def table(rows: Sequence[Row]) -> str:
    """Markdown: shares within the limits, mean error of what was measured, cases with both angles."""
    head = [f"{name} within {limit:g}" for name in ANGLES.values() for limit in LIMITS]
    head += [f"{name} mean error" for name in ANGLES.values()]
    lines = [_line("network learns", "read by", *head, "measured", "minutes", "steps"), _line(*["-"] * (len(head) + 5))]
    for row in rows:
        size = np.abs(row.errors)
        shares = [f"{np.mean(size[:, k] < limit):.1%}" for k in range(len(ANGLES)) for limit in LIMITS]
        means = [f"{np.nanmean(each):.2f}" if np.isfinite(each).any() else "-" for each in size.T]
        both = f"{np.isfinite(size).all(1).mean():.1%}"
        lines.append(_line(row.network, row.reading, *shares, *means, both, f"{row.minutes:.0f}", str(row.steps)))
    return "\n".join(lines) + "\n"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, nargs="+", required=True, metavar="DATASET")
    parser.add_argument("--test", type=Path, nargs="+", required=True, metavar="DATASET", help="of other persons")
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs and of experiments.md")
    parser.add_argument("--minutes", type=float, default=20.0, help="for each network")
    parser.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="N", help="1 ... 6, keypoints"
    )
    parser.add_argument("--size", type=int, nargs=2, default=(512, 256), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--channels", type=int, default=64, help="of the hourglass (S0: 128)")
    parser.add_argument("--batch", type=int, default=4, help="S0: 1")
    parser.add_argument("--rate", type=float, default=5e-4, help="of RMSprop (S0's code: 5e-4, its paper: 5e-5)")
    parser.add_argument("--published", action="store_true", help="draw lines between whole cells, as S0's code does")
    return parser.parse_args()


def main() -> None:
    """Train, measure, write the table after every network."""
    options = parsed()
    data = LandmarkData(options.size, options.size, Augmentation(bend=0.0, occlusion=0.1, inversion=0.0))
    options.output.mkdir(parents=True, exist_ok=True)
    prepared = data.prepare([Dataset(folder) for folder in options.train], options.output, PROTOCOL)
    cases = framed(options.test, options.size)
    schedule = Schedule(10**6, options.batch, options.rate, 0.0, optimiser="rmsprop", cosine=False)
    rows: list[Row] = []
    for name in options.networks:
        each = experiment(name, options.size, options.channels, options.published)
        trainer = trained(each, prepared.training, schedule, options.minutes, options.output / f"network-{name}")
        rows += scored(each, trainer, cases)
        (options.output / "experiments.md").write_text(table(rows), encoding="utf-8")
        print(table(rows[-len(each.decoders) :]), flush=True)


if __name__ == "__main__":
    main()
