"""How well burnt-in text is found on simulated radiographs: ``python Testing/benchmarks/burned_in_text.py DATASET``.

DATASET (one or more): of ``simulate foot``, whose cases say what text their film bears. Each film without text is
looked at once as it is and once with a name, number or date stamped into its outer part by the simulation's letters.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from support.stamped import stamp_text

from orthoangles.annotation.burned_in import text_marks
from orthoangles.annotation.dataset import Dataset

TEXTS = ("DOE JOHN 1968", "A. Quackenbush", "ID 7733119", "12.03.2014 14:22", "Muller, Eva *03.04.1971")


def main() -> None:
    """Print how much text was found, and how often there was none."""
    rng = np.random.default_rng(1)
    counts = dict.fromkeys(
        ("text", "text found", "clean", "flagged", "stamped", "stamped found", "seen", "seen found"), 0
    )
    seconds = []
    for dataset in map(Dataset, sys.argv[1:]):
        for case in dataset.cases:
            film = dataset.read_image(case).array[0]
            start = time.perf_counter()
            marks = text_marks(film)
            seconds.append(time.perf_counter() - start)
            if case.provenance["parameters"]["view"]["style"]["text"]:
                counts["text"] += 1
                counts["text found"] += bool(marks)
                continue
            counts["clean"] += 1
            counts["flagged"] += bool(marks)
            stamped = stamp_text(film, str(rng.choice(TEXTS)), rng)
            found = any(stamped.touches(mark.box) for mark in text_marks(stamped.film))
            for kind in ("stamped", "seen") if stamped.legible else ("stamped",):
                counts[kind] += 1
                counts[f"{kind} found"] += found
    for whole, part, what in (
        ("text", "text found", "films with the simulation's own text: flagged"),
        ("stamped", "stamped found", "films with a name, number or date stamped in: found"),
        ("seen", "seen found", "  of these, where the text stands out from what lies behind it: found"),
        ("clean", "flagged", "films without text: flagged"),
    ):
        print(f"{what} {counts[part]} of {counts[whole]} ({counts[part] / max(counts[whole], 1):.1%})")
    print(f"{np.median(seconds):.2f} s per film (median)")


if __name__ == "__main__":
    main()
