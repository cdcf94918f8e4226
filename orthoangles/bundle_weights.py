"""Which file holds the weights that a bundle's metadata name.

That is ``models/model.pt``. While other weights are being put in its place (:mod:`orthoangles.bundle_versions`), and
after a kill in the middle of that, it is the copy in ``previous/DIGEST``: the metadata decide, whatever was moved.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orthoangles.errors import PredictionError

WEIGHTS = "models/model.pt"
METADATA = "configs/metadata.json"
PREVIOUS = "previous"
"""Folder in a bundle with one folder for each set of weights that it had, named by their SHA-256."""


def weights_of(folder: Path, metadata: Mapping[str, Any]) -> tuple[Path, str]:
    """The weights of the bundle in ``folder``, and their SHA-256.

    Raises PredictionError where there are none, or none with the digest that ``metadata`` name.
    """
    name, wanted = metadata["name"], metadata["orthoangles"]["weights_sha256"]
    weights = folder / WEIGHTS
    for path in (weights, folder / PREVIOUS / wanted / WEIGHTS):
        if wanted and file_digest(path) == wanted:
            return path, wanted
    if not weights.is_file():
        raise PredictionError(f"bundle '{name}' has no weights (models/{weights.name}); train it or install it again")
    raise PredictionError(
        f"models/{weights.name} of bundle '{name}' is not the file its metadata names (SHA-256 differs); "
        "install the bundle again"
    )


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def read_metadata(folder: Path) -> dict:
    """configs/metadata.json of the bundle in ``folder``; PredictionError where it cannot be read."""
    try:
        return json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PredictionError(f"metadata.json of bundle '{folder.name}' cannot be read: {error}") from error
