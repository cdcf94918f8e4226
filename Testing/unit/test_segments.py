"""Line segments of bones: their maps, the loss on them and the way back to handles."""

import numpy as np
import pytest
import torch

from orthoangles.losses.segments import SegmentLoss
from orthoangles.measuring import measure
from orthoangles.networks.segment_decoding import SegmentDecoder
from orthoangles.protocols import load_protocol
from orthoangles.segments import (
    handles_between,
    published_segment_maps,
    segment_ends,
    segment_maps,
    to_grid,
    to_pixels,
)

pytestmark = pytest.mark.unit

ENDS = np.array([[[250.0, 300.0], [271.0, 240.0]], [[230.0, 470.0], [240.0, 352.0]], [[290.0, 490.0], [301.0, 345.0]]])
"""Proximal phalanx, first and second metatarsal in a frame of 1024 x 512 pixels, proximal ends first."""

SHAPE = (256, 128)


def logits(maps) -> torch.Tensor:
    return torch.logit(torch.as_tensor(maps).clamp(1e-4, 1 - 1e-4))


def drawn(ends=ENDS, width=4.0) -> torch.Tensor:
    return torch.from_numpy(segment_maps(to_grid(ends, 4), SHAPE, width))


def turns(points) -> np.ndarray:
    """Angle of each bone's axis, degrees."""
    along = np.diff(segment_ends(points), axis=-2)[..., 0, :]
    return np.degrees(np.arctan2(along[..., 1], along[..., 0]))


def curved(rng) -> np.ndarray:
    """Handles (15, 2) of bent shafts."""
    return handles_between(ENDS) + rng.normal(0, 2, (15, 2))


def test_segments_end_on_the_least_squares_line_beside_the_outer_handles():
    handles = curved(np.random.default_rng(0))
    for bone, ends in zip(handles.reshape(3, 5, 2), segment_ends(handles), strict=True):
        middle = bone.mean(0)
        direction = np.linalg.svd(bone - middle)[2][0]
        across = (ends - middle) @ [-direction[1], direction[0]]
        assert across == pytest.approx(0, abs=0.05)
        assert np.linalg.norm(ends - bone[[0, 4]], axis=1).max() < 6


def test_without_a_middle_handle_the_outer_ones_are_the_ends():
    handles = curved(np.random.default_rng(1))
    handles[7] = np.nan
    assert segment_ends(handles)[1] == pytest.approx(handles[[5, 9]])
    handles[9] = np.nan
    assert np.isnan(segment_ends(handles)[1, 1]).all()


def test_handles_lie_in_quarters_between_the_ends():
    handles = handles_between(ENDS)
    assert handles[:5] == pytest.approx(np.linspace(*ENDS[0], 5))
    assert segment_ends(handles) == pytest.approx(ENDS)


def test_cells_stand_at_their_true_centres():
    assert to_grid(np.array([1.5, 5.5]), 4) == pytest.approx([0, 1])
    assert to_pixels(to_grid(ENDS, 4), 4) == pytest.approx(ENDS)


@pytest.mark.parametrize("width", [1, 2, 3.5, 6])
def test_a_map_has_the_area_of_its_segment_wherever_that_lies(width):
    rng = np.random.default_rng(2)
    for _ in range(5):
        angle, centre = rng.uniform(0, np.pi), rng.uniform(24, 40, 2)
        half = 15 * np.array([np.cos(angle), np.sin(angle)])
        area = segment_maps(np.array([centre - half, centre + half]), (64, 64), width).sum()
        assert area == pytest.approx(30 * width + np.pi * width**2 / 4, rel=0.03)


def test_a_map_is_one_inside_a_half_on_the_edge_and_nothing_outside():
    map_ = segment_maps(np.array([[10.0, 20.0], [30.0, 20.0]]), (40, 40), 4)
    assert map_[:, 20][16:25].tolist() == [0, 0, 0.5, 1, 1, 1, 0.5, 0, 0]
    assert map_[20][[7, 8, 9, 31, 32, 33]].tolist() == [0, 0.5, 1, 1, 0.5, 0]


def test_the_published_line_is_cut_to_cells_and_wider_than_it_says():
    # Rows that OpenCV 4.11 fills for a horizontal line of thickness 1 to 6.
    for width, rows in zip(range(1, 7), (1, 3, 5, 5, 7, 7), strict=True):
        map_ = published_segment_maps(np.array([[8.9, 10.7], [30.2, 10.1]]), (24, 40), width)
        assert map_[:, 20].sum() == rows
        assert map_[10 - rows // 2, 20] == 1


@pytest.mark.parametrize("width", range(1, 7))
def test_the_published_line_is_that_of_opencv(width):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(width)
    overlap = []
    for ends in rng.uniform(8, 56, (60, 2, 2)):
        expected = np.zeros((64, 64), np.uint8)
        cv2.line(expected, *(tuple(int(v) for v in end) for end in ends), 1, width)
        found = published_segment_maps(ends, (64, 64), width)
        overlap.append(np.minimum(found, expected).sum() / np.maximum(found, expected).sum())
    assert np.mean(overlap) > 0.92


@pytest.mark.parametrize("draw", [segment_maps, published_segment_maps])
def test_arrays_and_tensors_give_the_same_maps(draw):
    ends = to_grid(ENDS, 4)
    assert draw(torch.from_numpy(ends), SHAPE, 4).numpy() == pytest.approx(draw(ends, SHAPE, 4), abs=1e-9)
    assert draw(torch.from_numpy(ends).float(), SHAPE, 4).dtype == torch.float32


@pytest.mark.parametrize("draw", [segment_maps, published_segment_maps])
def test_a_segment_without_length_is_a_disk(draw):
    map_ = draw(np.full((2, 2), 20.0), (40, 40), 4)
    assert map_.sum() == pytest.approx(4 * np.pi, rel=0.06)


@pytest.mark.parametrize("published", [False, True])
def test_the_loss_is_least_for_the_segments_themselves(published):
    loss = SegmentLoss(4, published)
    targets = torch.from_numpy(handles_between(ENDS)).float()[None]
    maps = loss.maps(torch.from_numpy(ENDS).float(), SHAPE)
    right, _ = loss(logits(maps)[None], targets)
    for wrong in (maps.roll(2, -1), maps.roll(1, 0), torch.zeros_like(maps)):
        assert loss(logits(wrong)[None], targets)[0] > 2 * right


def test_a_bone_without_an_end_counts_for_nothing():
    loss, targets = SegmentLoss(), torch.from_numpy(handles_between(ENDS)).float()[None]
    targets[0, 9] = torch.nan
    output = logits(drawn())[None].float().requires_grad_()
    total, terms = loss(output, targets)
    total.backward()
    assert float(terms["segments"].detach()) == float(total.detach()) > 0
    assert output.grad[0, 1].abs().sum() == 0
    assert output.grad[0, 0].abs().sum() > 0


def test_a_batch_without_a_bone_has_no_loss_and_no_gradient():
    output = torch.zeros(1, 3, 16, 8, requires_grad=True)
    total, _ = SegmentLoss()(output, torch.full((1, 15, 2), torch.nan))
    total.backward()
    assert float(total.detach()) == 0
    assert output.grad.abs().sum() == 0


@pytest.mark.parametrize(
    ("mode", "pixels", "degrees"), [("weighted", 0.5, 0.1), ("paper", 3.5, 1.0), ("code", 3.5, 1.0)]
)
def test_handles_come_back_from_their_maps(mode, pixels, degrees):
    decoded = SegmentDecoder(mode)(logits(drawn()))
    assert np.linalg.norm(decoded.points - handles_between(ENDS), axis=1).max() < pixels
    assert np.abs(turns(decoded.points) - turns(handles_between(ENDS))).max() < degrees
    assert decoded.warnings == ()
    assert decoded.confidence.min() > 0.85


def test_the_constant_of_the_fit_goes_with_the_width():
    # Thin lines, and a shorter one beside each metatarsal that a constant for thick lines does not keep apart.
    beside = ENDS[:, :1] + 0.4 * (ENDS - ENDS[:, :1]) + np.array([16.0, 0.0])
    output = logits(drawn(ENDS, 2).maximum(drawn(beside, 2)))
    decoded = [SegmentDecoder(width=width)(output) for width in (2, 4)]
    errors = [np.abs(turns(each.points) - turns(handles_between(ENDS)))[1:].max() for each in decoded]
    assert errors[0] < 0.3
    assert errors[1] > 2 * errors[0]


def test_the_lower_end_comes_first_whichever_way_the_bone_leans():
    for lean in (-70.0, 0.0, 70.0):
        ends = ENDS.copy()
        ends[0, 1] = ends[0, 0] + [lean, -25.0]
        points = SegmentDecoder()(logits(drawn(ends))).points
        assert points[0] == pytest.approx(ends[0, 0], abs=0.6)
        assert points[4] == pytest.approx(ends[0, 1], abs=0.6)


def test_a_blob_beside_the_bone_and_a_spot_on_its_line_change_little():
    maps = drawn()
    maps[1, 60:70, 90:100] = 0.9
    maps[1, 30:33, 65:69] = 0.9
    clean, decoded = SegmentDecoder()(logits(drawn())), SegmentDecoder()(logits(maps))
    assert np.linalg.norm(decoded.points - clean.points, axis=1).max() < 2
    assert decoded.confidence[5] < 0.7 * clean.confidence[5]


def test_what_is_not_there_is_not_found_and_said():
    maps = drawn()
    maps[2] = 0.02
    decoded = SegmentDecoder()(logits(maps))
    assert np.isnan(decoded.points[10:]).all()
    assert np.isfinite(decoded.points[:10]).all()
    assert decoded.confidence[10:].tolist() == [0] * 5
    assert np.isnan(decoded.spread[10:]).all()
    assert decoded.warnings == ("not found in the image: axis of the second metatarsal",)


def test_a_blob_is_no_axis():
    maps = torch.zeros(3, *SHAPE)
    maps[:, 100:103, 60:63] = 0.9
    assert np.isnan(SegmentDecoder()(logits(maps)).points).all()


def test_a_weak_map_is_found_by_the_codes_threshold_and_doubted():
    decoded = {mode: SegmentDecoder(mode)(logits(0.3 * drawn())) for mode in ("paper", "code")}
    assert np.isnan(decoded["paper"].points).all()
    assert np.abs(turns(decoded["code"].points) - turns(handles_between(ENDS))).max() < 1
    assert decoded["code"].warnings[0].startswith("uncertain: axis of the proximal phalanx of the great toe, first")


def test_a_bent_segment_has_a_wider_spread_than_a_straight_one():
    bent = drawn()
    bent[1] = bent[1].roll(3, 1)
    bent[1, 100:] = drawn()[1, 100:]
    decoded = SegmentDecoder(floor=0.5)(logits(bent))
    assert decoded.spread[5] > 2 > decoded.spread[0]
    assert decoded.spread[0] == pytest.approx(0.5, abs=0.2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["weighted", "paper", "code"])
def test_whatever_a_network_says_is_read(mode):
    rng = np.random.default_rng(8)
    for spread in (0.5, 3.0, 30.0):
        output = torch.from_numpy(rng.normal(-spread, spread, (3, 32, 16)))
        decoded = SegmentDecoder(mode)(output)
        assert decoded.points.shape == (15, 2)
        assert (decoded.confidence <= 1).all()
        assert (np.isfinite(decoded.points[:, 0]) == (decoded.confidence > 0)).all()


def test_an_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="paper, code, weighted"):
        SegmentDecoder("publication")


def test_the_handles_alone_measure_the_fitted_angle_and_move_it_when_dragged():
    decoded = SegmentDecoder()(logits(drawn()))
    assert not decoded.foreground
    expected = turns(handles_between(ENDS))
    points = np.column_stack([decoded.points * 0.3, np.zeros(15)])

    def hallux_valgus() -> float:
        result = measure(load_protocol("foot-ap-hallux"), points, spread=0.3 * decoded.spread)
        assert result.by_id("hallux-valgus-angle").interval is not None
        return result.by_id("hallux-valgus-angle").value

    before = hallux_valgus()
    assert before == pytest.approx(expected[0] - expected[1], abs=0.2)
    # The distal handles of the toe, 2 mm further to the side of the second metatarsal.
    points[[3, 4], 0] += 2.0
    assert hallux_valgus() > before + 5
