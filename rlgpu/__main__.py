"""rlgpu: robotics reinforcement learning across thousands of parallel environments.

python train.py task=Ant headless=True      train, in the folder of train.py; --help lists keys
python -m rlgpu.new_task Hopper             write the files of a new task
python -m rlgpu.sim.accept robot.xml        say which engines simulate a robot's file
python -m rlgpu.doctor                      say what works on this machine
python -m rlgpu.curve runs/Ant/latest       draw a run's learning curve
python -m rlgpu.profile task=Ant            time the phases and kernels of an iteration
python -m rlgpu.isaacgym SCRIPT.py          run a script written for Isaac Gym
"""

from __future__ import annotations

import sys

from rlgpu.commands import run_command, train_command
from rlgpu.errors import UsageError, shown


def main(arguments: list[str]) -> int:
    """Prints the list of commands; returns the exit code: 0, or 2 for any argument."""

    def run(words: list[str]) -> int:
        if words:
            raise UsageError(
                f"{shown(words[0])}: python -m rlgpu only lists the commands; to train: "
                f"{train_command()} {shown(words[0]) if '=' in words[0] else 'task=Ant'}"
            )
        print((__doc__ or "").strip())
        return 0

    return run_command(run, arguments, __doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
