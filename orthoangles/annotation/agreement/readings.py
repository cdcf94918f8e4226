"""What each reader, and the model, made of each image: readings from datasets, ready to be compared."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.dataset_index import Case
from orthoangles.errors import DatasetError, OrthoAnglesError
from orthoangles.images.grid import ImageGeometry
from orthoangles.protocols import Protocol

Progress = Callable[[float, str], Any]
_UNREVIEWED = {"rejected": "rejected by the reader", "new": "not reviewed", "predicted": "not reviewed"}


@dataclass(frozen=True, eq=False)
class Reading:
    """One image read once, by a reader or by the model.

    ``image`` is the digest by which readings of one image find each other; ``number`` counts the readings of it by this
    rater from 1. ``points`` (n, 3) are LPS mm where the image's ``geometry`` has a spacing, else pixels (column, row,
    0), NaN where unset; ``values`` (m,) are the protocol's measurements in its order, NaN where there is none.
    """

    rater: str
    is_model: bool
    dataset: Dataset
    case: Case
    image: str
    geometry: ImageGeometry
    points: np.ndarray
    values: np.ndarray
    number: int = 1

    @property
    def in_mm(self) -> bool:
        """Whether the points are in mm."""
        return self.geometry.has_spacing

    @property
    def seconds(self) -> float:
        """Time at work as the record has it, NaN where it has none."""
        told = (self.case.provenance.get("review") or {}).get("seconds")
        return float("nan") if self.is_model or told is None else float(told)


@dataclass(frozen=True)
class LeftOut:
    """A case that was not compared, and why; ``failed`` where its files could not be read."""

    dataset: str
    case: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, eq=False)
class Readings:
    """All readings of ``protocol``, what was left out, and ``notes`` on how images were matched."""

    protocol: Protocol
    readings: tuple[Reading, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def read_readings(
    folders: Sequence[Path | str],
    *,
    protocol: str | None = None,
    model: bool = False,
    names: Sequence[str] = (),
    progress: Progress | None = None,
) -> Readings:
    """Readings in the datasets ``folders``.

    A rater is the reader whom a case names, or else the dataset; ``names``, one per dataset, overrule both. With
    ``model`` the proposals stored in the cases are readings too, of the model that made them. Cases that nobody
    reviewed, or that the reader rejected, are left out. Images match by digest; two that differ and bear the same case
    id match by it. ``protocol`` need be named only where the datasets hold several. Raises DatasetError.
    """
    stores = [Dataset(folder) for folder in folders]
    cases = [store.cases for store in stores]
    chosen = _chosen_protocol(protocol, [case for some in cases for case in some])
    collector = _Collector(chosen, model)
    given = names or [""] * len(stores)
    todo = [
        (store, case, *called)
        for store, some, *called in zip(stores, cases, given, _dataset_names(stores), strict=True)
        for case in some
        if case.protocol == chosen.id
    ]
    for done, (store, case, name, dataset_name) in enumerate(todo, 1):
        collector.add(store, case, name, dataset_name)
        if progress:
            progress(done / len(todo), case.id)
    readings, notes = _matched(collector.readings)
    notes += _different_protocols(readings) + (_without_proposal(readings) if model else ())
    return Readings(chosen, _numbered(readings), tuple(collector.left_out), notes)


def _chosen_protocol(protocol: str | None, cases: Sequence[Case]) -> Protocol:
    from orthoangles.protocols import load_protocol

    if protocol is None:
        held = sorted({case.protocol for case in cases})
        if len(held) != 1:
            what = f"hold several protocols ({', '.join(held)}): name one" if held else "hold no case"
            raise DatasetError(f"the datasets {what}.")
        protocol = held[0]
    return load_protocol(protocol)


def _dataset_names(stores: Sequence[Dataset]) -> list[str]:
    """Folder names, with a number where two folders bear the same one."""
    names = [store.folder.resolve().name for store in stores]
    return [name if names.count(name) == 1 else f"{name} ({k + 1})" for k, name in enumerate(names)]


class _Collector:
    """Reads cases one by one; the geometry of an image only once, whoever read it."""

    def __init__(self, protocol: Protocol, model: bool) -> None:
        self._protocol, self._model = protocol, model
        self._geometries: dict[str, Any] = {}
        self.readings: list[Reading] = []
        self.left_out: list[LeftOut] = []

    def add(self, store: Dataset, case: Case, given: str, dataset_name: str) -> None:
        review = case.provenance.get("review") or {}
        if reason := _UNREVIEWED.get(review.get("state", "")):
            self.left_out.append(LeftOut(dataset_name, case.id, reason))
            return
        try:
            self.readings += self._of_case(store, case, given or review.get("reader") or dataset_name)
        except (OrthoAnglesError, ValueError) as error:
            self.left_out.append(LeftOut(dataset_name, case.id, str(error), failed=True))

    def _of_case(self, store: Dataset, case: Case, rater: str) -> list[Reading]:
        ids = self._protocol.landmark_ids
        digest, geometry = self._geometry(store, case)
        readings = [self._reading(rater, False, store, case, digest, geometry, store.read_points(case, ids))]
        if self._model and case.predicted:
            predicted = store.read_predicted(case, ids)
            readings.append(self._reading(_model_name(case), True, store, case, digest, geometry, predicted))
        return readings

    def _geometry(self, store: Dataset, case: Case):
        digest = (case.provenance.get("image") or {}).get("sha256")
        if digest not in self._geometries:
            image = store.read_image(case)
            digest = digest or image.sha256
            self._geometries[digest] = image.geometry
        return digest, self._geometries[digest]

    def _reading(self, rater, is_model, store, case, digest, geometry, points) -> Reading:
        from orthoangles.measuring import measure

        known = case.provenance.get("image") or {}
        result = measure(self._protocol, points, image=geometry, laterality=known.get("laterality"))
        values = [np.nan if entry.value is None else entry.value for entry in result.measurements]
        if not geometry.has_spacing:
            points = geometry.index_points(points)
        return Reading(rater, is_model, store, case, digest, geometry, points, np.array(values))


def _model_name(case: Case) -> str:
    """Two versions of one model are two raters."""
    model = case.provenance.get("model") or {}
    if not model:
        return "model"
    return f"model {model.get('name', '')} {model.get('version', '')} ({str(model.get('sha256', ''))[:8]})"


# --- which readings are of one image
def _matched(readings: Sequence[Reading]) -> tuple[list[Reading], tuple[str, ...]]:
    """Readings of the same case id under one digest, where no other rater has theirs; and what was done or refused."""
    lonely = _only_one_rater(readings)
    same_id = defaultdict(dict)
    for reading in readings:
        if reading.image in lonely:
            same_id[reading.case.id].setdefault(reading.image, reading)
    renamed, notes = {}, []
    for case_id, by_digest in same_id.items():
        first, *others = by_digest.values()
        each_by_another = len({reading.rater for reading in by_digest.values()}) == len(by_digest)
        if not others or not each_by_another:
            continue
        if any(not _same_grid(reading.geometry, first.geometry) for reading in others):
            notes.append(f"case {case_id}: the images differ in size or place, so it was not compared.")
            continue
        renamed |= {reading.image: first.image for reading in others}
        notes.append(f"case {case_id}: the images differ; matched by the case id alone.")
    return [replace(reading, image=renamed.get(reading.image, reading.image)) for reading in readings], tuple(notes)


def _same_grid(one: ImageGeometry, other: ImageGeometry) -> bool:
    known = one.has_spacing == other.has_spacing
    return known and one.size == other.size and np.allclose(one.affine, other.affine, rtol=1e-6, atol=1e-6)


def _different_protocols(readings: Iterable[Reading]) -> tuple[str, ...]:
    """A note where the record says that points were placed by more than one version of the protocol."""
    noted = {(reading.case.provenance.get("protocol") or {}).get("sha256"): reading for reading in readings}
    versions = [reading.case.provenance["protocol"].get("version", "?") for digest, reading in noted.items() if digest]
    if len(versions) < 2:
        return ()
    told = ", ".join(sorted(versions))
    return (f"the landmarks were placed by {len(versions)} editions of the protocol ({told}).",)


def _without_proposal(readings: Iterable[Reading]) -> tuple[str, ...]:
    proposed = {reading.image for reading in readings if reading.is_model}
    lacking = {reading.image: reading.case.id for reading in readings if reading.image not in proposed}
    if not lacking:
        return ()
    return (f"{len(lacking)} images hold no proposal of the model: cases {', '.join(lacking.values())}.",)


def _only_one_rater(readings: Iterable[Reading]) -> set[str]:
    raters = defaultdict(set)
    for reading in readings:
        if not reading.is_model:
            raters[reading.image].add(reading.rater)
    return {image for image, names in raters.items() if len(names) == 1}


def _numbered(readings: Iterable[Reading]) -> tuple[Reading, ...]:
    """Readings of an image by one rater numbered in the order in which they came; a model's proposal counts once."""
    count: dict[tuple[str, str], int] = defaultdict(int)
    numbered = []
    for reading in readings:
        key = reading.rater, reading.image
        if reading.is_model and count[key]:
            continue
        count[key] += 1
        numbered.append(replace(reading, number=count[key]))
    return tuple(numbered)
