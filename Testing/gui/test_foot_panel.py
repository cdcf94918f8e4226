"""The foot's door to the same panel: four protocols whose landmarks may be placed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from gui.conftest import cells, click
from support.feet import RIGHT_LPS, ap_foot, hallux_foot, lateral_foot, on_film, ordered, standing_foot

pytestmark = pytest.mark.gui

PROTOCOLS = ("foot-ap-hallux", "foot-ap", "foot-lateral", "foot-wbct")
NO_NETWORK = "No network is available for this protocol yet: place its landmarks by hand."
NAME, VALUE, GRADE, BETWEEN = 0, 1, 3, 4


@pytest.fixture
def foot_panel(slicer_host):
    return slicer_host.panel("FootAngleModule")


def choose(panel, protocol_id: str) -> None:
    panel.ui.protocolComboBox.currentIndex = PROTOCOLS.index(protocol_id)
    assert panel.parameters.protocolId == protocol_id


def film(protocol_id: str) -> np.ndarray:
    """Landmarks (n, 3) of a foot on the 600 x 1400 radiograph."""
    plane = {
        "foot-ap-hallux": lambda: hallux_foot(hva=27.0, ima=12.5),
        "foot-ap": lambda: ap_foot(hva=27.0, talocalcaneal=30.0, coverage=12.0, mt1_talar=-9.0),
        "foot-lateral": lambda: lateral_foot(meary=12.0, pitch=14.0),
    }[protocol_id]()
    points = 3.0 * on_film(ordered(protocol_id, plane))
    points[:, :2] += [300.0, 700.0] - points[:, :2].mean(axis=0)
    return points


def test_it_is_the_same_panel_class_with_nothing_copied(slicer_host, foot_panel):
    import CobbModule
    import FootAngleModule
    from OrthoAnglesLib.widget import OrthoAnglesWidget

    assert issubclass(CobbModule.CobbModuleWidget, OrthoAnglesWidget)
    assert isinstance(foot_panel, OrthoAnglesWidget)
    own = {name for name in vars(FootAngleModule.FootAngleModuleWidget) if not name.startswith("__")}
    assert own == {"offers", "notice", "makeLogic"}


def test_all_its_protocols_ship(foot_panel):
    assert tuple(offer.id for offer in foot_panel.offers()) == PROTOCOLS
    assert all(offer.available for offer in foot_panel.offers())
    assert foot_panel.ui.noticeLabel.text == ""
    assert not foot_panel.ui.noticeLabel.visible


def test_a_protocol_that_is_still_to_come_is_announced(slicer_host):
    from OrthoAnglesLib.offers import ProtocolOffer, missingOffersNotice

    knee = ProtocolOffer("knee-ap", "Knee, alignment")
    assert not knee.available
    assert not knee.hasNetwork
    assert missingOffersNotice((knee,)).endswith("Knee, alignment (knee-ap)")


@pytest.fixture
def one_without_a_network(monkeypatch):
    """The lateral protocol as if no network were shipped for it; asked for before the panel is made."""
    from orthoangles import protocols

    shipped = protocols.shipped_bundle
    without = "foot-lateral"
    monkeypatch.setattr(protocols, "shipped_bundle", lambda name: "" if name == without else shipped(name))
    return without


def test_without_a_network_run_says_so_and_does_nothing(one_without_a_network, slicer_host, foot_panel, radiograph):
    foot_panel.image.load(str(radiograph))
    assert [offer.id for offer in foot_panel.offers() if not offer.hasNetwork] == [one_without_a_network]
    for offer in foot_panel.offers():
        choose(foot_panel, offer.id)
        if offer.hasNetwork:
            assert foot_panel.ui.runButton.enabled
            continue
        assert foot_panel.ui.protocolComboBox.currentText.endswith("(by hand)")
        assert foot_panel.ui.predictionLabel.text == NO_NETWORK
        assert foot_panel.ui.runButton.toolTip == NO_NETWORK
        assert not foot_panel.ui.runButton.enabled
        assert foot_panel.ui.byHandButton.enabled
        click(slicer_host, foot_panel.ui.runButton)
        assert not foot_panel.logic.runner.running
        assert foot_panel.session is None


def test_a_script_is_told_before_anything_is_installed(slicer_host, foot_panel, radiograph, monkeypatch):
    from orthoangles import protocols
    from orthoangles.errors import PredictionError
    from OrthoAnglesLib import dependencies

    shipped = protocols.load_protocol
    monkeypatch.setattr(protocols, "load_protocol", lambda name: replace(shipped(name), bundle=""))

    foot_panel.image.load(str(radiograph))
    volume = foot_panel.parameters.volume
    monkeypatch.setattr(dependencies, "ensurePredicting", lambda: pytest.fail("asked for PyTorch"))
    for start in (foot_panel.logic.process, foot_panel.logic.startPrediction):
        with pytest.raises(PredictionError, match="'foot-wbct' has no network yet; place its landmarks by hand"):
            start(volume, "foot-wbct")


@pytest.mark.parametrize("protocol_id", PROTOCOLS[:3])
def test_landmarks_placed_by_hand_one_after_the_other_are_measured(slicer_host, foot_panel, radiograph, protocol_id):
    from support.views import SliceView

    foot_panel.image.load(str(radiograph))
    choose(foot_panel, protocol_id)
    points = film(protocol_id)
    view = SliceView(slicer_host.scene_host)
    view.show(foot_panel.parameters.volume)
    view.render()
    click(slicer_host, foot_panel.ui.byHandButton)
    for k, point in enumerate(points):
        assert foot_panel.ui.reviewTable.currentRow() == k
        landmark = foot_panel.session.protocol.landmarks[k]
        assert landmark.description in foot_panel.ui.reviewStateLabel.text
        view.click(*view.display_point(point))
        slicer_host.process_events(0.02)
    view.close()
    slicer_host.process_events(0.15)
    assert np.abs(foot_panel.session.points - points).max() < 3
    assert None not in [m.value for m in foot_panel.session.result.measurements]
    assert "" not in cells(foot_panel.ui.measurementTable, VALUE)
    assert ": present (" in foot_panel.ui.findingsLabel.text


def test_values_grades_and_findings_follow_side_and_age(slicer_host, foot_panel, radiograph):
    foot_panel.image.load(str(radiograph))
    choose(foot_panel, "foot-lateral")
    session = foot_panel.logic.createSession(foot_panel.parameters.volume, "foot-lateral")
    foot_panel.showSession(session)
    session.set_points(film("foot-lateral"))
    slicer_host.process_events(0.15)
    row = cells(foot_panel.ui.measurementTable, NAME).index("Meary")
    assert cells(foot_panel.ui.measurementTable, VALUE)[row] == "12.0°"
    assert "Pes planus: not known" not in foot_panel.ui.findingsLabel.text  # flat for a child and for an adult
    assert "Pes planus: present" in foot_panel.ui.findingsLabel.text
    foot_panel.ui.ageSpinBox.value = 44
    slicer_host.process_events(0.15)
    assert cells(foot_panel.ui.measurementTable, GRADE)[row] == "mild planus"
    assert "Meary > 4 or CP < 18" in foot_panel.ui.findingsLabel.text
    for side in (1, 2):
        foot_panel.ui.sideComboBox.currentIndex = side
        assert cells(foot_panel.ui.measurementTable, VALUE)[row] == "12.0°"


def test_a_grade_in_the_middle_of_its_scale_may_be_the_best(slicer_host):
    from orthoangles.protocols import load_protocol
    from OrthoAnglesLib.measurement_section import gradeRank

    meary = load_protocol("foot-lateral").measurements[0]
    ranks = [gradeRank(meary, name) for name in ("normal", "cavus", "mild planus", "severe planus")]
    assert ranks == [0, pytest.approx(1 / 3), pytest.approx(1 / 3), 1]
    assert gradeRank(load_protocol("foot-ap-hallux").measurements[0], "severe") == 1


def test_a_volume_is_measured_with_landmarks_in_space(slicer_host, foot_panel):
    import slicer

    volume = slicer.util.addVolumeFromArray(np.zeros((40, 60, 50), dtype=np.int16), name="WBCT")
    volume.SetSpacing(3.0, 5.0, 5.0)
    foot_panel.parameters.volume = volume
    choose(foot_panel, "foot-wbct")
    click(slicer_host, foot_panel.ui.byHandButton)
    session = foot_panel.session
    assert "Tibial shaft, centre" in foot_panel.ui.reviewStateLabel.text
    session.set_points(ordered("foot-wbct", standing_foot()) * RIGHT_LPS)
    slicer_host.process_events(0.15)
    assert "" not in cells(foot_panel.ui.measurementTable, VALUE)
    names = cells(foot_panel.ui.measurementTable, NAME)
    assert cells(foot_panel.ui.measurementTable, VALUE)[names.index("FAO")].endswith(" %")
    before = session.result.by_id("boehler-angle").value
    facet = session.points[session.protocol.index("C4")]
    session.set_point("C4", facet - [0.0, 0.0, 15.0])
    assert session.result.by_id("boehler-angle").value < before - 20


def test_a_radiograph_is_no_volume(slicer_host, foot_panel, radiograph, caplog):
    foot_panel.image.load(str(radiograph))
    choose(foot_panel, "foot-wbct")
    click(slicer_host, foot_panel.ui.byHandButton)
    assert [type(error).__name__ for error in slicer_host.errors] == ["ImageError"]
    slicer_host.errors.clear()
    assert foot_panel.session is None
    assert "protocol 'foot-wbct' measures a volume of several slices" in caplog.text


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
