"""What tests of whole runs share: stopping them, what they printed, comparing what they left."""

from __future__ import annotations

import os
import re
import signal

import pytest
import torch

from rlgpu.cli import session
from rlgpu.training import Trainer


def stop_after(iterations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes training interrupt itself, as Ctrl-C does, during an iteration."""

    class Stopping(Trainer):
        def collect(self) -> None:
            super().collect()
            if self.iteration + 1 == iterations:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(session, "Trainer", Stopping)


def numbers_of(line: str) -> list[float]:
    """Returns the numbers in a line, without their signs."""
    return [float(x) for x in re.findall(r"\d+(?:\.\d+)?", line)]


def last_numbers(printed: str) -> list[float]:
    """Returns the numbers of the last line, such as the results of playing."""
    return numbers_of(printed.splitlines()[-1])


def equal(a: object, b: object) -> bool:
    """Returns whether contents of checkpoints are equal, tensors to the last bit."""
    if isinstance(a, torch.Tensor):
        # As bytes: NaN equals the same NaN only, and infinity nothing else.
        return a.dtype == b.dtype and a.cpu().numpy().tobytes() == b.cpu().numpy().tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b
