"""Trains in a child, kills it with SIGKILL at a random moment, and checks what it left; repeatedly.

    python tests/cli/killed.py RUNS COUNT

Not a test by itself: tests/cli/test_ends.py runs it. One process imports everything, which takes
longest, and forks before it uses any thread.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import train  # noqa: E402
from rlgpu.cli import session  # noqa: E402, F401
from rlgpu.tasks import TASKS  # noqa: E402, F401
from rlgpu.training import load_checkpoint  # noqa: E402

SMALL = ["task=Cartpole", "num_envs=32", "headless=True", "train.save_every=1"]


def main(runs: Path, count: int) -> None:
    """Kills ``count`` times; every second child goes on from the checkpoint of the one before."""
    rng = random.Random(0)
    last = runs / "Cartpole" / "latest" / "nn" / "last.pth"
    whole = 0
    for number in range(count):
        words = [*SMALL, f"runs_dir={runs}", "max_iterations=1000000", "sim.num_threads=1"]
        child = os.fork()
        if child == 0:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            resume = ["checkpoint=latest"] if number % 2 else []
            os._exit(train.main([*words, *resume]))
        before = last.resolve() if last.exists() else None
        deadline = time.monotonic() + 60
        while (last.resolve() if last.exists() else None) == before:  # until it has saved once
            assert time.monotonic() < deadline, "the child saves nothing"
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child has ended"
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        content = load_checkpoint(last)
        assert content["trainer"]["iteration"] >= 1
        whole += 1
    print(f"{count} kills, {whole} whole checkpoints")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
