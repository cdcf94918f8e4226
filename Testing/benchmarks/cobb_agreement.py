"""How well the Cobb rules reproduce the angles that came with the AASCE 2019 training set.

    python Testing/benchmarks/cobb_agreement.py --aasce DIR

DIR holds ``data/training/*.jpg`` and ``labels/training/{filenames,landmarks,angles}.csv``. The table shows, for the
rule of the MATLAB code and for its Python port, the share of images within 0.5 degrees by column; below it every other
case with the reason why it differs. It also tells how the clinical rule's major curve compares and which labels are
not plausible. A few seconds.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from orthoangles.cobb import AasceAngles, cobb_aasce, cobb_aasce_python
from orthoangles.measuring import MeasurementResult, measure
from orthoangles.protocols import load_protocol

TOLERANCE = 0.5
UNEXPLAINED = "unexplained"
COLUMNS = ("largest", "upper", "lower")


class Case(NamedTuple):
    """One labelled image: row of the tables, corners (17, 4, 2) and height in pixels, angles (3,) as given."""

    row: int
    name: str
    corners: np.ndarray
    height: int
    angles: np.ndarray


class Difference(NamedTuple):
    """A case in which a rule misses an angle by the tolerance or more, and why."""

    case: Case
    computed: tuple[float, float, float]
    reason: str


def read_cases(folder: Path) -> Iterator[Case]:
    """Cases of the AASCE training layout; only the header of each image is read, for its size."""
    from PIL import Image

    labels = folder / "labels" / "training"
    names = labels.joinpath("filenames.csv").read_text(encoding="utf-8").split("\n")
    landmarks = np.loadtxt(labels / "landmarks.csv", delimiter=",", ndmin=2)
    angles = np.loadtxt(labels / "angles.csv", delimiter=",", ndmin=2)
    for row, (name, values, given) in enumerate(zip(names, landmarks, angles, strict=False)):
        with Image.open(folder / "data" / "training" / name.strip()) as image:
            width, height = image.size
        corners = np.stack([values[:68] * width, values[68:] * height], axis=1).reshape(17, 4, 2)
        yield Case(row, name.strip(), corners, height, given)


def within_tolerance(computed: np.ndarray, given: np.ndarray) -> np.ndarray:
    """(3,) percent of cases (n, 3) within the tolerance, by column."""
    return 100.0 * (np.abs(computed - given) < TOLERANCE).mean(axis=0)


def explain(case: Case, matlab: AasceAngles, other: AasceAngles) -> str:
    """Every reason why the angles of ``other`` may differ from those given, by what the two rules did."""
    reasons = []
    if other.s_shaped != matlab.s_shaped:
        reasons.append("S test (the port has a tolerance)")
    elif other.branch != matlab.branch:
        reasons.append("half of the image (the port looks at superior endplates)")
    if other is not matlab and max(matlab.degrees) > 90.0:
        reasons.append("arccos clip (the port stops at 90 degrees)")
    if faults := label_faults(case):
        reasons.append(f"faulty labels ({'; '.join(faults)})")
    return " + ".join(reasons) or UNEXPLAINED


def label_faults(case: Case) -> tuple[str, ...]:
    """What is not plausible about the labels of a case."""
    return _measured(case).warnings


def _measured(case: Case) -> MeasurementResult:
    points = np.zeros((68, 3))
    points[:, :2] = case.corners.reshape(-1, 2)
    return measure(load_protocol("spine-ap-cobb"), points)


def compare(cases: list[Case]) -> tuple[dict[str, np.ndarray], dict[str, list[Difference]]]:
    """Percent within the tolerance by rule, and the cases beyond it."""
    given = np.array([case.angles for case in cases])
    matlab = [cobb_aasce(case.corners, case.height) for case in cases]
    rules = {
        "AASCE rule (MATLAB)": matlab,
        "Python port": [cobb_aasce_python(case.corners, case.height) for case in cases],
    }
    shares, differences = {}, {}
    for name, found in rules.items():
        computed = np.array([angles.degrees for angles in found])
        shares[name] = within_tolerance(computed, given)
        beyond = np.flatnonzero((np.abs(computed - given) >= TOLERANCE).any(axis=1))
        differences[name] = [
            Difference(cases[i], found[i].degrees, explain(cases[i], matlab[i], found[i])) for i in beyond
        ]
    return shares, differences


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--aasce", type=Path, required=True, help="folder in the AASCE training layout")
    cases = list(read_cases(parser.parse_args().aasce))
    shares, differences = compare(cases)
    print(f"{len(cases)} images; within {TOLERANCE} degrees of angles.csv, percent\n")
    print(f"{'':22}" + "".join(f"{column:>9}" for column in COLUMNS))
    for name, share in shares.items():
        print(f"{name:22}" + "".join(f"{value:9.2f}" for value in share))
    for name, found in differences.items():
        print(f"\n{name}: {len(found)} images differ in an angle")
        for reason, count in Counter(_kind(d.reason) for d in found).most_common():
            print(f"  {count:3}  {reason}")
        for d in found:
            values = "  ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(d.computed, d.case.angles, strict=True))
            print(f"    row {d.case.row:3}  computed/given {values}  {d.reason}")
    _print_clinical(cases)
    _print_faults(cases)


def _kind(reason: str) -> str:
    """The reason without what stands in brackets."""
    return " + ".join(part.split(" (")[0] for part in reason.split(" + "))


def _print_clinical(cases: list[Case]) -> None:
    cases = [case for case in cases if not label_faults(case)]
    majors = [_measured(case).by_id("cobb-clinical-major") for case in cases]
    difference = np.array([m.value for m in majors]) - [case.angles[0] for case in cases]
    low, middle, high = np.percentile(difference, [2.5, 50, 97.5])
    print(f"\nClinical rule on {len(cases)} spines with plausible labels")
    print("  major curve minus the largest angle given (between midlines), degrees:")
    print(f"  median {middle:.2f}, 95 % between {low:.2f} and {high:.2f}, largest {np.abs(difference).max():.2f}")
    counts = Counter(len(m.details["curves"]) for m in majors)
    print("  curves a spine: " + ", ".join(f"{n}: {counts[n]}" for n in sorted(counts)))
    sides = Counter((c["region"], c["side"]) for m in majors for c in m.details["curves"])
    print("  convex side by region: " + ", ".join(f"{r} {s} {n}" for (r, s), n in sorted(sides.items())))


def _print_faults(cases: list[Case]) -> None:
    faulty = [(case, label_faults(case)) for case in cases]
    faulty = [(case, faults) for case, faults in faulty if faults]
    print(f"\nLabels that are not plausible: {len(faulty)} of {len(cases)}")
    for case, faults in faulty:
        print(f"    row {case.row:3}  {'; '.join(faults)}")


if __name__ == "__main__":
    main()
