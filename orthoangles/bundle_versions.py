"""Other weights into a bundle and back again, killed at any moment or not. Needs no torch.

A set is weights, card and metadata. First the present set and the new one are copied to ``previous/DIGEST``, each
appearing there as a whole; then weights and card are replaced, and last the metadata, which decide what is loaded
(:mod:`orthoangles.bundle_weights`). So a bundle loads the old set until the new one is complete.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orthoangles.annotation.locking import folder_lock
from orthoangles.atomic import remove_leftovers, write_with
from orthoangles.bundle_weights import METADATA, PREVIOUS, WEIGHTS, file_digest, read_metadata, weights_of
from orthoangles.errors import PredictionError

CARD = "docs/README.md"
_SET = (WEIGHTS, CARD, METADATA)
"""In the order in which they are replaced."""


def current_digest(bundle: Path) -> str:
    """SHA-256 of the weights that ``bundle`` loads; PredictionError where it has none."""
    return weights_of(bundle, read_metadata(bundle))[1]


def install(bundle: Path, source: Path) -> str:
    """Puts the set of weights in the folder ``source`` into ``bundle``; the present one is kept. Returns its digest.

    Raises PredictionError where ``source`` is incomplete; then nothing was changed. Installing what is there already
    does nothing.
    """
    digest = current_digest(source)
    with _writing(bundle):
        _settle(bundle)
        if current_digest(bundle) != digest:
            _keep(bundle, bundle)
            _keep(source, bundle)
            _put(bundle, digest)
    return digest


def restore(bundle: Path) -> str:
    """Brings back the weights that the present ones were trained from; the present ones are kept. Returns the digest.

    What a killed :func:`install` left half done is undone instead. Raises PredictionError where there is nothing to
    restore.
    """
    with _writing(bundle):
        metadata = read_metadata(bundle)
        if _settle(bundle):
            return metadata["orthoangles"]["weights_sha256"]
        before = (metadata["orthoangles"].get("training") or {}).get("retrained_from", "")
        if not before or not _complete(bundle / PREVIOUS / before):
            raise PredictionError(f"bundle '{metadata['name']}' has no earlier weights to restore")
        _keep(bundle, bundle)
        _put(bundle, before)
        return before


@contextmanager
def _writing(bundle: Path) -> Iterator[None]:
    (bundle / PREVIOUS).mkdir(exist_ok=True)
    with folder_lock(bundle / PREVIOUS):
        for folder in ("models", "configs", "docs", PREVIOUS):
            remove_leftovers(bundle / folder)
        yield


def _settle(bundle: Path) -> bool:
    """Undo what a kill left half done; true where there was something. The copy is gone once all is in its place."""
    kept = bundle / PREVIOUS / read_metadata(bundle)["orthoangles"]["weights_sha256"]
    if not _complete(kept):
        return False
    changed = any(file_digest(kept / name) != file_digest(bundle / name) for name in _SET)
    _put(bundle, kept.name)
    return changed


def _put(bundle: Path, digest: str) -> None:
    """The kept set ``digest`` into its place; its copy is no longer needed then."""
    kept = bundle / PREVIOUS / digest
    for name in _SET:
        write_with(bundle / name, lambda path, name=name: shutil.copyfile(kept / name, path))
    # A half deleted copy is no set: nobody takes it for one.
    shutil.rmtree(kept, ignore_errors=True)


def _keep(source: Path, bundle: Path) -> None:
    """The set in ``source`` to ``previous/DIGEST`` of ``bundle``, unless it is there."""
    weights, digest = weights_of(source, read_metadata(source))
    kept = bundle / PREVIOUS / digest
    if _complete(kept):
        return
    shutil.rmtree(kept, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=kept.parent))
    for name, file in ((WEIGHTS, weights), (CARD, source / CARD), (METADATA, source / METADATA)):
        (temporary / name).parent.mkdir()
        shutil.copyfile(file, temporary / name)
    temporary.rename(kept)


def _complete(kept: Path) -> bool:
    if not all((kept / name).is_file() for name in _SET):
        return False
    named = read_metadata(kept)["orthoangles"]["weights_sha256"]
    return named == kept.name == file_digest(kept / WEIGHTS)
