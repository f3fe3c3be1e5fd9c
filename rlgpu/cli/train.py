"""Trains, plays or explains; refuses wrong arguments before anything slow is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlgpu.config import Project, check_words, convert, read_words
from rlgpu.errors import Conflict, NoEffect, Unreadable, usable_path
from rlgpu.tools.command_line import HELP, run_command

_HELP = (*HELP, "help")


def asks_for_help(words: Sequence[str]) -> bool:
    """Returns whether words of the command line ask for help, with dashes or without."""
    return any(word in _HELP for word in words)


def train(arguments: Sequence[str]) -> int:
    """Trains, plays or explains, in the project of the current folder.

    Args:
        arguments: ``key=value`` arguments, ``--help`` and keys, or ``--version``.

    Returns:
        The exit code: 0, 1 if training failed, 2 for a usage error, 130 after an insisting Ctrl-C.
    """
    return run_command(_train, arguments)


def _train(words: list[str]) -> int:
    project = Project.at(Path.cwd())
    if asks_for_help(words):
        from rlgpu.cli.explain import explain  # noqa: PLC0415  (the tasks are slow to import)

        explain([word for word in words if word not in _HELP], project)
        return 0
    given = read_words(words)
    check_words(given, project)
    check_choices(given)
    from rlgpu.cli.session import run_session  # noqa: PLC0415  (torch is slow to import)

    run_session(words, project)
    return 0


def check_choices(given: Mapping[str, str]) -> None:
    """Checks that the ways to start from an earlier run are not mixed, and that it is there.

    Raises:
        UsageError: They are, or it is not.
    """

    def is_true(key: str) -> bool:
        return bool(convert(key, given.get(key, "False"), bool))

    if is_true("weights_only") and not given.get("checkpoint"):
        said = "weights_only needs the checkpoint that has them; add checkpoint=PATH"
        raise NoEffect(said, key="weights_only", value=True, needs="checkpoint")
    for key in ("checkpoint", "test"):
        asked = is_true("test") if key == "test" else bool(given.get(key))
        if given.get("run") and asked:
            raise Conflict(
                f"run= repeats a run from the start, so {key}= does not go with it; to continue or "
                "play the run use checkpoint=FOLDER",
                key=key,
                value=given[key],
                other="run",
            )
    for key in ("run", "checkpoint"):
        path = usable_path(key, given.get(key, ""))
        if given.get(key) and str(path) not in ("latest", "best") and not path.exists():
            said = f"{key}={path}: there is no such file or folder"
            raise Unreadable(said, "missing", key=key, value=given[key], path=path)
