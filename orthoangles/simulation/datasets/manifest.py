"""``simulation.json``: how the simulated cases of a dataset were made, in short.

One entry per recipe: what was asked for, seeds, cases per protocol, persons, and of each number among the cases'
parameters its least, mean and greatest value. All parameters of a case stand in ``dataset.json`` under
``provenance.parameters``; the manifest is made from them and can be made again.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.atomic import write_json

MANIFEST = "simulation.json"
_FORMAT, _VERSION = "orthoangles-simulation", 1


def write_manifest(dataset: Dataset, job, recipe: str, failed: Sequence[tuple[int, str]]) -> None:
    """Write the manifest of ``dataset``; ``recipe`` is the digest of ``job``'s, ``failed`` its (seed, reason)."""
    import orthoangles

    asked = {entry["recipe"]: entry for entry in _earlier(dataset)}
    asked[recipe] = {
        "kind": job.kind,
        "version": orthoangles.__version__,
        "asked": dict(job.recipe()),
        "failed": [{"seed": seed, "reason": reason} for seed, reason in failed],
    }
    cases = defaultdict(list)
    for case in dataset.cases:
        cases[case.provenance.get("recipe")].append(case)
    runs = [
        _entry(digest, asked[digest], cases[digest]) for digest in sorted(asked) if cases[digest] or digest == recipe
    ]
    write_json(dataset.folder / MANIFEST, {"format": _FORMAT, "version": _VERSION, "runs": runs})


def _earlier(dataset: Dataset) -> list[Mapping[str, Any]]:
    """What was asked for before; nothing where the manifest is missing or damaged, since it is only a summary."""
    try:
        runs = json.loads((dataset.folder / MANIFEST).read_text(encoding="utf-8"))["runs"]
        return [run for run in runs if {"recipe", "kind", "version", "asked", "failed"} <= set(run)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _entry(digest: str, asked: Mapping[str, Any], cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "recipe": digest,
        "kind": asked["kind"],
        "version": asked["version"],
        "asked": asked["asked"],
        "failed": asked["failed"],
        "seeds": _ranges({int(case.provenance["seed"]) for case in cases}),
        "cases": dict(sorted(Counter(case.protocol for case in cases).items())),
        "splits": dict(sorted(Counter(case.split or "none" for case in cases).items())),
        "persons": dict(sorted(Counter(person for case in cases for person in case.provenance["persons"]).items())),
        "numbers": _numbers(cases),
    }


def _ranges(seeds: set[int]) -> list[list[int]]:
    """Runs of consecutive seeds as [first, last]."""
    ordered = sorted(seeds)
    breaks = [k + 1 for k, (a, b) in enumerate(pairwise(ordered)) if b != a + 1]
    edges = [0, *breaks, len(ordered)]
    return [[ordered[a], ordered[b - 1]] for a, b in pairwise(edges) if a < b]


def _numbers(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    values = defaultdict(dict)
    for case in cases:
        for name, value in _leaves(case.provenance["parameters"]):
            # Views of one body share its parameters: they count once.
            values[name][case.provenance["seed"]] = value
    return {name: _spread(list(of_seed.values())) for name, of_seed in sorted(values.items()) if name != "seed"}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, float(value)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "least": round(float(np.min(values)), 4),
        "mean": round(float(np.mean(values)), 4),
        "greatest": round(float(np.max(values)), 4),
    }
