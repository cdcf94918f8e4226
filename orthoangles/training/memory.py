"""Memory of a long training run."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEPT = 2**31 - 1
"""Bytes: more than a training step takes."""


def keep_freed_memory() -> None:
    """Makes glibc reuse the memory of a training step in the next one; does nothing elsewhere.

    By default every large tensor is given back to the system and fetched anew, page by page: on a processor that took
    more than half of a step's time.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_TOP_PAD, 64 * 2**20)
