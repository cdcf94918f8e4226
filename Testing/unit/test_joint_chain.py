"""The kinematic chain: axes, signs, and that its twists are the derivatives of its placements."""

import numpy as np
import pytest
from support.posed import standing_foot

from orthoangles.simulation.anatomy.bones import FOOT_BONES
from orthoangles.simulation.anatomy.joints import JOINTS, Chain, articulations, neighbours, rotation_about

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def chain():
    bones = standing_foot()
    return Chain(bones, {joint.name: bones[joint.child].centroid - (0, 8, 0) for joint in JOINTS})


def coordinate(chain, joint, axis):
    return 6 * chain.row[next(j.child for j in JOINTS if j.name == joint)] + axis


def head_after(chain, joint, axis, degrees, bone="proximal_phalanx_1"):
    """Where the middle of ``bone`` goes when one joint turns."""
    q = np.zeros(chain.size)
    q[coordinate(chain, joint, axis)] = np.deg2rad(degrees)
    rotations, translations, _ = chain.place(q)
    centre = standing_foot()[bone].centroid
    return rotations[chain.row[bone]] @ centre + translations[chain.row[bone]] - centre


def test_every_bone_of_the_foot_hangs_on_the_calcaneus():
    parents = {joint.child: joint.parent for joint in JOINTS}
    assert {*parents, "calcaneus"} == set(FOOT_BONES)
    for bone in FOOT_BONES:
        while bone != "calcaneus":
            bone = parents[bone]


def test_at_zero_nothing_moves(chain):
    rotations, translations, _ = chain.place(np.zeros(chain.size))
    assert np.allclose(rotations, np.eye(3), atol=1e-12)
    assert np.allclose(translations, 0, atol=1e-9)


def test_flexion_lifts_abduction_adducts_and_rotation_inverts(chain):
    assert head_after(chain, "tarsometatarsal_1", 0, 5)[2] > 2
    assert head_after(chain, "metatarsophalangeal_1", 1, 10)[0] < -1
    # Inversion at the talonavicular joint: the medial ray rises over the lateral side of the same joint.
    assert head_after(chain, "talonavicular", 2, 10)[2] > head_after(chain, "talonavicular", 2, -10)[2]


def test_the_subtalar_axis_is_42_degrees_up_and_16_medial(chain):
    axis = chain.axes[[joint.name for joint in chain.joints].index("subtalar"), 0]
    assert np.degrees(np.arcsin(axis[2])) == pytest.approx(42, abs=1e-9)
    assert np.degrees(np.arctan2(-axis[0], axis[1])) == pytest.approx(16, abs=1e-9)


def test_axes_are_perpendicular_to_each_other(chain):
    assert np.allclose(chain.axes @ chain.axes.transpose(0, 2, 1), np.eye(3), atol=1e-12)


def test_twists_are_derivatives(chain):
    rng = np.random.default_rng(3)
    q = rng.normal(0, 0.15, chain.size)
    rotations, translations, twists = chain.place(q)
    step = 1e-6
    for k in rng.choice(chain.size, 40, replace=False):
        moved = q.copy()
        moved[k] += step
        r, t, _ = chain.place(moved)
        for b in range(len(chain.bones)):
            point = rng.normal(0, 60, 3)
            at = rotations[b] @ point + translations[b]
            velocity = ((r[b] @ point + t[b]) - at) / step
            angular, linear = twists[b, :3, k], twists[b, 3:, k]
            assert np.allclose(np.cross(angular, at) + linear, velocity, atol=2e-3)


def test_rotation_is_right_handed():
    turned = rotation_about(np.array([0.0, 0, 1]), np.pi / 2) @ np.array([1.0, 0, 0])
    assert np.allclose(turned, [0, 1, 0])


def test_pairs_name_bones_that_exist_once():
    pairs = [frozenset(pair) for pair in (*articulations(), *neighbours())]
    assert len(pairs) == len(set(pairs))
    assert set().union(*pairs) == set(FOOT_BONES)
