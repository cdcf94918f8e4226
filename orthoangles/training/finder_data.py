"""What the foot finder learns from: pictures composed anew in every epoch, with the feet in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orthoangles.annotation.dataset import Dataset
from orthoangles.errors import DatasetError
from orthoangles.foot_views import KINDS
from orthoangles.protocols import Protocol
from orthoangles.training.data import Prepared, dataset_digest
from orthoangles.training.finder_films import Films, LabelledFilm, feet, pictures, real_laterals, spines
from orthoangles.training.finder_scenes import (
    NO_FOOT,
    Scene,
    around_the_foot,
    blanked,
    exposed,
    nothing,
    placed,
    shuffled,
    side_by_side,
    two_films,
)
from orthoangles.training.packing import grouped_folds

FEET = 2
"""Rows of the targets: most feet in one picture."""

_SHARES = {
    "AP": 0.21,
    "lateral": 0.2,
    "two feet": 0.18,
    "two films": 0.08,
    "somewhere": 0.13,
    "no foot": 0.12,
    "nothing": 0.05,
    "shuffled": 0.03,
}
"""How often a picture shows what: one foot, two AP feet, both views, a real foot without landmarks, no foot."""
_INVERTED = 0.2
"""How often bone is dark."""
_HALF = 0.5
"""A foot with less than this share of its box in the frame is not asked for."""


@dataclass(frozen=True)
class FinderData:
    """Feet, and what is no foot, for the foot finder.

    Args:
        size: rows and columns of the network's input.
        packed_side: films are kept letterboxed in a square of so many pixels.
        folds, fold: persons of every source are dealt into so many folds, and this one is held out.
        spines: so many drawn spines are shown as what is no foot.
        no_feet: folder of pictures (JPEG, PNG, also in folders in it) that show no foot, or None; of one person are
            those whose names start with the same digits.
        laterals: folder with ``labels.json`` (a list of ``image`` and ``patient``) of lateral feet without landmarks,
            dorsum up, or None.
        pictures: pictures of one epoch.
        validation: pictures to validate on.

    A folder that is not there is left out; the facts count the films of each source.
    """

    size: Sequence[int] = (192, 192)
    packed_side: int = 256
    folds: int = 8
    fold: int = 7
    spines: int = 60
    no_feet: str | None = None
    laterals: str | None = None
    pictures: int = 1024
    validation: int = 240

    def prepare(self, datasets: Sequence[Dataset], output: Path, protocol: Protocol | None = None) -> Prepared:
        """Feet of all three radiographic protocols in ``datasets``; DatasetError where there is none to learn from."""
        sources = self.sources(datasets, output)
        if "feet" not in sources:
            raise DatasetError("the datasets hold no foot that has all landmarks needed; simulate some")
        parts = {name: self.parted(films) for name, films in sources.items()}
        training, held_out = (Films.join([part[k] for part in parts.values()]) for k in (0, 1))
        facts = {
            "dataset_sha256": dataset_digest(*datasets),
            "folds": self.folds,
            "held_out_fold": self.fold,
            "groups": sorted(set(parts["feet"][0].cases.groups.tolist())),
            "films": {name: len(part[0]) for name, part in parts.items()},
        }
        return Prepared(
            FinderSamples(training, self.size, self.pictures),
            FinderSamples(held_out, self.size, self.validation),
            facts,
        )

    def sources(self, datasets: Sequence[Dataset], output: Path) -> dict[str, Films]:
        """Films by source, packed once in ``output``; a source without films is left out."""
        simulated = [self._packed(f"feet-{dataset_digest(d)[:16]}", feet(d), output) for d in datasets]
        packed = {
            "feet": Films.join([films for films in simulated if films]) if any(simulated) else None,
            "spines": self._packed(f"spines-{self.spines}", spines(self.spines), output),
        }
        for name, folder, read in (("no-feet", self.no_feet, pictures), ("laterals", self.laterals, real_laterals)):
            if folder and Path(folder).is_dir():
                packed[name] = self._packed(name, read(Path(folder)), output)
        return {name: films for name, films in packed.items() if films}

    def _packed(self, name: str, films: Iterator[LabelledFilm], output: Path) -> Films | None:
        return Films.packed(films, output / f"films-{name}-{self.packed_side}.npz", self.packed_side)

    def parted(self, films: Films) -> tuple[Films, Films]:
        """Films to train on, and those held out, of one source."""
        held_out = grouped_folds(films.cases.groups, self.folds) == self.fold
        return films[~held_out], films[held_out]


class FinderSamples:
    """``count`` pictures of ``size`` (rows, columns), composed of ``films``; targets are those of ``FinderLoss``.

    Without a seed a picture's own number is the seed, so that it is the same in every epoch.
    """

    def __init__(self, films: Films, size: Sequence[int], count: int) -> None:
        self.films, self.size, self.count = films, tuple(size), count
        placed_feet = films.placed & (films.kinds != NO_FOOT)
        self._among = {kind: np.flatnonzero(placed_feet & (films.kinds == k)) for k, kind in enumerate(KINDS)}
        self._among["somewhere"] = np.flatnonzero(~films.placed & (films.kinds != NO_FOOT))
        self._among["no foot"] = np.flatnonzero(films.kinds == NO_FOOT)

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Sequence[int], seed: int | None = None) -> tuple[Tensor, Tensor]:
        """As :class:`~orthoangles.training.samples.Samples` says."""
        views = [
            self.picture(np.random.default_rng(int(k) if seed is None else [seed, i]))
            for i, k in enumerate(np.asarray(indices))
        ]
        targets = np.stack([target_rows(scene, inverted) for scene, inverted in views])
        images = torch.stack([torch.from_numpy(scene.pixels) for scene, _ in views])
        return images[:, None] - 0.5, torch.from_numpy(targets)

    def picture(self, rng: np.random.Generator) -> tuple[Scene, bool]:
        """A picture in the network's frame, and whether bone is dark in it."""
        scene = self._scene(rng)
        inverts = rng.random()
        if inverts < _INVERTED / 2:  # the film, but not the frame around it
            scene = Scene(1 - scene.pixels, scene.feet)
        scene = placed(scene, rng, self.size)
        pixels = exposed(torch.from_numpy(scene.pixels).float(), rng).numpy()
        if _INVERTED / 2 <= inverts < _INVERTED:
            pixels = 1 - pixels
        return Scene(pixels, scene.feet), inverts < _INVERTED

    def _scene(self, rng: np.random.Generator) -> Scene:
        make = rng.choice(list(_SHARES), p=list(_SHARES.values()))
        if make == "nothing":
            return nothing(rng)
        if make == "shuffled":
            return shuffled(self._film(rng.choice(KINDS), rng), rng)
        if make == "two films":
            return two_films(*(self._film(kind, rng) for kind in KINDS), rng)
        if make == "two feet":
            one = self._film("AP", rng)
            other = one.mirrored() if rng.random() < 0.4 else self._film("AP", rng)
            return side_by_side(*(around_the_foot(s, rng, (0.02, 0.15)) for s in (one, other)), rng)
        scene = self._film(make, rng)
        if make not in KINDS or not scene.feet:
            return scene
        if rng.random() < 0.5:
            scene = around_the_foot(scene, rng, (0.02, 0.6))
        return blanked(scene, rng) if rng.random() < 0.25 else scene

    def _film(self, kind: str, rng: np.random.Generator) -> Scene:
        """A film of ``kind``; where there is none, one of nothing."""
        among = self._among[kind]
        return self.films.scene(int(rng.choice(among))) if len(among) else nothing(rng)


def target_rows(scene: Scene, inverted: bool) -> np.ndarray:
    """(2, 8) float32 rows of ``losses.finder.FIELDS`` for the feet in a picture; NaN rows where there is none."""
    rows = np.full((FEET, 8), np.nan, dtype=np.float32)
    last = np.array(scene.pixels.shape[::-1]) - 1
    for row, foot in zip(rows, scene.feet, strict=False):
        low, high = foot.outline.min(0), foot.outline.max(0)
        seen = np.clip(low, 0, last), np.clip(high, 0, last)
        if foot.placed and np.prod(seen[1] - seen[0]) < _HALF * np.prod(high - low):
            continue
        row[:] = [foot.kind, *seen[0], *seen[1], *foot.up, inverted]
    return rows
