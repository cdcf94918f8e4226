"""Small jobs for the simulation engine: spawned workers import them by this name."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.datasets.simulating import SimulatedCase


@dataclass(frozen=True)
class SmallJob:
    """A grey square of 24 x 16 pixels a seed, shared by two cases; some seeds fail, kill their worker or take long."""

    failing: tuple[int, ...] = ()
    crashing: tuple[int, ...] = ()
    deadly: tuple[int, ...] = ()
    slow: tuple[int, ...] = ()
    seconds: float = 0.0
    brightness: int = 100
    persons: tuple[str, ...] = ("a", "b")
    diary: str = ""
    kind = "square"

    def recipe(self):
        return {"brightness": self.brightness}

    def case_ids(self, seed: int):
        return (f"square-{seed}", f"square-{seed}-again")

    def __call__(self, seed: int, folder: Path):
        import SimpleITK

        if self.diary:
            Path(self.diary, str(seed)).touch()
        time.sleep(self.seconds + (0.5 if seed in self.slow else 0))
        if seed in self.failing:
            raise SimulationError(f"seed {seed} has no foot to stand on.")
        if seed in self.crashing:
            raise ZeroDivisionError("a fault of ours")
        if seed in self.deadly:
            os._exit(9)
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, self.brightness, (24, 16), dtype=np.uint8)
        image = folder / "square.png"
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(pixels), str(image))
        points = {"T1-TL": np.array([*rng.uniform(0, 15, 2), 0.0])}
        parameters = {"tilt": float(seed), "colour": "grey"}
        return [
            SimulatedCase(name, image, "spine-ap-cobb", points, self.persons, parameters, {"view": "AP"})
            for name in self.case_ids(seed)
        ]


def slow_then_quick(seed: int) -> int:
    """The first seed comes back last."""
    time.sleep(0.6 if seed == 0 else 0)
    return seed * 10


def threads_of(seed: int) -> str:
    """What the environment says about threads."""
    return os.environ.get("OMP_NUM_THREADS", "")
