"""`python -m harness.cli` is `bench`, for where the script is not on the path."""

import sys

from harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
