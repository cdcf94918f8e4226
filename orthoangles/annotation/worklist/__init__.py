"""The work of a reader on many images: what there is, how far each image is, who has it open, what comes next.

>>> from orthoangles.annotation.worklist import Worklist
>>> worklist = Worklist("images", "dataset", protocol="spine-ap-cobb", reader="AB")  # doctest: +SKIP
>>> [entry.state for entry in worklist.entries()]  # doctest: +SKIP
['confirmed', 'predicted', 'new']
"""

from orthoangles.annotation.worklist.arranging import ORDERS, neighbour, next_open, place_of
from orthoangles.annotation.worklist.clock import WorkClock
from orthoangles.annotation.worklist.entries import Entry
from orthoangles.annotation.worklist.predicting_ahead import PredictAhead
from orthoangles.annotation.worklist.saved_work import SavedWork
from orthoangles.annotation.worklist.states import DONE, STATES, ReaderState
from orthoangles.annotation.worklist.worklist import Worklist

__all__ = [
    "DONE",
    "ORDERS",
    "STATES",
    "Entry",
    "PredictAhead",
    "ReaderState",
    "SavedWork",
    "WorkClock",
    "Worklist",
    "neighbour",
    "next_open",
    "place_of",
]
