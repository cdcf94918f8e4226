"""A foot in a volume as the four views draw it, and a landmark dragged in a slice view."""

import numpy as np
import pytest
from support.standing_volume import foot_in_volume
from support.view_3d import window_pixels

from orthoangles.measuring import measure
from orthoangles.scene import FrameSettings, look

pytestmark = pytest.mark.scene


def has_color(pixels, color, tolerance=40):
    """Whether any pixel has nearly that colour, 0..1 each."""
    return bool((np.abs(pixels.astype(int) - np.array(color) * 255).max(axis=-1) < tolerance).any())


def around(view, lps, half=6):
    """Pixels near a point as the view draws it."""
    x, y = view.display_point(lps)
    pixels = window_pixels(view.window)
    row = pixels.shape[0] - 1 - y
    return pixels[row - half : row + half + 1, x - half : x + half + 1]


@pytest.mark.parametrize("landmark", ["T1", "C4", "M2b", "M5"])
def test_going_to_a_landmark_centres_all_three_slices_on_it_and_draws_it(a_foot_session, a_four_up, landmark):
    a_foot_session.jump_to(landmark)
    place = a_foot_session.points[a_foot_session.protocol.index(landmark)]
    for view in a_four_up.slices.values():
        columns, rows = view.window.GetSize()
        x, y = view.display_point(place)
        assert abs(x - columns / 2) <= 1
        assert abs(y - rows / 2) <= 1
        assert abs(view.node.GetSliceOffset() - slice_place(view, place)) < 0.01
        view.render()
        assert has_color(around(view, place), look.ACTIVE)


def slice_place(view, lps):
    """Where a point lies along the normal of a slice view."""
    matrix = view.node.GetSliceToRAS()
    return float(np.dot([matrix.GetElement(k, 2) for k in range(3)], lps * (-1, -1, 1)))


def test_a_landmark_is_drawn_on_its_slices_and_not_on_others(a_foot_session, a_four_up):
    red = a_four_up.slices["Red"]
    a_foot_session.jump_to("C4")
    place = a_foot_session.points[a_foot_session.protocol.index("M1b")]
    red.render()
    assert not has_color(around(red, place), look.PROPOSED)
    a_foot_session.jump_to("M1a")
    red.node.SetSliceOffset(slice_place(red, place))
    red.render()
    assert has_color(around(red, place), look.PROPOSED)


def test_the_3d_view_shows_points_axes_ground_and_arrows(a_foot_session, a_four_up):
    space = a_four_up.space
    space.look_from((0.6, -1.0, 0.8), foot_in_volume().mean(axis=0), 150)
    with_all = space.pixels()
    assert has_color(with_all, look.PROPOSED)
    assert has_color(with_all, look.AXES)
    assert has_color(with_all, look.FORWARD)
    a_foot_session.frame_settings = FrameSettings(shown=False)
    assert not has_color(space.pixels(), look.FORWARD)


def test_a_chosen_angle_is_drawn_in_all_four_views(a_foot_session, a_four_up):
    views = (*a_four_up.slices.values(), a_four_up.space)
    a_four_up.space.look_from((0.6, -1.0, 0.8), foot_in_volume().mean(axis=0), 150)
    chosen = "meary-angle"
    color = a_foot_session._picture.angles[chosen].color
    for view in views:
        assert not has_color(window_pixels(view.window), color, 25)
    a_foot_session.choose_measurement(chosen)
    a_foot_session.jump_to_measurement(chosen)
    for view in views:
        assert has_color(window_pixels(view.window), color, 25)


def test_each_move_of_a_drag_in_a_slice_view_is_measured_in_its_event(a_foot_session, a_four_up):
    session, view = a_foot_session, a_four_up.slices["Red"]
    session.choose_measurement("hallux-valgus-angle")
    session.frame_settings = FrameSettings("landmarks")
    index = session.protocol.index("M1b")
    session.jump_to("M1b")
    view.render()
    seen = []
    session.add_update_callback(lambda live: seen.append(live.result))
    x, y = view.display_point(session.points[index])
    view.press(x, y)
    for k in range(1, 11):
        view.move(x + k, y)
        assert len(seen) == k
        fresh = measure(session.protocol, session.points, frame=session.result.frame)
        for each in fresh.measurements:
            assert session.result.by_id(each.id).value == each.value
        label = session.parameter_node.GetNodeReference("hallux-valgus-angle.label")
        assert f" {fresh.by_id('hallux-valgus-angle').value:.1f}°" in label.GetNthControlPointLabel(0)
    view.release(x + 10, y)
    assert len({result.by_id("hallux-valgus-angle").value for result in seen}) == 10
    assert len({result.frame.up for result in seen}) == 10
    session.undo()
    np.testing.assert_allclose(session.points, foot_in_volume())


def test_a_click_places_a_missing_landmark_on_the_slice_that_is_shown(a_foot_session, a_four_up):
    session, view = a_foot_session, a_four_up.slices["Yellow"]
    place = session.points[session.protocol.index("C1")]
    session.jump_to("C1")
    session.start_placing("C1")
    assert session.result.by_id("calcaneal-pitch").value is None
    view.render()
    view.click(*view.display_point(place))
    assert np.linalg.norm(session.points[session.protocol.index("C1")] - place) < 2
    assert session.result.by_id("calcaneal-pitch").value is not None
