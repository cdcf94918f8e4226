"""``slicer.parameterNodeWrapper``: typed attributes stored in a vtkMRMLScriptedModuleNode and bound to widgets.

Only the types and widgets that the panels use; any other raises, as in Slicer.
"""

import enum
import typing
from dataclasses import dataclass

import slicer
import vtk
from gui.slicerhost.wrapping import unwrap, wrap

__all__ = ["WithinRange", "parameterNodeWrapper"]


@dataclass(frozen=True)
class WithinRange:
    """A validator: ValueError for a number outside the range."""

    minimum: float
    maximum: float

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class _Parameter:
    """How one attribute stands in the node."""

    def __init__(self, name: str, annotated, default) -> None:
        annotations = typing.get_args(annotated)[1:] if typing.get_origin(annotated) is typing.Annotated else ()
        self.name = name
        self.kind = typing.get_args(annotated)[0] if annotations else annotated
        self.validators = annotations
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        self.is_enum = isinstance(self.kind, type) and issubclass(self.kind, enum.Enum)
        if not (self.is_node or self.is_enum or self.kind in (str, float)):
            raise TypeError(f"no serializer for {self.kind} of parameter '{name}'")
        self.default = default if default is not None else self._natural_default()

    def _natural_default(self):
        if self.is_node:
            return None
        return next(iter(self.kind)) if self.is_enum else self.kind()

    def is_in(self, node) -> bool:
        return self.is_node or node.HasParameter(self.name)

    def read(self, node):
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return self.kind[text] if self.is_enum else self.kind(text)

    def write(self, node, value) -> None:
        if self.is_node:
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"'{self.name}' is a {self.kind.__name__}, not {value!r}")
            node.SetNodeReferenceID(self.name, value.GetID() if value else None)
            return
        if not isinstance(value, self.kind) or (self.kind is float and isinstance(value, bool)):
            raise TypeError(f"'{self.name}' is a {self.kind.__name__}, not {value!r}")
        for validator in self.validators:
            validator.validate(value)
        node.SetParameter(self.name, value.name if self.is_enum else str(value))


class _Binding:
    """One widget bound to one parameter, with the property and signal of its class."""

    _BY_CLASS: typing.ClassVar = {
        "QLineEdit": (str, "text", "textChanged(QString)"),
        "QDoubleSpinBox": (float, "value", "valueChanged(double)"),
    }

    def __init__(self, widget, parameter: _Parameter) -> None:
        self.widget, self.parameter = widget, parameter
        kind = widget.className()
        if parameter.is_node and kind == "qMRMLNodeComboBox":
            self.signal = "currentNodeChanged(vtkMRMLNode*)"
            widget.nodeTypes = [parameter.kind.__name__]
        elif parameter.is_enum and kind == "QComboBox":
            self.signal = "currentIndexChanged(int)"
            label = getattr(parameter.kind, "label", lambda member: member.name)
            widget.clear()
            widget.addItems([label(member) for member in parameter.kind])
        elif self._BY_CLASS.get(kind, (None,))[0] is parameter.kind:
            self.signal = self._BY_CLASS[kind][2]
            self._limit()
        else:
            raise RuntimeError(f"Unable to create GUI connector from {parameter.kind} to {kind}")

    def _limit(self) -> None:
        for validator in self.parameter.validators:
            self.widget.minimum, self.widget.maximum = float(validator.minimum), float(validator.maximum)

    def read(self):
        if self.parameter.is_node:
            return self.widget.currentNode()
        if self.parameter.is_enum:
            return list(self.parameter.kind)[self.widget.currentIndex]
        return getattr(self.widget, self._BY_CLASS[self.widget.className()][1])

    def write(self, value) -> None:
        if self.parameter.is_node:
            self.widget.setCurrentNode(value)
        elif self.parameter.is_enum:
            self.widget.currentIndex = list(self.parameter.kind).index(value)
        else:
            setattr(self.widget, self._BY_CLASS[self.widget.className()][1], value)


class _WrapperMethods:
    """What the decorator adds to a class of annotated attributes."""

    def __init__(self, parameterNode) -> None:
        self.parameterNode = parameterNode
        self._bindings: dict[int, list[tuple[_Binding, typing.Callable]]] = {}
        self._observers: dict[int, int] = {}
        self._updating = False
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def connectGui(self, gui) -> int:
        """Bind every widget of ``gui`` with a SlicerParameterName; returns a tag for :meth:`disconnectGui`."""
        tag = len(self._observers)
        self._bindings[tag] = []
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if name:
                self._bind(tag, _Binding(wrap(unwrap(widget)), self.allParameters[name]))
        self._observers[tag] = self.parameterNode.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: self._write_to_gui(tag)
        )
        return tag

    def disconnectGui(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(self._observers[tag])
        for binding, changed in self._bindings.pop(tag):
            binding.widget.disconnect(binding.signal, changed)

    def AddObserver(self, event, callback, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, was: int) -> int:
        return self.parameterNode.EndModify(was)

    def _bind(self, tag: int, binding: _Binding) -> None:
        def changed() -> None:
            if not self._updating:
                binding.parameter.write(self.parameterNode, binding.read())

        binding.write(binding.parameter.read(self.parameterNode))
        binding.widget.connect(binding.signal, changed)
        self._bindings[tag].append((binding, changed))

    def _write_to_gui(self, tag: int) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for binding, _ in self._bindings.get(tag, ()):
                binding.write(binding.parameter.read(self.parameterNode))
        finally:
            self._updating = False


def parameterNodeWrapper(kind: type) -> type:
    """Class decorator: annotated attributes become parameters of a parameter node."""
    hints = typing.get_type_hints(kind, include_extras=True)
    parameters = {name: _Parameter(name, hint, getattr(kind, name, None)) for name, hint in hints.items()}
    properties = {name: _property(parameter) for name, parameter in parameters.items()}
    methods = {k: v for k, v in vars(_WrapperMethods).items() if not k.startswith("__") or k == "__init__"}
    kept = {"__doc__": kind.__doc__, "__module__": kind.__module__, "allParameters": parameters}
    return type(kind.__name__, (), {**methods, **kept, **properties})


def _property(parameter: _Parameter) -> property:
    return property(
        lambda self: parameter.read(self.parameterNode),
        lambda self, value: parameter.write(self.parameterNode, value),
    )
