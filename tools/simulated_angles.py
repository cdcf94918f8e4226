"""Whether simulated feet stand like real ones: every angle of the four foot protocols beside its published range.

    python tools/simulated_angles.py 100                                  # 100 seeds of each distribution, procedural
    python tools/simulated_angles.py 60 --bones DIR --workers 2 --distribution population

Feet are posed but no image is made: the landmarks are projected with the cameras of the case and measured as those of
an image would be. Prints markdown: each angle's mean, SD and 5-95 % range, the share of its variance that goes with
the scanned subject, and how many poses were rejected for which bones or angles.
"""

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from orthoangles.measuring import measure
from orthoangles.protocols import Protocol, load_protocol
from orthoangles.simulation.foot import FootOptions, attempts
from orthoangles.simulation.pose.deformities import DISTRIBUTIONS
from orthoangles.simulation.pose.pose_angles import in_image, lps
from orthoangles.simulation.pose.posed_foot import PosedFoot

PROTOCOLS = {"foot-ap-hallux": "ap", "foot-ap": "ap", "foot-lateral": "lateral", "foot-wbct": None}
"""Protocol -> the view whose camera makes its points."""

PUBLISHED = {
    "foot-ap-hallux/hallux-valgus-angle": "normal < 15",
    "foot-ap-hallux/intermetatarsal-angle": "normal < 9",
    "foot-ap/hallux-valgus-angle": "normal < 15",
    "foot-ap/talocalcaneal-angle-ap": "adults 15 to 30",
    "foot-ap/talonavicular-coverage": "normal up to 7",
    "foot-ap/mt1-talar-angle-ap": "S1 about -10",
    "foot-lateral/meary-angle": "normal -4 to 4; S1 4.9 to 8.5",
    "foot-lateral/calcaneal-pitch": "normal 18 to 30; S1 17.9",
    "foot-lateral/talocalcaneal-angle-lateral": "28 to 56; S1 39.7",
    "foot-wbct/boehler-angle": "20 to 40",
    "foot-wbct/gissane-angle": "95 to 105; series 105 to 116 (93-133)",
    "foot-wbct/calcaneal-pitch": "normal 18 to 30",
    "foot-wbct/talocalcaneal-angle-sagittal": "28 to 56 (radiographs)",
    "foot-wbct/talocalcaneal-angle-axial": "15 to 30 (radiographs)",
    "foot-wbct/meary-angle": "normal -4 to 4 (radiographs)",
    "foot-wbct/talonavicular-coverage": "normal up to 7 (radiographs)",
    "foot-wbct/hallux-valgus-angle": "normal < 15 (radiographs)",
    "foot-wbct/intermetatarsal-angle": "normal < 9 (radiographs)",
    "foot-wbct/foot-ankle-offset": "neutral -0.6 to 5.2",
}
"""What the sources in docs/FOOT.md say, and S1's means; where nothing stands, nothing comparable was at hand."""


def measured(posed: PosedFoot, cameras: Mapping[str, Any]) -> dict[str, float]:
    """``protocol/measurement`` -> degrees (or percent) of every measurement that has a value."""
    values = {}
    for name, view in PROTOCOLS.items():
        protocol = load_protocol(name)
        points = _points(protocol, posed.landmarks, cameras[view] if view else None)
        result = measure(protocol, points, laterality="R")
        values |= {f"{name}/{each.id}": each.value for each in result.measurements if each.value is not None}
    return values


def _points(protocol: Protocol, landmarks: Mapping[str, np.ndarray], camera: Any) -> np.ndarray:
    """(n, 3): of the right foot that every simulated foot is until it is mirrored."""
    standing = np.array([landmarks.get(name, np.full(3, np.nan)) for name in protocol.landmark_ids])
    return lps(standing) if camera is None else in_image(standing, camera)


class Case(NamedTuple):
    """One seed: the scanned subject, what was measured (empty where no pose held), why attempts failed."""

    subject: str
    values: Mapping[str, float]
    reasons: Sequence[str]


def case(options: FootOptions, seed: int) -> Case:
    """Pose and measure the foot of one seed."""
    tried = list(attempts(options, seed))
    reasons = [each.reason for each in tried if each.reason]
    last = tried[-1]
    subject = last.body.subject if last.body else ""
    return Case(subject, measured(last.posed, last.cameras) if last.posed else {}, reasons)


def angle_table(cases: Sequence[Case]) -> str:
    """Markdown: every measurement of the cases that were posed."""
    rows = ["| measurement | mean | SD | 5-95 % | subject | published |", "|---|---|---|---|---|---|"]
    posed = [each for each in cases if each.values]
    for key in dict.fromkeys(key for each in posed for key in each.values):
        pairs = [(each.subject, each.values[key]) for each in posed if key in each.values]
        values = np.array([value for _, value in pairs])
        low, high = np.percentile(values, (5, 95))
        share = _share_of_subject(pairs)
        told = f"{100 * share:.0f} %" if np.isfinite(share) else "-"
        spread = values.std(ddof=1) if len(values) > 1 else 0.0
        rows.append(
            f"| {key} | {values.mean():.1f} | {spread:.1f} | {low:.1f} to {high:.1f} | {told} "
            f"| {PUBLISHED.get(key, '')} |"
        )
    return "\n".join(rows)


def _share_of_subject(pairs: Sequence[tuple[str, float]]) -> float:
    """How much of the variance lies between the scanned subjects, freed of what chance alone would put there (omega
    squared; NaN where no subject comes twice).
    """
    groups = defaultdict(list)
    for subject, value in pairs:
        groups[subject].append(value)
    values, count = np.array([value for _, value in pairs]), len(groups)
    if count < 2 or len(values) <= count or np.ptp(values) == 0:
        return np.nan
    within = sum(np.sum((np.array(each) - np.mean(each)) ** 2) for each in groups.values())
    total = np.sum((values - values.mean()) ** 2)
    noise = within / (len(values) - count)
    return float(np.clip((total - within - (count - 1) * noise) / (total + noise), 0, 1))


_FAULT = re.compile(
    r"(?P<pair>\w+ and \w+) stand \S+ mm apart, (?P<closest>\S+) at the closest"
    r"|(?P<angle>[a-z0-9-]+) is \S+ and not"
)


def reason_table(cases: Sequence[Case]) -> str:
    """Markdown: share of attempts rejected, and for which bones or angles (an attempt may have several)."""
    reasons = [reason for each in cases for reason in each.reasons]
    tried = len(reasons) + sum(bool(each.values) for each in cases)
    lost = sum(not each.values for each in cases)
    counts: Counter[str] = Counter()
    for reason in reasons:
        counts.update(_faults(reason))
    rows = [
        f"{len(reasons)} of {tried} attempts rejected ({100 * len(reasons) / max(tried, 1):.0f} %); {lost} seeds lost.",
        "",
    ]
    rows += ["| why | attempts |", "|---|---|"]
    rows += [f"| {fault} | {count} |" for fault, count in counts.most_common(25)]
    return "\n".join(rows)


def _faults(reason: str) -> set[str]:
    faults = set()
    for found in _FAULT.finditer(reason):
        if found["angle"]:
            faults.add(f"{found['angle']} not reached")
            continue
        kind = "inside each other" if float(found["closest"]) < 0 else "gap"
        faults.add(f"{found['pair']}: {kind}")
    return faults or {reason[:80]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of each distribution."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", type=int, help="how many feet of each distribution")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--bones", help="folder of a bone library; the procedural bones without it")
    parser.add_argument("--distribution", choices=DISTRIBUTIONS, action="append", help="all of them by default")
    parser.add_argument("--variation", type=float, default=1.0, help="share of the usual change of shape")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    asked = parser.parse_args(arguments)
    for distribution in asked.distribution or DISTRIBUTIONS:
        options = FootOptions(bones=asked.bones, distribution=distribution, variation=asked.variation, plain=True)
        seeds = range(asked.first, asked.first + asked.seeds)
        cases = _all(partial(case, options), seeds, asked.workers)
        print(f"## {distribution}, {asked.seeds} seeds\n\n{angle_table(cases)}\n\n{reason_table(cases)}\n", flush=True)


def _all(work: Callable[[int], Case], seeds: Sequence[int], workers: int) -> list[Case]:
    if workers < 2:
        return [work(seed) for seed in seeds]
    with ProcessPoolExecutor(workers) as processes:
        return list(processes.map(work, seeds))


if __name__ == "__main__":
    main()
