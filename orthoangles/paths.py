"""Where the files that ship with the package lie, in a checkout and in an installed Slicer extension alike.

The extension installs ``orthoangles/``, ``Resources/`` and ``models/`` side by side, as they stand in the repository.
"""

from pathlib import Path

_HOME = Path(__file__).resolve().parent.parent


def resources_dir() -> Path:
    """Folder with protocols, icons and sample data."""
    return _HOME / "Resources"


def protocols_dir() -> Path:
    """Folder with one JSON file per protocol."""
    return resources_dir() / "Protocols"


def models_dir() -> Path:
    """Folder with one MONAI bundle per network."""
    return _HOME / "models"
