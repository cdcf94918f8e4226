"""Foreign landmarks into a dataset: the AASCE 2019 spine set, and what Slicer or this extension saved."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orthoangles.annotation.checking import label_flags
from orthoangles.annotation.dataset import INDEX, Dataset
from orthoangles.annotation.exporting import image_record, image_suffix, write_image
from orthoangles.annotation.markups_json import MarkupsFile, read_markups
from orthoangles.errors import DatasetError, OrthoAnglesError

Progress = Callable[[float, str], Any]
_SPINE = "spine-ap-cobb"
# "sunhl-1th-02-Jan-2017-162 A AP.jpg": case 162, view A. "sunhl-1th-20-Jul-2016-coronal10.jpg" names no case.
_AASCE_CASE = re.compile(r"-(\d+) [A-Z] AP")


@dataclass(frozen=True)
class ImportReport:
    """``imported`` case ids; ``flagged`` (case id, why its labels are doubtful); ``failed`` (name, reason)."""

    imported: tuple[str, ...]
    flagged: tuple[tuple[str, tuple[str, ...]], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


class _Log:
    """Collects an :class:`ImportReport` while the cases come in."""

    def __init__(self) -> None:
        self.imported: list[str] = []
        self.flagged: list[tuple[str, tuple[str, ...]]] = []
        self.failed: list[tuple[str, str]] = []

    def add(self, case_id: str, flags: tuple[str, ...] = ()) -> None:
        self.imported.append(case_id)
        if flags:
            self.flagged.append((case_id, flags))

    def report(self) -> ImportReport:
        return ImportReport(tuple(self.imported), tuple(self.flagged), tuple(self.failed))


# --- AASCE 2019


def import_aasce(source: Path | str, output: Path | str, progress: Progress | None = None) -> ImportReport:
    """Import the AASCE 2019 training set from its own layout (data/training, labels/training) into a dataset.

    A group is the case number in the file name; files without one share a group. Landmarks stay
    as they are: what is not plausible is noted in the case's provenance as ``label_flags``. Images are copied
    byte by byte. Raises DatasetError where the layout is not AASCE's.
    """
    from orthoangles.images import ImageGeometry
    from orthoangles.protocols import load_protocol

    source = Path(source)
    protocol = load_protocol(_SPINE)
    names, landmarks, angles = _aasce_tables(source)
    log = _Log()
    with Dataset(output).adding(flush_every=25) as add:
        for row, name in enumerate(names):
            try:
                path = source / "data" / "training" / name
                columns, rows = _picture_size(path)
                corners = np.stack([landmarks[row, :68] * columns, landmarks[row, 68:] * rows], axis=1)
                points = np.column_stack([corners, np.zeros(68)])
                flags = label_flags(protocol, points, ImageGeometry((columns, rows, 1)))
                case = add(
                    f"aasce-{row:03d}",
                    image_suffix=path.suffix.lower(),
                    write_image=lambda target, path=path: shutil.copyfile(path, target),
                    protocol=protocol,
                    points=points,
                    group=aasce_group(name),
                    provenance={
                        "source": "aasce",
                        "source_name": name,
                        "source_row": row,
                        "published_angles": angles[row].tolist(),
                        "label_flags": list(flags),
                    },
                )
                log.add(case.id, flags)
            except OrthoAnglesError as error:
                log.failed.append((name, str(error)))
            if progress:
                progress((row + 1) / len(names), name)
    return log.report()


def aasce_group(name: str) -> str:
    """The patient behind an AASCE file name: "aasce-case-162" for "sunhl-1th-02-Jan-2017-162 A AP.jpg".

    Names without a case number ("...-coronal10.jpg") may be one patient or several: they share one group, so that no
    split can part a patient.
    """
    found = _AASCE_CASE.search(name)
    return f"aasce-case-{int(found[1])}" if found else "aasce-unnumbered"


def _aasce_tables(source: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    labels = source / "labels" / "training"
    missing = [name for name in ("filenames.csv", "landmarks.csv", "angles.csv") if not (labels / name).is_file()]
    if missing:
        raise DatasetError(
            f"{source.name}: is not in AASCE's layout (labels/training/{missing[0]} is missing); "
            "give the folder that holds data/training and labels/training."
        )
    try:
        names = [line.strip() for line in (labels / "filenames.csv").read_text(encoding="utf-8").splitlines()]
        names = [name for name in names if name]
        landmarks = np.loadtxt(labels / "landmarks.csv", delimiter=",", ndmin=2)
        angles = np.loadtxt(labels / "angles.csv", delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{source.name}: labels/training holds a malformed table ({error}).") from error
    if landmarks.shape != (len(names), 136) or angles.shape != (len(names), 3):
        raise DatasetError(
            f"{source.name}: labels/training does not fit together: {len(names)} names, "
            f"landmarks {landmarks.shape}, angles {angles.shape}."
        )
    return names, landmarks, angles


def _picture_size(path: Path) -> tuple[int, int]:
    """(columns, rows) from the header alone."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        reason = "is missing" if not path.exists() else "is not a readable image"
        raise DatasetError(f"{path.name}: {reason}.") from error
    return reader.GetSize()[:2]


# --- Slicer


def import_slicer(
    source: Path | str, output: Path | str, progress: Progress | None = None, *, protocol: str | None = None
) -> ImportReport:
    """Import a dataset that this extension exported, or a folder of images with one NAME.mrk.json beside
    each.

    A dataset's cases come over file by file, unchanged. In a plain folder the protocol is the one whose
    landmarks the file's labels are, unless ``protocol`` names it; the group of a case is its image's digest.
    Raises DatasetError.
    """
    source = Path(source)
    if not source.is_dir():
        raise DatasetError(f"{source.name}: is not a folder.")
    if (source / INDEX).is_file():
        return _import_dataset(Dataset(source), Dataset(output), progress)
    return _import_folder(source, Dataset(output), progress, protocol)


def _import_dataset(source: Dataset, target: Dataset, progress: Progress | None) -> ImportReport:
    from orthoangles.protocols import load_protocol

    if target.folder.resolve() == source.folder.resolve():
        raise DatasetError(f"{source.folder.name}: source and output are the same dataset.")
    log = _Log()
    cases = source.cases
    with target.adding(flush_every=25) as add:
        for number, case in enumerate(cases):
            try:
                protocol = load_protocol(case.protocol)
                missing = [name for name in case.files if not (source.folder / name).is_file()]
                if missing:
                    raise DatasetError(f"{missing[0]}: is missing from dataset {source.folder.name}.")
                add(
                    case.id,
                    image_suffix="".join(_image_suffixes(case.image)),
                    write_image=lambda path, case=case: shutil.copyfile(source.image_path(case), path),
                    protocol=protocol,
                    points=source.read_points(case, protocol.landmark_ids),
                    predicted=source.read_predicted(case, protocol.landmark_ids),
                    group=case.group,
                    split=case.split,
                    provenance=case.provenance,
                )
                log.add(case.id)
            except OrthoAnglesError as error:
                log.failed.append((case.id, str(error)))
            if progress:
                progress((number + 1) / len(cases), case.id)
    return log.report()


def _import_folder(source: Path, target: Dataset, progress: Progress | None, protocol_id: str | None) -> ImportReport:
    from orthoangles.images import read_image

    files = sorted(path for path in source.glob("*.mrk.json") if not path.name.endswith(".predicted.mrk.json"))
    if not files:
        raise DatasetError(f"{source.name}: holds neither a {INDEX} nor a .mrk.json file beside an image.")
    log = _Log()
    with target.adding(flush_every=25) as add:
        for number, path in enumerate(files):
            try:
                markups = read_markups(path)
                protocol = _protocol_of(markups, protocol_id)
                points = markups.ordered(protocol.landmark_ids)
                image = replace(read_image(_image_beside(path)), name=path.name)
                flags = label_flags(protocol, points, image)
                case = add(
                    f"{image.sha256[:12]}-{protocol.id}",
                    image_suffix=image_suffix(image),
                    write_image=lambda target, image=image: write_image(image, target),
                    protocol=protocol,
                    points=points,
                    group=image.sha256[:16],
                    provenance={"source": "slicer", "image": image_record(image), "label_flags": list(flags)},
                )
                log.add(case.id, flags)
            except OrthoAnglesError as error:
                log.failed.append((path.name, str(error)))
            if progress:
                progress((number + 1) / len(files), path.name)
    return log.report()


def _image_beside(markups: Path) -> Path:
    stem = markups.name.removesuffix(".mrk.json")
    others = [
        path
        for path in sorted(markups.parent.iterdir())
        if path.name.startswith(stem + ".") and not path.name.endswith((".json", ".csv", ".overlay.png", ".mrb"))
    ]
    if len(others) != 1:
        what = "no image" if not others else f"more than one image ({', '.join(path.name for path in others)})"
        raise DatasetError(f"{markups.name}: there is {what} of the same name beside it.")
    return others[0]


def _protocol_of(markups: MarkupsFile, protocol_id: str | None):
    from orthoangles.protocols import available_protocols, load_protocol

    if protocol_id:
        return load_protocol(protocol_id)
    fitting = [p for p in map(load_protocol, available_protocols()) if set(markups.labels) <= set(p.landmark_ids)]
    if len(fitting) != 1:
        what = "no protocol" if not fitting else "more than one protocol"
        raise DatasetError(f"{markups.name}: its labels fit {what}; name it with --protocol.")
    return fitting[0]


def _image_suffixes(name: str) -> list[str]:
    suffixes = Path(name).suffixes
    return suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:]
