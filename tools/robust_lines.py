"""Line fits under outliers: this project's robust losses beside OpenCV's ``cv2.fitLine``.

    python tools/robust_lines.py                                    # 100 segments for each share of outliers
    python tools/robust_lines.py --segments 40 --output lines.md

Draws segments 4 cells wide on maps of 256 x 128 cells, as S0's network shows the axis of a bone, and beside each a
square of wrong cells: 0 to 50 % of the segment's own. Each fit gives the direction of the segment; the table tells its
error in degrees, mean (95th percentile), and the median processor time of a fit. Without OpenCV its rows say so.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from orthoangles.geometry import ROBUST_LOSSES, angle_between_lines, robust_line_fit
from orthoangles.segments import segment_maps

try:
    import cv2
except ImportError:
    cv2 = None

SHAPE = (256, 128)
WIDTH = 4
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5)
OPENCV = {
    "l2": "DIST_L2",
    "l1": "DIST_L1",
    "l1-l2": "DIST_L12",
    "fair": "DIST_FAIR",
    "huber": "DIST_HUBER",
    "welsch": "DIST_WELSCH",
}
"""OpenCV's name of each of our losses."""

Fit = Callable[[np.ndarray], np.ndarray]


class Score(NamedTuple):
    """Of one fit at one share of outliers: errors (n,) in degrees and times (n,) in ms."""

    errors: np.ndarray
    milliseconds: np.ndarray


def segment(share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cells (n, 2) (x, y) of a segment and of ``share`` as many wrong ones in a square beside it, and its direction."""
    while True:
        angle, half = rng.uniform(0, np.pi), rng.uniform(15, 50)
        direction = np.array([np.cos(angle), np.sin(angle)])
        centre = rng.uniform([20, 20], [SHAPE[1] - 20, SHAPE[0] - 20])
        map_ = segment_maps(np.array([centre - half * direction, centre + half * direction]), SHAPE, WIDTH) > 0.5
        side = round((share * map_.sum()) ** 0.5)
        aside = rng.choice([-1, 1]) * rng.uniform(15, 35) * np.array([-direction[1], direction[0]])
        corner = (centre + aside + rng.uniform(-half, half) * direction - side / 2).round().astype(int)
        ends = np.array(
            [centre - (half + WIDTH) * direction, centre + (half + WIDTH) * direction, corner, corner + side]
        )
        if (ends >= 0).all() and (ends < SHAPE[::-1]).all():
            map_[corner[1] : corner[1] + side, corner[0] : corner[0] + side] = True
            return np.argwhere(map_)[:, ::-1].astype(np.float64), direction


def fits() -> dict[str, Fit]:
    """Every fit, by its name in the table: points (n, 2) -> direction (2,)."""
    named = {f"{loss}, this project": _ours(loss) for loss in ROBUST_LOSSES}
    if cv2 is not None:
        named |= {f"{loss}, cv2.{name}": _opencv(name) for loss, name in OPENCV.items()}
    return named


def _ours(loss: str) -> Fit:
    return lambda points: robust_line_fit(points, loss).direction


def _opencv(name: str) -> Fit:
    return lambda points: cv2.fitLine(points.astype(np.float32), getattr(cv2, name), 0, 0.01, 0.01)[:2, 0]


def score(fit: Fit, cases: Sequence[tuple[np.ndarray, np.ndarray]]) -> Score:
    """A fit on segments as :func:`segment` draws them."""
    errors, milliseconds = [], []
    for points, direction in cases:
        start = process_time()
        found = fit(points)
        milliseconds.append(1000 * (process_time() - start))
        errors.append(float(angle_between_lines(found, direction)))
    return Score(np.array(errors), np.array(milliseconds))


def compare(count: int, seed: int) -> dict[str, list[Score]]:
    """Scores of every fit, one for each of :data:`SHARES`, all on the same segments."""
    scores: dict[str, list[Score]] = {name: [] for name in fits()}
    for k, share in enumerate(tqdm(SHARES, desc="Fitting", unit="share")):
        rng = np.random.default_rng([seed, k])
        cases = [segment(share, rng) for _ in range(count)]
        for name, fit in fits().items():
            scores[name].append(score(fit, cases))
    return scores


def table(scores: Mapping[str, Sequence[Score]]) -> str:
    """Markdown."""
    shares = [f"{share:.0%} outliers" for share in SHARES]
    lines = [
        _row("loss, fit", *shares, f"ms at {SHARES[0]:.0%}", f"ms at {SHARES[-1]:.0%}"),
        _row(*["-"] * (len(SHARES) + 3)),
    ]
    for name, each in scores.items():
        cells = [f"{s.errors.mean():.2f} ({np.percentile(s.errors, 95):.2f})" for s in each]
        times = [f"{np.median(s.milliseconds):.2f}" for s in (each[0], each[-1])]
        lines.append(_row(name, *cells, *times))
    if cv2 is None:
        absent = ["OpenCV is not installed"] + ["-"] * (len(SHARES) + 1)
        lines += [_row(f"{loss}, cv2.{name}", *absent) for loss, name in OPENCV.items()]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Compare and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=100, help="for each share of outliers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="Markdown file; the table is printed in any case")
    arguments = parser.parse_args()
    version = f"OpenCV {cv2.__version__}" if cv2 is not None else "no OpenCV"
    text = (
        f"Error of the direction in degrees, mean (95th percentile), of {arguments.segments} segments for each share "
        f"of outliers, and processor time of a fit; {version}.\n\n{table(compare(arguments.segments, arguments.seed))}"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
