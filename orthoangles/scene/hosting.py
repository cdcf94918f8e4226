"""A MRML scene to work in: Slicer's own inside Slicer, a head-less one on the slicer-core wheel everywhere else.

>>> from orthoangles.scene.hosting import scene_host
>>> scene = scene_host().scene  # doctest: +SKIP
"""

import tempfile
from dataclasses import dataclass, field
from functools import cache

import slicer
import vtk

# Logics that register node classes and storage, and that keep subject hierarchy, units and colours in step.
# Terminologies and segmentations are left out: nothing here uses them and they look for files that the wheel lacks.
_MODULE_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
}


@dataclass(eq=False)
class SceneHost:
    """A scene with the application logic that serves it; ``parts`` keeps alive what only C++ refers to."""

    scene: "slicer.vtkMRMLScene"
    application_logic: "slicer.vtkSlicerApplicationLogic"
    parts: list = field(default_factory=list, repr=False)

    def logic(self, name: str):
        """Logic of a module by name, for example ``"Markups"``; None where the host lacks it."""
        return self.application_logic.GetModuleLogic(name)


def running_in_slicer() -> bool:
    """Whether this is the desktop application, which has a scene of its own."""
    return hasattr(slicer, "mrmlScene") and hasattr(slicer, "app")


def scene_host() -> SceneHost:
    """The running Slicer's scene, or this process's head-less one, started on the first call (0.1 s)."""
    if running_in_slicer():
        return SceneHost(slicer.mrmlScene, slicer.app.applicationLogic())
    return _process_host()


@cache
def _process_host() -> SceneHost:
    return start_host()


def start_host() -> SceneHost:
    """A new, empty head-less scene with the logics of markups, volumes, tables and so on; several can live at once."""
    scene = slicer.vtkMRMLScene()
    application_logic = slicer.vtkSlicerApplicationLogic()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application_logic.SetMRMLScene(scene)
    application_logic.GetColorLogic().SetMRMLScene(scene)
    application_logic.GetColorLogic().AddDefaultColorNodes()
    application_logic.SetSliceLogics(vtk.vtkCollection())
    application_logic.SetViewLogics(vtk.vtkCollection())
    host = SceneHost(scene, application_logic)
    for name, class_name in _MODULE_LOGICS.items():
        _add_logic(host, name, getattr(slicer, class_name)())
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    _add_data_io(host)
    return host


def _add_logic(host: SceneHost, name: str, logic) -> None:
    logic.SetMRMLScene(host.scene)
    if hasattr(logic, "SetMRMLApplicationLogic"):
        logic.SetMRMLApplicationLogic(host.application_logic)
    host.application_logic.SetModuleLogic(name, logic)
    host.parts.append(logic)


def _add_data_io(host: SceneHost) -> None:
    """Reading and writing of node data, which a scene delegates to these two logics."""
    remote_io = slicer.vtkMRMLRemoteIOLogic()
    remote_io.SetMRMLScene(host.scene)
    remote_io.SetMRMLApplicationLogic(host.application_logic)
    # Slicer's cache folder is a user setting; without one the cache manager would take the root of the file system.
    cache_folder = tempfile.TemporaryDirectory(prefix="orthoangles-")
    remote_io.GetCacheManager().SetRemoteCacheDirectory(cache_folder.name)
    manager = slicer.vtkDataIOManagerLogic()
    manager.SetMRMLScene(host.scene)
    manager.SetMRMLApplicationLogic(host.application_logic)
    manager.SetAndObserveDataIOManager(remote_io.GetDataIOManager())
    remote_io.AddDataIOToScene()
    host.parts += [remote_io, manager, cache_folder]
