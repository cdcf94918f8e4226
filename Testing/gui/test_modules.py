"""What the modules tell Slicer, what they need, and their calls from scripts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gui.conftest import REPOSITORY, Networks, PromptNetwork, give_networks, spine_points

pytestmark = pytest.mark.gui

MODULES = ("CobbModule", "FootAngleModule")


@pytest.mark.parametrize("name", MODULES)
def test_metadata(slicer_host, name):
    import slicer

    module = getattr(slicer.modules, name.lower())
    assert module.title
    assert module.categories == ["Quantification"]
    assert module.contributors
    assert "not a medical device" in module.helpText
    assert module.acknowledgementText
    assert not module.icon.isNull()
    assert module.icon.pixmap(128, 128).width() == 128


@pytest.mark.parametrize("name", MODULES)
def test_the_module_file_is_short_and_in_the_template_order(name):
    text = (REPOSITORY / name / f"{name}.py").read_text()
    assert len(text.splitlines()) < 120
    places = [text.index(f"class {name}{part}(") for part in ("", "Widget", "Logic", "Test")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", MODULES)
def test_the_self_test_of_the_module_passes(slicer_host, name):
    import slicer

    getattr(slicer.modules, f"{name}Instance").runTest()


def test_a_self_test_can_fail(slicer_host, monkeypatch):
    import slicer

    from OrthoAnglesLib import self_test

    monkeypatch.setattr(self_test, "_straightSpine", spine_points)
    with pytest.raises(AssertionError):
        slicer.modules.CobbModuleInstance.runTest()


def test_sample_data_is_offered_with_its_digest_and_thumbnail(slicer_host):
    import SampleData

    source = SampleData.SampleDataLogic().sourceForSampleName("SpineAP")
    assert source.uris.startswith("file:///")
    path = SampleData.SampleDataLogic().downloadFileIntoCache(source.uris, source.fileNames, source.checksums)
    assert Path(path).read_bytes() == (REPOSITORY / "Resources" / "SampleData" / "spine-ap-sample.png").read_bytes()
    import qt

    assert not qt.QIcon(source.thumbnailFileName).isNull()


# Scripts


@pytest.fixture
def logic(slicer_host):
    """The module's logic as a script makes it, with a network of the test."""
    import CobbModule

    logic = CobbModule.CobbModuleLogic(Networks())
    yield logic
    logic.close()


def test_process_blocks_and_returns_the_live_session(slicer_host, logic, radiograph):
    seen = []
    session = logic.process(
        logic.loadImage(radiograph), "spine-ap-cobb", "cpu", progress=lambda fraction, message: seen.append(fraction)
    )
    before = session.result.by_id("cobb-clinical-major").value
    assert before == pytest.approx(30, abs=3)
    assert seen == [0.5]
    session.set_point("T6-TL", spine_points()[20] + (0.0, 25.0, 0.0))
    assert session.result.by_id("cobb-clinical-major").value != before


def test_process_again_uses_the_same_session_and_network(logic, radiograph):
    volume = logic.loadImage(radiograph)
    assert logic.process(volume, "spine-ap-cobb") is logic.process(volume, "spine-ap-cobb")


def test_process_can_be_cancelled(logic, radiograph):
    from orthoangles.errors import PredictionCancelled

    class Obedient(PromptNetwork):
        def predict(self, image, *, progress=None, cancelled=None):
            if cancelled():
                raise PredictionCancelled("prediction was cancelled")

    from OrthoAnglesLib.prediction import PredictionRunner

    logic.runner = PredictionRunner(Obedient)
    volume = logic.loadImage(radiograph)
    with pytest.raises(PredictionCancelled):
        logic.process(volume, "spine-ap-cobb", cancelled=lambda: True)
    assert logic.session(volume, "spine-ap-cobb") is None


def test_a_panel_shows_what_a_script_measured(slicer_host, cobb_panel, radiograph):
    volume = cobb_panel.logic.loadImage(radiograph)
    session = cobb_panel.logic.process(volume, "spine-ap-cobb")
    cobb_panel.ui.volumeSelector.setCurrentNode(volume)
    assert cobb_panel.session is session


def test_a_volume_of_several_slices_is_refused(logic):
    import slicer

    from orthoangles.errors import ImageError

    volume = slicer.util.addVolumeFromArray(np.zeros((3, 20, 20), np.uint8), name="CT")
    with pytest.raises(ImageError, match="3 slices"):
        logic.process(volume, "spine-ap-cobb")


# Dependencies


def test_nothing_is_asked_for_before_the_first_run(slicer_host):
    import slicer

    slicer.packaging.requests.clear()
    slicer_host.panel("CobbModule")
    slicer_host.panel("FootAngleModule")
    assert slicer.packaging.requests == []


def test_the_first_run_asks_for_what_the_network_needs(slicer_host, logic, radiograph):
    import slicer

    slicer.packaging.requests.clear()
    logic.process(logic.loadImage(radiograph), "spine-ap-cobb")
    asked = {name for requester, names in slicer.packaging.requests for name in names if requester == "OrthoAngles"}
    assert any(name.startswith("monai") for name in asked)
    assert any(name.startswith("jsonschema") for name in asked)
    assert not any(name.startswith("torch") for name in asked)


def test_without_pytorch_and_its_extension_the_message_says_what_to_do(slicer_host, logic, radiograph, monkeypatch):
    import importlib.util

    from OrthoAnglesLib.dependencies import DependencyError

    volume = logic.loadImage(radiograph)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    with pytest.raises(DependencyError, match="extension 'PyTorch' in the Extensions Manager"):
        logic.process(volume, "spine-ap-cobb")


@pytest.mark.parametrize("accepted", [True, False])
def test_pytorch_comes_through_its_extension(slicer_host, logic, radiograph, monkeypatch, accepted):
    import importlib.util
    import types

    from OrthoAnglesLib.dependencies import DependencyError

    asked = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
            asked.append((askConfirmation, torchVersionRequirement))
            return object() if accepted else None

    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    volume = logic.loadImage(radiograph)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    if accepted:
        logic.process(volume, "spine-ap-cobb")
    else:
        with pytest.raises(DependencyError, match="place the landmarks by hand"):
            logic.process(volume, "spine-ap-cobb")
    assert asked == [(True, ">=2.4")]


def test_no_third_party_package_is_imported_before_the_first_run(tmp_path):
    """In a child process: opening both panels costs neither torch nor MONAI nor what else Slicer may lack."""
    code = f"""
import sys; sys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / "Testing")!r}]
from pathlib import Path
from gui.slicerhost.host import SlicerHost
host = SlicerHost(Path({str(REPOSITORY)!r}), Path({str(tmp_path)!r}))
for name in ("CobbModule", "FootAngleModule"):
    host.load(name); host.panel(name)
late = ("torch", "monai", "jsonschema", "scipy", "SimpleITK", "pydicom", "matplotlib")
print("IMPORTED", [name for name in late if name in sys.modules])
host.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "IMPORTED []" in done.stdout, done.stdout + done.stderr


# Language


def test_every_text_that_code_sets_goes_through_translation(slicer_host, radiograph):
    from slicer import i18n

    i18n.mark = "«{}»"
    try:
        panel = slicer_host.panel("CobbModule")
        give_networks(panel, Networks())
        panel.image.load(str(radiograph))
        panel.ui.runButton.click()
        slicer_host.wait_until(lambda: panel.session is not None)
        slicer_host.process_events(0.15)
    finally:
        i18n.mark = "{}"
    ui = panel.ui
    for widget in (ui.imageInfoLabel, ui.predictionLabel, ui.reviewStateLabel):
        assert widget.text.startswith("«"), widget.text
    for table in (ui.reviewTable, ui.measurementTable, ui.worklistTable):
        for column in range(table.columnCount):
            assert table.horizontalHeaderItem(column).text().startswith("«")
    assert ui.deviceComboBox.currentText.startswith("«")
    assert ui.protocolComboBox.currentText.startswith("«")
