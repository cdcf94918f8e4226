"""A progress bar with the time left on the standard error; lines printed meanwhile stand above it."""

import sys
from typing import IO


class ProgressBar:
    """``with ProgressBar(10, "images") as bar: bar.advance("a.png")``; ``shown=False`` draws nothing."""

    def __init__(self, total: int, unit: str, *, shown: bool = True) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, unit=f" {unit}", disable=not shown, file=sys.stderr, dynamic_ncols=True)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def advance(self, text: str = "") -> None:
        """One more is done; ``text`` says which."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()

    def up_to(self, fraction: float, text: str = "") -> None:
        """``fraction`` (0 to 1) of all is done; ``text`` says what was done last."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(int(fraction * self._bar.total) - self._bar.n)

    def write(self, text: str, stream: IO[str]) -> None:
        """Print above the bar."""
        self._bar.write(text, file=stream)
        stream.flush()
