"""A network that needs no weights, for batches in processes of their own: some images kill the process."""

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from support.worklists import MODEL, SPINE

from orthoangles.batch_many import Work, measure_many
from orthoangles.errors import PredictionError
from orthoangles.predictions import Prediction


class StandIn(Work):
    """Measures spines with :class:`Network`; every image that it looks at is a line of LOG beside the output folder."""

    def backend(self):
        return Network(log_of(self.output))

    def model(self):
        return {"stand-in": "5"}


class Unloadable(StandIn):
    def backend(self):
        raise PredictionError("the weights are not here")


class DiesAtLoading(StandIn):
    def backend(self):
        os._exit(7)


class Network:
    """Places landmarks by the image's digest; what it does else, the image's name says."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def predict(self, image) -> Prediction:
        with self._log.open("a") as file:
            file.write(f"{os.getpid()}\t{resident_kib()}\t{image.name}\n")
        if image.name.startswith("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if image.name.startswith("exits"):
            os._exit(3)
        if image.name.startswith("refused"):
            raise PredictionError(f"{image.name}: no spine found.")
        if image.name.startswith("odd"):
            raise RuntimeError("the secret name of the patient")
        if image.name.startswith("slow"):
            time.sleep(1.0)
        rng = np.random.default_rng(int(image.sha256[:8], 16))
        points = np.column_stack([rng.uniform(5, 35, 68), np.linspace(2, 58, 68), np.zeros(68)])
        return Prediction(SPINE.id, SPINE.landmark_ids, points, np.full(68, 0.8), np.full(68, 0.5), MODEL)


def log_of(output: Path) -> Path:
    return output.with_name(output.name + ".log")


def looked_at(output: Path) -> list[tuple[int, int, str]]:
    """What the network has seen, in the order of time: process, its memory in KiB, image."""
    log = log_of(output)
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(process), int(memory), name) for process, memory, name in (line.split("\t") for line in lines)]


def seen(output: Path) -> Counter:
    """How often the network has looked at each image."""
    return Counter(name for _, _, name in looked_at(output))


def resident_kib() -> int:
    """Memory of this process; 0 where the system does not tell it in Linux' way."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def main(folder: str, output: str, workers: str) -> None:
    """The whole call, in a process that a test may kill."""
    work = StandIn(SPINE.id, Path(output))
    for _ in measure_many(sorted(Path(folder).iterdir()), work, workers=int(workers)):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
