"""The AASCE 2019 spine radiographs, in their own layout."""

import re
from pathlib import Path

import numpy as np

from orthoangles.annotation.checking import label_flags
from orthoangles.annotation.dataset import Dataset
from orthoangles.annotation.importing.report import ImportReport, Log, Progress, SourceNames
from orthoangles.annotation.picture_files import bare_copy
from orthoangles.annotation.records import protocol_record
from orthoangles.errors import DatasetError, OrthoAnglesError

_SPINE = "spine-ap-cobb"
# "sunhl-1th-02-Jan-2017-162 A AP.jpg": case 162, view A. "sunhl-1th-20-Jul-2016-coronal10.jpg" names no case.
_AASCE_CASE = re.compile(r"-(\d+) [A-Z] AP")


def import_aasce(
    source: Path | str, output: Path | str, progress: Progress | None = None, *, show_names: bool = False
) -> ImportReport:
    """Import the AASCE 2019 training set from its own layout (data/training, labels/training) into a dataset.

    A group is the case number in the file name; files without one share a group. Landmarks stay
    as they are: what is not plausible is noted in the case's provenance as ``label_flags``. Images come over with their
    compressed pixels and without their headers; their names do not, ``source_row`` is the row of the tables. Raises
    DatasetError where the layout is not AASCE's.
    """
    from orthoangles.protocols import load_protocol

    source = Path(source)
    hidden = SourceNames(shown=show_names)
    protocol = load_protocol(_SPINE)
    with hidden.hiding(source):
        names, landmarks, angles = _aasce_tables(source)
    log, record = Log(), protocol_record(protocol)
    with Dataset(output).adding(flush_every=25) as add:
        for row, name in enumerate(names):
            what = name if show_names else f"row {row + 1} of filenames.csv"
            try:
                case_id, flags = _add(
                    add, source / "data" / "training" / name, row, landmarks[row], angles[row], record
                )
                log.add(case_id, flags)
            except OrthoAnglesError as error:
                log.fail(what, hidden.reason(error, Path(name).name))
            if progress:
                progress((row + 1) / len(names), f"aasce-{row:03d}")
    return log.report()


def _add(add, path: Path, row: int, shares: np.ndarray, angles: np.ndarray, record) -> tuple[str, tuple[str, ...]]:
    from orthoangles.images import ImageGeometry
    from orthoangles.protocols import load_protocol

    protocol = load_protocol(_SPINE)
    if not path.is_file():
        raise DatasetError(f"{path.name}: is missing.")
    copy = bare_copy(path)
    columns, rows = copy.size
    points = np.column_stack([shares[:68] * columns, shares[68:] * rows, np.zeros(68)])
    flags = label_flags(protocol, points, ImageGeometry((columns, rows, 1)))
    case = add(
        f"aasce-{row:03d}",
        image_suffix=copy.suffix,
        write_image=copy.write,
        protocol=protocol,
        points=points,
        group=aasce_group(path.name),
        provenance={
            "source": "aasce",
            "protocol": record,
            "source_row": row,
            "published_angles": angles.tolist(),
            "label_flags": list(flags),
        },
    )
    return case.id, flags


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
    except (OSError, ValueError):
        raise DatasetError(
            f"{source.name}: labels/training holds a malformed table; it must hold numbers only."
        ) from None
    if landmarks.shape != (len(names), 136) or angles.shape != (len(names), 3):
        raise DatasetError(
            f"{source.name}: labels/training does not fit together: {len(names)} names, "
            f"landmarks {landmarks.shape}, angles {angles.shape}."
        )
    return names, landmarks, angles
