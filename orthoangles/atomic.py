"""Files that are whole or not there: written beside their place, then moved into it."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PREFIX = ".writing-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path of the same name; what stands there when the block succeeds is moved over ``path``.

    A reader of ``path`` sees the old file or the new one, never half of one, even where the writer is killed. The
    temporary file lies in a folder of its own beside ``path``, since some formats keep the name that they were
    written under.
    """
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
    try:
        temporary = folder / path.name
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left in ``folder``; only where nobody is writing there."""
    for leftover in folder.glob(_PREFIX + "*"):
        shutil.rmtree(leftover, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented UTF-8 JSON, atomically. NaN is refused (ValueError): JSON has none."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def write_with(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file, which then takes the place of ``path``."""
    with replacing(path) as temporary:
        write(temporary)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
