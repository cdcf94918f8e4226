"""The .ui file and the code that uses it agree, in Qt 5 and in Qt 6."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from gui.conftest import REPOSITORY

pytestmark = pytest.mark.gui

LIBRARY = REPOSITORY / "OrthoAnglesLib"
UI_FILE = LIBRARY / "Resources" / "UI" / "OrthoAngles.ui"
CODE = {path.name: path.read_text(encoding="utf-8") for path in LIBRARY.glob("*.py")}

# Signals with the same signature in Qt 5.15 and Qt 6, in CTK and in Slicer.
SIGNALS = {
    "clicked()",
    "timeout()",
    "currentIndexChanged(int)",
    "itemSelectionChanged()",
    "cellDoubleClicked(int,int)",
    "currentPathChanged(QString)",
    "toggled(bool)",
    "textChanged(QString)",
    "returnPressed()",
    "activated()",
}


def names_in_file() -> dict[str, str]:
    return {w.get("name"): w.get("class") for w in ElementTree.parse(UI_FILE).getroot().iter("widget")}


def names_in_code() -> set[str]:
    return {name for text in CODE.values() for name in re.findall(r"\b_?ui\.(\w+)", text)}


def test_every_widget_that_code_names_is_in_the_file():
    assert names_in_code() - set(names_in_file()) == set()


def test_every_button_and_field_in_the_file_is_used():
    root = ElementTree.parse(UI_FILE).getroot()
    bound = {w.get("name") for w in root.iter("widget") if w.find("property[@name='SlicerParameterName']") is not None}
    labels = {name for name, kind in names_in_file().items() if kind == "QLabel"}
    sections = {name for name, kind in names_in_file().items() if kind in ("ctkCollapsibleButton", "qMRMLWidget")}
    assert set(names_in_file()) - names_in_code() - bound - labels - sections == set()


def test_labels_without_text_are_filled_by_code():
    root = ElementTree.parse(UI_FILE).getroot()
    empty = {
        w.get("name")
        for w in root.iter("widget")
        if w.get("class") == "QLabel" and not (w.findtext("property[@name='text']/string") or "")
    }
    assert empty <= names_in_code()


def test_parameters_named_in_the_file_exist(slicer_host):
    from OrthoAnglesLib.parameters import ModuleParameters

    named = re.findall(r'SlicerParameterName" stdset="0">\s*<string>(\w+)<', UI_FILE.read_text())
    assert named
    assert set(named) <= set(ModuleParameters.allParameters)


def test_signals_exist_in_qt_5_and_6():
    used = {signal for text in CODE.values() for signal in re.findall(r'\.connect\(\s*"([^"]+)"', text)}
    assert used
    assert used <= SIGNALS


def test_interactive_widgets_have_tool_tips():
    root = ElementTree.parse(UI_FILE).getroot()
    silent = ("QLabel", "QProgressBar", "ctkCollapsibleButton", "qMRMLWidget")
    bare = [
        w.get("name")
        for w in root.iter("widget")
        if w.get("class") not in silent and w.find("property[@name='toolTip']") is None
    ]
    assert bare == []


def test_there_is_no_styling_of_our_own():
    assert "styleSheet" not in UI_FILE.read_text()
    assert not [name for name, text in CODE.items() if "setStyleSheet" in text or "styleSheet" in text]


def test_popups_are_for_errors_alone():
    popups = r"QMessageBox|infoDisplay|warningDisplay|confirm\w+Display|delayDisplay|messageBox"
    assert not [name for name, text in CODE.items() if re.search(popups, text)]


def test_properties_are_not_called_as_methods():
    """PythonQt: ``spin.value``, ``combo.currentIndex``, ``table.rowCount`` are attributes."""
    properties = "enabled|visible|text|value|checked|currentIndex|currentText|count|rowCount|columnCount|currentPath"
    called = re.compile(rf"_?ui\.\w+\.(?:{properties}|toolTip)\(")
    wrong = [(name, hit) for name, text in CODE.items() for hit in called.findall(text)]
    assert wrong == []
