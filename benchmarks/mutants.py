"""How many faults the tests find: python benchmarks/mutants.py rooms=envs,export seed=1 count=67.

    pip install --no-deps cosmic-ray attrs parso stevedore coverage    besides requirements.txt

A mutant is the code with one operator, number, condition or loop changed by cosmic-ray. Places are
drawn without replacement, then one mutation of each. Annotations, ``raise`` statements and
formatted messages are left out, since they cannot change results. A mutant meets the tests of its
room that reach its statement, the fastest first, in a fork that has already imported torch. It
survives if all of them pass. ``again=1`` tries the mutants once more that earlier survived or
timed out, with the same seed.
Results: build/mutants/ROOM-SEED.jsonl, one mutant a line.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import read_command_line  # noqa: E402
from benchmarks.mutations import Mutant, draw, find, mutate, statement  # noqa: E402
from benchmarks.reach import Picked, Reach  # noqa: E402

ROOMS = {
    "envs": ("rlgpu/envs", "tests/envs"),
    "mujoco": ("rlgpu/sim/mujoco", "tests/sim"),
    "tasks": ("tasks", "tests/tasks"),
    "robots": ("rlgpu/robots", "tests/isaacgym"),
    "gymnasium": ("rlgpu/foreign/gymnasium", "tests/foreign"),
    "export": ("rlgpu/export", "tests/export"),
}
"""Code and tests of each room."""
EXPECTED, LIMIT = 40.0, 60.0
"""Seconds of tests that a mutant meets at most; seconds after which it counts as timed out, not as
killed: on a busy machine all of its tests may pass later. ``expected=`` and ``limit=`` set others.
"""
ARGUMENTS = ["-q", "-m", "not cuda", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp=t"]


def in_fork(run: Callable[[], int], limit: float = 3600.0) -> int | None:
    """Returns what a function returns in a fork of this process; None if it takes too long."""
    child = os.fork()
    if child == 0:
        os.setsid()
        sys.modules["__main__"] = types.ModuleType("__main__")  # spawned workers import it
        silence = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(silence, 1), os.dup2(silence, 2)
        os._exit(run())
    deadline = time.monotonic() + limit
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # also what the tests have left running
    return os.waitstatus_to_exitcode(ended[1]) if ended[0] else os.waitpid(child, 0) and None


def measure_reach(code: str, tests: str) -> dict[str, Any]:
    """Returns the time of each test of a room, and the tests that reach each line."""
    file = Path("reach.json")
    sys.dont_write_bytecode = False
    in_fork(lambda: int(pytest.main([tests, *ARGUMENTS], [Reach(code, file)])))
    sys.dont_write_bytecode = True  # of mutants
    return json.loads(file.read_text())


def tests_of(mutant: Mutant, reach: dict[str, Any]) -> list[str]:
    """Returns the tests that reach a mutant, the fastest first.

    Lines that only an import runs count for the tests that reach the file; lines that only another
    process runs, for all tests.
    """
    lines = reach["tests"].get(str(Path(mutant.path).resolve()), {})
    found = {t for n in statement(mutant.path, mutant.line) for t in lines.get(str(n), ())}
    found = found or {t for tests in lines.values() for t in tests} or set(reach["seconds"])
    return sorted(found, key=lambda test: reach["seconds"][test])


def attempt(mutant: Mutant, reach: dict[str, Any], expected: float, limit: float) -> dict[str, Any]:
    """Returns how the tests end with a mutant, which is undone afterwards."""
    file, reaching = Path(mutant.path), tests_of(mutant, reach)
    ends = itertools.accumulate(reach["seconds"][test] for test in reaching)
    tests = [test for test, end in zip(reaching, ends, strict=True) if end < expected]
    tests = tests or reaching[:1]
    source, start, by = file.read_text(), time.monotonic(), Path("by")
    changed, diff = mutate(mutant)
    by.write_text("collection")

    def run() -> int:
        picked = Picked(tests)
        files = sorted({test.split("::")[0] for test in tests})
        code = pytest.main([*files, "-x", *ARGUMENTS], [picked])
        by.write_text(picked.failed)
        return int(code)

    try:
        file.write_text(changed)
        code = in_fork(run, limit)
    finally:
        file.write_text(source)
    outcome = {0: "survived", None: "timed out"}.get(code, "killed")
    return {
        **mutant._asdict(),
        "diff": diff,
        "outcome": outcome,
        "tests": len(tests),
        "of": len(reaching),
        "by": by.read_text() if outcome == "killed" else "",
        "seconds": round(time.monotonic() - start, 1),
    }


def copy_tree(folder: Path) -> None:
    """Copies the project's files and the compiled extension."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    for path in [*(ROOT / name for name in names), *ROOT.glob("rlgpu/_C*")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target, follow_symlinks=False)  # tasks and cfg are links


def main(arguments: list[str]) -> None:
    """Tries the mutants of each room and prints a row of the table for each."""
    defaults = {"rooms": list(ROOMS), "seed": 1, "count": 67, "again": 0}
    limits = {"expected": EXPECTED, "limit": LIMIT}
    options, _ = read_command_line(arguments, defaults | limits, __doc__)
    seed, results = options["seed"], ROOT / "build/mutants"
    seconds = options["expected"], options["limit"]
    results.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="mutants"))
    copy_tree(folder)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    import hypothesis, matplotlib.figure, mujoco_warp, omegaconf, torch  # noqa

    print("| room | mutants | killed | timed out | survived | score |\n|---|---|---|---|---|---|")
    for room in options["rooms"]:
        code, tests = ROOMS[room]
        mutants, file = draw(code, seed, options["count"]), f"{room}-{seed}.jsonl"
        if options["again"]:
            records = map(json.loads, (results / file).read_text().splitlines())
            tried = [find(record) for record in records if record["outcome"] != "killed"]
            mutants, file = [m for m in tried if m], f"{room}-{seed}-again.jsonl"
        reach = measure_reach(code, tests)
        counts: Counter[str] = Counter()
        with (results / file).open("w") as output:
            for mutant in mutants:
                record = attempt(mutant, reach, *seconds)
                counts[record["outcome"]] += 1
                print(json.dumps(record), file=output, flush=True)
        killed, late, alive = (counts[name] for name in ("killed", "timed out", "survived"))
        row = (room, len(mutants), killed, late, alive, f"{killed / max(len(mutants), 1):.0%}")
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
