"""What an import did, in words that name no patient."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orthoangles.errors import DatasetError, OrthoAnglesError

Progress = Callable[[float, str], Any]


@dataclass(frozen=True)
class ImportReport:
    """``imported`` case ids; ``flagged`` (case id, why its labels are doubtful); ``failed`` (what, reason);
    ``with_text`` ids of cases whose picture may have text burnt in.
    """

    imported: tuple[str, ...]
    flagged: tuple[tuple[str, tuple[str, ...]], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    with_text: tuple[str, ...] = ()


class Log:
    """Collects an :class:`ImportReport` while the cases come in."""

    def __init__(self) -> None:
        self.imported: list[str] = []
        self._flagged: list[tuple[str, tuple[str, ...]]] = []
        self._failed: list[tuple[str, str]] = []
        self._with_text: list[str] = []

    def add(self, case_id: str, flags: tuple[str, ...] = (), burned_in: Any = None) -> None:
        """Note a case."""
        self.imported.append(case_id)
        if flags:
            self._flagged.append((case_id, flags))
        if burned_in:
            self._with_text.append(case_id)

    def fail(self, what: str, reason: str) -> None:
        """Note what could not be imported."""
        self._failed.append((what, reason))

    def report(self) -> ImportReport:
        """What was noted."""
        return ImportReport(tuple(self.imported), tuple(self._flagged), tuple(self._failed), tuple(self._with_text))


class SourceNames:
    """What files and labels of a source are called in messages.

    A name may hold a patient's, and messages end up in logs: unless ``shown``, a file is called by its number in
    alphabetical order, and a label by its place.
    """

    def __init__(self, files: Iterable[str] = (), *, shown: bool = False) -> None:
        names = sorted(set(files))
        self._numbers = {name: number for number, name in enumerate(names, start=1)}
        self.shown = shown

    def file(self, name: str) -> str:
        """``name`` or its number."""
        return name if self.shown else f"file {self._numbers[name]} of {len(self._numbers)}"

    def label(self, label: str, number: int, what: str = "label") -> str:
        """``label`` quoted, or its place, counted from 1."""
        return f"{what} '{label}'" if self.shown else f"{what} {number}"

    def reason(self, error: OrthoAnglesError, name: str) -> str:
        """The text of ``error`` about the file ``name`` without that name in front."""
        text = str(error)
        return text if self.shown else text.removeprefix(f"{name}: ").replace(name, "the file")

    @contextmanager
    def hiding(self, source: Path) -> Iterator[None]:
        """Errors raised inside do not begin with the name of the source's file or folder."""
        try:
            yield
        except DatasetError as error:
            if self.shown or not str(error).startswith(source.name):
                raise
            raise DatasetError("the source" + str(error).removeprefix(source.name)) from None
