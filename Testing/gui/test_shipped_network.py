"""The panel with what really ships: the sample radiograph, the weights, the worker thread."""

import json

import numpy as np
import pytest
from gui.conftest import REPOSITORY, cells, click

pytestmark = pytest.mark.gui

SAMPLE = REPOSITORY / "Resources" / "SampleData" / "spine-ap-sample.png"
WEIGHTS = REPOSITORY / "models" / "spine_ap_cobb" / "models" / "model.pt"
DEGREES = 10.0
"""As far as two readers of a radiograph may differ."""

if not WEIGHTS.is_file():
    pytest.skip("the bundle has no weights: models/spine_ap_cobb/models/model.pt", allow_module_level=True)


@pytest.fixture
def measured_sample(slicer_host):
    """The Cobb panel after load and run by its own buttons."""
    panel = slicer_host.panel("CobbModule")
    panel.image.load(str(SAMPLE))
    click(slicer_host, panel.ui.runButton)
    slicer_host.wait_until(lambda: panel.session is not None, seconds=300)
    slicer_host.process_events(0.2)
    return panel


def test_the_sample_is_measured_right_and_named(measured_sample):
    truth = json.loads(SAMPLE.with_suffix(".truth.json").read_text())
    wanted = {entry["id"]: entry["value"] for entry in truth["measurements"]}
    major = measured_sample.session.result.by_id("cobb-clinical-major").value
    assert major == pytest.approx(wanted["cobb-clinical-major"], abs=DEGREES)
    assert f"{major:.1f}°" in cells(measured_sample.ui.measurementTable, 1)
    metadata = json.loads((WEIGHTS.parents[1] / "configs" / "metadata.json").read_text())
    assert measured_sample.session.model.sha256 == metadata["orthoangles"]["weights_sha256"]
    assert f"{metadata['name']} {metadata['version']}" in measured_sample.ui.predictionLabel.text


def test_cancel_reaches_the_real_network(slicer_host, measured_sample):
    before = measured_sample.session.points
    click(slicer_host, measured_sample.ui.runButton)
    slicer_host.wait_until(lambda: measured_sample.ui.progressBar.value > 0)
    click(slicer_host, measured_sample.ui.cancelButton)
    slicer_host.wait_until(lambda: not measured_sample.logic.runner.running, seconds=60)
    slicer_host.process_events()
    assert measured_sample.ui.predictionLabel.text == "Cancelled; nothing was changed."
    np.testing.assert_array_equal(measured_sample.session.points, before)


def test_a_script_gets_the_same_without_the_panel(measured_sample):
    from CobbModule import CobbModuleLogic

    logic = CobbModuleLogic()
    session = logic.process(logic.loadImage(SAMPLE), "spine-ap-cobb")
    np.testing.assert_allclose(session.points, measured_sample.session.points, atol=1e-3)
    logic.close()
