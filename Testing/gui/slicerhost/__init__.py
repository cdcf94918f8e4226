"""Runs scripted modules without a Slicer binary: PythonQt's idioms on PySide6 over the real MRML of slicer-core.

Strict on purpose: an attribute, property, signal or .ui entry that does not exist raises, because a stand-in that
forgives hides the very mistakes that only show in Slicer. What Slicer's Python layer would bring (scripted module
classes, parameter node wrapper, i18n, packaging, SampleData) is written anew here from its documented behaviour.
"""
