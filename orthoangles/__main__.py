"""``python -m orthoangles``."""

import sys

from orthoangles.cli import main

if __name__ == "__main__":
    sys.exit(main())
