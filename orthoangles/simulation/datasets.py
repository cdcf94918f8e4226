"""Synthetic images as a dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from orthoangles.annotation.dataset import Dataset
from orthoangles.simulation.spine import simulate_spine


def simulate_spines(
    output: Path | str,
    count: int,
    seed: int,
    size: tuple[int, int],
    progress: Callable[[str], Any] | None = None,
) -> tuple[str, ...]:
    """Add ``count`` spines of seeds ``seed``, ``seed`` + 1 ... and ``size`` (rows, columns) to a dataset; their ids.

    ``progress(case id)`` is called after each. A case of the same seed is replaced. Raises DatasetError.
    """
    from orthoangles.protocols import load_protocol

    protocol = load_protocol("spine-ap-cobb")
    ids = []
    with Dataset(output).adding(flush_every=25) as add:
        for number in range(seed, seed + count):
            spine = simulate_spine(number, size)
            case = add(
                f"simulated-spine-{number}",
                image_suffix=".png",
                write_image=spine.write_png,
                protocol=protocol,
                points=spine.points,
                group=f"simulated-spine-{number}",
                provenance={"source": "simulation", "parameters": spine.parameters},
            )
            ids.append(case.id)
            if progress:
                progress(case.id)
    return tuple(ids)
