"""How long a move of a landmark in a volume takes, measured and drawn: ``python Testing/benchmarks/drag_volume.py``.

Drags the head of the first metatarsal of a standing foot (22 landmarks, every angle in a plane of the foot and in
space) in a real scene: bare points without a session, and a session with axes, frame and one chosen angle with its
plane, once on the scanner's ground and once on a ground from landmarks that turns with the drag. All take turns in
rounds, so that a busy machine slows them alike: the ratio to the bare move is what to compare between machines. Beside
the time by the clock it tells that of the processor, which other programs disturb less.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter_ns, thread_time_ns

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.standing_volume import PROTOCOL, foot_in_volume, standing_prediction, standing_volume

from orthoangles.protocols import load_protocol
from orthoangles.scene import FrameSettings, MeasurementSession, add_volume, start_host
from orthoangles.scene.landmarks import LandmarkNode

_ROUNDS = 20
_CHOSEN = "hallux-valgus-angle"


def main() -> None:
    """Run and print one JSON object: microseconds per move, and how many bare moves that is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=4000)
    moves = parser.parse_args().moves // _ROUNDS
    host = start_host()
    bare = LandmarkNode.create(host.scene, load_protocol(PROTOCOL), "bare")
    bare.write(foot_in_volume())
    session = MeasurementSession.create(add_volume(host.scene, standing_volume()), PROTOCOL)
    session.set_prediction(standing_prediction())
    session.choose_measurement(_CHOSEN)
    index = session.protocol.index("M1b")
    times: dict[str, list] = {"bare": [], "scanner": [], "landmarks": []}
    for _ in range(_ROUNDS):
        times["bare"] += _drag(bare.node, index, moves)
        for ground in ("scanner", "landmarks"):
            session.frame_settings = FrameSettings(ground)
            times[ground] += _drag(session.markups_node, index, moves)
    print(json.dumps(_summary(times)))


def _drag(node, index: int, moves: int) -> list[tuple[int, int]]:
    """Nanoseconds of each move, by the clock and of the processor, twice round a circle 4 mm wide."""
    x, y, z = node.GetNthControlPointPosition(index)
    angles = np.linspace(0, 4 * np.pi, moves)
    places = np.stack([x + 2 * np.cos(angles) - 2, y + 2 * np.sin(angles)], axis=1).tolist()
    times = []
    for px, py in places:
        start, used = perf_counter_ns(), thread_time_ns()
        node.SetNthControlPointPosition(index, px, py, z)
        used = thread_time_ns() - used
        times.append((perf_counter_ns() - start, used))
    return times


def _summary(times: dict[str, list]) -> dict:
    summary = {"moves": len(times["bare"])}
    for name, values in times.items():
        clock, processor = (np.array(values) / 1000).T
        median, p95 = np.percentile(clock, [50, 95])
        summary |= {f"{name}_median_us": round(float(median), 1), f"{name}_p95_us": round(float(p95), 1)}
        summary[f"{name}_processor_us"] = round(float(np.median(processor)), 1)
    for name in ("scanner", "landmarks"):
        summary[f"{name}_ratio"] = round(summary[f"{name}_processor_us"] / summary["bare_processor_us"], 1)
    return summary


if __name__ == "__main__":
    main()
