"""The layers of the design: imports only go downwards, files and functions stay short."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The layer of each package: a module may import modules of its own layer or below.
# The longest matching prefix counts.
FLOORS = {
    "rlgpu": 0,
    "rlgpu.errors": 0,
    "rlgpu.rotations": 0,
    "rlgpu.spaces": 0,
    "rlgpu.config": 1,
    "rlgpu.ops": 1,
    "rlgpu.device": 1,
    "rlgpu.compiler": 2,
    "rlgpu.nn": 2,
    "rlgpu.robots": 2,
    "rlgpu.sim": 2,
    "rlgpu.envs": 3,
    "rlgpu.isaacgym": 3,
    "rlgpu.learner": 3,
    "rlgpu.deploy": 4,
    "rlgpu.export": 4,
    "rlgpu.foreign": 4,
    "rlgpu.training": 4,
    "rlgpu.playing": 4,
    "rlgpu.tasks": 4,
    "rlgpu.profile": 5,
    "rlgpu.tools": 5,
    "rlgpu.api": 6,
    "rlgpu.cli": 6,
    "rlgpu.__main__": 6,
    "rlgpu.isaacgym.__main__": 6,
    "train": 6,
}
# Packages, and what they must not import whatever the layers.
STRANGERS = [
    ("rlgpu.learner", ("rlgpu.sim", "rlgpu.envs")),
    ("rlgpu.sim", ("rlgpu.nn", "rlgpu.learner", "rlgpu.tasks")),
    ("rlgpu.isaacgym", ("rlgpu.learner", "rlgpu.nn", "rlgpu.training")),
    ("rlgpu", ("train",)),
    ("rlgpu.tasks", ("rlgpu.learner", "rlgpu.nn", "rlgpu.ops", "rlgpu.training", "rlgpu.playing")),
]
# The package's tasks are those of the top level, by a link, which a glob does not follow.
PYTHON = sorted([*ROOT.glob("rlgpu/**/*.py"), *ROOT.glob("tasks/*.py"), ROOT / "train.py"])
CPP = sorted(
    path
    for folder in ("csrc", "tests/cpp", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".cpp", ".cu", ".cuh", ".h")
)
ALL_PYTHON = sorted([*PYTHON, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py")])
ONLY_ON_CPU = {"physics", "policy_act", "ppo_update"}
# Maximum numbers of lines; a function's docstring does not count.
MAX_FILE, MAX_CPP_FILE, MAX_FUNCTION = 400, 300, 50
MAX_UNFORMATTED = 50  # marks


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return f"rlgpu.{name}" if parts[0] == "tasks" else name


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] in ("rlgpu", "train")}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def floor(name: str) -> int:
    return max((len(p), f) for p, f in FLOORS.items() if within(name, p))[1]


@pytest.mark.parametrize("path", PYTHON, ids=module_name)
def test_imports_only_go_downwards(path: Path) -> None:
    """No module imports a higher layer or a package that is forbidden to it."""
    name = module_name(path)
    for other in imported(path) if name != "rlgpu" else ():  # which names the API for editors
        assert floor(other) <= floor(name), f"{name} (layer {floor(name)}) imports {other}"
        for package, forbidden in STRANGERS:
            if within(name, package):
                assert not any(within(other, f) for f in forbidden), f"{name} imports {other}"


def test_only_tasks_import_tasks() -> None:
    """Whoever needs them by name gets them of the project; none is imported by name."""
    for path in PYTHON:
        if not within(module_name(path), "rlgpu.tasks"):
            assert not any(within(name, "rlgpu.tasks") for name in imported(path)), path


def test_loose_modules_are_listed() -> None:
    """A module belongs to a room; these serve all of them."""
    loose = {path.stem for path in (ROOT / "rlgpu").glob("*.py")}
    assert loose == {"__init__", "__main__", "errors", "rotations", "spaces"}


def test_kinds_of_devices_are_asked_for_in_one_place() -> None:
    """``rlgpu.device`` says what one can do; the ops' own loader and Python 3.6 are left out."""
    for path in PYTHON:
        name = module_name(path)
        left_out = ("rlgpu.device", "rlgpu.ops", "rlgpu.sim.physx.worker")
        if not any(within(name, package) for package in left_out):
            assert not re.search(r"\bdevice\.type [=!]= \"", path.read_text()), name


def room(name: str) -> str:
    """Returns the package that a module is in: ``rlgpu.sim.mujoco.batch`` is in ``rlgpu.sim``."""
    return ".".join(name.split(".")[:2])


def test_packages_never_import_each_other_in_a_cycle() -> None:
    """Packages that import none of the remaining ones are removed in turn; a cycle would remain."""
    imports: dict[str, set[str]] = {}
    for path in PYTHON:
        name = room(module_name(path))
        others = {room(other) for other in imported(path)} - {name, "rlgpu"}
        imports.setdefault(name, set()).update(others)
    while imports:
        free = {name for name, others in imports.items() if not others & imports.keys()}
        assert free, f"these packages import each other in a cycle: {sorted(imports)}"
        imports = {name: others for name, others in imports.items() if name not in free}


def test_modules_never_import_each_other_in_a_cycle() -> None:
    """Nor for types alone; the package itself, which names the API for editors, is left out."""
    modules = {module_name(path): path for path in PYTHON}
    imports = {
        name: {other for other in imported(path) if other in modules} - {name, "rlgpu"}
        for name, path in modules.items()
        if name != "rlgpu"
    }
    # `from package import module` names the package too, whose other modules may import this one.
    for name, others in imports.items():
        imports[name] = {o for o in others if not any(within(x, o) and x != o for x in others)}
    while imports:
        free = {name for name, others in imports.items() if not others & imports.keys()}
        assert free, f"these modules import each other in a cycle: {sorted(imports)}"
        imports = {name: others for name, others in imports.items() if name not in free}


@pytest.mark.parametrize("path", ALL_PYTHON, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_files_and_functions_stay_short(path: Path) -> None:
    """At most 400 lines per file and 50 per function."""
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node) or ""
            lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert lines <= MAX_FUNCTION, f"{node.name} has {lines} lines"


def test_formatting_is_seldom_switched_off() -> None:
    """Only tables that a reader compares column by column keep their own layout."""
    assert sum(path.read_text().count("fmt: " + "skip") for path in ALL_PYTHON) <= MAX_UNFORMATTED


@pytest.mark.parametrize("path", CPP, ids=lambda p: str(p.relative_to(ROOT)))
def test_cpp_files_stay_short(path: Path) -> None:
    """At most 300 lines per file."""
    assert len(path.read_text().splitlines()) <= MAX_CPP_FILE


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (ROOT / "csrc" / "kernels").rglob("*") if path.is_file()),
    ids=lambda p: p.name,
)
def test_kernels_do_not_include_torch(path: Path) -> None:
    """They take only pointers, sizes and a stream."""
    includes = [line for line in path.read_text().splitlines() if line.startswith("#include")]
    assert not any(word in line for line in includes for word in ("torch", "ATen", "c10"))


def test_every_op_has_its_files() -> None:
    """Each op has the same name everywhere; a large one has a folder of kernels."""
    ops = sorted(path.stem for path in (ROOT / "csrc" / "cpu").glob("*.cpp"))
    assert len(ops) >= 8
    for op in ops:
        kernels = ROOT / "csrc" / "kernels"
        assert (kernels / f"{op}.cuh").is_file() or (kernels / op).is_dir(), op
        files = [f"csrc/checks/{op}.h", f"rlgpu/ops/{op}.py", f"tests/ops/test_{op}.py"]
        if op not in ONLY_ON_CPU:
            files.append(f"csrc/cuda/{op}.cu")
        for file in files:
            assert (ROOT / file).is_file(), file
