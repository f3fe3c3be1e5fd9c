"""The command line: ``python train.py task=Ant headless=True``; ``--help`` lists the keys."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent


def load_tasks() -> Mapping[str, Any]:
    """Returns the tasks included; importing them takes a second, which a refusal does not need."""
    from tasks import TASKS  # noqa: PLC0415

    return TASKS


def main(arguments: Sequence[str]) -> int:
    """Trains or plays; returns the exit code: 0, 1 if training failed, 2 for a usage error."""
    from rlgpu import cli  # noqa: PLC0415  (so that Ctrl-C is quiet while it is imported)

    return cli.main(arguments, load_tasks, ROOT / "cfg")


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to clean up
    sys.exit(main(sys.argv[1:]))
