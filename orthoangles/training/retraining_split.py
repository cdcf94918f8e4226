"""Who is trained on and who is held out in a retraining: whole persons, reproducible, nobody whom the network knows."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.training.data import held_out_cases, persons_of

HELD_OUT = 0.25
"""Share of the persons that is held out."""
FEWEST_PERSONS = 5
"""Held out where there are twice as many: with fewer an interval says nothing about further persons."""

Listed = tuple[Dataset, Case]


@dataclass(frozen=True)
class Split:
    """Cases of the corrected and of the old datasets, by part; ``held_out`` are persons.

    ``training`` and ``testing`` map ``corrected`` and ``old`` to cases; ``family_of`` maps a group to the first of all
    persons connected with it by shared cases.
    """

    held_out: frozenset[str]
    training: Mapping[str, Sequence[Listed]]
    testing: Mapping[str, Sequence[Listed]]
    family_of: Mapping[str, str]


def split_persons(
    corrected: Sequence[Dataset], old: Sequence[Dataset], record: Mapping[str, Any] | None, protocol_id: str
) -> Split:
    """Parts the persons of the datasets; ``record`` is what the metadata say of the present weights' training.

    Persons whom the present weights were trained on are never held out. Where cases are marked ``validation`` or
    ``test``, they and their persons are held out; else a quarter of the persons, those whose names have the smallest
    digests. Raises DatasetError where nothing corrected is left to train on.
    """
    parts = {
        name: [(store, case) for store in stores for case in store.usable_cases(protocol_id)]
        for name, stores in (("corrected", corrected), ("old", old))
    }
    if not parts["corrected"]:
        names = ", ".join(store.folder.name for store in corrected)
        raise DatasetError(f"{names}: no case of protocol '{protocol_id}' that is not rejected")
    family_of = _families(case.group for listed in parts.values() for _, case in listed)
    seen = {
        family_of[case.group]
        for stores in (corrected, old)
        for store in stores
        for case in _seen(store, record, protocol_id)
    }
    held_out = _chosen(parts["corrected"], family_of, seen, all_known=False)
    mine = {family_of[case.group] for _, case in parts["corrected"]}
    others = [(store, case) for store, case in parts["old"] if family_of[case.group] not in mine]
    held_out |= _chosen(others, family_of, seen, all_known=True)
    training, testing = {}, {}
    for name, listed in parts.items():
        testing[name] = [(store, case) for store, case in listed if family_of[case.group] in held_out]
        training[name] = [
            (store, case)
            for store, case in listed
            if family_of[case.group] not in held_out and case.split not in ("validation", "test")
        ]
    if not training["corrected"]:
        raise DatasetError("no corrected case is left to train on: all are held out")
    persons = persons_of([group for group, family in family_of.items() if family in held_out])
    return Split(frozenset(persons), training, testing, family_of)


def _seen(store: Dataset, record: Mapping[str, Any] | None, protocol_id: str) -> list[Case]:
    """Cases that the present weights were trained on; none where nothing is known of their training."""
    if not record:
        return []
    unseen = {case.id for case in held_out_cases(store, record, protocol_id)}
    return [case for case in store.usable_cases(protocol_id) if case.id not in unseen]


def _chosen(listed: Sequence[Listed], family_of: Mapping[str, str], seen: set[str], all_known: bool) -> set[str]:
    """Families to hold out; ``all_known``: nobody has to be left to train on."""
    families = {family_of[case.group] for _, case in listed}
    candidates = sorted(families - seen, key=_digest)
    marked = {family_of[case.group] for _, case in listed if case.split in ("validation", "test")}
    if marked:
        return marked - seen
    wanted = max(1, round(HELD_OUT * len(families)))
    if len(families) >= 2 * FEWEST_PERSONS:
        wanted = max(wanted, FEWEST_PERSONS)
    if not all_known:
        wanted = min(wanted, len(families) - 1)
    return set(candidates[:wanted])


def _digest(person: str) -> str:
    return hashlib.sha256(person.encode()).hexdigest()


def _families(groups: Iterable[str]) -> dict[str, str]:
    """Group -> first of the persons connected with it: ``a+b`` and ``b+c`` are one family."""
    parent: dict[str, str] = {}

    def root(person: str) -> str:
        while parent.setdefault(person, person) != person:
            person = parent[person]
        return person

    names = sorted(set(groups))
    for name in names:
        first, *others = sorted(persons_of([name]))
        for other in others:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return {name: root(min(persons_of([name]))) for name in names}
