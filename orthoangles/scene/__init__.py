"""The MRML side: markups, lines, arcs and tables that follow the reader's mouse. Imports Slicer (1 s).

>>> from orthoangles.scene import MeasurementSession, scene_host  # doctest: +SKIP
"""

from orthoangles.scene.bones import bones_shown, show_bones
from orthoangles.scene.errors import SceneError
from orthoangles.scene.frame_settings import FrameSettings
from orthoangles.scene.hosting import SceneHost, scene_host, start_host
from orthoangles.scene.saving import load_scene, save_scene
from orthoangles.scene.session import MeasurementSession
from orthoangles.scene.session_nodes import session_nodes
from orthoangles.scene.settings import DrawingSettings
from orthoangles.scene.volumes import add_volume, image_from_volume

__all__ = [
    "DrawingSettings",
    "FrameSettings",
    "MeasurementSession",
    "SceneError",
    "SceneHost",
    "add_volume",
    "bones_shown",
    "image_from_volume",
    "load_scene",
    "save_scene",
    "scene_host",
    "session_nodes",
    "show_bones",
    "start_host",
]
