"""Exports and imports killed at random moments, and what is left: ``python Testing/benchmarks/kills.py [COUNT]``."""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.survival import Survival


def main() -> None:
    """Run COUNT (200) kills; an AssertionError says what did not survive."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        survival = Survival(Path(folder), seed=count)
        survival.run(count)
    struck = ", ".join(f"{job} {number}" for job, number in survival.killed.items())
    print(
        f"{survival.killed.total()} kills in {time.perf_counter() - start:.0f} s ({struck}): nothing unreadable or lost"
    )
    print(f"{survival.interrupted} of the kills struck between the first file of a case and the index")


if __name__ == "__main__":
    main()
