"""The ``qt`` module: PySide6's classes in PythonQt's manner."""

import types

from gui.slicerhost.ui_loader import UiLoader
from gui.slicerhost.wrapping import WrappedClass
from PySide6 import QtCore, QtGui, QtWidgets


class _FileDialog(WrappedClass):
    """PythonQt gives the chosen path alone, not the pair with the filter."""

    def getOpenFileName(self, *arguments) -> str:
        return super().__getattr__("getOpenFileName")(*arguments)[0]

    def getSaveFileName(self, *arguments) -> str:
        return super().__getattr__("getSaveFileName")(*arguments)[0]


class _Qt(types.ModuleType):
    """Looks classes up when asked; a name that Qt does not have raises."""

    QUiLoader = WrappedClass(UiLoader)
    QFileDialog = _FileDialog(QtWidgets.QFileDialog)

    def __getattr__(self, name: str):
        for module in (QtCore, QtGui, QtWidgets):
            found = getattr(module, name, None)
            if found is not None:
                return self._kept(name, found)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")

    def _kept(self, name: str, found):
        if isinstance(found, type) and issubclass(found, QtCore.QObject):
            found = WrappedClass(found)
        setattr(self, name, found)
        return found


def make_qt_module() -> types.ModuleType:
    """A fresh ``qt`` module."""
    return _Qt("qt")
