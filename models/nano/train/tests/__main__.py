"""Runs every test of this folder; fails too when there is none, or when one was skipped."""

import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """0 when all passed."""
    suite = unittest.defaultTestLoader.discover(str(FOLDER), top_level_dir=str(FOLDER.parents[1]))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.testsRun > 0 and result.wasSuccessful() and not result.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
