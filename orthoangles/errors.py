"""Errors that users see. Each message names the file, the reason and what to do; never patient data."""


class OrthoAnglesError(Exception):
    """Base of all errors that are the input's or the user's to mend."""


class ImageError(OrthoAnglesError):
    """An image file cannot be read or is not what a measurement needs."""


class ProtocolError(OrthoAnglesError):
    """A protocol file is malformed; the message names the file and the entry."""


class PredictionError(OrthoAnglesError):
    """A model bundle is broken, or its network cannot run on this image."""


class PredictionCancelled(OrthoAnglesError):
    """The caller's ``cancelled`` returned true; nothing was changed."""


class DatasetError(OrthoAnglesError):
    """A dataset folder is malformed or a case cannot be written or read."""


class SimulationError(OrthoAnglesError):
    """Bones that cannot be used, or a pose that cannot be taken."""
