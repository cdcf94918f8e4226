"""Worklist and export: from image to image, each correction into the dataset."""

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from orthoangles.annotation.worklist import ORDERS, STATES, Entry, Worklist, neighbour, next_open, place_of
from orthoangles.errors import DatasetError
from OrthoAnglesLib import dependencies
from OrthoAnglesLib.case_actions import CaseActions
from OrthoAnglesLib.case_desk import CaseDesk
from OrthoAnglesLib.running_ahead import AheadRunner
from OrthoAnglesLib.worklist_table import WorklistTable

# The user's, not the scene's: hundreds of scenes, one reader.
_REMEMBERED = ("reader", "imagesFolder", "datasetFolder")


class WorklistSection:
    """The images of a folder with their state, what comes next, and export of the present case."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._list: Worklist | None = None
        self._made: tuple | None = None
        self._entries: tuple[Entry, ...] = ()
        self._shown: tuple[Entry, ...] = ()
        self._message = ""
        self._desk = CaseDesk(panel.logic)
        self._ahead = AheadRunner(lambda: panel.logic.runner, self._upcoming, self._predicted)
        self._table = WorklistTable(self._ui.worklistTable)
        self._folderEdits = {
            "imagesFolder": self._ui.imagesFolderPathLineEdit,
            "datasetFolder": self._ui.datasetFolderPathLineEdit,
        }
        self._connectFolders()
        self._connectList()
        self.case = CaseActions(panel, self._desk, self)

    def _connectFolders(self) -> None:
        for name, edit in self._folderEdits.items():
            edit.filters = ctk.ctkPathLineEdit.Dirs
            edit.connect("currentPathChanged(QString)", lambda path, name=name: self._folderChosen(name, path))

    def _connectList(self) -> None:
        ui = self._ui
        orders = (_("by name"), _("lowest confidence first"), _("largest disagreement first"))
        for text, order in zip(orders, ORDERS, strict=True):
            ui.orderComboBox.addItem(text, order)
        for text, states in (
            (_("all images"), ()),
            (_("to do"), ("new", "predicted", "corrected")),
            *((self._table.stateText(state), (state,)) for state in STATES),
        ):
            ui.stateComboBox.addItem(text, ",".join(states))
        ui.orderComboBox.connect("currentIndexChanged(int)", lambda index: self._arrange())
        ui.stateComboBox.connect("currentIndexChanged(int)", lambda index: self._arrange())
        ui.searchLineEdit.connect("textChanged(QString)", lambda text: self._arrange())
        ui.aloneCheckBox.connect("toggled(bool)", lambda checked: self.refresh())
        ui.aheadCheckBox.connect("toggled(bool)", lambda checked: self._runAhead())
        ui.worklistTable.connect("cellDoubleClicked(int,int)", lambda row, column: self.open(row))
        for button, action in (
            (ui.openNextButton, self._openNext),
            (ui.previousImageButton, lambda: self.step(-1)),
            (ui.nextImageButton, lambda: self.step(1)),
        ):
            button.connect("clicked()", action)

    def keyActions(self) -> dict:
        """What the keys do with the list; see ``keyboard.KEYS``."""
        return {
            "confirmAndNext": self.case.confirmAndNext,
            "nextImage": lambda: self.step(1),
            "previousImage": lambda: self.step(-1),
            "reject": self.case.askToReject,
        }

    # Following the parameters

    def fillFromUser(self) -> None:
        """Give a fresh scene the reader and the folders of the last one."""
        parameters, settings = self._panel.parameters, qt.QSettings()
        with slicer.util.NodeModify(parameters):
            for name in _REMEMBERED:
                if not getattr(parameters, name):
                    setattr(parameters, name, str(settings.value(self._settingsKey(name), "") or ""))

    def _settingsKey(self, name: str) -> str:
        return f"{'OrthoAngles' if name == 'reader' else self._panel.moduleName}/{name}"

    def refresh(self) -> None:
        """Show what the parameters say."""
        parameters = self._panel.parameters
        settings = qt.QSettings()
        for name in _REMEMBERED:
            if getattr(parameters, name):
                settings.setValue(self._settingsKey(name), getattr(parameters, name))
        for name, edit in self._folderEdits.items():
            if edit.currentPath != getattr(parameters, name):
                edit.currentPath = getattr(parameters, name)
        self._makeList()
        self.case.refresh()
        self._showButtons()

    def _folderChosen(self, name: str, path: str) -> None:
        if self._panel.parameters is not None:
            self._message = ""
            setattr(self._panel.parameters, name, path)

    def _makeList(self) -> None:
        """A list for the present folders, protocol and reader, where one of them changed."""
        parameters = self._panel.parameters
        wanted = (
            parameters.imagesFolder, parameters.datasetFolder, parameters.protocolId, parameters.reader.strip(),
            self._ui.aloneCheckBox.checked,
        )  # fmt: skip
        if wanted == self._made:
            return
        self._leaveList()
        self._made = wanted
        images, dataset, protocolId, reader, alone = wanted
        if images and self._panel.protocolAvailable():
            model = self._panel.logic.runner.modelDigest(protocolId)
            self._list = Worklist(images, dataset or None, protocol=protocolId, reader=reader, alone=alone, model=model)
        self.readList()
        self._runAhead()

    def _leaveList(self) -> None:
        """Another list comes: what is open of this one is saved and stays in the scene as any other image."""
        self._ahead.stop()
        if self._list is not None:
            self.case.save()
            self._desk.forget()
            self._list.close()
        self._list = self._made = None

    def readList(self) -> None:
        """Show how the images are now."""
        self._entries = ()
        try:
            if self._list is not None:
                with slicer.util.tryWithErrorDisplay(_("The worklist could not be read.")):
                    self._entries = self._list.entries()
        finally:
            self._arrange()

    def _arrange(self) -> None:
        """Show the entries in the chosen order, filtered."""
        self._shown = ()
        if self._list is not None:
            states = [state for state in self._data(self._ui.stateComboBox).split(",") if state]
            order, text = self._data(self._ui.orderComboBox), self._ui.searchLineEdit.text
            self._shown = self._list.arranged(self._entries, order, states, text)
        self._table.show(self._shown, self.current())
        self._ahead.goOn()
        self._showButtons()

    @staticmethod
    def _data(comboBox) -> str:
        return comboBox.itemData(comboBox.currentIndex)

    def current(self) -> Entry | str:
        """The image that is open, else the key of the one that was open last."""
        if self._desk.entry is not None:
            return self._desk.entry
        return self._list.position if self._list is not None else ""

    def _showButtons(self) -> None:
        ui = self._ui
        ui.openNextButton.enabled = any(entry.free for entry in self._shown)
        for button in (ui.previousImageButton, ui.nextImageButton):
            button.enabled = bool(self._shown)
        ui.exportLabel.text = "\n".join(text for text in (self._message, self._progressText()) if text)

    def _progressText(self) -> str:
        if not self._entries:
            return ""
        done = sum(entry.done for entry in self._entries)
        text = _("{done} of {count} images are done.").format(done=done, count=len(self._entries))
        waiting = sum(entry.state == "new" and not entry.failure for entry in self._entries)
        if self._ahead.busy and waiting:
            text += " " + _("{waiting} are still to be predicted.").format(waiting=waiting)
        return text

    # From image to image

    def open(self, row: int) -> None:
        """Put the present case away and open the image of that row."""
        self._open(self._shown[row])

    def step(self, by: int) -> None:
        """Open the next image of the list, or that before."""
        entry = neighbour(self._shown, self.current(), by)
        if entry is not None:
            self._open(entry)

    def _openNext(self) -> None:
        """Open the next image that is to be done; at the start the one that was open last."""
        place = place_of(self._shown, self.current())
        if self._desk.entry is None and place is not None and self._shown[place].free:
            self._open(self._shown[place])
        else:
            self.openAfter(self.current())

    def openAfter(self, current: Entry | str) -> None:
        """Open the next image after this one that is to be done."""
        entry = next_open(self._shown, current)
        if entry is not None:
            self._open(entry)
        elif self._entries:
            self.say(_("Nothing is left to be done in this list."))

    def _open(self, entry: Entry) -> None:
        self._message = ""
        try:
            with slicer.util.tryWithErrorDisplay(_("The image could not be loaded."), waitCursor=True):
                self._show(entry, self._desk.open(self._list, entry))
        finally:
            self._panel.prediction.forgetMessage()
            self.readList()
            self._panel.refresh()

    def _show(self, entry: Entry, holder: str | None) -> None:
        """The image that was opened, or who else has it open."""
        if holder is None:
            self._panel.parameters.volume = self._desk.chosenVolume()
            self._message = self._openedText(entry)
        else:
            who = holder or _("another reader")
            self._message = _("{image} is open at {reader}.").format(image=entry.name, reader=who)

    def _openedText(self, entry: Entry) -> str:
        lines = [self._desk.problem] if self._desk.problem else []
        if entry.state == "rejected":
            lines.append(_("Rejected: {reason}.").format(reason=entry.reason))
        elif entry.state == "confirmed":
            readers = ", ".join(each.reader for each in entry.readers if each.state == "confirmed")
            lines.append(_("Confirmed before by {reader}.").format(reader=readers))
        elif entry.failure:
            lines.append(_("The network could not be used: {reason}").format(reason=entry.failure))
        return "\n".join(lines)

    def say(self, message: str) -> None:
        """Show a message below the list."""
        self._message = message
        self._showButtons()

    # Predictions ahead

    def _runAhead(self) -> None:
        """Begin to predict the images of the list, or stop."""
        wanted = self._ui.aheadCheckBox.checked and self._list is not None and self._panel.networkAvailable()
        if wanted and dependencies.networkInstalled():
            self._ahead.start(self._list, self._panel.parameters.device.value)
        else:
            self._ahead.stop()

    def predictedByHand(self, target, subjects) -> None:
        """The reader ran the network on the open image: that need not be done again either."""
        if self._desk.source is not None and self._desk.source.GetID() == target.volumeId:
            try:
                self._desk.storePrediction(subjects)
            except DatasetError as error:
                self._message = _("The prediction could not be kept: {reason}").format(reason=error)
            self.readList()

    def pauseAhead(self) -> None:
        """The reader wants the network now."""
        self._ahead.pause()

    def _upcoming(self) -> tuple:
        return self._shown, self.current()

    def _predicted(self, key: str, error) -> None:
        if error is not None:
            self._message = _("A prediction in the background failed: {reason}").format(reason=error)
        entry = self._desk.entry
        if entry is not None and entry.key == key and not self._panel.logic.runner.running:
            with slicer.util.tryWithErrorDisplay(_("The landmarks could not be placed."), waitCursor=True):
                if self._desk.placeStored():
                    self._panel.parameters.volume = self._desk.chosenVolume()
                    self._panel.showSession(self._desk.sessions()[0])
        self.readList()

    # The end

    def onSceneClose(self) -> None:
        """The scene is about to be emptied: keep what the reader did."""
        self.case.save()
        self._desk.forget()

    def close(self) -> None:
        """The panel goes: save, leave no timer, thread or claim behind."""
        self._leaveList()
        self._ahead.close()
        self.case.close()
