"""The parameter node of a session: what it refers to, and where one is found again."""

from orthoangles.errors import ProtocolError
from orthoangles.protocols import Protocol, load_protocol
from orthoangles.scene.errors import SceneError

VOLUME, LANDMARKS = "volume", "landmarks"
_MODULE = "OrthoAngles"
# The landmarks know their session too: a reference to a deleted node is lost, also when undo brings the node back.
_SESSION = "OrthoAngles.session"


def make_session_node(volume_node, protocol: Protocol):
    """A parameter node for measuring ``volume_node`` by ``protocol``."""
    name = f"{volume_node.GetName()} {protocol.id}"
    node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLScriptedModuleNode", name)
    node.SetModuleName(_MODULE)
    node.SetParameter("protocol", protocol.id)
    node.SetParameter("protocol_version", protocol.version)
    node.SetNodeReferenceID(VOLUME, volume_node.GetID())
    return node


def session_nodes(scene) -> tuple:
    """Parameter nodes of all measurement sessions in a scene."""
    count = scene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")
    every = (scene.GetNthNodeByClass(i, "vtkMRMLScriptedModuleNode") for i in range(count))
    return tuple(node for node in every if is_session_node(node))


def is_session_node(node) -> bool:
    """Whether a node describes a measurement session."""
    return node is not None and node.IsA("vtkMRMLScriptedModuleNode") and node.GetModuleName() == _MODULE


def protocol_of(node) -> Protocol:
    """Protocol of a session; :class:`SceneError` where this installation does not know it."""
    try:
        return load_protocol(node.GetParameter("protocol"))
    except ProtocolError as error:
        raise SceneError(f"{node.GetName()}: {error}") from error


def adopt_landmarks(node, markups_node) -> None:
    """Make ``markups_node`` the landmarks of a session."""
    node.SetNodeReferenceID(LANDMARKS, markups_node.GetID())
    markups_node.SetAttribute(_SESSION, node.GetID())


def landmarks_of(node):
    """Landmarks of a session, also where undo brought them back; :class:`SceneError` where they are gone."""
    if node.GetNodeReference(LANDMARKS) is None:
        scene = node.GetScene()
        for i in range(scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")):
            markups_node = scene.GetNthNodeByClass(i, "vtkMRMLMarkupsFiducialNode")
            if markups_node.GetAttribute(_SESSION) == node.GetID():
                adopt_landmarks(node, markups_node)
    return _referenced(node, LANDMARKS)


def volume_of(node):
    """Volume of a session; :class:`SceneError` where it is gone."""
    return _referenced(node, VOLUME)


def _referenced(node, role: str):
    found = node.GetNodeReference(role)
    if found is None or found.GetScene() is None:
        raise SceneError(f"{node.GetName()}: its {role} node is not in the scene; start a new measurement.")
    return found
