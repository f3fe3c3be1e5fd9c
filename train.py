"""``rlgpu train`` from a clone: ``python train.py task=Ant headless=True``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Trains or plays; returns the exit code: 0, 1 if training failed, 2 for a usage error."""
    from rlgpu import cli  # noqa: PLC0415  (so that Ctrl-C is quiet while it is imported)

    return cli.train(arguments)


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to clean up
    sys.exit(main(sys.argv[1:]))
