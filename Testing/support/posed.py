"""Feet made once and used by several tests."""

from functools import cache

from orthoangles.simulation.anatomy.bones import BoneSet
from orthoangles.simulation.pose.foot_pool import FootPool
from orthoangles.simulation.pose.posed_foot import PosedFoot
from orthoangles.simulation.pose.standing import pose_foot


@cache
def standing_foot() -> BoneSet:
    """The procedural foot, standing straight."""
    return FootPool().standing("procedural")


@cache
def posed_foot(**angles: float) -> PosedFoot:
    """The procedural foot with the named angles, everything else as it comes."""
    return pose_foot(standing_foot(), angles)
