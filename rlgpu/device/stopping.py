"""Requests to stop by a signal, taken note of until there is a good moment."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, Slurm and ``kill``, a closed terminal or ssh connection."""


class Stopping:
    """Notes the first signal that asks to stop; a second Ctrl-C takes effect at once, as usual.

    Used as a context manager around training and playing. Signals reach the main thread only;
    elsewhere nothing is changed.
    """

    def __init__(self, *, may_insist: bool = True) -> None:
        """Notes nothing yet.

        Args:
            may_insist: Whether a second Ctrl-C takes effect at once; without, it is noted too.
        """
        self.asked = False
        """Whether a signal has arrived."""
        self.number: int | None = None
        """The first signal that has arrived."""
        self._may_insist = may_insist
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        """Takes over the signals, except those that the process was told to ignore (nohup)."""
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the signals back."""
        self._give_back()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self.number = number if self.number is None else self.number
        # A terminal that is closing sends SIGHUP more than once; only Ctrl-C is an insisting user.
        if self._may_insist and number == signal.SIGINT:
            self._give_back()

    def _give_back(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous = {}
