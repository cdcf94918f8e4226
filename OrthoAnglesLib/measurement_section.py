"""Measurements: a table that follows the mouse, to copy and to save."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from OrthoAnglesLib.tables import Table

_NAME, _VALUE, _INTERVAL, _GRADE, _REMARK = range(5)
_UNITS = {"deg": "°"}


class MeasurementSection:
    """A row per measurement: first those drawn on the image, then those with grades, then the rest."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._rows = []
        titles = [_("Measurement"), _("Value"), _("95 % interval"), _("Grade"), _("Between")]
        self._table = Table(self._ui.measurementTable, titles, stretched=_REMARK)
        self._filling = False
        self._ui.measurementTable.connect("itemSelectionChanged()", self._selected)
        self._ui.copyButton.connect("clicked()", self._copy)
        self._ui.saveButton.connect("clicked()", self._save)

    def showSession(self, session) -> None:
        """Fill the table anew; None empties it."""
        definitions = () if session is None else session.protocol.measurements
        self._rows = sorted(definitions, key=lambda d: (not d.drawn, not d.grades))
        self._filling = True
        self._table.clear(len(self._rows))
        self._selectChosen(session)
        self._filling = False
        for button in (self._ui.copyButton, self._ui.saveButton):
            button.enabled = session is not None
        if session is not None:
            self.updateSession(session)
        self.updateRemarks(session)

    def _selectChosen(self, session) -> None:
        """Select what a session from a saved scene shows in the views."""
        for row, definition in enumerate(self._rows):
            if definition.id == session.settings.chosen:
                self._ui.measurementTable.selectRow(row)

    def _selected(self) -> None:
        """In a volume, show the selected measurement with its plane and go there."""
        session, row = self._panel.session, self._ui.measurementTable.currentRow()
        if self._filling or session is None or session.protocol.dimension != 3 or not 0 <= row < len(self._rows):
            return
        session.choose_measurement(self._rows[row].id)
        session.jump_to_measurement(self._rows[row].id)

    def updateSession(self, session) -> None:
        """Follow a change of the landmarks."""
        for row, definition in enumerate(self._rows):
            self._showRow(row, definition, session.result.by_id(definition.id))

    def updateRemarks(self, session) -> None:
        """Findings and what does not look right; takes longer than the values and may come a little later."""
        self._ui.findingsLabel.text = "" if session is None else "\n".join(self._remarks(session.result))

    def _showRow(self, row: int, definition, measurement) -> None:
        toolTip = "\n".join(self._explanation(measurement))
        value, interval = "", ""
        if measurement.value is not None:
            value = f"{measurement.value:.1f}{_UNITS.get(measurement.unit, ' ' + measurement.unit)}"
        if measurement.interval is not None:
            interval = "{:.1f} - {:.1f}".format(*measurement.interval)
        show = self._table.show
        show(row, _NAME, definition.abbreviation or definition.name, toolTip)
        show(row, _VALUE, value, toolTip)
        show(row, _INTERVAL, interval, toolTip)
        show(row, _GRADE, measurement.grade or "", toolTip, gradeRank(definition, measurement.grade))
        show(row, _REMARK, self._remark(measurement), measurement.reason or toolTip)

    def _bone(self, axis) -> str:
        """The bone in which an axis lies, else the name of the axis."""
        protocol = self._panel.session.protocol
        definition = protocol.axis_by_id.get(axis.id)
        names = () if definition is None else (*definition.start, *definition.end, *definition.points)
        bones = {protocol.landmark(name).group for name in names if name in protocol.landmark_ids}
        return bones.pop() if len(bones) == 1 else axis.name

    def _remark(self, measurement) -> str:
        if measurement.value is None:
            return measurement.reason or ""
        details = measurement.details
        ends = [details.get(key) for key in ("upper_end_vertebra", "lower_end_vertebra")]
        between = "-".join(ends) if all(ends) else ", ".join(self._bone(axis) for axis in measurement.axes)
        return ", ".join(part for part in (between, details.get("side") or "") if part)

    def _explanation(self, measurement) -> list[str]:
        lines = [measurement.name, measurement.definition]
        if self._panel.session.protocol.dimension == 3:
            plane = _("In the {plane} plane.").format(plane=measurement.plane)
            lines.append(plane if measurement.plane else _("In space."))
        if measurement.details.get("ground"):
            lines.append(_("Ground: {ground}.").format(ground=measurement.details["ground"]))
        if measurement.details.get("apex"):
            lines.append(_("Apex: {level}").format(level=measurement.details["apex"]))
        return lines

    def _remarks(self, result) -> list[str]:
        words = {True: _("present"), False: _("absent"), None: _("not known")}
        lines = [f"{each.name}: {words[each.present]} ({self._readable(each.rule)})" for each in result.findings]
        return lines + [_("Check: {warning}").format(warning=warning) for warning in result.warnings]

    def _readable(self, rule: str) -> str:
        # Longest first: one id may begin another.
        for definition in sorted(self._rows, key=lambda d: -len(d.id)):
            rule = rule.replace(definition.id, definition.abbreviation or definition.name)
        return rule.replace(">=", "≥").replace("<=", "≤")

    def _copy(self) -> None:
        slicer.app.clipboard().setText(self._table.text())

    def _save(self) -> None:
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Save the measurements"), "measurements.csv", _("Tables") + " (*.csv)"
        )
        if path:
            self.save(path)

    def save(self, path: str) -> None:
        """Write the table as CSV."""
        from orthoangles.reporting import record, write_measurements_csv

        session = self._panel.session
        with slicer.util.tryWithErrorDisplay(_("The measurements could not be saved."), waitCursor=True):
            content = record(
                session.volume_node.GetName(),
                session.protocol,
                session.points,
                session.result,
                confidence=session.confidence,
                model=session.model,
            )
            write_measurements_csv(Path(path), content)


def gradeRank(definition, grade: str | None) -> float | None:
    """0 for the best grade of the measurement's scale to 1 for the worst; None without a grade.

    The best is the band named normal, or else the first: a heel bone may be too steep as well as too flat.
    """
    for scale in definition.grades:
        names = [band.name for band in scale.bands]
        if grade in names:
            best = names.index("normal") if "normal" in names else 0
            return abs(names.index(grade) - best) / max(len(names) - 1 - best, best, 1)
    return None
