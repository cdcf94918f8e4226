"""What Slicer or this extension saved: a dataset, or images with a .mrk.json beside each."""

from dataclasses import replace
from pathlib import Path

from orthoangles.annotation.dataset import INDEX, Case, Dataset
from orthoangles.annotation.importing.foreign import ForeignCase, ForeignCases
from orthoangles.annotation.importing.landmark_names import find_protocol, match_landmarks
from orthoangles.annotation.importing.report import ImportReport, Log, Progress, SourceNames
from orthoangles.annotation.markups_json import read_markups
from orthoangles.annotation.picture_files import bare_copy
from orthoangles.errors import DatasetError, OrthoAnglesError

_MARKUPS = ".mrk.json"
_NO_IMAGES = (".json", ".csv", ".overlay.png", ".mrb")


def import_slicer(
    source: Path | str,
    output: Path | str,
    progress: Progress | None = None,
    *,
    protocol: str | None = None,
    match: str = "name",
    show_names: bool = False,
) -> ImportReport:
    """Import a dataset that this extension exported, or a folder of images with one NAME.mrk.json beside
    each.

    A dataset's cases come over unchanged, their images without any header that another program put there. In a plain
    folder the protocol is the one whose landmarks the file's labels are, unless ``protocol`` names it; the group of a
    case is its image's digest. Raises DatasetError.
    """
    source = Path(source)
    names = SourceNames(shown=show_names)
    with names.hiding(source):
        if not source.is_dir():
            raise DatasetError(f"{source.name}: is not a folder.")
        if (source / INDEX).is_file():
            return _import_dataset(Dataset(source), Dataset(output), progress)
        return _import_folder(source, Dataset(output), progress, protocol, match, show_names)


def _import_dataset(source: Dataset, target: Dataset, progress: Progress | None) -> ImportReport:
    if target.folder.resolve() == source.folder.resolve():
        raise DatasetError(f"{source.folder.name}: source and output are the same dataset.")
    log = Log()
    cases = source.cases
    with target.adding(flush_every=25) as add:
        for number, case in enumerate(cases):
            try:
                _copy_case(source, case, add)
                log.add(case.id, burned_in=case.provenance.get("image", {}).get("burned_in_text"))
            except OrthoAnglesError as error:
                log.fail(case.id, str(error))
            if progress:
                progress((number + 1) / len(cases), case.id)
    return log.report()


def _copy_case(source: Dataset, case: Case, add) -> None:
    from orthoangles.protocols import load_protocol

    protocol = load_protocol(case.protocol)
    missing = [name for name in case.files if not (source.folder / name).is_file()]
    if missing:
        raise DatasetError("one of its files is missing from the source.")
    image = bare_copy(source.image_path(case))
    confidence, spread = source.read_certainty(case, protocol.landmark_ids)
    known = bool(case.predicted) and read_markups(source.folder / case.predicted).values
    add(
        case.id,
        image_suffix=image.suffix,
        write_image=image.write,
        protocol=protocol,
        points=source.read_points(case, protocol.landmark_ids),
        predicted=source.read_predicted(case, protocol.landmark_ids),
        confidence=confidence if known else None,
        spread=spread if known else None,
        group=case.group,
        split=case.split,
        # Sets imported by earlier versions hold the name of the file that they came from.
        provenance={key: value for key, value in case.provenance.items() if key != "source_name"},
    )


def _import_folder(
    source: Path, target: Dataset, progress: Progress | None, protocol_id: str | None, match: str, shown: bool
) -> ImportReport:
    files = sorted(path for path in source.glob(f"*{_MARKUPS}") if not path.name.endswith(f".predicted{_MARKUPS}"))
    if not files:
        raise DatasetError(f"{source.name}: holds neither a {INDEX} nor a {_MARKUPS} file beside an image.")
    names = SourceNames((path.name for path in files), shown=shown)
    log = Log()
    with target.adding(flush_every=25) as add:
        cases = ForeignCases(add, log)
        for number, path in enumerate(files, start=1):
            picture = None
            try:
                picture = _image_beside(path)
                cases.add(_case(path, picture, protocol_id, match, names))
            except OrthoAnglesError as error:
                log.fail(names.file(path.name), _reason(error, names, path, picture))
            if progress:
                progress(number / len(files), log.imported[-1] if log.imported else "")
    return log.report()


def _reason(error: OrthoAnglesError, names: SourceNames, path: Path, picture: Path | None) -> str:
    text = names.reason(error, path.name)
    return names.reason(type(error)(text), picture.name) if picture else text


def _case(path: Path, picture: Path, protocol_id: str | None, match: str, names: SourceNames) -> ForeignCase:
    from orthoangles.images import read_image

    markups = read_markups(path)
    protocol = find_protocol(markups.labels, protocol_id, match)
    rows = match_landmarks(markups.labels, protocol, match, names)
    ids = tuple(protocol.landmark_ids[row] for row in rows)
    image = read_image(picture)
    points = replace(markups, labels=ids).ordered(protocol.landmark_ids)
    return ForeignCase("slicer", image, protocol, image.index_points(points))


def _image_beside(markups: Path) -> Path:
    stem = markups.name.removesuffix(_MARKUPS)
    others = [
        path
        for path in sorted(markups.parent.iterdir())
        if path.name.startswith(stem + ".") and not path.name.endswith(_NO_IMAGES)
    ]
    if len(others) != 1:
        what = "no image" if not others else f"{len(others)} images instead of one"
        raise DatasetError(f"there is {what} of the same name beside it.")
    return others[0]
