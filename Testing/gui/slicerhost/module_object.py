"""The C++ side of a scripted module: its metadata and the widget that holds its panel."""

import importlib
import sys

import slicer
from gui.slicerhost.qmrml_widgets import qMRMLWidget
from gui.slicerhost.wrapping import exposed, wrap
from PySide6.QtCore import Property, QObject
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """Holds the Python widget; ``reload`` makes a new one from the module's present source."""

    def __init__(self, module_name: str) -> None:
        super().__init__()
        self._module_name, self._python_widget, self._entered = module_name, None, False
        self.setLayout(QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = Property(bool, lambda self: self._entered)

    @exposed
    def self(self):
        return self._python_widget

    def enter(self) -> None:
        """The user selects the module."""
        self._entered = True
        self._python_widget.enter()

    def exit(self) -> None:
        """The user selects another module."""
        self._entered = False
        self._python_widget.exit()

    @exposed
    def reload(self) -> None:
        source = sys.modules[self._module_name]
        self._python_widget = getattr(source, f"{self._module_name}Widget")(wrap(self))
        setattr(slicer.modules, f"{self._module_name}Widget", self._python_widget)
        self._python_widget.setup()


class qSlicerScriptedLoadableModule(QObject):
    """What a module's Python class fills in."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._values = {"path": path}
        self._representation = None

    def _value(kind, name: str, default, writable: bool = True):  # noqa: N805
        def set_value(self, value) -> None:
            self._values[name] = value

        return Property(kind, lambda self: self._values.get(name, default), set_value if writable else None)

    path = _value(str, "path", "", writable=False)
    title = _value(str, "title", "")
    categories = _value("QStringList", "categories", [])
    dependencies = _value("QStringList", "dependencies", [])
    contributors = _value("QStringList", "contributors", [])
    helpText = _value(str, "helpText", "")
    acknowledgementText = _value(str, "acknowledgementText", "")
    hidden = _value(bool, "hidden", False)
    icon = _value(QIcon, "icon", QIcon())

    @exposed
    def widgetRepresentation(self):
        if self._representation is None:
            self._representation = qSlicerScriptedLoadableModuleWidget(self.objectName())
            self._representation.reload()
        return self._representation


def load_module(path: str, name: str) -> QObject:
    """Do what Slicer does at start: import the file, make the module and register it as ``slicer.modules.<name>``."""
    module = qSlicerScriptedLoadableModule(path)
    module.setObjectName(name)
    setattr(slicer.modules, name.lower(), wrap(module))
    source = importlib.import_module(name)
    setattr(slicer.modules, f"{name}Instance", getattr(source, name)(wrap(module)))
    return module
