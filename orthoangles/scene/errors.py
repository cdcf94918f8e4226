"""What can go wrong between a measurement and the scene."""

from orthoangles.errors import OrthoAnglesError


class SceneError(OrthoAnglesError):
    """A node is missing or is not what a measurement needs, or a scene file cannot be read or written."""
