"""Loads .ui files with Slicer's widget classes; whatever the file names and Qt lacks is an error."""

import io
import xml.etree.ElementTree as ElementTree

from gui.slicerhost.ctk_widgets import CTK_WIDGETS
from gui.slicerhost.qmrml_widgets import QMRML_WIDGETS
from gui.slicerhost.signals import Signals
from PySide6.QtCore import QBuffer, QFile, QObject
from PySide6.QtUiTools import QUiLoader
from PySide6.QtWidgets import QWidget

CUSTOM_WIDGETS = {**CTK_WIDGETS, **QMRML_WIDGETS}
_KNOWN_DYNAMIC = {"SlicerParameterName"}


class UiFileError(Exception):
    """A .ui file names a class, property, signal or slot that does not exist."""


class UiLoader(QUiLoader):
    """QUiLoader whose ``load`` raises :class:`UiFileError` where Qt would only print or pass over."""

    def createWidget(self, class_name: str, parent: QWidget | None = None, name: str = "") -> QWidget:
        if class_name in CUSTOM_WIDGETS:
            widget = CUSTOM_WIDGETS[class_name](parent)
            widget.setObjectName(name)
            return widget
        if class_name not in self.availableWidgets():
            raise UiFileError(f"no widget class '{class_name}'")
        return super().createWidget(class_name, parent, name)

    def load(self, file: QFile, parent: QWidget | None = None) -> QWidget:
        root = ElementTree.fromstring(bytes(file.readAll()))
        _check_classes(root, self.availableWidgets())
        connections = list(root.iter("connection"))
        for entry in root.findall("connections"):
            root.remove(entry)
        buffer = QBuffer()
        buffer.setData(_text(root))
        buffer.open(QBuffer.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise UiFileError(f"cannot load: {self.errorString()}")
        _check_properties(widget)
        _connect(widget, connections)
        return widget


def _text(root: ElementTree.Element) -> bytes:
    stream = io.BytesIO()
    ElementTree.ElementTree(root).write(stream, encoding="utf-8", xml_declaration=True)
    return stream.getvalue()


def _check_classes(root: ElementTree.Element, available: list[str]) -> None:
    for entry in root.iter("widget"):
        name = entry.get("class")
        if name not in CUSTOM_WIDGETS and name not in available:
            raise UiFileError(f"widget '{entry.get('name')}' is of class '{name}', which does not exist")


def _check_properties(widget: QWidget) -> None:
    for child in [widget, *widget.findChildren(QWidget)]:
        unknown = {bytes(n).decode() for n in child.dynamicPropertyNames()} - _KNOWN_DYNAMIC
        unknown = {name for name in unknown if not name.startswith("_")}
        if unknown:
            kind = child.metaObject().className()
            raise UiFileError(f"{kind} '{child.objectName()}' has no property {sorted(unknown)}")


def _connect(widget: QWidget, connections: list[ElementTree.Element]) -> None:
    named = {child.objectName(): child for child in [widget, *widget.findChildren(QObject)]}
    for entry in connections:
        sender, signal, receiver, slot = (entry.findtext(k) for k in ("sender", "signal", "receiver", "slot"))
        try:
            target = getattr(named[receiver], slot.split("(")[0])
            Signals(named[sender], lambda value: value).connect(signal, target)
        except (KeyError, AttributeError, ValueError) as error:
            raise UiFileError(f"connection {sender}.{signal} -> {receiver}.{slot}: {error}") from error
