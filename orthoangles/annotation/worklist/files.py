"""Writing in the folders of a worklist: one writer at a time, and what a killed one left is cleared away."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orthoangles.annotation.locking import folder_lock
from orthoangles.atomic import remove_leftovers
from orthoangles.errors import DatasetError


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Hold the lock of ``folder``, made where it is missing. Raises DatasetError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder):
            remove_leftovers(folder)
            yield
    except OSError as error:
        raise DatasetError(f"{folder.name}: the worklist cannot be written ({error.strerror or error}).") from error
