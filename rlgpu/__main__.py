"""``python -m rlgpu``, which is ``rlgpu``."""

from __future__ import annotations

import sys

from rlgpu.cli import main

if __name__ == "__main__":
    sys.exit(main())
