"""Readers that keep silent: their own messages may hold patient data and paths, and the error says all there is."""

import ctypes
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

# File descriptors 1 and 2 and the switches below belong to the whole process: one reader at a time turns them.
_LOCK = threading.RLock()
_LONGEST_TALK = 1 << 16


@dataclass
class Said:
    """What the silenced libraries wrote; empty where the process has no output."""

    text: bytes = b""


@contextmanager
def quiet_itk() -> Iterator["Said"]:
    """No word on stdout or stderr from ITK and the C libraries below it (libtiff, libjpeg, nifti) inside the block.

    What they said is in the yielded :class:`Said` afterwards, to be searched for known words and never shown.
    """
    import SimpleITK

    said = Said()
    with _LOCK, _no_output(said):
        before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
        try:
            yield said
        finally:
            SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """No Python warning and no log record from pydicom inside the block: they quote values of the file."""
    import pydicom.pixels  # noqa: F401  (makes its loggers)

    # A logger's filter does not hold for its children.
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.split(".")[0] == "pydicom"]
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.addFilter(_drop)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(_drop)


def _drop(_record: logging.LogRecord) -> bool:
    return False


@contextmanager
def _no_output(said: Said) -> Iterator[None]:
    # The C libraries write to the descriptors themselves (libjpeg to stdout, into the JSON lines of the command line);
    # no switch of theirs is reachable from Python.
    _flush()
    with ExitStack() as kept:
        try:
            sink = kept.enter_context(tempfile.TemporaryFile())
            copies = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        except OSError:  # A windowed process without them.
            copies = []
        for descriptor, copy in copies:
            os.dup2(sink.fileno(), descriptor)
            kept.callback(_give_back, descriptor, copy)
        try:
            yield
        finally:
            if copies:
                _flush()
                sink.seek(0)
                said.text = sink.read(_LONGEST_TALK)


def _give_back(descriptor: int, copy: int) -> None:
    os.dup2(copy, descriptor)
    os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
