"""The foot's door to the same panel: it says what is to come, and lets nothing be run."""

import pytest
from gui.conftest import click

pytestmark = pytest.mark.gui

PLANNED = ("foot-ap-hallux", "foot-ap", "foot-lateral", "foot-wbct")


@pytest.fixture
def foot_panel(slicer_host):
    return slicer_host.panel("FootAngleModule")


def test_it_is_the_same_panel_class_with_nothing_copied(slicer_host, foot_panel):
    import CobbModule
    import FootAngleModule
    from OrthoAnglesLib.widget import OrthoAnglesWidget

    assert issubclass(CobbModule.CobbModuleWidget, OrthoAnglesWidget)
    assert isinstance(foot_panel, OrthoAnglesWidget)
    own = {name for name in vars(FootAngleModule.FootAngleModuleWidget) if not name.startswith("__")}
    assert own == {"offers", "notice", "makeLogic"}


def test_it_says_which_protocols_are_planned(foot_panel):
    assert tuple(offer.id for offer in foot_panel.offers()) == PLANNED
    missing = [offer for offer in foot_panel.offers() if not offer.available]
    if not missing:
        pytest.skip("all foot protocols are there: nothing is left to announce")
    for offer in missing:
        assert offer.id in foot_panel.ui.noticeLabel.text
        assert offer.name in foot_panel.ui.noticeLabel.text
    assert "Not available in this version" in foot_panel.ui.noticeLabel.text


def test_a_protocol_to_come_cannot_be_run(slicer_host, foot_panel, radiograph):
    foot_panel.image.load(str(radiograph))
    for index, offer in enumerate(foot_panel.offers()):
        foot_panel.ui.protocolComboBox.currentIndex = index
        assert foot_panel.parameters.protocolId == offer.id
        assert foot_panel.ui.runButton.enabled == offer.available
        assert foot_panel.ui.byHandButton.enabled == offer.available
        if not offer.available:
            assert "not yet available" in foot_panel.ui.protocolComboBox.currentText
            assert foot_panel.ui.runButton.toolTip == "This protocol is not available yet."
            click(slicer_host, foot_panel.ui.runButton)
            assert not foot_panel.logic.runner.running


def test_sides_matter_for_feet_alone(slicer_host, foot_panel, radiograph):
    from gui.slicerhost.wrapping import unwrap

    foot_panel.image.load(str(radiograph))
    foot_panel.ui.sideComboBox.currentIndex = 2
    assert foot_panel.parameters.volume.GetAttribute("OrthoAngles.laterality") == "R"
    cobb = slicer_host.panel("CobbModule")
    assert unwrap(cobb.ui.sideComboBox).isHidden()
    assert not unwrap(foot_panel.ui.sideComboBox).isHidden()


def test_both_panels_share_the_scene_but_not_their_parameters(slicer_host, foot_panel, radiograph):
    foot_panel.image.load(str(radiograph))
    foot_panel.ui.readerLineEdit.text = "foot reader"
    cobb = slicer_host.panel("CobbModule")
    assert cobb.parameters.volume is foot_panel.parameters.volume
    cobb.ui.readerLineEdit.text = "spine reader"
    assert foot_panel.parameters.reader == "foot reader"
