"""The tables of a batch: all measurements in one, the failures in another; written while the results come in."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from orthoangles.atomic import replacing
from orthoangles.batch import FileResult
from orthoangles.reporting import CSV_COLUMNS, measurement_rows

MEASUREMENTS, FAILURES = "measurements.csv", "failures.csv"
FAILURE_COLUMNS = ("image", "result", "reason")
_RECORD = ".measurements.json"


class BatchTables:
    """Rows for each result in turn; ``result`` is what the image's own files are called, without their endings."""

    def __init__(self, measurements: TextIO, failures: TextIO) -> None:
        self._measurements, self._failures = csv.writer(measurements), csv.writer(failures)
        self._measurements.writerow(("result", *CSV_COLUMNS))
        self._failures.writerow(FAILURE_COLUMNS)

    def add(self, result: FileResult, name: str) -> None:
        """``name`` is what the results of the image are called."""
        if result.error is not None:
            self._failures.writerow((result.name, name, result.error))
            return
        called = next(file.name.removesuffix(_RECORD) for file in result.files if file.name.endswith(_RECORD))
        self._measurements.writerows((called, *row) for row in measurement_rows(result.record))


@contextmanager
def batch_tables(output: Path) -> Iterator[BatchTables]:
    """measurements.csv and failures.csv in ``output``; both take their places when all results were added."""
    with (
        replacing(output / MEASUREMENTS) as measured,
        replacing(output / FAILURES) as failed,
        _table(measured) as measurements,
        _table(failed) as failures,
    ):
        yield BatchTables(measurements, failures)


def _table(path: Path) -> TextIO:
    """UTF-8 with a mark, which spreadsheets need."""
    return path.open("w", encoding="utf-8-sig", newline="", errors="backslashreplace")
