"""The command ``rlgpu``: finds what its first word names, and runs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlgpu.cli.train import asks_for_help, train
from rlgpu.errors import UsageError, nearest, shown
from rlgpu.tools.command_line import run_command


class _Command(NamedTuple):
    """A command that a module carries out."""

    example: str
    does: str
    module: str = ""
    """Has ``run``, which takes the words, and a docstring that explains them."""


COMMANDS = {
    "train": _Command("task=Ant headless=True", "train a policy; --help lists the keys"),
    "play": _Command("task=Ant", "play the newest run, or checkpoint=PATH"),
    "export": _Command(
        "checkpoint=latest --check", "write a policy as ONNX and TorchScript", "rlgpu.cli.export"
    ),
    "new-task": _Command("Hopper", "write the files of a new task", "rlgpu.tools.new_task"),
    "robot": _Command(
        "robot.xml", "tell what a robot's file says, and draw it", "rlgpu.tools.robot"
    ),
    "accept": _Command("robot.xml", "tell which engines simulate a robot", "rlgpu.tools.accept"),
    "doctor": _Command("", "tell what works on this machine", "rlgpu.tools.doctor"),
    "plot": _Command("runs/Ant/latest", "draw a run's learning curve", "rlgpu.tools.plot"),
    "profile": _Command("task=Ant", "time the parts of an iteration", "rlgpu.profile.report"),
    "isaacgym": _Command(
        "SCRIPT.py", "run a script written for Isaac Gym", "rlgpu.isaacgym.__main__"
    ),
}
_TRAINING: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "play": lambda words: train(words if asks_for_help(words) else [*words, "test=True"]),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code, 2 if there is none of that name.

    Args:
        arguments: The command and its words; those of the process if None.
    """
    name, *words = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if name in _TRAINING:
        return _TRAINING[name](words)
    if name in COMMANDS:
        module = importlib.import_module(COMMANDS[name].module)
        if name == "isaacgym":  # options, output and errors are the script's matter
            return int(module.run(words))
        return run_command(module.run, words, module.__doc__)
    return run_command(_overview, [name, *words])


def _overview(words: list[str]) -> int:
    if asks_for_help(words[:1]):
        print("rlgpu: robotics reinforcement learning across thousands of parallel environments.\n")
        for name, command in COMMANDS.items():
            print(f"rlgpu {name} {command.example}".ljust(40), command.does)
        return 0
    if "=" in words[0]:
        said = f"{shown(words[0])}: a command is wanted first: rlgpu train {shown(words[0])}"
    else:
        allowed, hint = ", ".join(COMMANDS), nearest(words[0], COMMANDS)
        said = f"{shown(words[0])} is not a command; allowed: {allowed}{hint}"
    raise UsageError(said, key="command", value=words[0], allowed=COMMANDS)
