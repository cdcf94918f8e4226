"""What goes wrong unseen: errors that VTK only prints, and exceptions that VTK swallows in Python observers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import vtk

# VTK tries the X server before it falls back on rendering without one.
_HARMLESS = ("bad X server connection",)


@contextmanager
def collected_errors() -> Iterator[list[str]]:
    """Texts of VTK errors and warnings reported while the block runs."""
    errors: list[str] = []
    window = vtk.vtkOutputWindow.GetInstance()
    collector = vtk.vtkStringOutputWindow()
    collector.SetDisplayModeToNever()
    log_level = vtk.vtkLogger.GetCurrentVerbosityCutoff()
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    vtk.vtkOutputWindow.SetInstance(collector)
    collector.AddObserver(vtk.vtkCommand.ErrorEvent, _collect(errors))
    collector.AddObserver(vtk.vtkCommand.WarningEvent, _collect(errors))
    try:
        yield errors
    finally:
        vtk.vtkOutputWindow.SetInstance(window)
        vtk.vtkLogger.SetStderrVerbosity(log_level)


def _collect(errors: list[str]):
    @vtk.calldata_type(vtk.VTK_STRING)
    def collect(_window, _event, text):
        if not any(harmless in text for harmless in _HARMLESS):
            errors.append(text)

    return collect


@contextmanager
def exceptions_in_observers() -> Iterator[list[str]]:
    """Exceptions that VTK prints and drops, because a Python observer let them through, while the block runs."""
    found: list[str] = []
    hook, unraisable = sys.excepthook, sys.unraisablehook
    sys.excepthook = lambda kind, value, _trace: found.append(f"{kind.__name__}: {value}")
    sys.unraisablehook = lambda info: found.append(f"{info.exc_type.__name__}: {info.exc_value}")
    try:
        yield found
    finally:
        sys.excepthook, sys.unraisablehook = hook, unraisable
