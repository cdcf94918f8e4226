"""One simulated foot: a shape, a pose, and what an X-ray tube and a WBCT scanner see of it::

    foot = simulate_foot(FootOptions(angles={"hallux_valgus": 30}), seed=7)
    foot.ap.image, foot.ap.points["A1"]        # radiograph and pixel of a landmark
    foot.posed.landmarks["A1"]                 # the same landmark in mm

``datasets.foot_job`` makes datasets of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from orthoangles.errors import SimulationError
from orthoangles.simulation.pose.deformities import DISTRIBUTIONS, checked_angles, draw_angles, joint_bias
from orthoangles.simulation.pose.foot_pool import FootPool, foot_pool
from orthoangles.simulation.pose.stance import Stance
from orthoangles.simulation.threads import one_thread

if TYPE_CHECKING:
    from orthoangles.simulation.anatomy.bones import BoneSet
    from orthoangles.simulation.pose.posed_foot import PosedFoot
    from orthoangles.simulation.radiography.cameras import Camera
    from orthoangles.simulation.radiography.radiograph import Radiograph
    from orthoangles.simulation.tomography.volume import Volume

VIEWS = ("ap", "lateral", "wbct")
_ATTEMPTS = 12
_SKIN = np.array([7.0, 9.0])
"""mm of soft tissue beside the bones and beyond the toes, to frame a foot before its skin is known (inferred)."""
_CHILDREN = 0.2
"""Share of feet below 18 years (inferred)."""


@dataclass(frozen=True)
class FootOptions:
    """What to simulate; picklable, so that processes can share it.

    ``bones``: folder of a bone library, None for the procedural bone set. ``persons``: whose feet may be used (all when
    empty). ``views``: of :data:`VIEWS`. ``sizes``: view -> (rows, columns). ``spacing`` mm of the volume.
    ``distribution``: how angles are drawn; ``angles``: those that are set. ``variation`` multiplies the change of
    shape; 0 keeps the scanned shapes, not their size. ``plain``: no artefacts, no collimation, no text, the standard
    view. ``device``: where radiographs are projected.
    """

    bones: str | None = None
    persons: tuple[str, ...] = ()
    views: tuple[str, ...] = ("ap", "lateral")
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: {"ap": (1024, 512), "lateral": (768, 1024)})
    spacing: float = 0.5
    distribution: str = "uniform"
    angles: Mapping[str, float] = field(default_factory=dict)
    variation: float = 1.0
    plain: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        unknown = [view for view in self.views if view not in VIEWS]
        if unknown or not self.views:
            raise SimulationError(f"views {', '.join(unknown) or '(none)'}: choose among {', '.join(VIEWS)}.")
        if self.distribution not in DISTRIBUTIONS:
            raise SimulationError(f"distribution '{self.distribution}': choose among {', '.join(DISTRIBUTIONS)}.")
        if not 0.3 <= self.spacing <= 1.0:
            raise SimulationError(f"a spacing of {self.spacing:g} mm is out of range: 0.3 to 1 mm.")
        checked_angles(self.angles)


@dataclass(frozen=True, eq=False)
class SimulatedFoot:
    """The foot ``posed`` and its images (None where the view was not asked for).

    ``group`` is what no split may part, ``persons`` everyone whose bones these are, ``age`` in years goes with the
    foot's size. ``parameters`` are JSON types and, with the seed, tell all.
    """

    posed: "PosedFoot"
    ap: "Radiograph | None"
    lateral: "Radiograph | None"
    wbct: "Volume | None"
    group: str
    persons: tuple[str, ...]
    age: float
    parameters: Mapping[str, Any]


class Body(NamedTuple):
    """What is drawn before a pose is tried."""

    subject: str
    side: str
    age: float
    size: float
    bones: "BoneSet"
    shape: Mapping[str, Any]


class Attempt(NamedTuple):
    """One attempt at the foot of a seed: ``posed``, or the ``reason`` why there is none.

    ``body`` is None where already no shape could be had; ``rngs`` are what the images are drawn with.
    """

    body: Body | None
    cameras: Mapping[str, "Camera"]
    posed: "PosedFoot | None"
    reason: str
    rngs: Sequence[np.random.Generator]


def attempts(options: FootOptions, seed: int) -> Iterator[Attempt]:
    """What is tried for this seed, a dozen times at most, up to and with the first pose that holds."""
    pool = foot_pool(options.bones, options.persons)
    for number in range(_ATTEMPTS):
        # Of its own for each purpose: what is asked of one view changes nothing in another.
        of_body, of_pose, *of_images = np.random.default_rng([seed, number]).spawn(6)
        body, cameras = None, {}
        try:
            body = _body(pool, options, of_body)
            cameras = _cameras(body, options, of_pose)
            posed = _posed(body, cameras, options, of_pose)
        except SimulationError as error:
            yield Attempt(body, cameras, None, str(error), of_images)
            continue
        yield Attempt(body, cameras, posed, "", of_images)
        return


@one_thread()
def simulate_foot(options: FootOptions, seed: int) -> SimulatedFoot:
    """Simulate the foot of this seed; the same options and seed give the same bytes.

    Where bones would run into each other, or an angle cannot be reached, the foot is drawn anew. Raises SimulationError
    when that fails a dozen times: the angles asked for do not go together.
    """
    *failed, last = attempts(options, seed)
    if last.posed is None:
        raise SimulationError(
            f"seed {seed}: no foot could take the pose in {_ATTEMPTS} attempts; the last: {last.reason}"
        )
    about = {"seed": seed, "attempt": len(failed), "rejected": [each.reason for each in failed]}
    group = foot_pool(options.bones, options.persons).cluster_of(last.body.subject)
    return _imaged(last, options, about, group)


def _body(pool: FootPool, options: FootOptions, rng: np.random.Generator) -> Body:
    """Whose foot, how large, how varied."""
    from orthoangles.simulation.anatomy.blending import blend_feet
    from orthoangles.simulation.anatomy.shape import scaled, vary_shape

    subject = pool.choose(rng)
    side = "R" if rng.random() < 0.5 else "L"
    age, size = _age_and_size(rng)
    bones = pool.standing(subject)
    shape: dict[str, Any] = {"size": round(size, 4)}
    if options.variation > 0:
        joints = pool.joints(subject)
        bones, shape["blend"] = blend_feet(bones, pool.donors(subject), rng, matches=pool.matches, joints=joints)
        bones, shape["variation"] = vary_shape(bones, rng, amount=options.variation, joints=joints)
    return Body(subject, side, age, size, scaled(bones, size), shape)


def _age_and_size(rng: np.random.Generator) -> tuple[float, float]:
    """Years, and the foot's size against the scanned adult: a six-year-old's foot has 0.72 of it (inferred)."""
    if rng.random() < _CHILDREN:
        age = float(rng.uniform(6, 18))
        return age, float(np.clip(0.72 + 0.28 * (age - 6) / 10, None, 1.0) * np.exp(rng.normal(0, 0.04)))
    return float(rng.uniform(18, 85)), float(np.exp(rng.normal(0, 0.05)))


def _cameras(body: Body, options: FootOptions, rng: np.random.Generator) -> dict[str, "Camera"]:
    """Views of the foot as it lies before it is posed: near enough, and the angles are then set in these very views."""
    from orthoangles.simulation.radiography.projection import framed_camera
    from orthoangles.simulation.tissue.skin import leg_top

    bones = np.vstack([bone.vertices for name, bone in body.bones.items() if name not in ("tibia", "fibula")])
    low, high = bones.min(axis=0), bones.max(axis=0)
    low[:2] -= _SKIN * body.size
    high[:2] += _SKIN * body.size
    top = leg_top(body.bones)
    drawn = None if options.plain else rng
    sizes = FootOptions().sizes | dict(options.sizes)
    return {view: framed_camera(view, low, high, top, drawn, sizes[view]) for view in ("ap", "lateral")}


def _posed(body: Body, cameras: Mapping[str, "Camera"], options: FootOptions, rng: np.random.Generator) -> "PosedFoot":
    from orthoangles.simulation.pose.standing import pose_foot

    angles = draw_angles(rng, options.distribution, options.angles)
    side, front = rng.normal([0.0, 3.0], [2.0, 3.0])  # degrees the leg leans (inferred)
    stance = Stance((float(side), float(front)), joint_bias(rng, angles), body.size)
    return pose_foot(body.bones, angles, stance, cameras, body.side)


def _imaged(attempt: Attempt, options: FootOptions, about: Mapping[str, Any], group: str) -> SimulatedFoot:
    """The images of a foot that took its pose."""
    from orthoangles.simulation.radiography.radiograph import render_radiograph
    from orthoangles.simulation.radiography.radiograph_style import RadiographStyle
    from orthoangles.simulation.tissue.tissue import foot_tissue
    from orthoangles.simulation.tomography.volume import simulate_wbct
    from orthoangles.simulation.tomography.volume_style import VolumeStyle

    body, posed = attempt.body, attempt.posed
    of_tissue, of_ap, of_lateral, of_scan = attempt.rngs
    tissue = foot_tissue(posed, of_tissue)
    images: dict[str, Any] = dict.fromkeys(VIEWS)
    film, scan = (RadiographStyle(), VolumeStyle()) if options.plain else (None, None)
    for view, rng in (("ap", of_ap), ("lateral", of_lateral)):
        if view in options.views:
            images[view] = render_radiograph(posed, tissue, attempt.cameras[view], rng, film, device=options.device)
    if "wbct" in options.views:
        images["wbct"] = simulate_wbct(posed, tissue, of_scan, spacing=options.spacing, style=scan)
    parameters = {
        **about,
        "subject": body.subject,
        "side": body.side,
        "age": round(body.age, 2),
        "shape": dict(body.shape),
        "pose": dict(posed.parameters),
        "tissue": dict(tissue.parameters),
    }
    return SimulatedFoot(posed, **images, group=group, persons=body.bones.persons, age=body.age, parameters=parameters)
