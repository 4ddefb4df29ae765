"""``python -m edgedyn``: the command line."""

import sys

from edgedyn.cli import main

if __name__ == "__main__":
    sys.exit(main())
