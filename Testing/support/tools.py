"""The scripts of the folder ``tools`` as modules."""

import importlib.util
from functools import cache
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@cache
def tool(name: str):
    """The script ``tools/NAME.py``, loaded once and not run."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
