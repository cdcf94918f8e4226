"""Slicer's four-up layout without a screen: three slice views and a 3D view with its real displayable managers."""

from pathlib import Path

import numpy as np
import slicer
import vtk
from support.views import SliceView
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from orthoangles.scene.hosting import SceneHost

_DISPLAYABLE_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
)
_GAP = 6  # pixels between the views


class SpaceView:
    """A rendered 3D view of ``host.scene``; ``look_from`` places the camera, ``pixels`` draws it."""

    def __init__(self, host: SceneHost, size: tuple[int, int] = (700, 700), name: str = "1") -> None:
        self.host = host
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.EnableRenderOff()
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(host.application_logic)
        for manager in _DISPLAYABLE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.managers.Initialize(factory, self.renderer)
        self._add_view(name)

    def _add_view(self, name: str) -> None:
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(self.host.application_logic)
        self.host.application_logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(self.host.scene)
        self.node = self.logic.AddViewNode(name)
        self.node.SetBackgroundColor(0.02, 0.03, 0.05)
        self.node.SetBackgroundColor2(0.10, 0.12, 0.17)
        self.node.SetBoxVisible(False)
        self.node.SetAxisLabelsVisible(False)
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._style.SetDisplayableManagers(self.managers)
        self.managers.SetMRMLDisplayableNode(self.node)
        self.node.SetMappedInLayout(1)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style.SetInteractor(self.interactor)
        self.interactor.Initialize()

    def look_from(self, direction, centre, reach: float) -> None:
        """Look from ``direction`` (3,) LPS at ``centre`` (3,) LPS mm; ``reach`` mm about it are in view."""
        camera = self.renderer.GetActiveCamera()
        flip = np.array([-1.0, -1.0, 1.0])
        along = np.asarray(direction) * flip / np.linalg.norm(direction)
        focus = np.asarray(centre) * flip
        distance = reach / np.tan(np.radians(camera.GetViewAngle() / 2))
        camera.SetFocalPoint(*focus)
        camera.SetPosition(*(focus + distance * along))
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCameraClippingRange()

    def pixels(self) -> np.ndarray:
        """Draw; (rows, columns, 3) uint8 from the top left."""
        return window_pixels(self.window)

    def close(self) -> None:
        """Let go of the scene and the window."""
        self._style.SetInteractor(None)
        self.managers.SetMRMLDisplayableNode(None)
        self.host.application_logic.GetViewLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        self.window.Finalize()


class FourUp:
    """Axial, sagittal and coronal slice views and a 3D view, each ``size`` pixels."""

    def __init__(self, host: SceneHost, size: tuple[int, int] = (560, 480)) -> None:
        planes = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
        self.slices = {name: SliceView(host, size, name) for name in planes}
        for name, orientation in planes.items():
            self.slices[name].node.SetOrientation(orientation)
        self.space = SpaceView(host, size)

    def show(self, volume_node) -> None:
        """Show the volume in the slice views, fitted."""
        for view in self.slices.values():
            view.show(volume_node)

    def pixels(self) -> np.ndarray:
        """Draw all four as Slicer lays them out: axial and 3D above, coronal and sagittal below."""
        parts = []
        for view in self.slices.values():
            view.render()
        red, yellow, green = (window_pixels(view.window) for view in self.slices.values())
        for row in ((red, self.space.pixels()), (green, yellow)):
            gap = np.full((row[0].shape[0], _GAP, 3), 60, np.uint8)
            parts.append(np.hstack([row[0], gap, row[1]]))
        return np.vstack([parts[0], np.full((_GAP, parts[0].shape[1], 3), 60, np.uint8), parts[1]])

    def close(self) -> None:
        """Let go of the scene and the windows."""
        for view in (*self.slices.values(), self.space):
            view.close()


def window_pixels(window) -> np.ndarray:
    """(rows, columns, 3) uint8 of a render window, drawn anew."""
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    data = grab.GetOutput()
    columns, rows, _ = data.GetDimensions()
    return vtk_to_numpy(data.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3].copy()


def write_png(pixels: np.ndarray, path: Path) -> Path:
    """Write (rows, columns, 3) uint8 pixels."""
    rows, columns, _ = pixels.shape
    data = vtk.vtkImageData()
    data.SetDimensions(columns, rows, 1)
    data.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(pixels[::-1]).reshape(-1, 3), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(data)
    writer.Write()
    return path
