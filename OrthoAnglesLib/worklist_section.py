"""Worklist and export: from image to image, each correction into the dataset."""

from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from OrthoAnglesLib.tables import Table
from OrthoAnglesLib.worklist import Worklist

_IMAGE, _STATE = range(2)
# The user's, not the scene's: hundreds of scenes, one reader.
_REMEMBERED = ("reader", "imagesFolder", "datasetFolder")


class WorklistSection:
    """The images of a folder with their state, and export of the present case."""

    def __init__(self, panel) -> None:
        self._panel, self._ui = panel, panel.ui
        self._entries = ()
        self._path: Path | None = None
        self._exported: set[str] = set()
        self._message = ""
        self._shownFolders: tuple[str, str] | None = None
        self._table = Table(self._ui.worklistTable, [_("Image"), _("State")], stretched=_IMAGE)
        self._folderEdits = {
            "imagesFolder": self._ui.imagesFolderPathLineEdit,
            "datasetFolder": self._ui.datasetFolderPathLineEdit,
        }
        for name, edit in self._folderEdits.items():
            edit.filters = ctk.ctkPathLineEdit.Dirs
            edit.connect("currentPathChanged(QString)", lambda path, name=name: self._folderChosen(name, path))
        self._ui.worklistTable.connect("cellDoubleClicked(int,int)", lambda row, column: self.open(row))
        self._ui.exportButton.connect("clicked()", self._export)
        self._ui.openNextButton.connect("clicked()", self._openNext)

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
        folders = (parameters.imagesFolder, parameters.datasetFolder)
        if folders != self._shownFolders:
            self._shownFolders = folders
            self._readFolder()
        complete = bool(parameters.datasetFolder and parameters.reader.strip())
        self._ui.exportButton.enabled = complete and self._panel.session is not None
        self._ui.exportButton.toolTip = (
            _("Write image, landmarks and review to the dataset; an earlier export of the image is replaced.")
            if self._ui.exportButton.enabled
            else _("Needs landmarks, a reader and a dataset folder.")
        )
        self._ui.openNextButton.enabled = any(not entry.exported for entry in self._entries)
        self._ui.exportLabel.text = self._message or self._progressText()

    def _progressText(self) -> str:
        if not self._entries:
            return ""
        done = sum(entry.exported for entry in self._entries)
        return _("{done} of {count} images are in the dataset.").format(done=done, count=len(self._entries))

    def _folderChosen(self, name: str, path: str) -> None:
        if self._panel.parameters is not None:
            self._message = ""
            setattr(self._panel.parameters, name, path)

    def _worklist(self) -> Worklist:
        return Worklist(self._panel.parameters.imagesFolder, self._panel.parameters.datasetFolder)

    def _readFolder(self) -> None:
        self._entries = ()
        with slicer.util.tryWithErrorDisplay(_("The worklist could not be read."), waitCursor=True):
            self._entries = self._worklist().entries()
        self._table.clear(len(self._entries))
        for row, entry in enumerate(self._entries):
            self._table.show(row, _IMAGE, entry.path.name)
            self._table.show(row, _STATE, _("exported") if entry.exported else _("to do"))

    def open(self, row: int) -> None:
        """Close the present case and open the image of that row."""
        self._openPath(self._entries[row].path)

    def _openNext(self) -> None:
        path = self._worklist().nextOpen(self._path)
        if path is not None:
            self._openPath(path)

    def _openPath(self, path: Path) -> None:
        parameters, logic = self._panel.parameters, self._panel.logic
        with slicer.util.tryWithErrorDisplay(_("The image could not be loaded."), waitCursor=True):
            volume = logic.loadImage(path)
            if self._path is not None and parameters.volume is not None:
                logic.removeCase(parameters.volume)
            self._path, self._message = path, ""
            self._exported.clear()
            parameters.volume = volume
            self._ui.worklistTable.selectRow([entry.path for entry in self._entries].index(path))

    def _export(self) -> None:
        parameters = self._panel.parameters
        with slicer.util.tryWithErrorDisplay(_("The correction could not be exported."), waitCursor=True):
            caseId = self._panel.logic.exportCorrection(
                self._panel.session, parameters.datasetFolder, parameters.reader.strip()
            )
            self._exported.add(parameters.volume.GetID())
            self._message = _("Exported as case {case}.").format(case=caseId)
            left = self._feetLeft(parameters.volume)
            if left:
                self._message += " " + _("Still to be exported from this image: {names}.").format(names=", ".join(left))
            elif self._path is not None:
                self._worklist().note(self._path, caseId)
            self._readFolder()
        self._panel.refresh()

    def _feetLeft(self, volume) -> list[str]:
        """Feet of the same image that were found and not exported: the image is not done before."""
        others = self._panel.logic.otherFeet(volume)
        return [each.GetName() for each in others if each.GetID() not in self._exported]
