"""The subjects of one image: an image of two feet is measured as two, each upright and with a side of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orthoangles.images import Image
from orthoangles.predictions import Prediction
from orthoangles.protocols import Protocol

SIDES = {"L": "left", "R": "right"}
"""DICOM's laterality of one limb -> the word for it."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One foot, or the spine, of an image.

    ``image`` is upright; its physical points are those of the whole image, and where nothing had to be turned or parted
    it has the same pixels. ``prediction`` are its landmarks, ``side`` "left", "right" or None, ``stated`` whether the
    side was known before the landmarks. ``whole`` says that the image was used as it came, ``alone`` that it shows
    nothing else.
    """

    image: Image
    prediction: Prediction
    side: str | None
    stated: bool
    whole: bool
    alone: bool


def find_subjects(
    backend: Any, protocol: Protocol, image: Image, predict: Callable[[Image, int, int], Prediction]
) -> Iterator[Subject]:
    """Each subject that ``backend`` sees in ``image``, in its order, as soon as its landmarks are found.

    ``predict(view, k, count)`` places the landmarks of the k-th of ``count`` upright views. A backend without ``views``
    takes every image as one upright subject. Raises what ``backend.views`` and ``predict`` raise: PredictionError or
    ImageError for another view than the protocol's, or none at all.
    """
    views = backend.views(image) if hasattr(backend, "views") else (image,)
    for k, view in enumerate(views):
        prediction = predict(view, k, len(views))
        # A file that names one side cannot mean both feet; where they stand tells it in a volume.
        stated = SIDES.get((image if len(views) == 1 else view).laterality or "")
        side, warnings = settled_side(protocol, prediction.points, view, stated, prediction.side)
        yield Subject(
            replace(view, laterality=laterality_of(side)),
            replace(prediction, warnings=(*prediction.warnings, *warnings)),
            side,
            stated is not None,
            view is image,
            len(views) == 1,
        )


def settled_side(
    protocol: Protocol, points: np.ndarray, image: Image, stated: str | None, told: str | None = None
) -> tuple[str | None, tuple[str, ...]]:
    """The side ``stated``, else the one that the landmarks (n, 3) LPS mm show; and a warning where the two disagree.

    Volumes and AP views of the foot show a side; where too few landmarks of a volume do, the network may have ``told``
    it.
    """
    from orthoangles.foot_views import side_from_landmarks

    seen = (side_from_landmarks(protocol, points, image) if protocol.region == "foot" else None) or told
    if stated is None or seen in (None, stated):
        return stated or seen, ()
    return stated, (
        f"the landmarks look like a {seen} foot, but the image is stated to be of the {stated} one: "
        "either it is mirrored or the side is wrong",
    )


def laterality_of(side: str | None) -> str | None:
    """DICOM's letter of a side."""
    return {"left": "L", "right": "R"}.get(side or "")
