"""The host is strict: what Slicer does not have raises here."""

import enum
import sys
from typing import Annotated

import pytest

pytestmark = pytest.mark.gui


@pytest.fixture
def qt(slicer_host):
    import qt

    return qt


def test_the_qt_binding_fits_this_python(slicer_host):
    """PySide6 6.12 built for immortal None takes a reference to it with every call on Python 3.11, until it aborts."""
    before = sys.getrefcount(None)
    for _ in range(200):
        slicer_host.qapplication.processEvents()
    assert sys.getrefcount(None) > before - 100


def test_properties_are_attributes(qt):
    box = qt.QSpinBox()
    box.maximum = 7
    box.value = 5
    assert (box.value, box.maximum) == (5, 7)
    with pytest.raises(TypeError):
        box.value()


def test_the_same_object_has_the_same_wrapper(qt):
    parent = qt.QWidget()
    layout = qt.QVBoxLayout()
    parent.setLayout(layout)
    assert parent.layout() is layout
    assert layout.parent() is parent


def test_unknown_attributes_raise(qt):
    label = qt.QLabel()
    with pytest.raises(AttributeError, match="caption"):
        _ = label.caption
    with pytest.raises(AttributeError, match="caption"):
        label.caption = "x"


def test_read_only_properties_and_wrong_types_raise(qt):
    with pytest.raises(AttributeError, match="cannot be written"):
        qt.QComboBox().count = 3
    with pytest.raises(TypeError, match="QString"):
        qt.QLabel().text = 3


def test_signals_need_the_signature_of_cpp(qt):
    box = qt.QComboBox()
    box.addItems(["a", "b"])
    seen = []
    assert box.connect("currentIndexChanged(int)", seen.append)
    box.currentIndex = 1
    assert seen == [1]
    for wrong in ("currentIndexChanged(QString)", "indexChanged(int)"):
        with pytest.raises(ValueError, match="no signal"):
            box.connect(wrong, seen.append)


def test_surplus_arguments_are_dropped_and_disconnect_works(qt):
    button, seen = qt.QPushButton(), []

    def clicked():
        seen.append(1)

    button.connect("clicked(bool)", clicked)
    button.click()
    assert button.disconnect("clicked(bool)", clicked)
    assert not button.disconnect("clicked(bool)", clicked)
    button.click()
    assert seen == [1]


def test_file_dialogs_return_a_string(qt, monkeypatch):
    from PySide6.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *a: ("/a.png", "filter"))
    assert qt.QFileDialog.getOpenFileName(None, "title", "", "") == "/a.png"


def test_names_that_qt_lacks_raise(qt):
    with pytest.raises(AttributeError, match="QTreeMap"):
        _ = qt.QTreeMap


def test_stand_ins_show_only_what_cpp_has(slicer_host):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    assert selector.currentNode() is None
    for of_the_stand_in in ("setText", "_fill"):
        with pytest.raises(AttributeError):
            getattr(selector, of_the_stand_in)


def test_an_exception_in_a_slot_is_noted(slicer_host, qt):
    button = qt.QPushButton()

    def broken():
        raise RuntimeError("in a slot")

    button.connect("clicked()", broken)
    button.click()
    assert [str(error) for error in slicer_host.errors] == ["in a slot"]
    slicer_host.errors.clear()


def test_an_exception_in_an_observer_is_noted(slicer_host):
    def broken(caller, event):
        raise RuntimeError("in an observer")

    node = slicer_host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    node.AddObserver("ModifiedEvent", broken)
    node.Modified()
    assert [str(error) for error in slicer_host.errors] == ["in an observer"]
    slicer_host.errors.clear()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('<widget class="QFancyButton" name="a"/>', "QFancyButton"),
        ('<widget class="QLabel" name="a"><property name="caption"><string>x</string></property></widget>', "caption"),
    ],
)
def test_a_ui_file_with_what_does_not_exist_is_refused(slicer_host, tmp_path, content, complaint):
    import slicer
    from gui.slicerhost.ui_loader import UiFileError

    path = tmp_path / "a.ui"
    path.write_text(f'<ui version="4.0"><class>A</class>{content}</ui>')
    with pytest.raises(UiFileError, match=complaint):
        slicer.util.loadUI(str(path))


def test_a_ui_connection_to_a_missing_slot_is_refused(slicer_host, tmp_path):
    import slicer
    from gui.slicerhost.ui_loader import UiFileError

    path = tmp_path / "a.ui"
    path.write_text(
        '<ui version="4.0"><class>A</class><widget class="QPushButton" name="a"/><connections><connection>'
        "<sender>a</sender><signal>clicked()</signal><receiver>a</receiver><slot>jump()</slot>"
        "</connection></connections></ui>"
    )
    with pytest.raises(UiFileError, match="jump"):
        slicer.util.loadUI(str(path))


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def test_the_parameter_wrapper_stores_validates_and_binds(slicer_host, qt):
    import slicer
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        text: str
        number: Annotated[float, WithinRange(0, 10)] = 4.0
        colour: Colour

    node = slicer_host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters = Parameters(node)
    assert (parameters.number, parameters.colour, parameters.text) == (4.0, Colour.RED, "")
    with pytest.raises(ValueError, match="range"):
        parameters.number = 11.0
    with pytest.raises(TypeError):
        parameters.text = 5
    edit = qt.QLineEdit()
    edit.objectName = "edit"
    edit.setProperty("SlicerParameterName", "text")
    holder = qt.QWidget()
    edit.setParent(holder)
    tag = parameters.connectGui(slicer.util.childWidgetVariables(holder))
    edit.text = "from the widget"
    assert Parameters(node).text == "from the widget"
    parameters.text = "from the node"
    assert edit.text == "from the node"
    parameters.disconnectGui(tag)
    edit.text = "unheard"
    assert parameters.text == "from the node"
