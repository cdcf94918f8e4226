"""Who has which image open, so that two readers of one folder do not do the same work.

Every process that works on the list has a folder of its own with a lock of the operating system, which dies with it,
and in it one file that names the image it has open. A claim counts no more when its process is dead (known at once on
the same computer) or when it was not renewed for a while (a computer that was switched off, a network that is gone).
"""

import hashlib
import json
import os
import platform
import shutil
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from orthoangles.annotation.locking import folder_lock
from orthoangles.annotation.worklist.files import writing_in
from orthoangles.atomic import write_json
from orthoangles.errors import DatasetError

STALE_AFTER = 120.0
"""Seconds without :meth:`Claims.renew` after which a claim of another computer is taken over."""

_CLAIM = "claim.json"


@dataclass(frozen=True)
class _Claim:
    key: str
    reader: str
    host: str
    folder: Path
    age: float


class Claims:
    """The claims in ``folder``, and that of this process in the name of ``reader``.

    Nothing is written before the first :meth:`take`. Renew at least every ``stale_after`` / 3 seconds.
    """

    def __init__(self, folder: Path, reader: str, stale_after: float = STALE_AFTER) -> None:
        self._folder, self._reader, self._stale_after = folder, reader, stale_after
        self._own: Path | None = None
        self._alive = ExitStack()

    def take(self, key: str) -> str | None:
        """Claim an image and give back the one claimed before.

        Returns None, or, where another has it open, who: then nothing changes. Raises DatasetError.
        """
        with writing_in(self._folder):
            self._make_own()
            for claim in self._others():
                if self._is_dead(claim):
                    shutil.rmtree(claim.folder, ignore_errors=True)
                elif claim.key == key:
                    return claim.reader
            self._write(key)
        return None

    def renew(self) -> bool:
        """Say that the image is still open; call it by a timer.

        False where the claim is lost, for example after the computer slept: take it again.
        """
        if self._own is None:
            return False
        try:
            os.utime(self._own / _CLAIM)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """The image is open no more."""
        if self._own is not None and self._own.is_dir():
            self._write("")

    def holders(self) -> dict[str, str]:
        """Image key -> reader, of what others have open now."""
        if not self._folder.is_dir():
            return {}
        return {claim.key: claim.reader for claim in self._others() if claim.key and not self._is_dead(claim)}

    def close(self) -> None:
        """Release the image and leave nothing behind."""
        self._alive.close()
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            self._own = None

    def _write(self, key: str) -> None:
        write_json(self._own / _CLAIM, {"key": key, "reader": self._reader, "host": _host()})

    def _make_own(self) -> None:
        if self._own is None or not self._own.is_dir():
            own = self._folder / uuid.uuid4().hex
            own.mkdir()
            self._alive.enter_context(folder_lock(own))
            self._own = own

    def _others(self) -> list[_Claim]:
        now = self._now()
        paths = (path for path in self._folder.glob(f"*/{_CLAIM}") if path.parent != self._own)
        return [claim for path in paths if (claim := _read(path, now)) is not None]

    def _now(self) -> float:
        """The file server's time where it can be had: clocks of two computers may differ by minutes."""
        if self._own is None:
            return time.time()
        probe = self._own / ".lock"
        os.utime(probe)
        return probe.stat().st_mtime

    def _is_dead(self, claim: _Claim) -> bool:
        if claim.age > self._stale_after:
            return True
        if claim.host != _host():
            return False  # locks of another computer may not be seen here
        try:
            with folder_lock(claim.folder, timeout=0.0):
                return True
        except (DatasetError, OSError):
            return False


def _read(path: Path, now: float) -> _Claim | None:
    """The claim in a file; None where it was given back a moment ago."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        age = now - path.stat().st_mtime
        return _Claim(content["key"], content["reader"], content["host"], path.parent, age)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _host() -> str:
    # Only to be compared: the name of a computer is nobody's business.
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()}".encode()).hexdigest()[:12]
