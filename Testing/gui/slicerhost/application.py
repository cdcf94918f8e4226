"""``slicer.app`` and the module manager, with what the panels and ``slicer.util`` call."""

from types import SimpleNamespace

import slicer
from gui.slicerhost.wrapping import exposed
from PySide6.QtCore import Property, QObject, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from orthoangles.scene.hosting import SceneHost


class ModuleManager(QObject):
    """Finds modules and says when one goes."""

    moduleAboutToBeUnloaded = Signal(str)

    @exposed
    def module(self, name: str):
        return getattr(slicer.modules, name.lower(), None)


class Application(QObject):
    """The parts of qSlicerApplication that scripted modules use."""

    startupCompleted = Signal()

    def __init__(self, scene_host: SceneHost) -> None:
        super().__init__()
        self._scene_host = scene_host
        self._module_manager = ModuleManager(self)
        self._testing = False

    applicationName = Property(str, lambda self: "Slicer")

    @exposed
    def applicationLogic(self):
        return self._scene_host.application_logic

    @exposed
    def moduleManager(self):
        return self._module_manager

    @exposed
    def commandOptions(self):
        return SimpleNamespace(noMainWindow=True)

    @exposed
    def layoutManager(self):
        return None

    @exposed
    def testingEnabled(self) -> bool:
        return self._testing

    @exposed
    def clipboard(self):
        return QGuiApplication.clipboard()

    @exposed
    def topLevelWidgets(self):
        return QApplication.topLevelWidgets()

    @exposed
    def processEvents(self) -> None:
        QApplication.processEvents()

    @exposed
    def setOverrideCursor(self, cursor) -> None:
        QApplication.setOverrideCursor(cursor)

    @exposed
    def restoreOverrideCursor(self) -> None:
        QApplication.restoreOverrideCursor()

    @exposed
    def pauseRender(self) -> None:
        """There is nothing to render."""

    @exposed
    def resumeRender(self) -> None:
        """There is nothing to render."""
