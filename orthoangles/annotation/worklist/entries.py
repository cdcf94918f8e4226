"""One image of a worklist with all that is known of it."""

from dataclasses import dataclass
from pathlib import Path

from orthoangles.annotation.dataset import Case
from orthoangles.annotation.worklist.states import DONE, ReaderState


@dataclass(frozen=True)
class Entry:
    """An image file, or a folder of DICOM files, and how far it is.

    ``key`` knows the image whatever its name; ``state`` is one of ``STATES``, ``reason`` why it was rejected;
    ``readers`` how far each reader is who did something; ``cases`` its cases in the dataset; ``confidence`` 0..1 of the
    stored prediction, NaN without one; ``failure`` why the network could not be run; ``open_with`` another reader who
    has it open now, "" where nobody has; ``origin`` the case that it comes from where the list is a dataset's.
    """

    path: Path
    key: str
    state: str = "new"
    reason: str = ""
    readers: tuple[ReaderState, ...] = ()
    cases: tuple[Case, ...] = ()
    confidence: float = float("nan")
    failure: str = ""
    open_with: str = ""
    origin: Case | None = None

    @property
    def name(self) -> str:
        """What the list shows."""
        return self.path.name

    @property
    def done(self) -> bool:
        """Whether nothing is left to be done with it."""
        return self.state in DONE

    @property
    def free(self) -> bool:
        """Whether it is to be done and nobody else does it now."""
        return not self.done and not self.open_with
