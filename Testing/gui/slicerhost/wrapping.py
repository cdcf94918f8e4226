"""PythonQt's view of a Qt object: properties are attributes, only what C++ has is there, nothing can be added."""

import shiboken6
from gui.slicerhost.signals import Signals, SignalView
from PySide6.QtCore import QMetaMethod, QObject

_HOST_PACKAGE = __name__.rpartition(".")[0]
_wrappers: dict[int, "Wrapped"] = {}


def exposed(method):
    """Marks a method of a stand-in as one that C++ has as a slot or Q_INVOKABLE."""
    method.pythonqt = True
    return method


def wrap(value):
    """PythonQt's view of ``value``: Qt objects are wrapped, lists of them too, all else passes."""
    if isinstance(value, QObject):
        return _wrapper_of(value)
    if isinstance(value, list | tuple):
        return type(value)(wrap(entry) for entry in value)
    return value


def unwrap(value):
    """The Qt object behind a wrapper, also within lists."""
    if isinstance(value, Wrapped):
        return value.native()
    if isinstance(value, list | tuple):
        return type(value)(unwrap(entry) for entry in value)
    return value


def _wrapper_of(native: QObject) -> "Wrapped":
    address = shiboken6.getCppPointer(native)[0]
    wrapper = _wrappers.get(address)
    if wrapper is None or not wrapper.alive():
        wrapper = _wrappers[address] = Wrapped(native)
    return wrapper


class Wrapped:
    """One wrapped QObject; the same object always has the same wrapper."""

    def __init__(self, native: QObject) -> None:
        object.__setattr__(self, "_native", native)
        object.__setattr__(self, "_signals", Signals(native, wrap))

    def alive(self) -> bool:
        return shiboken6.isValid(object.__getattribute__(self, "_native"))

    def native(self) -> QObject:
        if not self.alive():
            raise ValueError("the C++ object was destroyed")
        return object.__getattribute__(self, "_native")

    def __getattr__(self, name: str):
        native = self.native()
        if name == "name":
            return native.objectName()
        if native.metaObject().indexOfProperty(name) >= 0:
            return wrap(native.property(name))
        if _is_signal(native, name):
            return SignalView(object.__getattribute__(self, "_signals"), name)
        return _called_with_wrappers(_method(native, name))

    def __setattr__(self, name: str, value) -> None:
        native = self.native()
        index = native.metaObject().indexOfProperty(name)
        if index < 0:
            raise AttributeError(f"{native.metaObject().className()} has no property '{name}' to set")
        entry = native.metaObject().property(index)
        if not entry.isWritable():
            raise AttributeError(f"property '{name}' of {native.metaObject().className()} cannot be written")
        _check_type(native, entry, value)
        if not native.setProperty(name, unwrap(value)):
            raise TypeError(f"{native.metaObject().className()}.{name} does not take {value!r}")

    def connect(self, signature: str, slot) -> bool:
        """Connect by C++ signature, for example ``clicked(bool)``; a signal that is not there raises."""
        self.native()
        object.__getattribute__(self, "_signals").connect(signature, slot)
        return True

    def disconnect(self, signature: str, slot) -> bool:
        """Undo one connect; True when there was such a connection."""
        return object.__getattribute__(self, "_signals").disconnect(signature, slot)

    def className(self) -> str:
        return self.native().metaObject().className()

    def isWidgetType(self) -> bool:
        return self.native().isWidgetType()

    def delete(self) -> None:
        shiboken6.delete(self.native())

    def setProperty(self, name: str, value) -> None:
        self.native().setProperty(name, unwrap(value))

    def __repr__(self) -> str:
        return f"<{self.className()} '{self.native().objectName()}'>" if self.alive() else "<destroyed>"


_PLAIN_TYPES = {"bool": (bool, int), "int": (int,), "double": (int, float), "QString": (str,)}


def _check_type(native: QObject, entry, value) -> None:
    wanted = _PLAIN_TYPES.get(entry.typeName())
    if wanted and not isinstance(value, wanted):
        raise TypeError(f"{native.metaObject().className()}.{entry.name()} is {entry.typeName()}, not {value!r}")


def _is_signal(native: QObject, name: str) -> bool:
    return name in _signal_names(type(native), native.metaObject())


_signals_by_class: dict[type, frozenset[str]] = {}


def _signal_names(kind: type, meta) -> frozenset[str]:
    if kind not in _signals_by_class:
        methods = (meta.method(k) for k in range(meta.methodCount()))
        signals = (m for m in methods if m.methodType() == QMetaMethod.MethodType.Signal)
        _signals_by_class[kind] = frozenset(bytes(m.name()).decode() for m in signals)
    return _signals_by_class[kind]


def _method(native: QObject, name: str):
    """A public method that C++ has too: any of PySide6's, of a stand-in only the exposed ones."""
    for kind in type(native).__mro__:
        if name.startswith("_") or name not in vars(kind):
            continue
        if kind.__module__.startswith(_HOST_PACKAGE) and not getattr(vars(kind)[name], "pythonqt", False):
            continue
        return getattr(native, name)
    raise AttributeError(f"{native.metaObject().className()} has no attribute '{name}'")


def _called_with_wrappers(function):
    if not callable(function):
        return wrap(function)

    def call(*arguments):
        return wrap(function(*(unwrap(argument) for argument in arguments)))

    return call


class WrappedClass:
    """A Qt class as the ``qt`` module has it: call it to make an object, or reach its statics and enumerations."""

    def __init__(self, native_class: type) -> None:
        self._class = native_class

    def __call__(self, *arguments):
        return wrap(self._class(*(unwrap(argument) for argument in arguments)))

    def __getattr__(self, name: str):
        return _called_with_wrappers(getattr(self._class, name))

    def __instancecheck__(self, instance) -> bool:
        return isinstance(unwrap(instance), self._class)
