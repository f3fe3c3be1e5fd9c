"""The wheel and the source distribution, installed and used as users do, outside the clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.compiled import ROOT, cache, digest

pytestmark = pytest.mark.slow
BUILD = "from setuptools import build_meta; print(build_meta.build_sdist('dist'))"


def run(*words: object, folder: Path, **variables: str) -> str:
    """Runs a program, which succeeds, and returns its output."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, words)),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**environment, **variables},
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """A source distribution, from a copy of what git tracks, so that no clone's build helps."""
    clone = tmp_path_factory.mktemp("clone")
    listed = run("git", "ls-files", "-co", "--exclude-standard", folder=ROOT).split("\n")
    for name in filter(None, listed):
        source, target = ROOT / name, clone / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    run(sys.executable, "-c", BUILD, folder=clone)
    (made,) = (clone / "dist").glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """A wheel, built from the source distribution alone."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    plat = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    built = tree / "build" / f"lib.{plat}" / "rlgpu" / f"_C{suffix}"
    sources = [path for path in (ROOT / "csrc").rglob("*") if path.is_file()]
    key = digest([*sources, ROOT / "setup.py"], metadata.version("torch"), suffix)
    with cache("wheel") as kept:
        if (kept / key).is_file():  # setuptools does not build again what is newer than its sources
            built.parent.mkdir(parents=True)
            shutil.copy(kept / key, built)
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            tree,
            folder=folder,
        )
        (made,) = folder.glob("*.whl")
        with zipfile.ZipFile(made) as archive:
            (kept / key).write_bytes(archive.read(f"rlgpu/_C{suffix}"))
    return made


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """The interpreter of an environment with the wheel, and with the libraries that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, folder=folder)
    run(folder / "bin" / "pip", "install", "--no-deps", "--no-index", wheel, folder=folder)
    # The libraries are those of this environment; its rlgpu, which is the clone, is not among them:
    # the files that would add it are read in an environment's own folder only.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def project(python, tmp_path_factory) -> Path:
    """An empty folder, in which Cartpole has been trained for three iterations."""
    folder = tmp_path_factory.mktemp("project")
    words = "task=Cartpole headless=True max_iterations=3 num_envs=64"
    said = run(python.with_name("rlgpu"), "train", *words.split(), folder=folder)
    assert "done after 3 iterations" in said
    assert "to watch the policy: " in said
    return folder


def test_the_source_distribution_has_all_that_is_compiled(sdist) -> None:
    """Headers, sources of CUDA and the values of all tasks."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder, inside in (("csrc", "csrc"), ("cfg", "rlgpu/cfg"), ("tasks", "rlgpu/tasks")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert f"{inside}/{path.relative_to(ROOT / folder)}" in names
    assert not any(name.endswith((".so", ".pyc")) for name in names)


def test_the_wheel_holds_one_package(wheel) -> None:
    """Nothing beside ``rlgpu`` that another package's files could replace; typed."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"rlgpu"}
    assert {"rlgpu/py.typed", "rlgpu/cfg/config.yaml", "rlgpu/tasks/assets/ant.xml"} <= set(names)


def test_the_installed_package_is_the_one_that_runs(python, project) -> None:
    """Not the clone's; another package named ``tasks``, in the current folder, changes nothing."""
    (project / "tasks.py").write_text("raise RuntimeError('another package')\n")
    code = "import rlgpu, rlgpu.tasks; print(rlgpu.__file__, *rlgpu.tasks.TASKS)"
    file, *names = run(python, "-c", code, folder=project).split()
    assert Path(file).is_relative_to(python.parents[1])
    assert "Ant" in names


def test_a_run_is_played_and_named_after_its_folder(python, project) -> None:
    """``rlgpu play`` in the folder in which it was trained."""
    said = run(
        python.with_name("rlgpu"),
        "play",
        "task=Cartpole",
        "headless=True",
        "games=4",
        folder=project,
    )
    assert "mean return" in said
    assert (project / "runs" / "Cartpole" / "latest" / "metrics.csv").is_file()


def test_a_new_task_trains(python, project) -> None:
    """By the command that ``rlgpu new-task`` prints."""
    rlgpu = python.with_name("rlgpu")
    said = run(rlgpu, "new-task", "Hopper", folder=project)
    command = said.rpartition("train it with: ")[2].split()
    assert command[-3:] == ["train", "task=hopper/hopper.py:Hopper", "headless=True"]
    run(rlgpu, *command[-3:], "num_envs=16", "max_iterations=2", folder=project)
    assert (project / "runs" / "Hopper").is_dir()


def test_tasks_and_values_of_a_project_are_found_by_name(python, project) -> None:
    """In ``tasks/`` and ``cfg/`` of the current folder; values of its own for a task of rlgpu's."""
    rlgpu = python.with_name("rlgpu")
    run(rlgpu, "new-task", "Walker", folder=project)
    for source, target in (
        ("walker/walker.py", "tasks/walker.py"),
        ("walker/walker.xml", "tasks/walker.xml"),
        ("walker/Walker.yaml", "cfg/task/Walker.yaml"),
        ("walker/WalkerPPO.yaml", "cfg/train/WalkerPPO.yaml"),
    ):
        (project / target).parent.mkdir(parents=True, exist_ok=True)
        (project / source).rename(project / target)
    assert "Walker" in run(rlgpu, "train", "--help", folder=project)
    run(
        rlgpu,
        "train",
        "task=Walker",
        "headless=True",
        "num_envs=16",
        "max_iterations=2",
        folder=project,
    )
    assert "mean return" in run(
        rlgpu, "play", "task=Walker", "headless=True", "games=2", folder=project
    )


def test_the_python_api_trains(python, project) -> None:
    """``rlgpu.train`` in the current folder."""
    code = """
import rlgpu
result = rlgpu.train("Cartpole", num_envs=32, max_iterations=2, quiet=True)
assert result.iterations == 2 and result.checkpoint.is_file(), result
env = rlgpu.make_env("Cartpole", num_envs=4)
print(rlgpu.load_policy(result.folder, env).act(env.observations).shape)
"""
    assert "torch.Size([4, 1])" in run(python, "-c", code, folder=project)


@pytest.mark.parametrize("command", ["doctor", "accept", "profile", "plot"])
def test_other_commands_run(python, project, command) -> None:
    """Outside the clone, on an asset of the package and on the run of this folder."""
    assets = next(python.parents[1].glob("lib/python*/site-packages/rlgpu/tasks/assets"))
    words = {
        "doctor": [],
        "accept": [assets / "ant.xml"],
        "plot": ["runs/Cartpole/latest"],
        "profile": ["task=Cartpole", "num_envs=16"],
    }
    assert run(python.with_name("rlgpu"), command, *words[command], folder=project)


def test_help_is_the_same_however_it_is_called(python, tmp_path) -> None:
    """``rlgpu train --help`` here, ``python train.py --help`` in the clone."""
    ours = run(sys.executable, "train.py", "--help", folder=ROOT)
    assert run(python.with_name("rlgpu"), "train", "--help", folder=tmp_path) == ours
