"""What is done with the open image: confirmed, exported, rejected, kept."""

import qt
import slicer
from slicer.i18n import tr as _

from orthoangles.errors import DatasetError

_SAVE_AFTER_MS = 1000
_RENEW_EVERY_MS = 30_000


class CaseActions:
    """Buttons below the worklist, and the timers that keep work and claim; ``desk`` holds what is open."""

    def __init__(self, panel, desk, worklist) -> None:
        self._panel, self._ui, self._desk, self._worklist = panel, panel.ui, desk, worklist
        self._ui.exportButton.connect("clicked()", self._export)
        self._ui.confirmNextButton.connect("clicked()", self.confirmAndNext)
        self._ui.rejectButton.connect("clicked()", self._reject)
        self._ui.rejectReasonLineEdit.connect("returnPressed()", self._reject)
        self._ui.rejectReasonLineEdit.connect("textChanged(QString)", lambda text: self.refresh())
        self._saving, self._renewing = self._timer(_SAVE_AFTER_MS, self.save), self._timer(_RENEW_EVERY_MS, self._renew)
        self._saving.setSingleShot(True)
        self._renewing.start()

    @staticmethod
    def _timer(milliseconds: int, action):
        timer = qt.QTimer()
        timer.setInterval(milliseconds)
        timer.connect("timeout()", action)
        return timer

    def refresh(self) -> None:
        """Enable what can be done now."""
        ui, parameters = self._ui, self._panel.parameters
        if parameters is None:
            return
        readable = bool(parameters.reader.strip()) and self._panel.session is not None
        ui.exportButton.enabled = readable and bool(parameters.datasetFolder)
        ui.exportButton.toolTip = (
            _("Write image, landmarks and review to the dataset; an earlier export of the image is replaced.")
            if ui.exportButton.enabled
            else _("Needs landmarks, a reader and a dataset folder.")
        )
        ui.confirmNextButton.enabled = readable
        ui.rejectReasonLineEdit.enabled = self._desk.entry is not None
        ui.rejectButton.enabled = self._desk.entry is not None and bool(ui.rejectReasonLineEdit.text.strip())

    def confirmAndNext(self) -> None:
        """Vouch for all landmarks, export where a dataset is chosen, and open the next foot or image."""
        session, parameters = self._panel.session, self._panel.parameters
        if session is None:
            return
        if not parameters.reader.strip():
            self._worklist.say(_("Enter the reader first."))
            self._ui.readerLineEdit.setFocus()
            return
        with slicer.util.tryWithErrorDisplay(_("The review could not be confirmed."), waitCursor=True):
            session.confirm(parameters.reader.strip())
            if parameters.datasetFolder:
                self._exportSession()
            else:
                self._desk.save()
        self._goOn()

    def _goOn(self) -> None:
        """To the other foot of the image, or to the next image."""
        left = [each for each in self._desk.sessions() if each.review_state != "confirmed"]
        if left:
            self._panel.parameters.volume = left[0].volume_node
        self._worklist.readList()
        if not left:
            self._worklist.openAfter(self._worklist.current())
        self._panel.refresh()

    def _export(self) -> None:
        try:
            with slicer.util.tryWithErrorDisplay(_("The correction could not be exported."), waitCursor=True):
                self._exportSession()
        finally:
            self._worklist.readList()
            self._panel.refresh()

    def _exportSession(self) -> None:
        session, parameters = self._panel.session, self._panel.parameters
        caseId = self._desk.export(session, parameters.datasetFolder, parameters.reader.strip())
        message, left = _("Exported as case {case}.").format(case=caseId), ()
        if self._desk.holds(session):
            left = self._desk.leftToExport()
        if left:
            message += " " + _("Still to be exported from this image: {names}.").format(names=", ".join(left))
        self._worklist.say(message)

    def askToReject(self) -> None:
        """Let the reader type why; Enter rejects."""
        if self._desk.entry is not None:
            self._ui.worklistCollapsibleButton.collapsed = False
            self._ui.rejectReasonLineEdit.setFocus()

    def _reject(self) -> None:
        reason, entry = self._ui.rejectReasonLineEdit.text.strip(), self._desk.entry
        if not reason or entry is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The image could not be rejected."), waitCursor=True):
            self._desk.reject(reason, self._panel.parameters.reader.strip())
        self._ui.rejectReasonLineEdit.text = ""
        self._ui.rejectReasonLineEdit.clearFocus()
        self._worklist.readList()
        self._worklist.openAfter(entry)
        self._panel.refresh()

    # Kept while the reader works

    def sessionUpdated(self) -> None:
        """The reader moved or confirmed something."""
        self._desk.active()
        if self._desk.entry is not None:
            self._saving.start()

    def save(self) -> None:
        """Keep what is not exported, so that it survives whatever happens to the scene."""
        self._saving.stop()
        saved = False
        try:
            saved = self._desk.save()
        except DatasetError as error:
            # By a timer or on the way to something else: said where it can be read, and nothing is held up.
            self._worklist.say(_("The correction could not be kept: {reason}").format(reason=error))
        if saved:
            self._worklist.readList()

    def _renew(self) -> None:
        try:
            holder = self._desk.renew()
        except DatasetError as error:
            self._worklist.say(str(error))
            return
        if holder is not None:
            text = _("Meanwhile this image was opened at {reader}.")
            self._worklist.say(text.format(reader=holder or _("another reader")))

    def close(self) -> None:
        """End the timers with the panel."""
        self._saving.stop()
        self._renewing.stop()
