"""Feet posed with the angles of a normal foot measure as one in the angles that were not set, too."""

import importlib.util
import sys
from pathlib import Path

import pytest

from orthoangles.simulation.foot import FootOptions

pytestmark = pytest.mark.unit

NORMAL = {
    "hallux_valgus": 12.0,
    "intermetatarsal": 9.0,
    "calcaneal_pitch": 21.0,
    "meary": 1.0,
    "forefoot_abduction": 7.0,
    "hindfoot": 3.0,
}
PUBLISHED = {
    "foot-ap/hallux-valgus-angle": (5, 18),
    "foot-ap/talocalcaneal-angle-ap": (12, 33),
    "foot-ap/mt1-talar-angle-ap": (-18, 12),
    "foot-lateral/talocalcaneal-angle-lateral": (28, 56),
    "foot-wbct/boehler-angle": (20, 40),
    "foot-wbct/gissane-angle": (93, 135),
    "foot-wbct/calcaneal-pitch": (17, 30),
    "foot-wbct/meary-angle": (-7, 7),
    "foot-wbct/foot-ankle-offset": (-3, 9),
}
"""Normal ranges named in docs/FOOT.md, those of other definitions a few degrees wider."""


def tool():
    path = Path(__file__).parents[2] / "tools" / "simulated_angles.py"
    spec = importlib.util.spec_from_file_location("simulated_angles", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cases():
    simulated = tool()
    options = FootOptions(angles=NORMAL, distribution="population", plain=True)
    return [simulated.case(options, seed) for seed in range(3)]


@pytest.mark.parametrize("measurement", PUBLISHED)
def test_a_normal_foot_is_normal_in_the_angles_that_were_not_set(cases, measurement):
    low, high = PUBLISHED[measurement]
    for case in cases:
        assert low < case.values[measurement] < high, (measurement, case.values[measurement])


def test_what_was_set_is_measured(cases):
    for case in cases:
        assert case.values["foot-lateral/meary-angle"] == pytest.approx(NORMAL["meary"], abs=0.11)
        assert case.values["foot-wbct/hindfoot-angle"] == pytest.approx(NORMAL["hindfoot"], abs=0.11)


def test_the_table_tells_spread_and_reasons():
    simulated = tool()
    reason = (
        "the foot cannot take this pose: meary-angle is 3.00 and not 2.00 degrees; "
        "cuboid and calcaneus stand 0.20 mm apart, -0.70 at the closest"
    )
    pairs = zip("aabb", (1, 3, 5, 7), strict=True)
    some = [simulated.Case(subject, {"foot-ap/x": value}, []) for subject, value in pairs]
    some.append(simulated.Case("a", {}, [reason, "no bones"]))
    assert "| foot-ap/x | 4.0 | 2.6 | 1.3 to 6.7 | 64 % |" in simulated.angle_table(some)
    told = simulated.reason_table(some)
    assert "2 of 6 attempts rejected (33 %); 1 seeds lost." in told
    for fault in ("meary-angle not reached", "cuboid and calcaneus: inside each other", "no bones"):
        assert f"| {fault} | 1 |" in told
