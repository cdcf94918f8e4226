"""The table node with one row per measurement; only cells that change are written."""

import vtk

from orthoangles.protocols import Protocol
from orthoangles.results import Measurement, MeasurementResult
from orthoangles.scene.drawn_nodes import DrawnNode

UNITS = {"deg": "°"}
COLUMNS = (
    "Measurement",
    "Value",
    "Unit",
    "Grade",
    "95 % interval",
    "Between",
    "Plane",
    "Remark",
    "Definition",
    "Source",
)


def row_of(measurement: Measurement, protocol: Protocol) -> tuple[str, ...]:
    """The cells of a measurement, in the order of :data:`COLUMNS`; values to a tenth."""
    low_high = measurement.interval
    return (
        measurement.name,
        "" if measurement.value is None else f"{measurement.value:.1f}",
        UNITS.get(measurement.unit, measurement.unit),
        measurement.grade or "",
        "" if low_high is None else f"{low_high[0]:.1f} to {low_high[1]:.1f}",
        " and ".join(axis.name for axis in measurement.axes),
        measurement.plane or "in space",
        measurement.reason or "",
        measurement.definition,
        protocol.sources[measurement.source].citation,
    )


class MeasurementTable(DrawnNode):
    """``write`` brings the table up to a result."""

    class_name = "vtkMRMLTableNode"

    def __init__(self, parameter_node, role: str, name: str, protocol: Protocol) -> None:
        self._protocol = protocol
        super().__init__(parameter_node, role, name, listed=True)

    def _adopt(self) -> None:
        """Columns of text, empty; a table from a file is filled afresh."""
        rows = len(self._protocol.measurements)
        table = vtk.vtkTable()
        for name in COLUMNS:
            column = vtk.vtkStringArray()
            column.SetName(name)
            column.SetNumberOfValues(rows)
            table.AddColumn(column)
        self.node.SetAndObserveTable(table)
        self.node.SetUseColumnTitleAsColumnHeader(True)
        self.node.SetLocked(True)
        self._written: list[tuple | None] = [None] * rows
        self._cells: list[tuple[str, ...]] = [("",) * len(COLUMNS)] * rows

    def write(self, result: MeasurementResult) -> None:
        """Write what differs; one modified event at most."""
        table = self.get().GetTable()
        changed = False
        for row, measurement in enumerate(result.measurements):
            varying = _varying(measurement)
            if varying == self._written[row]:
                continue
            self._written[row] = varying
            cells, before = row_of(measurement, self._protocol), self._cells[row]
            if cells == before:
                continue
            self._cells[row] = cells
            changed = True
            for column, (cell, old) in enumerate(zip(cells, before, strict=True)):
                if cell != old:
                    table.GetColumn(column).SetValue(row, cell)
        if changed:
            table.Modified()


def _varying(measurement: Measurement) -> tuple:
    """What decides a row of a given measurement: cheaper to compare than the row is to write."""
    axes = tuple(axis.id for axis in measurement.axes)
    return measurement.value, measurement.interval, measurement.grade, measurement.reason, axes
