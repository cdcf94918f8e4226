"""``slicer.packaging``: checks requirements for real, but never installs: a test may not change its environment."""

import importlib.metadata
from pathlib import Path

from packaging.requirements import Requirement

requests: list[tuple[str, list[str]]] = []


def load_requirements(path: str | Path) -> list[Requirement]:
    """Requirements of a file, without comments and pip's own options."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pip_check(requirement: Requirement) -> bool:
    """Whether a fitting version is installed."""
    try:
        return importlib.metadata.version(requirement.name) in requirement.specifier
    except importlib.metadata.PackageNotFoundError:
        return False


def pip_ensure(requirements: list[Requirement], *, requester: str | None = None) -> None:
    """Note the request; RuntimeError, as when the user declines, where something would have to be installed."""
    requests.append((requester, [str(r) for r in requirements]))
    missing = [str(r) for r in requirements if not pip_check(r)]
    if missing:
        raise RuntimeError(f"User declined package installation: {missing}")
