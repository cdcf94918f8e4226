"""Datasets -> what is trained on and what is held out: the ``data`` entry of a bundle's training config."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.errors import DatasetError
from orthoangles.protocols import Protocol as MeasuringProtocol
from orthoangles.simulation.spine.drawn import simulate_spine
from orthoangles.training.augmentation import Augmentation
from orthoangles.training.packing import LabelledRadiograph, PackedCases, grouped_folds, in_anatomical_order, pack
from orthoangles.training.samples import LandmarkSamples, Samples

SIMULATED_GROUP = "simulated"
_FIRST_TRAINING_SEED = 100_000
"""Simulated training spines use seeds from here on, so that samples and tests with small seeds stay unseen."""


@dataclass(frozen=True)
class Prepared:
    """Samples to train on and to validate on, and what the bundle's metadata say about them."""

    training: Samples
    validation: Samples
    facts: Mapping[str, Any]


class TrainingData(Protocol):
    """Makes samples of datasets; packed files are kept in ``output`` for the next call."""

    def prepare(self, datasets: Sequence[Dataset], output: Path, protocol: MeasuringProtocol | None) -> Prepared:
        """``protocol`` is the bundle's, None where it serves several. DatasetError where nothing is to train on."""


@dataclass(frozen=True)
class LandmarkData:
    """Landmarks of one protocol in a frame.

    Args:
        size: rows and columns of the network's input.
        packed_size: rows and columns in which cases are kept.
        augmentation: random changes of a training image.
        folds, fold: persons are dealt into so many folds, and this one is held out. ``folds`` of 1 holds out the cases
            whose split is ``validation`` or ``test``, and those of ``held_out_groups``, instead.
        held_out_groups: groups, or persons, to hold out.
        simulated: so many rendered spines are added to the training cases.
    """

    size: Sequence[int]
    packed_size: Sequence[int]
    augmentation: Augmentation = field(default_factory=Augmentation)
    folds: int = 1
    fold: int = 0
    held_out_groups: Sequence[str] = ()
    simulated: int = 0

    def prepare(self, datasets: Sequence[Dataset], output: Path, protocol: MeasuringProtocol) -> Prepared:
        """As :class:`TrainingData` says."""
        parts = [_packed(dataset, protocol, tuple(self.packed_size), output) for dataset in datasets]
        cases = PackedCases.join(parts)
        held_out = self._held_out(cases, datasets)
        training, validation = cases[~held_out], cases[held_out]
        if not len(training):
            raise DatasetError(f"nothing is left to train on: all {len(cases)} cases are held out")
        facts = {
            "dataset_sha256": dataset_digest(*datasets),
            "cases": len(training) + self.simulated,
            "simulated": self.simulated,
            "folds": self.folds,
            "held_out_fold": self.fold,
            "groups": sorted(set(training.groups.tolist())) if self.folds == 1 else [],
        }
        training = PackedCases.join([training, *self._rendered(output)])
        return Prepared(
            LandmarkSamples(training, self.size, self.augmentation),
            LandmarkSamples(validation, self.size, self.augmentation),
            facts,
        )

    def _held_out(self, cases: PackedCases, datasets: Sequence[Dataset]) -> np.ndarray:
        if self.folds > 1:
            return grouped_folds(cases.groups, self.folds) == self.fold
        splits = {case.id: case.split for dataset in datasets for case in dataset.cases}
        kept_back = np.array([splits[name] in ("validation", "test") for name in cases.ids], dtype=bool)
        held_out = persons_of(self.held_out_groups)
        return kept_back | np.array([not held_out.isdisjoint(persons_of([name])) for name in cases.groups], dtype=bool)

    def _rendered(self, output: Path) -> list[PackedCases]:
        if not self.simulated:
            return []
        rows, columns = self.packed_size
        file = output / f"simulated-{self.simulated}-{rows}x{columns}.npz"
        if not file.exists():
            pack(simulated_radiographs(self.simulated), (rows, columns)).save(file)
        return [PackedCases.load(file)]


def _packed(dataset: Dataset, protocol: MeasuringProtocol, size: tuple[int, int], output: Path) -> PackedCases:
    """The cases of a protocol in a dataset, packed once; vertebrae in anatomical order."""
    file = output / f"packed-{dataset_digest(dataset)[:16]}-{protocol.id}-{size[0]}x{size[1]}.npz"
    if not file.exists():
        pack(labelled_radiographs(dataset, protocol), size).save(file)
    cases = PackedCases.load(file)
    if not protocol.columns:
        return cases
    return PackedCases(**{**vars(cases), "points": in_anatomical_order(cases.points)})


def labelled_radiographs(dataset: Dataset, protocol: MeasuringProtocol) -> Iterator[LabelledRadiograph]:
    """The cases of ``protocol`` in ``dataset``, in pixels; DatasetError where there is none.

    A landmark beyond the image is NaN; a spine counts only with all its corners, since its vertebrae are counted.
    """
    chosen = dataset.usable_cases(protocol.id)
    if not chosen:
        raise DatasetError(f"{dataset.folder.name}: holds no case of protocol '{protocol.id}'")
    for case in tqdm(chosen, desc="Packing", unit="case"):
        image = dataset.read_image(case)
        pixels = image.index_points(dataset.read_points(case, protocol.landmark_ids))[:, :2]
        if np.isfinite(pixels).all() or not protocol.columns:
            spacing = (float(image.spacing[1]), float(image.spacing[0]))
            yield LabelledRadiograph(image.array[0], pixels, case.group, case.id, spacing)


def simulated_radiographs(count: int) -> Iterator[LabelledRadiograph]:
    """``count`` rendered spines, reproducible, of the training seeds."""
    for seed in tqdm(range(_FIRST_TRAINING_SEED, _FIRST_TRAINING_SEED + count), desc="Simulating", unit="case"):
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(900, 1300))
        spine = simulate_spine(seed, (rows, int(rows * rng.uniform(0.38, 0.5))))
        name = f"{SIMULATED_GROUP} {seed}"
        yield LabelledRadiograph(spine.image, spine.corners.reshape(-1, 2), name, name)


def dataset_digest(*datasets: Dataset) -> str:
    """Hex SHA-256 over case ids and groups: the same cases give the same folds, wherever the folder lies."""
    names = (f"{case.id}\t{case.group}" for dataset in datasets for case in dataset.cases)
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def held_out_cases(dataset: Dataset, training: Mapping[str, Any] | None, protocol_id: str) -> list[Case]:
    """Cases of ``protocol_id`` in ``dataset`` that a network with this ``training`` record has not seen.

    With folds, on the dataset that it was trained on, those of the fold held out. Otherwise those of no person, and no
    group, that it was trained on. What its weights had seen before a retraining (``earlier``) counts too.
    """
    if not training:
        return dataset.usable_cases(protocol_id)
    cases = held_out_cases(dataset, training.get("earlier"), protocol_id)
    if training["folds"] > 1:
        if training["dataset_sha256"] != dataset_digest(dataset):
            return cases
        folds = grouped_folds([case.group for case in cases], training["folds"])
        return [case for case, fold in zip(cases, folds, strict=True) if fold == training["held_out_fold"]]
    seen = persons_of(training["groups"])
    return [case for case in cases if seen.isdisjoint(persons_of([case.group]))]


def persons_of(groups: Sequence[str]) -> set[str]:
    """Persons behind groups: a simulated foot made of several people's bones is of the group ``one+other``."""
    return {person for group in groups for person in group.split("+")}
