"""A slice view without a screen: Slicer's real displayable managers in an off-screen window, with a mouse."""

from pathlib import Path

import slicer
import vtk

from orthoangles.scene.hosting import SceneHost

_DISPLAYABLE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
)


class SliceView:
    """A rendered slice view of ``host.scene``.

    ``show`` fits a volume into the view; ``press``, ``move``, ``release`` and ``click`` are the mouse, in display
    pixels from the lower left corner; ``display_point`` tells where an LPS point lies in them.
    """

    def __init__(self, host: SceneHost, size: tuple[int, int] = (700, 900), name: str = "Red") -> None:
        self.host = host
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.EnableRenderOff()
        self._add_displayable_managers()
        self._add_slice(name)
        self._background = vtk.vtkImageMapper()
        self._background.SetColorWindow(255)
        self._background.SetColorLevel(127.5)
        self._background_actor = vtk.vtkActor2D()
        self._background_actor.SetMapper(self._background)
        self._background_actor.GetProperty().SetDisplayLocationToBackground()

    def _add_displayable_managers(self) -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self.host.application_logic)
        for name in _DISPLAYABLE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.managers.Initialize(factory, self.renderer)

    def _add_slice(self, name: str) -> None:
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(self.host.application_logic)
        self.host.application_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(self.host.scene)
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation("Axial")
        self.node.SetMappedInLayout(1)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(self.logic)
        self._style.SetDisplayableManagers(self.managers)
        self.managers.SetMRMLDisplayableNode(self.node)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style.SetInteractor(self.interactor)
        self.interactor.Initialize()
        self.logic.ResizeSliceNode(*self.window.GetSize())

    def show(self, volume_node) -> None:
        """Show the volume, fitted into the view."""
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume_node.GetID())
        self.logic.FitSliceToBackground()
        self.logic.SnapSliceOffsetToIJK()

    def zoom(self, factor: float) -> None:
        """Magnify about the centre."""
        x, y, z = self.node.GetFieldOfView()
        self.node.SetFieldOfView(x / factor, y / factor, z)

    def render(self) -> None:
        """Draw the view as it stands."""
        connection = self.logic.GetImageDataConnection()
        if connection is not None:
            self._background.SetInputConnection(connection)
            if not self.renderer.HasViewProp(self._background_actor):
                self.renderer.AddViewProp(self._background_actor)
        self._background_actor.SetVisibility(connection is not None)
        self.window.Render()

    def screenshot(self, path: Path) -> Path:
        """Draw and write a PNG."""
        self.render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputConnection(grab.GetOutputPort())
        writer.Write()
        return path

    def display_point(self, lps) -> tuple[int, int]:
        """Display pixel of an LPS point in mm."""
        from_ras = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), from_ras)
        x, y = from_ras.MultiplyPoint((-lps[0], -lps[1], lps[2], 1.0))[:2]
        return round(x), round(y)

    def move(self, x: int, y: int) -> None:
        """Move the mouse there."""
        self._event("MouseMoveEvent", x, y)

    def press(self, x: int, y: int) -> None:
        """Move the mouse there, so that what lies under it becomes active, and press the left button."""
        self.move(x, y)
        self._event("LeftButtonPressEvent", x, y)

    def release(self, x: int, y: int) -> None:
        """Release the left button."""
        self._event("LeftButtonReleaseEvent", x, y)

    def click(self, x: int, y: int) -> None:
        """Press and release."""
        self.press(x, y)
        self.release(x, y)

    def _event(self, name: str, x: int, y: int) -> None:
        self.interactor.SetEventInformation(x, y)
        self.interactor.InvokeEvent(name)

    def close(self) -> None:
        """Let go of the scene and the window."""
        self._style.SetInteractor(None)
        self.managers.SetMRMLDisplayableNode(None)
        self.host.application_logic.GetSliceLogics().RemoveItem(self.logic)
        self.logic.SetMRMLScene(None)
        self.window.Finalize()
