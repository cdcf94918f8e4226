"""Datasets of CT volumes -> what the coarse or the fine network is trained on: the ``data`` entry of its config."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.networks.volumes.grid import POOLED, as_input, coarse_grey
from orthoangles.protocols import Protocol
from orthoangles.training.data import Prepared, dataset_digest, persons_of
from orthoangles.training.volume_augmentation import VolumeAugmentation, plain_window
from orthoangles.training.volume_packing import PackedVolume, joined, packed_volumes

_ELSEWHERE = 0.1
"""Share of a foot's fine crops that lie anywhere, to learn what is none of the landmarks."""


@dataclass(frozen=True)
class VolumeData:
    """Volumes for one of the two networks.

    Args:
        part: "coarse" or "fine".
        size: voxels (z, y, x) of a training window.
        crops: groups of landmark ids that a fine crop is laid about.
        augmentation: random changes of a window.
        held_out_groups: persons whose feet are held out, beside the cases whose split is ``validation`` or ``test``.
    """

    part: str
    size: Sequence[int]
    crops: Sequence[Sequence[str]] = ()
    augmentation: VolumeAugmentation = field(default_factory=VolumeAugmentation)
    held_out_groups: Sequence[str] = ()

    def prepare(self, datasets: Sequence[Dataset], output: Path, protocol: Protocol) -> Prepared:
        """As :class:`~orthoangles.training.data.TrainingData` says."""
        packs = [packed_volumes(dataset, protocol, volume_folder(output, dataset)) for dataset in datasets]
        cases = joined(packs)
        splits = {case.id: case.split for dataset in datasets for case in dataset.cases}
        held_out = persons_of(self.held_out_groups)
        kept = [
            splits[case.id] in ("validation", "test") or not held_out.isdisjoint(persons_of([case.group]))
            for case in cases
        ]
        training = [case for case, back in zip(cases, kept, strict=True) if not back]
        validation = [case for case, back in zip(cases, kept, strict=True) if back]
        if not training:
            raise DatasetError(f"nothing is left to train on: all {len(cases)} cases are held out")
        facts = {
            "dataset_sha256": dataset_digest(*datasets),
            "cases": len(training),
            "folds": 1,
            "held_out_fold": 0,
            "groups": sorted({case.group for case in training}),
        }
        return Prepared(self._samples(training, protocol), self._samples(validation, protocol), facts)

    def _samples(self, cases: Sequence[PackedVolume], protocol: Protocol) -> "CoarseSamples | FineSamples":
        size = tuple(self.size)
        if self.part == "coarse":
            return CoarseSamples(cases, size, self.augmentation)
        crops = [[protocol.landmark_ids.index(name) for name in crop] for crop in self.crops]
        return FineSamples(cases, size, crops, self.augmentation)


def volume_folder(output: Path, dataset: Dataset) -> Path:
    """Packed volumes lie beside the runs of one folder, which share them."""
    return output.parent / f"packed-volumes-{dataset_digest(dataset)[:16]}"


class CoarseSamples:
    """Whole feet at the coarse grid, one of each case."""

    def __init__(
        self, cases: Sequence[PackedVolume], size: tuple[int, int, int], augmentation: VolumeAugmentation
    ) -> None:
        self.size, self.augmentation = size, augmentation
        self._points = [(case.points - (POOLED - 1) / 2) / POOLED for case in cases]
        self._volumes = [_pooled(case) for case in cases]

    def __len__(self) -> int:
        return len(self._volumes)

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """As :class:`~orthoangles.training.samples.Samples` says, with volumes (b, 1, z, y, x) and points (b, k, 3)."""
        return _stacked([self._window(k, _seed(seed, i)) for i, k in enumerate(np.asarray(indices))])

    def _window(self, k: int, seed: int | None) -> tuple[Tensor, Tensor]:
        volume, points = self._volumes[k], self._points[k]
        centre = (np.nanmin(points, axis=0) + np.nanmax(points, axis=0)) / 2
        if seed is None:
            return plain_window(volume, centre, points, self.size)
        return self.augmentation(volume, centre, points, self.size, seed)


def _pooled(case: PackedVolume) -> np.ndarray:
    grey = torch.from_numpy(np.array(case.read())).float() / 255
    return torch.round(coarse_grey(grey) * 255).to(torch.uint8).numpy()


class FineSamples:
    """Cubes about the joints: one for each case and each of ``crops``, groups of landmark numbers.

    A cube whose landmarks are all out of view, and a share of the others, is laid anywhere.
    """

    def __init__(
        self,
        cases: Sequence[PackedVolume],
        size: tuple[int, int, int],
        crops: Sequence[Sequence[int]],
        augmentation: VolumeAugmentation,
    ) -> None:
        self.cases, self.size, self.crops, self.augmentation = cases, size, crops, augmentation

    def __len__(self) -> int:
        return len(self.cases) * len(self.crops)

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """As :class:`~orthoangles.training.samples.Samples` says, with volumes (b, 1, z, y, x) and points (b, k, 3)."""
        return _stacked([self._window(k, _seed(seed, i)) for i, k in enumerate(np.asarray(indices))])

    def _window(self, k: int, seed: int | None) -> tuple[Tensor, Tensor]:
        case = self.cases[k // len(self.crops)]
        near = case.points[self.crops[k % len(self.crops)]]
        near = near[np.isfinite(near).all(axis=1)]
        volume = case.read()
        rng = np.random.default_rng([k if seed is None else seed, 1])
        if not len(near) or (seed is not None and rng.random() < _ELSEWHERE):
            centre = rng.uniform(0, np.array(volume.shape[::-1]))
        else:
            centre = near.mean(axis=0)
        if seed is None:
            return plain_window(volume, centre, case.points, self.size)
        return self.augmentation(volume, centre, case.points, self.size, seed)


def _seed(seed: int | None, number: int) -> int | None:
    return None if seed is None else seed * 4096 + number


def _stacked(windows: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return as_input(torch.stack([grey for grey, _ in windows])), torch.stack([points for _, points in windows])
