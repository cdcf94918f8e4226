"""Connections by C++ signature, as PythonQt has them, but strict."""

import inspect
from collections.abc import Callable

from PySide6.QtCore import QMetaObject, QObject


def normalized(signature: str) -> str:
    """Qt's normal form of a signature; a bare name means no arguments."""
    form = QMetaObject.normalizedSignature(signature if "(" in signature else f"{signature}()")
    return form if isinstance(form, str) else bytes(form).decode()


class Signals:
    """The signals of one object. A stand-in maps C++ signatures that PySide6 cannot declare in ``cpp_signals``."""

    def __init__(self, native: QObject, wrap: Callable) -> None:
        self._native, self._wrap = native, wrap
        self._connections: list[tuple[str, Callable, Callable]] = []

    def connect(self, signature: str, slot: Callable) -> None:
        """Connect ``slot``; ValueError where the class has no such signal, TypeError where slot is not callable."""
        if not callable(slot):
            raise TypeError(f"{slot!r} cannot be called")
        signal = self._signal(signature)
        adapter = self._adapter(signature, slot)
        signal.connect(adapter)
        self._connections.append((normalized(signature), slot, adapter))

    def disconnect(self, signature: str, slot: Callable) -> bool:
        signal = self._signal(signature)
        for entry in self._connections:
            if entry[:2] == (normalized(signature), slot):
                signal.disconnect(entry[2])
                self._connections.remove(entry)
                return True
        return False

    def signature_of(self, name: str) -> str:
        """The signature with most arguments of the signal called ``name``."""
        meta = self._native.metaObject()
        found = [bytes(meta.method(k).methodSignature()).decode() for k in range(meta.methodCount())]
        return max((s for s in found if s.split("(")[0] == name), key=len)

    def _signal(self, signature: str):
        form = normalized(signature)
        aliases = getattr(type(self._native), "cpp_signals", {})
        if form in aliases:
            return getattr(self._native, aliases[form])
        if self._native.metaObject().indexOfSignal(form) < 0:
            raise ValueError(f"{self._native.metaObject().className()} has no signal '{form}'")
        return getattr(self._native, form.split("(")[0])

    def _adapter(self, signature: str, slot: Callable) -> Callable:
        arguments = normalized(signature).partition("(")[2].rstrip(")")
        sent = len(arguments.split(",")) if arguments else 0
        taken = min(sent, _accepted(slot))

        def adapter(*values):
            slot(*(self._wrap(value) for value in values[:taken]))

        return adapter


class SignalView:
    """``button.clicked`` as an object with ``connect``, ``disconnect`` and ``emit``."""

    def __init__(self, signals: Signals, name: str) -> None:
        self._signals, self._name = signals, name

    def connect(self, slot: Callable) -> None:
        self._signals.connect(self._signals.signature_of(self._name), slot)

    def disconnect(self, slot: Callable) -> None:
        self._signals.disconnect(self._signals.signature_of(self._name), slot)

    def emit(self, *values) -> None:
        getattr(self._signals._native, self._name).emit(*values)


def _accepted(slot: Callable) -> int:
    """How many arguments ``slot`` takes: PythonQt drops the surplus."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return 99
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 99
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
