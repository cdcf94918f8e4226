"""Simulated cases as a dataset: any number of seeds, by several processes, and again from where it was stopped.

A :class:`Job` turns a seed into cases. Its images are written by the worker into a folder of its own; the parent moves
them into the dataset in the order of the seeds. So the dataset does not depend on the number of workers, and one that
was killed is continued to the very same bytes. Beside ``dataset.json``: ``simulation.json`` (how it was made, in short)
and ``contact-sheet.png`` (to look at).
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.simulation.datasets.contact_sheet import CONTACT_SHEET, write_contact_sheet
from orthoangles.simulation.datasets.manifest import write_manifest
from orthoangles.simulation.datasets.running import outcomes

SOURCE = "simulation"
"""``provenance["source"]`` of every simulated case."""


@dataclass(frozen=True, eq=False)
class SimulatedCase:
    """One image with its landmarks, as a job leaves it; ``image`` may be shared by cases of several protocols.

    ``points`` id -> (3,) LPS mm of what the protocol asks for (what is absent is unset); ``persons``: everyone whose
    bones these are, empty where no person stands behind them. ``group`` is what no split may part ("": the persons, or
    this body alone). ``about``: for ``provenance["image"]`` (laterality, view, modality).
    """

    id: str
    image: Path
    protocol: str
    points: Mapping[str, np.ndarray]
    persons: tuple[str, ...]
    parameters: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""


class Job(Protocol):
    """What a dataset is made of, picklable: the same job and seed give the same cases, byte for byte."""

    kind: str
    """What is simulated, "foot" or "spine"."""

    def recipe(self) -> Mapping[str, Any]:
        """Everything but the seed that decides the result (JSON types); a case of another recipe is made anew."""

    def case_ids(self, seed: int) -> tuple[str, ...]:
        """Ids of the cases of one seed."""

    def __call__(self, seed: int, folder: Path) -> Sequence[SimulatedCase]:
        """Simulate one seed, write its images into ``folder`` and return its cases, in the order of their ids."""


@runtime_checkable
class SharesWork(Protocol):
    """A job that works things out once for many seeds."""

    def share_in(self, folder: Path | None) -> None:
        """Keep them in ``folder`` for the other workers of this run; what is found there equals what would be made.

        None: keep them in this process only.
        """


@dataclass(frozen=True)
class SimulationReport:
    """Ids of the cases that were ``simulated``, number of seeds ``skipped`` since they were there, and
    ``failed``: (seed, reason).
    """

    simulated: tuple[str, ...]
    skipped: int
    failed: tuple[tuple[int, str], ...]


class DatasetSimulation:
    """Simulates ``seeds`` of ``job`` into the dataset at ``output``, all cases in ``split``.

    >>> DatasetSimulation("spines", SpineJob(), range(100)).run(workers=4)              # doctest: +SKIP
    """

    def __init__(self, output: Path | str, job: Job, seeds: Sequence[int], split: str = "") -> None:
        self.dataset, self.job, self.seeds, self.split = Dataset(output), job, tuple(seeds), split
        self.recipe = recipe_digest(job)

    @property
    def pending(self) -> tuple[int, ...]:
        """Seeds of which a case is missing or of another recipe. Raises DatasetError for a malformed dataset."""
        done = {case.id for case in self._cases() if self._is_done(case)}
        return tuple(seed for seed in self.seeds if not done.issuperset(self.job.case_ids(seed)))

    def run(self, workers: int = 1, progress: Callable[[str], Any] | None = None) -> SimulationReport:
        """Simulate what is pending; ``progress(text)`` is called after each seed.

        An interruption keeps what is done. Raises DatasetError where the dataset cannot be written, or where a person
        already stands in another split of it.
        """
        pending = self.pending
        simulated, failed = [], []
        # The index is written again each time: about sixty times a run costs little, and a killed one loses little.
        flush_every = max(sum(len(self.job.case_ids(seed)) for seed in pending) // 60, 1)
        with self.dataset.adding(flush_every) as add:
            staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=self.dataset.folder))
            persons = _PersonsBySplit(self._cases())
            try:
                with closing(outcomes(_Work(self.job, staging), pending, workers)) as each:
                    for outcome in each:
                        if outcome.error:
                            failed.append((outcome.seed, outcome.error))
                        else:
                            persons.check(outcome.result, self.split)
                            simulated += [self._add(add, case, outcome.seed).id for case in outcome.result]
                        shutil.rmtree(staging / str(outcome.seed), ignore_errors=True)
                        if progress:
                            progress(outcome.error or f"{self.job.kind} {outcome.seed}")
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        self._summarise(failed, bool(simulated))
        return SimulationReport(tuple(simulated), len(self.seeds) - len(pending), tuple(failed))

    def _summarise(self, failed: Sequence[tuple[int, str]], changed: bool) -> None:
        write_manifest(self.dataset, self.job, self.recipe, failed)
        if not changed and (self.dataset.folder / CONTACT_SHEET).exists():
            return
        wanted = {case_id for seed in self.seeds for case_id in self.job.case_ids(seed)}
        write_contact_sheet(self.dataset, [case for case in self.dataset.cases if case.id in wanted])

    def _cases(self) -> tuple[Case, ...]:
        return self.dataset.cases if self.dataset.exists else ()

    def _is_done(self, case: Case) -> bool:
        same = case.provenance.get("recipe") == self.recipe and case.split == self.split
        return same and all((self.dataset.folder / name).is_file() for name in case.files)

    def _add(self, add: Callable[..., Case], case: SimulatedCase, seed: int) -> Case:
        from orthoangles.protocols import load_protocol

        protocol = load_protocol(case.protocol)
        unset = np.full(3, np.nan)
        return add(
            case.id,
            image_suffix=case.image.suffix,
            write_image=lambda path: _link(case.image, path),
            protocol=protocol,
            points=np.array([case.points.get(name, unset) for name in protocol.landmark_ids], dtype=np.float64),
            group=case.group or "+".join(case.persons) or f"simulated-{self.job.kind}-{seed}",
            split=self.split,
            provenance={
                "source": SOURCE,
                "kind": self.job.kind,
                "seed": seed,
                "recipe": self.recipe,
                "persons": list(case.persons),
                "image": dict(case.about),
                "parameters": dict(case.parameters),
            },
        )


@dataclass(frozen=True)
class _Work:
    """What a worker does with a seed."""

    job: Job
    staging: Path

    def __call__(self, seed: int) -> Sequence[SimulatedCase]:
        folder = self.staging / str(seed)
        # Another worker may have died over it.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if not isinstance(self.job, SharesWork):
            return self.job(seed, folder)
        self.job.share_in(self.staging / "shared")
        try:
            return self.job(seed, folder)
        finally:
            # The folder goes with this run; what the process does next must not look for it.
            self.job.share_in(None)


class _PersonsBySplit:
    """No person may stand in two splits, not even as a part of a blended foot."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._split = {person: case.split for case in cases for person in case.provenance.get("persons", ())}

    def check(self, cases: Sequence[SimulatedCase], split: str) -> None:
        for person in (person for case in cases for person in case.persons):
            known = self._split.setdefault(person, split)
            if known != split:
                raise DatasetError(
                    f"person '{person}' already stands in the split '{known or 'none'}' of this dataset; "
                    f"choose other persons for '{split or 'none'}', or another folder."
                )


def recipe_digest(job: Job) -> str:
    """Sixteen hex digits that change with anything that decides the result, the program's version too."""
    import orthoangles

    content = {"kind": job.kind, "version": orthoangles.__version__, **job.recipe()}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _link(image: Path, path: Path) -> None:
    """A second name for one file, so that an image of two protocols is stored once; a copy where that cannot be."""
    try:
        os.link(image, path)
    except OSError:
        shutil.copyfile(image, path)
