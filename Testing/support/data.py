"""Real data for tests, where it is at hand: never part of the repository."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parents[2]


def shared_data(name: str) -> Path:
    """Folder ``name`` of the real data; skips the test where it is absent."""
    root = Path(os.environ.get("ORTHOANGLES_DATA", _REPOSITORY.parent / "shared" / "data"))
    folder = root / name
    if not folder.exists():
        pytest.skip(f"real data '{name}' is not on this machine: set ORTHOANGLES_DATA to the folder that holds it")
    return folder
