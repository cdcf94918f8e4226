"""A foot built by code: all 30 bones as closed surfaces, so that nothing foreign is needed to simulate.

Each bone is a smooth union of simple solids; where two bones meet, one is cut to the other's shape at the width of
the joint space, so that every joint is congruent and no bone enters another::

    foot = procedural_foot()
    foot["talus"].volume
"""

from dataclasses import replace
from functools import cache

import numpy as np

from orthoangles.simulation.anatomy.bones import FOOT_BONES, Bone, BoneSet
from orthoangles.simulation.anatomy.implicit import mesh
from orthoangles.simulation.anatomy.procedural_forefoot import forefoot_solids
from orthoangles.simulation.anatomy.procedural_hindfoot import hindfoot_fields, hindfoot_solid
from orthoangles.simulation.anatomy.procedural_joints import cut_joints

_GRID_STEPS = {
    "tibia": 2.8,
    "fibula": 2.3,
    "calcaneus": 2.2,
    "talus": 2.0,
    "navicular": 1.6,
    "cuboid": 1.8,
    "medial_cuneiform": 1.6,
    "intermediate_cuneiform": 1.4,
    "lateral_cuneiform": 1.5,
    "metatarsal_1": 1.7,
    "proximal_phalanx_1": 1.4,
    "distal_phalanx_1": 1.3,
}
_METATARSAL_STEP = 1.6
_TOE_STEP = 1.1


def procedural_foot(rng: np.random.Generator | None = None) -> BoneSet:
    """All 30 bones of a standing adult right foot, mm, the centroid of the talus at the origin.

    Without ``rng`` always the same foot; with it, one of random shape (see `shape.vary_shape`). Takes about two
    seconds the first time and is kept after that.
    """
    foot = _standard_foot()
    if rng is None:
        return foot
    from orthoangles.simulation.anatomy.shape import vary_shape

    return vary_shape(foot, rng)[0]


@cache
def _standard_foot() -> BoneSet:
    solids = {name: hindfoot_solid(name, field) for name, field in hindfoot_fields().items()} | forefoot_solids()
    fields = cut_joints({name: solid.field for name, solid in solids.items()})
    bones = {}
    for name in FOOT_BONES:
        vertices, faces = mesh(replace(solids[name], field=fields[name]), _step(name))
        bones[name] = Bone(name, vertices, faces, "procedural")
    centre = bones["talus"].centroid
    return BoneSet(
        "procedural",
        "foot",
        "procedural",
        "R",
        {name: bone.with_vertices(bone.vertices - centre) for name, bone in bones.items()},
        "orthoangles.simulation.anatomy.procedural_bones",
        "as the program",
    )


def _step(name: str) -> float:
    return _GRID_STEPS.get(name, _METATARSAL_STEP if name.startswith("metatarsal") else _TOE_STEP)
