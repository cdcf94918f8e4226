"""Proposal, correction and confirmation of landmarks."""

import numpy as np
import pytest
from support.spines import A_MODEL, spine_points, spine_prediction

from orthoangles.predictions import Prediction
from orthoangles.scene import DrawingSettings, SceneError

pytestmark = pytest.mark.scene


def test_a_prediction_places_all_landmarks_and_is_remembered(an_empty_session):
    session = an_empty_session
    prediction = spine_prediction()
    session.set_prediction(prediction)
    np.testing.assert_allclose(session.points, prediction.points)
    np.testing.assert_array_equal(session.predicted_points, prediction.points)
    np.testing.assert_array_equal(session.confidence, prediction.confidence)
    assert session.model == A_MODEL
    assert session.review_state == "predicted"
    assert session.corrected_landmarks == frozenset()
    assert session.result.by_id("cobb-clinical-mt").interval is not None


def test_one_undo_takes_a_prediction_back_with_all_it_brought(an_empty_session):
    an_empty_session.set_prediction(spine_prediction())
    an_empty_session.undo()
    assert np.isnan(an_empty_session.points).all()
    assert an_empty_session.prediction is None
    assert an_empty_session.review_state == "new"
    assert an_empty_session.result.by_id("cobb-clinical-mt").value is None


def test_landmarks_not_found_stay_unset(an_empty_session):
    points = spine_points()
    points[[3, 40]] = np.nan
    an_empty_session.set_prediction(spine_prediction(points))
    assert np.flatnonzero(np.isnan(an_empty_session.points[:, 0])).tolist() == [3, 40]
    assert an_empty_session.review_state == "predicted"


def test_a_prediction_for_other_landmarks_is_refused(an_empty_session):
    other = Prediction("foot", ("A1",), np.zeros((1, 3)), np.ones(1), np.ones(1), A_MODEL)
    with pytest.raises(SceneError, match="foot"):
        an_empty_session.set_prediction(other)


def test_set_unset_and_reset_one_landmark(a_spine_session):
    session = a_spine_session
    row = session.protocol.index("T8-TR")
    proposed = session.points[row]

    session.set_point("T8-TR", np.add(proposed, (2.0, 1.0, 0.0)))
    np.testing.assert_allclose(session.points[row], np.add(proposed, (2.0, 1.0, 0.0)))
    assert session.corrected_landmarks == {"T8-TR"}
    assert session.review_state == "corrected"

    session.unset_point("T8-TR")
    assert np.isnan(session.points[row]).all()
    assert session.markups_node.GetNumberOfControlPoints() == 68
    assert "T8-TR" in session.result.by_id("cobb-aasce-max").reason

    session.reset_point("T8-TR")
    np.testing.assert_allclose(session.points[row], proposed)
    assert session.review_state == "predicted"
    for _ in range(3):
        session.undo()
    np.testing.assert_allclose(session.points[row], proposed)
    with pytest.raises(KeyError, match="T99"):
        session.set_point("T99-TR", (0, 0, 0))


def test_a_corrected_landmark_no_longer_has_the_networks_spread(a_spine_session):
    session = a_spine_session
    corner = session.result.by_id("cobb-clinical-mt").details["upper_end_vertebra"] + "-TL"
    assert session.result.by_id("cobb-clinical-mt").interval is not None
    session.set_point(corner, session.points[session.protocol.index(corner)] + [0.0, 0.5, 0.0])
    assert session.result.by_id("cobb-clinical-mt").interval is None


def test_a_move_takes_the_confirmation_back_and_undo_returns_it(a_spine_session):
    session = a_spine_session
    session.confirm("reader 1")
    assert session.review_state == "confirmed"
    assert session.reader == "reader 1"
    assert session.review.finished
    assert len(session.confirmed_landmarks) == 68

    session.set_point("L3-BL", session.points[58] + [1.0, 0.0, 0.0])
    assert session.review_state == "corrected"
    assert session.confirmed_landmarks == set(session.protocol.landmark_ids) - {"L3-BL"}
    assert not session.review.finished

    session.undo()
    assert session.review_state == "confirmed"
    assert len(session.confirmed_landmarks) == 68


def test_a_landmark_moved_there_and_back_is_not_confirmed_again(a_spine_session):
    session = a_spine_session
    place = session.points[58]
    session.confirm("reader 1")
    session.set_point("L3-BL", np.add(place, (1.0, 0.0, 0.0)))
    session.set_point("L3-BL", place)
    assert session.review_state == "predicted"


def test_single_landmarks_are_confirmed_and_coloured(a_spine_session):
    session = a_spine_session
    node = session.markups_node
    session.confirm_landmark("T2-TL")
    assert session.confirmed_landmarks == {"T2-TL"}
    assert session.review_state == "predicted"
    assert not node.GetNthControlPointSelected(session.protocol.index("T2-TL"))
    assert node.GetNthControlPointSelected(session.protocol.index("T2-TR"))
    session.set_point("T2-TR", (90.0, 30.0, 0.0))
    assert not node.GetNthControlPointSelected(session.protocol.index("T2-TR"))


def test_a_landmark_that_is_not_visible_is_confirmed_as_such(a_spine_session):
    a_spine_session.unset_point("T1-TL")
    a_spine_session.confirm("reader 1")
    assert a_spine_session.review_state == "confirmed"
    a_spine_session.set_point("T1-TL", (80.0, 20.0, 0.0))
    assert a_spine_session.review_state == "corrected"


def test_a_new_prediction_starts_the_review_anew(a_spine_session):
    a_spine_session.confirm("reader 1")
    a_spine_session.set_prediction(spine_prediction(spine_points(thoracic=20.0)))
    assert a_spine_session.review_state == "predicted"
    assert a_spine_session.reader == ""
    assert a_spine_session.confirmed_landmarks == frozenset()


def test_what_is_drawn_is_a_setting(a_spine_session):
    session = a_spine_session
    assert session.settings.measurements == ("cobb-clinical-pt", "cobb-clinical-mt", "cobb-clinical-tl")

    def visible(nodes):
        return [node.GetName() for node in nodes if node.GetDisplayNode().GetVisibility()]

    assert [name[:2] for name in visible(session.arc_nodes)] == ["MT", "TL"]
    session.settings = DrawingSettings(("cobb-aasce-max",), levels=False, midline=False)
    assert visible(session.arc_nodes) == ["AASCE max arc"]
    assert [name.split(":")[0] for name in visible(session.line_nodes)] == ["AASCE max"] * 2
    session.settings = DrawingSettings.of(session.protocol)
    assert "Midline" in visible(session.line_nodes)


def test_a_curve_that_straightens_disappears_from_the_picture(a_spine_session):
    session = a_spine_session
    shown = [node for node in session.arc_nodes if node.GetDisplayNode().GetVisibility()]
    assert len(shown) == 2
    session.set_points(spine_points(thoracic=0.0, lumbar=0.0))
    assert not any(node.GetDisplayNode().GetVisibility() for node in session.arc_nodes)
    session.set_points(spine_points())
    assert [node.GetDisplayNode().GetVisibility() for node in shown] == [1, 1]


def test_jump_centres_the_views_on_a_landmark(a_spine_session, a_slice_view):
    a_spine_session.jump_to("L4-BL")
    x, y = a_slice_view.display_point(a_spine_session.points[a_spine_session.protocol.index("L4-BL")])
    width, height = a_slice_view.window.GetSize()
    assert abs(x - width / 2) <= 1
    assert abs(y - height / 2) <= 1


def test_points_given_out_are_copies(a_spine_session):
    a_spine_session.points[:] = 0
    a_spine_session.predicted_points[:] = 0
    assert a_spine_session.points.any()
    assert a_spine_session.predicted_points.any()


def test_points_of_the_wrong_shape_are_refused(a_spine_session):
    with pytest.raises(ValueError, match="shape"):
        a_spine_session.set_points(np.zeros((3, 3)))
