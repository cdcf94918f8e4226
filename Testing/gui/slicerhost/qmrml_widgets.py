"""The MRML widgets that the panels use, over the real scene."""

import vtk
from gui.slicerhost.ctk_widgets import ctkCollapsibleButton
from gui.slicerhost.wrapping import exposed
from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget


class qMRMLWidget(QWidget):
    """A widget that knows the scene."""

    sceneChanged = Signal(object)
    cpp_signals = {"mrmlSceneChanged(vtkMRMLScene*)": "sceneChanged"}

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = None

    @exposed
    def mrmlScene(self):
        return self._scene

    @exposed
    def setMRMLScene(self, scene) -> None:
        if scene is not self._scene:
            self._scene = scene
            self._scene_set()
            self.sceneChanged.emit(scene)

    def _scene_set(self) -> None:
        """For derived widgets."""


class qMRMLCollapsibleButton(ctkCollapsibleButton):
    """A collapsible section that knows the scene."""

    @exposed
    def setMRMLScene(self, scene) -> None:
        self._scene = scene


class qMRMLNodeComboBox(qMRMLWidget):
    """Chooses one node of given classes; follows the nodes that come to and leave the scene."""

    nodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    cpp_signals = {
        **qMRMLWidget.cpp_signals,
        "currentNodeChanged(vtkMRMLNode*)": "nodeChanged",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
    }

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._options = {}
        self._nodes, self._current, self._filling = [], None, False
        self._box = QComboBox(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._box)
        self._box.activated.connect(self._chosen)

    def _option(kind, name: str, default):  # noqa: N805
        def set_option(self, value) -> None:
            self._options[name] = value
            self._fill()

        return Property(kind, lambda self: self._options.get(name, default), set_option)

    nodeTypes = _option("QStringList", "nodeTypes", [])
    showChildNodeTypes = _option(bool, "showChildNodeTypes", True)
    noneEnabled = _option(bool, "noneEnabled", False)
    addEnabled = _option(bool, "addEnabled", True)
    removeEnabled = _option(bool, "removeEnabled", True)
    renameEnabled = _option(bool, "renameEnabled", False)

    @exposed
    def currentNode(self):
        return self._current

    @exposed
    def nodeCount(self) -> int:
        return len([node for node in self._nodes if node is not None])

    @exposed
    def setCurrentNode(self, node) -> None:
        if node is self._current:
            return
        if node is not None and not self._fits(node):
            raise ValueError(f"{node.GetClassName()} is not one of {list(self.nodeTypes)}")
        self._current = node
        self._fill()
        self.nodeChanged.emit(node)
        self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def _scene_set(self) -> None:
        if self._scene is None:
            return
        scene = self._scene
        scene.AddObserver(scene.NodeAddedEvent, lambda *_: self._fill())
        scene.AddObserver(scene.NodeRemovedEvent, self._make_removed())
        self._fill()

    def _make_removed(self):
        def removed(caller, event, node) -> None:
            if node is self._current:
                self.setCurrentNode(None)
            self._fill()

        removed.CallDataType = vtk.VTK_OBJECT
        return removed

    def _fits(self, node) -> bool:
        if node.GetHideFromEditors():
            return False
        if self.showChildNodeTypes:
            return any(node.IsA(kind) for kind in self.nodeTypes)
        return node.GetClassName() in self.nodeTypes

    def _fill(self) -> None:
        if self._scene is None or self._filling:
            return
        self._filling = True
        scene = self._scene
        found = [n for n in (scene.GetNthNode(k) for k in range(scene.GetNumberOfNodes())) if self._fits(n)]
        self._nodes = [None, *found] if self.noneEnabled else found
        self._box.clear()
        self._box.addItems(["None" if node is None else node.GetName() for node in self._nodes])
        self._box.setCurrentIndex(self._nodes.index(self._current) if self._current in self._nodes else -1)
        self._filling = False
        if self._current is None and not self.noneEnabled and found:
            self.setCurrentNode(found[0])

    def _chosen(self, row: int) -> None:
        self.setCurrentNode(self._nodes[row])


QMRML_WIDGETS = {kind.__name__: kind for kind in (qMRMLWidget, qMRMLCollapsibleButton, qMRMLNodeComboBox)}
