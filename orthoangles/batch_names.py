"""Which images are measured, and what their results are called."""

from collections.abc import Iterable, Sequence
from pathlib import Path

_ENDINGS = (".nii.gz", ".mrk.json")
_PARTS = ("left", "right", *map(str, range(1, 10)), "left again", "right again")
_NOT_DICOM = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
_OVERLAY = ".overlay.png"


def images_of(paths: Iterable[Path], dimension: int) -> list[Path]:
    """``paths`` with each folder of images replaced by the images right in it, case 9 before case 10.

    A folder that holds a DICOM series stays one image of a protocol of ``dimension`` 3, and so does each folder of a
    series inside a folder. A folder with a single DICOM file in it, or nothing, stays as it is: it is read as one image
    or refused with the reason. Overlays of an earlier call are left out. Raises OSError.
    """
    found = []
    for path in paths:
        inside = _inside(path, dimension) if path.is_dir() else []
        found += inside if len(inside) > 1 or (inside and _is_picture(inside[0])) else [path]
    return found


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(_NOT_DICOM)


def _inside(folder: Path, dimension: int) -> list[Path]:
    from orthoangles.annotation.worklist.image_files import image_paths, is_image

    if dimension == 3 and is_image(folder):
        return []
    return [path for path in image_paths(folder) if not path.name.endswith(_OVERLAY)]


def output_names(paths: Iterable[Path]) -> list[str]:
    """A name for each path's results: the file's name without its ending, made unique by "-2", "-3" ...

    >>> output_names([Path("a/spine.png"), Path("b/spine.dcm"), Path("spine-2.png")])
    ['spine', 'spine-3', 'spine-2']
    """
    stems = [_stem(path) for path in paths]
    given = {stem.lower() for stem in stems}
    taken = set()
    names = []
    for stem in stems:
        name, number = stem, 1
        # A later image may really be called "spine-2": its name is not given away. Case: Windows and macOS fold it.
        while name.lower() in taken or (number > 1 and name.lower() in given):
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def part_names(names: Sequence[str]) -> list[dict[str, str]]:
    """For each of ``names`` what its parts' results are called: part ("left", "right", "1" ...) -> name.
    Two parts of an image may both pass for its left one: the second is "left again".

    All are given out beforehand, whichever are needed later: neither the order in which images are measured nor what is
    seen in the others changes a name.

    >>> [parts["left"] for parts in part_names(["x", "x-left"])]
    ['x-left-2', 'x-left-left']
    """
    taken = {name.lower() for name in names}
    given = []
    for name in names:
        parts = {}
        for part in _PARTS:
            stem = wanted = f"{name}-{part.removesuffix(' again')}"
            number = 1
            while stem.lower() in taken:
                number += 1
                stem = f"{wanted}-{number}"
            taken.add(stem.lower())
            parts[part] = stem
        given.append(parts)
    return given


def printable(text: str) -> str:
    """``text`` with what no file in UTF-8 can hold (bytes of a foreign file name) spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _stem(path: Path) -> str:
    name = path.resolve().name
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    # "1.2.840.10008" is the name of many DICOM files: its last number is no ending.
    return name if path.suffix[1:].isdigit() or not path.suffix else path.resolve().stem
