"""One writer at a time in a folder, by a lock of the operating system that dies with its process."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orthoangles.errors import DatasetError

_NAME = ".lock"


@contextmanager
def folder_lock(folder: Path, timeout: float = 60.0) -> Iterator[None]:
    """Hold the folder's lock; waits ``timeout`` seconds for another writer, then raises DatasetError."""
    handle = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        end = time.monotonic() + timeout
        while not _try_lock(handle):
            if time.monotonic() > end:
                raise DatasetError(f"{folder.name}: another program is writing to this dataset; try again later.")
            time.sleep(0.05)
        try:
            yield
        finally:
            _unlock(handle)
    finally:
        os.close(handle)


if os.name == "nt":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
