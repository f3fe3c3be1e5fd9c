"""The command line: ``python train.py task=Ant headless=True``; ``--help`` lists the keys."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlgpu import cli

ROOT = Path(__file__).parent


def load_tasks() -> Mapping[str, Any]:
    """Returns the tasks included; importing them takes a second, which a refusal does not need."""
    from tasks import TASKS  # noqa: PLC0415

    return TASKS


def main(arguments: Sequence[str]) -> int:
    """Trains or plays; returns the exit code: 0, 1 if training failed, 2 for a usage error."""
    return cli.main(arguments, load_tasks, ROOT / "cfg")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
