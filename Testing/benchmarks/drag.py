"""How long a move of one landmark takes with everything measured and drawn: ``python Testing/benchmarks/drag.py``.

Drags one of the 68 landmarks of a spine 10,000 times in a real scene, once without a session (the bare move) and once
with one, in rounds that take turns so that a busy machine slows both alike. The landmark is a corner of an end
vertebra, so lines, arc, number, table, midline and the level's name all change at every move.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter_ns

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.spines import PROTOCOL, spine_image, spine_points, spine_prediction

from orthoangles.protocols import load_protocol
from orthoangles.scene import MeasurementSession, add_volume, start_host
from orthoangles.scene.landmarks import LandmarkNode

_ROUNDS = 20


def main() -> None:
    """Run and print one JSON object: microseconds per move."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=10_000)
    moves = parser.parse_args().moves
    host = start_host()
    bare = LandmarkNode.create(host.scene, load_protocol(PROTOCOL), "bare")
    bare.write(spine_points())
    session = MeasurementSession.create(add_volume(host.scene, spine_image()), PROTOCOL)
    session.set_prediction(spine_prediction())
    index = session.protocol.index(f"{_end_vertebra(session)}-TL")
    times = {"bare": [], "live": []}
    for _ in range(_ROUNDS):
        times["bare"] += _drag(bare.node, index, moves // _ROUNDS)
        times["live"] += _drag(session.markups_node, index, moves // _ROUNDS)
    print(json.dumps(_summary(times)))


def _end_vertebra(session: MeasurementSession) -> str:
    return session.result.by_id("cobb-clinical-major").details["upper_end_vertebra"]


def _drag(node, index: int, moves: int) -> list[int]:
    """Nanoseconds of each move, twice round a circle 4 mm wide."""
    x, y, z = node.GetNthControlPointPosition(index)
    angles = np.linspace(0, 4 * np.pi, moves)
    places = np.stack([x + 2 * np.cos(angles) - 2, y + 2 * np.sin(angles)], axis=1).tolist()
    times = []
    for px, py in places:
        start = perf_counter_ns()
        node.SetNthControlPointPosition(index, px, py, z)
        times.append(perf_counter_ns() - start)
    return times


def _summary(times: dict[str, list[int]]) -> dict:
    summary = {"moves": len(times["live"])}
    for name, values in times.items():
        median, p95 = np.percentile(np.array(values) / 1000, [50, 95])
        summary |= {f"{name}_median_us": round(float(median), 1), f"{name}_p95_us": round(float(p95), 1)}
    summary["ratio"] = round(summary["live_median_us"] / summary["bare_median_us"], 2)
    return summary


if __name__ == "__main__":
    main()
