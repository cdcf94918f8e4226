"""Where the images of a worklist come from: a folder of image files, or a dataset."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orthoangles.annotation.dataset import Case, Dataset
from orthoangles.annotation.worklist.image_files import ImageKeys, image_paths


@dataclass(frozen=True)
class ImageSource:
    """An image file or a folder of DICOM files; ``case`` is one that shows it, where it comes from a dataset."""

    path: Path
    key: str
    case: Case | None = None


def image_sources(folder: Path, protocol_id: str, keys: ImageKeys) -> Iterator[ImageSource]:
    """Images of a folder, or each image of a dataset once, however many readers' cases show it.

    Of a dataset those for this protocol. A file that goes away meanwhile is left out. Raises DatasetError for a
    malformed dataset.
    """
    dataset = Dataset(folder)
    for path, case in _of_dataset(dataset, protocol_id) if dataset.exists else _of_folder(folder):
        try:
            yield ImageSource(path, keys(path), case)
        except OSError:
            continue


def _of_folder(folder: Path) -> Iterator[tuple[Path, None]]:
    return ((path, None) for path in image_paths(folder))


def _of_dataset(dataset: Dataset, protocol_id: str) -> Iterator[tuple[Path, Case]]:
    first: dict[str, Case] = {}
    for case in dataset.cases:
        if case.protocol == protocol_id:
            first.setdefault(image_digest(case) or case.id, case)
    return ((dataset.image_path(case), case) for case in first.values())


def image_digest(case: Case) -> str:
    """First 16 hex digits of the digest of a case's image, "" where it is not noted."""
    return (case.provenance.get("image") or {}).get("sha256", "")[:16]
