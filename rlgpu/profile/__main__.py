"""``python -m rlgpu.profile``, which is ``rlgpu profile``."""

from __future__ import annotations

import sys

from rlgpu.profile import report
from rlgpu.tools.command_line import run_command

if __name__ == "__main__":
    sys.exit(run_command(report.run, sys.argv[1:], report.__doc__))
