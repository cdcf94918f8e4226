"""Puts the host in place of Slicer for this process and takes it away again."""

import importlib
import os
import sys
import time
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
from gui.slicerhost import i18n, packaging, parameter_node, sample_data, scripted_module
from gui.slicerhost.application import Application
from gui.slicerhost.module_object import load_module
from gui.slicerhost.qt_module import make_qt_module
from gui.slicerhost.ui_loader import CUSTOM_WIDGETS
from gui.slicerhost.wrapping import WrappedClass, unwrap, wrap
from PySide6.QtCore import QEvent, QSettings
from PySide6.QtWidgets import QApplication

from orthoangles.scene.hosting import start_host

_STANDINS = {
    "slicer.i18n": i18n,
    "slicer.packaging": packaging,
    "slicer.parameterNodeWrapper": parameter_node,
    "slicer.ScriptedLoadableModule": scripted_module,
    "SampleData": sample_data,
}
_OWN_PACKAGES = ("OrthoAnglesLib", "CobbModule", "FootAngleModule")


class SlicerHost:
    """A Slicer without its window: ``module(name)`` opens a module's panel over a real, fresh scene.

    Exceptions that Qt and VTK swallow (in slots, observers, timers) are kept in ``errors``.
    """

    def __init__(self, repository: Path, settings_folder: Path) -> None:
        self.repository = repository
        self.errors: list[BaseException] = []
        self.qapplication = QApplication.instance() or QApplication(["Slicer"])
        self.qapplication.setOrganizationName("OrthoAngles-test")
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(settings_folder))
        self._excepthook, self._paths = sys.excepthook, list(sys.path)
        self._imported = {k: v for k, v in sys.modules.items() if k.partition(".")[0] == "orthoangles"}
        self.scene_host = start_host()
        self._install()

    def _install(self) -> None:
        sys.excepthook = self._note
        slicer.mrmlScene = self.scene_host.scene
        self.application = Application(self.scene_host)
        slicer.app = wrap(self.application)
        slicer.modules = types.SimpleNamespace(markups=_LogicHolder(self.scene_host.logic("Markups")))
        sys.modules["qt"] = make_qt_module()
        sys.modules["ctk"] = types.ModuleType("ctk")
        for name, widget in CUSTOM_WIDGETS.items():
            setattr(sys.modules["ctk"] if name.startswith("ctk") else slicer, name, WrappedClass(widget))
        for name, module in _STANDINS.items():
            sys.modules[name] = importlib.reload(module)
            if name.startswith("slicer."):
                setattr(slicer, name.partition(".")[2], module)
        sys.path[:0] = [str(self.repository / "CobbModule"), str(self.repository / "FootAngleModule")]

    def _note(self, kind, error, trace) -> None:
        self.errors.append(error.with_traceback(trace))
        self._excepthook(kind, error, trace)

    @property
    def scene(self):
        return self.scene_host.scene

    def load(self, name: str):
        """Load a module, as Slicer does at start, and say that the application has started."""
        module = load_module(str(self.repository / name / f"{name}.py"), name)
        self.application.startupCompleted.emit()
        return module

    def panel(self, name: str):
        """The Python widget of a loaded module, made on first use, entered as when the user selects it."""
        representation = self.representation(name)
        representation.enter()
        return representation.self()

    def representation(self, name: str):
        """The native widget that holds a module's panel."""
        return unwrap(getattr(slicer.modules, name.lower()).widgetRepresentation())

    def native(self, wrapped):
        """The PySide6 object of a wrapper: to click, to grab, to look at."""
        return unwrap(wrapped)

    def process_events(self, seconds: float = 0.0) -> None:
        """Run the event loop, at least once, for ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            self.qapplication.processEvents()
            self.qapplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            if time.monotonic() >= deadline:
                return
            time.sleep(0.002)

    def wait_until(self, condition, seconds: float = 20.0) -> None:
        """Run the event loop until ``condition()`` holds; AssertionError when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("it did not happen in time")
            self.process_events(0.005)

    def close(self) -> None:
        """Unload the modules and put the process back as it was."""
        for name in ("CobbModule", "FootAngleModule"):
            self.application.moduleManager().moduleAboutToBeUnloaded.emit(name)
        self.process_events()
        sys.excepthook = self._excepthook
        sys.path[:] = self._paths
        for name in [k for k in sys.modules if k.partition(".")[0] in (*_OWN_PACKAGES, "orthoangles")]:
            del sys.modules[name]
        sys.modules.update(self._imported)
        for name in ("qt", "ctk", *_STANDINS):
            del sys.modules[name]
        for name in ("mrmlScene", "app", "modules"):
            delattr(slicer, name)
        self.scene.Clear(1)


class _LogicHolder:
    """``slicer.modules.markups`` as far as its ``logic()``."""

    def __init__(self, logic) -> None:
        self._logic = logic

    def logic(self):
        return self._logic
