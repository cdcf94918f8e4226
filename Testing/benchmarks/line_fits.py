"""How long the fit of an axis takes: ``python Testing/benchmarks/line_fits.py``.

The Welsch fit of the foreground of one map of 256 x 128 cells (a segment 100 cells long and 4 wide), of the same with
half as many outliers, and of five handles in space as a drag measures them; beside plain total least squares, and
``cv2.fitLine`` where OpenCV is installed. The fits take turns, so that a busy machine slows all alike, and each
figure is the median. Prints one JSON object: microseconds and ratios.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter_ns

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from orthoangles.geometry import total_least_squares_line, welsch_line_fit
from orthoangles.segments import segment_maps

try:
    import cv2
except ImportError:
    cv2 = None


def foreground(outliers: bool) -> np.ndarray:
    """Cells (n, 2) (x, y) of a segment, with a square of half as many cells beside it."""
    map_ = segment_maps(np.array([[40.0, 180.0], [60.0, 82.0]]), (256, 128), 4)
    if outliers:
        side = round((map_.sum() / 2) ** 0.5)
        map_[100 : 100 + side, 80 : 80 + side] = 1
    return np.argwhere(map_ > 0.5)[:, ::-1]


def handles() -> np.ndarray:
    """Five handles (5, 3) in mm of which one lies off the line."""
    points = np.stack([np.arange(5.0), 12 * np.arange(5.0), np.zeros(5)], axis=1)
    points[3, 0] += 6
    return points


def fits(points: np.ndarray) -> dict:
    """What is timed on points (n, d), by name."""
    named = {"welsch": lambda: welsch_line_fit(points), "least_squares": lambda: total_least_squares_line(points)}
    if cv2 is not None:
        single = points.astype(np.float32)
        named["cv2_welsch"] = lambda: cv2.fitLine(single, cv2.DIST_WELSCH, 0, 0.01, 0.01)
    return named


def summary(points: np.ndarray, repeats: int) -> dict:
    """Medians in microseconds, and how many times as long as the others the Welsch fit takes."""
    named = fits(points)
    times = {name: [] for name in named}
    for _ in range(repeats):
        for name, fit in named.items():
            start = perf_counter_ns()
            fit()
            times[name].append(perf_counter_ns() - start)
    medians = {name: float(np.median(values)) / 1000 for name, values in times.items()}
    ratios = {f"welsch_to_{name}": round(medians["welsch"] / us, 2) for name, us in medians.items() if name != "welsch"}
    return {"points": len(points), **{f"{name}_us": round(us, 1) for name, us in medians.items()}, **ratios}


def main() -> None:
    """Time all and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    cases = {"axis": foreground(False), "axis_with_outliers": foreground(True), "handles": handles()}
    print(json.dumps({name: summary(points, repeats) for name, points in cases.items()}, indent=2))


if __name__ == "__main__":
    main()
