"""The CTK widgets that the panels use, with the properties, signals and slots of the C++ classes."""

from gui.slicerhost.wrapping import exposed
from PySide6.QtCore import Property, QEvent, QSize, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QStyle, QStyleOptionButton, QToolButton, QWidget

_HEADER = 24


class ctkCollapsibleButton(QWidget):
    """A titled section that folds away; its content layout starts below the title."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text, self._collapsed = "", False

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    text = Property(str, lambda self: self._text, _set_text)

    @exposed
    def setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        for child in self.findChildren(QWidget):
            if child.parent() is self:
                child.setVisible(not collapsed)
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, lambda self: self._collapsed, setCollapsed)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest and self.layout():
            self.layout().setContentsMargins(9, _HEADER + 6, 9, 9)
        return super().event(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), _HEADER) if self._collapsed else super().minimumSizeHint()

    def mousePressEvent(self, event) -> None:
        if event.position().y() < _HEADER:
            self.setCollapsed(not self._collapsed)

    def paintEvent(self, event) -> None:
        painter = QPainter(self)
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = self.rect().adjusted(0, 0, 0, _HEADER - self.height())
        self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        painter.setPen(self.palette().buttonText().color())
        painter.drawText(option.rect.adjusted(8, 0, 0, 0), 0x80, f"{'▸' if self._collapsed else '▾'}  {self._text}")
        if not self._collapsed:
            painter.setPen(QColor(self.palette().mid().color()))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))


class ctkPathLineEdit(QWidget):
    """A path with a browse button."""

    currentPathChanged = Signal(str)

    Dirs, Files = 1, 2

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._filters, self._setting_key = self.Files, ""
        self._line, self._button = QLineEdit(self), QToolButton(self)
        self._button.setText("...")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._line)
        row.addWidget(self._button)
        self._line.textChanged.connect(self.currentPathChanged)
        self._button.clicked.connect(self.browse)

    @exposed
    def browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "", self._line.text())
        if chosen:
            self._line.setText(chosen)

    def _set_filters(self, filters: int) -> None:
        self._filters = filters

    def _set_setting_key(self, key: str) -> None:
        self._setting_key = key

    @exposed
    def setCurrentPath(self, path: str) -> None:
        self._line.setText(path)

    currentPath = Property(str, lambda self: self._line.text(), setCurrentPath)
    filters = Property(int, lambda self: self._filters, _set_filters)
    settingKey = Property(str, lambda self: self._setting_key, _set_setting_key)


CTK_WIDGETS = {kind.__name__: kind for kind in (ctkCollapsibleButton, ctkPathLineEdit)}
