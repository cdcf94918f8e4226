"""The volume nodes of one image: where it was turned, or shows two feet, each upright foot is a volume of its own.

A foot's volume refers to the image that it was cut from, also in a saved scene.
"""

import numpy as np
import slicer
from slicer.i18n import tr as _

_SOURCE = "OrthoAngles.source"
_GROUP = "OrthoAngles.group"
# Set where nobody stated the side and the landmarks told it.
_SIDE_SEEN = "OrthoAngles.laterality_seen"


def volumeOfSubject(source, subject, number: int):
    """The volume node of ``subject``, the ``number``-th found in ``source``: the same one each time it is found."""
    from orthoangles.scene.volumes import add_volume

    if subject.whole:
        return source
    for node in partsOf(source):
        if _isAt(node, subject.image):
            return node
    node = add_volume(slicer.mrmlScene, subject.image)
    node.SetName(slicer.mrmlScene.GenerateUniqueName(_name(source, subject, number)))
    node.SetNodeReferenceID(_SOURCE, source.GetID())
    node.SetAttribute(_GROUP, _groupOf(source))
    return node


def sourceOf(volumeNode):
    """The image that a foot's volume was cut from or turned; None for an image as it came."""
    return volumeNode.GetNodeReference(_SOURCE)


def partsOf(source) -> tuple:
    """Volumes of the feet that were cut from ``source``."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return tuple(node for node in volumes if sourceOf(node) is source)


def familyOf(volumeNode) -> tuple:
    """The image that ``volumeNode`` is or was cut from, and all feet cut from it."""
    source = sourceOf(volumeNode) or volumeNode
    return (source, *partsOf(source))


def siblingsOf(volumeNode) -> tuple:
    """The feet of the same image, without ``volumeNode`` itself."""
    return tuple(node for node in familyOf(volumeNode)[1:] if node is not volumeNode)


def exportGroup(volumeNode) -> str | None:
    """What stands for the patient in a dataset: both feet of an image have the same; None for a whole image."""
    return volumeNode.GetAttribute(_GROUP)


def noteSide(volumeNode, subject) -> None:
    """Take the side from a subject whose landmarks told it."""
    from orthoangles.subjects import laterality_of

    if subject.side is not None and not subject.stated:
        volumeNode.SetAttribute("OrthoAngles.laterality", laterality_of(subject.side))
        volumeNode.SetAttribute(_SIDE_SEEN, subject.side)
        volumeNode.Modified()


def sideIsSeen(volumeNode) -> bool:
    """Whether the side was told by landmarks and by nobody else."""
    return volumeNode.GetAttribute(_SIDE_SEEN) is not None


def stateSide(volumeNode) -> None:
    """From now on the side is what somebody stated."""
    volumeNode.RemoveAttribute(_SIDE_SEEN)


def _name(source, subject, number: int) -> str:
    names = {"left": _("{image} left foot"), "right": _("{image} right foot")}
    other = _("{image} foot") if subject.alone else _("{image} foot {number}")
    return names.get(subject.side, other).format(image=source.GetName(), number=number)


def _isAt(node, image) -> bool:
    from orthoangles.scene.volumes import volume_geometry

    there = volume_geometry(node)
    return there.size == image.size and np.allclose(there.affine, image.affine)


def _groupOf(source) -> str:
    from orthoangles.scene.volumes import image_from_volume

    # As the export of the whole image would call it.
    return image_from_volume(source).sha256[:16]
