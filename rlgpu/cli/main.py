"""Reads the arguments and refuses wrong ones before anything slow is imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlgpu.commands import keep_output_quiet
from rlgpu.config import check_words, convert, read_words
from rlgpu.errors import EngineFailed, TrainingFailed, UsageError, one_line, usable_path

_HELP = ("--help", "-h", "help")


def main(arguments: Sequence[str], load_tasks: Callable[[], Mapping[str, Any]], cfg: Path) -> int:
    """Trains, plays or explains.

    Args:
        arguments: The words of the command line.
        load_tasks: Imports the tasks included and returns them by name.
        cfg: Folder of the YAML files.

    Returns:
        The exit code: 0, 1 if training failed, 2 for a usage error, 130 after an insisting Ctrl-C.
    """
    keep_output_quiet()
    try:
        if any(word in _HELP for word in arguments):
            from rlgpu.cli.explain import explain  # noqa: PLC0415  (the tasks are slow to import)

            explain([word for word in arguments if word not in _HELP], load_tasks, cfg)
            return 0
        given = read_words(arguments)
        check_words(given, cfg)
        check_choices(given)
        from rlgpu.cli.session import run_session  # noqa: PLC0415  (torch is slow to import)

        run_session(arguments, load_tasks(), cfg)
    except UsageError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except TrainingFailed as error:
        print(f"training stopped: {one_line(error)}", file=sys.stderr)
        return 1
    except EngineFailed as error:
        print(f"simulation stopped: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def check_choices(given: Mapping[str, str]) -> None:
    """Checks that the ways to start from an earlier run are not mixed, and that it is there.

    Raises:
        UsageError: They are, or it is not.
    """

    def is_true(key: str) -> bool:
        return bool(convert(key, given.get(key, "False"), bool))

    if is_true("weights_only") and not given.get("checkpoint"):
        raise UsageError("weights_only needs the checkpoint that has them; add checkpoint=PATH")
    for key in ("checkpoint", "test"):
        asked = is_true("test") if key == "test" else bool(given.get(key))
        if given.get("run") and asked:
            raise UsageError(
                f"run= repeats a run from the start, so {key}= does not go with it; to continue or "
                "play the run use checkpoint=FOLDER"
            )
    for key in ("run", "checkpoint"):
        path = usable_path(key, given.get(key, ""))
        if given.get(key) and str(path) not in ("latest", "best") and not path.exists():
            raise UsageError(f"{key}={path}: there is no such file or folder")
