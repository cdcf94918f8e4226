"""Observers that are sure to be taken off again."""

from collections.abc import Callable
from weakref import WeakMethod


class Observers:
    """VTK observers added in one place, so that :meth:`remove_all` leaves none behind.

    They keep the object whose methods they call alive, as long as the observed nodes are.
    """

    def __init__(self) -> None:
        self._tags: list[tuple[object, int]] = []

    def add(self, node, event: int | str, method: Callable) -> None:
        """Call the bound ``method(node, event_name)``, or with call data where it declares a type, on each event."""
        self._tags.append((node, node.AddObserver(event, _forwarding(method))))

    def remove_all(self) -> None:
        """Take all of them off."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags.clear()

    def __len__(self) -> int:
        """How many are on."""
        return len(self._tags)


def _forwarding(method: Callable) -> Callable:
    """A function that calls ``method`` while its object lives.

    A scene and a session that nobody refers to any more are collected together, and the scene still sends events while
    it dies: the weak reference is dead by then, where the bound method would meet an object already emptied.
    """
    weak = WeakMethod(method)

    def forward(*arguments) -> None:
        live = weak()
        if live is not None:
            live(*arguments)

    forward.owner = method.__self__
    if hasattr(method, "CallDataType"):
        forward.CallDataType = method.CallDataType
    return forward
