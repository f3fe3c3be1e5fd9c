"""The floors of the design: imports run downwards only, files and functions stay short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A module may import modules of its own floor or below. The longest matching prefix counts.
FLOORS = {
    "rlgpu": 0,
    "rlgpu.errors": 0,
    "rlgpu.rotations": 1,
    "rlgpu.config": 1,
    "rlgpu.isaacgymenvs_keys": 1,
    "rlgpu.ops": 1,
    "rlgpu.nn": 2,
    "rlgpu.graphs": 2,
    "rlgpu.storage": 2,
    "rlgpu.sim": 2,
    "rlgpu.task": 3,
    "rlgpu.vec_env": 3,
    "rlgpu.learner": 3,
    "rlgpu.metrics": 3,
    "rlgpu.report": 3,
    "rlgpu.checkpoint": 3,
    "rlgpu.assemble": 4,
    "rlgpu.compose": 4,
    "rlgpu.profile": 4,
    "rlgpu.display": 4,
    "rlgpu.run_folder": 4,
    "rlgpu.player": 4,
    "rlgpu.trainer": 4,
    "tasks": 4,
    "train": 5,
}
# Neighbours on or across floors that never meet.
STRANGERS = [
    ("rlgpu.learner", ("rlgpu.sim", "rlgpu.task", "rlgpu.vec_env")),
    ("rlgpu.sim", ("rlgpu.nn", "rlgpu.storage", "rlgpu.learner", "rlgpu.ops", "tasks")),
    ("rlgpu", ("tasks", "train")),
    ("tasks", ("rlgpu.learner", "rlgpu.nn", "rlgpu.ops", "rlgpu.storage", "rlgpu.trainer")),
]
PYTHON = sorted([*ROOT.glob("rlgpu/**/*.py"), *ROOT.glob("tasks/*.py"), ROOT / "train.py"])
CPP = sorted(
    path
    for folder in ("csrc", "tests/cpp", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".cpp", ".cu", ".cuh", ".h")
)
ALL_PYTHON = sorted([*PYTHON, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")])
# Functions that are one long list or one flow, with the reason in their docstring.
MAX_FILE, MAX_CPP_FILE, MAX_FUNCTION = 400, 300, 50


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] in ("rlgpu", "tasks", "train")}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def floor(name: str) -> int:
    return max((len(p), f) for p, f in FLOORS.items() if within(name, p))[1]


@pytest.mark.parametrize("path", PYTHON, ids=module_name)
def test_imports_run_downwards(path: Path) -> None:
    """No module reaches up, and strangers do not meet."""
    name = module_name(path)
    for other in imported(path):
        assert floor(other) <= floor(name), f"{name} (floor {floor(name)}) imports {other}"
        for package, forbidden in STRANGERS:
            if within(name, package):
                assert not any(within(other, f) for f in forbidden), f"{name} imports {other}"


@pytest.mark.parametrize("path", ALL_PYTHON, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_files_and_functions_stay_short(path: Path) -> None:
    """400 lines a file, 50 a function."""
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node) or ""
            lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert lines <= MAX_FUNCTION, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", CPP, ids=lambda p: str(p.relative_to(ROOT)))
def test_cpp_files_stay_short(path: Path) -> None:
    """300 lines a file."""
    assert len(path.read_text().splitlines()) <= MAX_CPP_FILE


@pytest.mark.parametrize(
    "path", sorted((ROOT / "csrc" / "kernels").iterdir()), ids=lambda p: p.name
)
def test_kernels_know_nothing_of_torch(path: Path) -> None:
    """Pointers, sizes and a stream only."""
    includes = [line for line in path.read_text().splitlines() if line.startswith("#include")]
    assert not any(word in line for line in includes for word in ("torch", "ATen", "c10"))


def test_every_op_has_its_files() -> None:
    """One op, one name, everywhere."""
    for op in (
        "adam_step", "gae", "gather_rows", "mlp", "ppo_loss", "running_stats", "sample_actions",
        "shuffle",
    ):  # fmt: skip
        for file in (
            f"csrc/kernels/{op}.cuh", f"csrc/cpu/{op}.cpp", f"csrc/cuda/{op}.cu",
            f"csrc/checks/{op}.h", f"rlgpu/ops/{op}.py", f"tests/ops/test_{op}.py",
        ):  # fmt: skip
            assert (ROOT / file).is_file(), file
