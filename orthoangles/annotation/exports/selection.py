"""Which cases of a dataset are exported, and what became of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.interchange import ExportedCase, read_case
from orthoangles.annotation.locking import folder_lock
from orthoangles.annotation.review_states import REVIEW_STATES
from orthoangles.atomic import remove_leftovers
from orthoangles.errors import DatasetError, OrthoAnglesError

Progress = Callable[[float, str], Any]
USABLE_STATES = tuple(state for state in REVIEW_STATES if state != "rejected")


@dataclass(frozen=True)
class ExportReport:
    """Case ids: ``written``; ``left_out`` for their review state; ``failed`` with the reason; ``with_text`` those whose
    picture may have text burnt in.
    """

    written: tuple[str, ...]
    left_out: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    with_text: tuple[str, ...]


class Selection:
    """The cases of ``dataset`` in one of the review ``states``; labels from elsewhere, never reviewed, always count.

    Iterate :meth:`cases` once, then ask for the :meth:`report`. ``flat``: volumes fail.
    """

    def __init__(
        self, dataset: Dataset | Path | str, states=USABLE_STATES, progress: Progress | None = None, flat: bool = True
    ) -> None:
        self._dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
        self._states, self._progress, self._flat = tuple(states), progress, flat
        unknown = set(self._states) - set(REVIEW_STATES)
        if unknown:
            raise ValueError(f"review state '{min(unknown)}' is not one of {', '.join(REVIEW_STATES)}")
        self._written: list[str] = []
        self._left_out: list[str] = []
        self._failed: list[tuple[str, str]] = []
        self._with_text: list[str] = []

    @property
    def folder(self) -> Path:
        """Folder of the dataset."""
        return self._dataset.folder

    def cases(self) -> Iterator[ExportedCase]:
        """Read one case after the other; one that cannot be read is noted as failed."""
        cases = self._dataset.cases
        for number, case in enumerate(cases):
            review = case.provenance.get("review") or {}
            if review.get("state", self._states[0]) not in self._states:
                self._left_out.append(case.id)
            else:
                try:
                    exported = read_case(self._dataset, case)
                    if self._flat and not exported.image.is_radiograph:
                        raise DatasetError("is a volume, which this format cannot hold; export it as csv.")
                    yield exported
                    self._written.append(case.id)
                    if exported.facts["burned_in_text"]:
                        self._with_text.append(case.id)
                except OrthoAnglesError as error:
                    self._failed.append((case.id, str(error)))
            if self._progress:
                self._progress((number + 1) / len(cases), case.id)

    def report(self) -> ExportReport:
        """What became of the cases."""
        return ExportReport(tuple(self._written), tuple(self._left_out), tuple(self._failed), tuple(self._with_text))


@contextmanager
def output_folder(folder: Path, selection: Selection) -> Iterator[Path]:
    """The folder to write to, made where it is missing and locked against other writers meanwhile.

    Raises DatasetError where it cannot be written or is the dataset itself.
    """
    if folder.resolve() == selection.folder.resolve():
        raise DatasetError(f"{folder.name}: is the dataset itself; choose another folder for the export.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder):
            remove_leftovers(folder)
            yield folder
    except OSError as error:
        raise DatasetError(f"{folder.name}: cannot be written ({error.strerror or 'write error'}).") from error
