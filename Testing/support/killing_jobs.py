"""What is killed in the middle: exports and imports. Each reports what it has written to a file, line by line."""

from pathlib import Path

import numpy as np

PROTOCOL = "spine-ap-cobb"
COUNT = 6
"""Cases per round."""


def warm_up() -> None:
    """Import what the jobs need, so that they are killed at work and not while Python loads modules."""
    import SimpleITK  # noqa: F401

    from orthoangles.annotation import exporting, exports, importing  # noqa: F401
    from orthoangles.annotation.burned_in import text_marks
    from orthoangles.protocols import load_protocol

    load_protocol(PROTOCOL)
    text_marks(picture(0))


def picture(number: int) -> np.ndarray:
    """(rows, columns) uint8, another for each number."""
    return np.random.default_rng(number).integers(0, 255, (160, 80), dtype=np.uint8)


def places(value: int) -> np.ndarray:
    """(68, 3): all landmarks at one pixel that tells in which round they were written."""
    return np.tile([value % 80, value // 80 % 160, 0.0], (68, 1))


def export_cases(dataset: str, value: str, report: str) -> None:
    """Export each of the cases with the landmarks of round ``value``; report id and value of those exported."""
    from orthoangles.annotation.exporting import Review, export_case
    from orthoangles.images import Image
    from orthoangles.predictions import ModelInfo, Prediction
    from orthoangles.protocols import load_protocol

    ids, sure = load_protocol(PROTOCOL).landmark_ids, np.ones(68)
    model = ModelInfo("m", "1", "0" * 64)
    proposal = Prediction(PROTOCOL, ids, -places(int(value)), sure, sure, model)
    for number in range(COUNT):
        image = Image(picture(number)[None], name=f"{number}.png")
        review = Review("r", "confirmed", seconds=float(value))
        points = places(int(value))
        case_id = export_case(
            dataset, image=image, protocol=PROTOCOL, points=points, prediction=proposal, review=review
        )
        _report(report, case_id, value)


def write_coco(dataset: str, output: str, report: str) -> None:
    """Export the dataset as COCO; report the ids of the cases when it says that they are written."""
    from orthoangles.annotation.exports import write_coco as write

    for case_id in write(dataset, output).written:
        _report(report, case_id, "coco")


def write_labelme(dataset: str, output: str, report: str) -> None:
    """Export the dataset as labelme files."""
    from orthoangles.annotation.exports import write_labelme as write

    for case_id in write(dataset, output).written:
        _report(report, case_id, "labelme")


def write_table(dataset: str, output: str, report: str) -> None:
    """Export the dataset as a table."""
    from orthoangles.annotation.exports import write_table as write

    for case_id in write(dataset, output).written:
        _report(report, case_id, "csv")


def import_coco(source: str, dataset: str, report: str) -> None:
    """Import a COCO folder; report the ids of the cases when it says that they are imported."""
    from orthoangles.annotation.importing import import_coco as bring

    for case_id in bring(source, dataset).imported:
        _report(report, case_id, "import")


def _report(path: str, case_id: str, what: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{case_id} {what}\n")
