"""A dataset: a folder with dataset.json beside one image and one .mrk.json per case.

dataset.json (:mod:`orthoangles.annotation.dataset_index`) is the only truth: a case is there when dataset.json names
its files, and these files are never changed after that. So a writer killed at any moment leaves the old dataset or the
new one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.dataset_index import INDEX, Case, check_names, index_content, read_index
from orthoangles.annotation.locking import folder_lock
from orthoangles.annotation.markups_json import read_markups, write_markups
from orthoangles.atomic import remove_leftovers, replacing, write_json
from orthoangles.errors import DatasetError

__all__ = ["INDEX", "Case", "Dataset"]

# Numbers per landmark in the file of the proposal.
_CERTAINTY = ("confidence", "spread")


class Dataset:
    """The dataset in ``folder``. Cheap to make: nothing is read or written before it is asked for.

    >>> dataset = Dataset(Path("corrections"))                                              # doctest: +SKIP
    >>> [case.group for case in dataset.cases if "confirmed" == case.provenance["review"]["state"]]  #
    doctest: +SKIP
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @property
    def exists(self) -> bool:
        """Whether the folder holds a dataset.json."""
        return (self.folder / INDEX).is_file()

    @property
    def cases(self) -> tuple[Case, ...]:
        """All cases, as dataset.json names them now. Raises DatasetError where it is missing or malformed."""
        return read_index(self.folder)

    def usable_cases(self, protocol_id: str) -> list[Case]:
        """Cases of a protocol that no reader rejected, in the order of the dataset."""
        return [case for case in self.cases if case.protocol == protocol_id and not case.rejected]

    def case(self, case_id: str) -> Case:
        """The case of this id. Raises DatasetError where there is none."""
        for case in self.cases:
            if case.id == case_id:
                return case
        raise DatasetError(f"{self.folder.name}: has no case '{case_id}'.")

    # --- reading a case
    def image_path(self, case: Case) -> Path:
        """Where the image lies."""
        return self.folder / case.image

    def read_image(self, case: Case):
        """The :class:`orthoangles.images.Image` of a case, named by its id."""
        from orthoangles.images import read_image

        image = replace(read_image(self.image_path(case)), name=case.id)
        known = case.provenance.get("image", {})
        return replace(
            image,
            **{
                key: known[key]
                for key in ("spacing_source", "laterality", "view", "modality", "patient_age")
                if key in known
            },
        )

    def read_points(self, case: Case, landmark_ids: Sequence[str]) -> np.ndarray:
        """Landmarks (n, 3) LPS mm in this order, NaN where unset."""
        return read_markups(self.folder / case.points).ordered(landmark_ids)

    def read_predicted(self, case: Case, landmark_ids: Sequence[str]) -> np.ndarray | None:
        """Landmarks as the network proposed them, or None where the case has no prediction."""
        return read_markups(self.folder / case.predicted).ordered(landmark_ids) if case.predicted else None

    def read_certainty(self, case: Case, landmark_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Confidence (n,) 0..1 and spread (n,) mm of the network's proposal in this order, NaN where unknown."""
        nothing = np.full(len(landmark_ids), np.nan)
        if not case.predicted:
            return nothing, nothing.copy()
        markups = read_markups(self.folder / case.predicted)
        row = {label: i for i, label in enumerate(markups.labels)}
        found = []
        for name in _CERTAINTY:
            values = markups.values.get(name)
            known = values is not None
            found.append(np.array([values[row[i]] if known and i in row else np.nan for i in landmark_ids]))
        return found[0], found[1]

    # --- writing
    def add_case(
        self,
        case_id: str,
        *,
        image_suffix: str,
        write_image: Callable[[Path], Any],
        protocol,
        points: np.ndarray,
        group: str,
        split: str = "",
        predicted: np.ndarray | None = None,
        confidence: np.ndarray | None = None,
        spread: np.ndarray | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Case:
        """Write one case; a case of the same id is replaced. Returns the case as stored.

        ``write_image(path)`` writes the image with the suffix ``image_suffix``; ``points`` and ``predicted``
        are (n, 3) LPS mm in the order of ``protocol.landmark_ids``, ``confidence`` 0..1 and ``spread`` mm (n,) what
        the network said of its proposal. Raises DatasetError where a value is not allowed or the folder cannot be
        written.
        """
        with self.adding() as add:
            return add(
                case_id,
                image_suffix=image_suffix,
                write_image=write_image,
                protocol=protocol,
                points=points,
                group=group,
                split=split,
                predicted=predicted,
                confidence=confidence,
                spread=spread,
                provenance=provenance,
            )

    @contextmanager
    def adding(self, flush_every: int = 1) -> Iterator[Callable[..., Case]]:
        """For many cases: yields a function like :meth:`add_case` that names them in dataset.json
        ``flush_every`` cases at a time and at the end. The folder stays locked against other writers
        meanwhile.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with folder_lock(self.folder):
                writer = _Writer(self.folder, flush_every)
                try:
                    yield writer.add
                finally:
                    writer.flush()
        except OSError as error:
            raise DatasetError(f"{self.folder.name}: cannot be written ({error.strerror or error}).") from error

    # --- checking
    def problems(self, *, digests: bool = False) -> tuple[str, ...]:
        """What is wrong with the dataset, one sentence each; empty when all is well.

        Checks files, landmark names, and that no split parts a group; with ``digests`` also reads every
        image.
        """
        from orthoangles.annotation.checking import dataset_problems

        return dataset_problems(self, digests=digests)


class _Writer:
    """Adds cases under the lock: files first, then the index, then off with what it no longer names."""

    def __init__(self, folder: Path, flush_every: int) -> None:
        self._folder, self._flush_every = folder, max(int(flush_every), 1)
        self._cases = {case.id: case for case in read_index(folder)} if (folder / INDEX).exists() else {}
        self._superseded: list[str] = []
        self._waiting = 0
        remove_leftovers(folder)

    def add(
        self,
        case_id: str,
        *,
        image_suffix: str,
        write_image: Callable[[Path], Any],
        protocol,
        points: np.ndarray,
        group: str,
        split: str = "",
        predicted: np.ndarray | None = None,
        confidence: np.ndarray | None = None,
        spread: np.ndarray | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Case:
        check_names(self._folder.name, case_id, group, split)
        old = self._cases.get(case_id)
        revision = old.revision + 1 if old else 1
        stem = case_id if revision == 1 else f"{case_id}.r{revision}"
        case = Case(
            id=case_id,
            image=stem + image_suffix,
            points=stem + ".mrk.json",
            predicted=stem + ".predicted.mrk.json" if predicted is not None else "",
            protocol=protocol.id,
            group=group,
            split=split,
            revision=revision,
            provenance=dict(provenance or {}),
        )
        texts = [landmark.description for landmark in protocol.landmarks]
        with replacing(self._folder / case.image) as temporary:
            write_image(temporary)
        write_markups(self._folder / case.points, protocol.landmark_ids, points, texts)
        if predicted is not None:
            values = dict(zip(_CERTAINTY, (confidence, spread), strict=True))
            values = {name: numbers for name, numbers in values.items() if numbers is not None}
            write_markups(self._folder / case.predicted, protocol.landmark_ids, predicted, texts, values)
        self._cases[case_id] = case
        self._superseded += old.files if old else ()
        self._waiting += 1
        if self._waiting >= self._flush_every:
            self.flush()
        return case

    def flush(self) -> None:
        """Name the waiting cases in the index: from here on they are part of the dataset."""
        if not self._waiting:
            return
        write_json(self._folder / INDEX, index_content(self._cases.values()))
        self._waiting = 0
        for name in self._superseded:
            (self._folder / name).unlink(missing_ok=True)
        self._superseded = []
