"""How often a project's files of values are opened."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import train
from rlgpu.config import Project, compose
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS


@pytest.fixture
def opened(monkeypatch) -> Counter[str]:
    """How often each YAML file is read from now on, by ``folder/name``."""
    counts: Counter[str] = Counter()
    read_text = Path.read_text

    def count(path: Path, *args, **kwargs) -> str:
        if path.suffix == ".yaml":
            counts[f"{path.parent.name}/{path.name}"] += 1
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", count)
    return counts


def test_a_run_opens_each_file_of_values_once(tmp_path, monkeypatch, opened) -> None:
    """The default task's name, the videos asked for and the composition come from one reading."""
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "config.yaml").write_text("task: Cartpole\npreset: rsl_rl_3")
    monkeypatch.chdir(tmp_path)
    assert train.main(["num_envs=16", "max_iterations=1", "headless=True"]) == 0
    assert opened == {
        "cfg/config.yaml": 2,  # one is the user's, one is rlgpu's
        "task/Cartpole.yaml": 1,
        "train/CartpolePPO.yaml": 1,
        "sim/fused.yaml": 1,
        "presets/rsl_rl_3.yaml": 1,
        "presets/rsl_rl.yaml": 1,
    }


def test_engines_that_are_tried_share_a_reading(tmp_path, opened) -> None:
    """Where ``fused`` refuses a model, ``auto`` tries two engines on a CPU."""
    words = ["task=FrankaCubeStack", "sim_device=cpu"]
    refusing = ENGINES["fused"]._replace(accept=lambda scene, timing: ["it has muscles"])
    composed = compose(words, TASKS, {**ENGINES, "fused": refusing}, Project.at(tmp_path))
    assert composed.config.sim.engine == "mujoco"
    assert opened["sim/fused.yaml"] == opened["sim/mujoco.yaml"] == 1
    assert set(opened.values()) == {1}


def test_a_new_project_reads_files_again(tmp_path, opened) -> None:
    """One has the values that it read first, in copies; the next has those of the file now."""
    file = tmp_path / "cfg" / "config.yaml"
    file.parent.mkdir()
    file.write_text("num_envs: 3\ngroup: {a: 1}")
    project = Project.at(tmp_path)
    project.defaults()["group"]["a"] = 2
    file.write_text("num_envs: 4")
    assert project.defaults()["num_envs"] == 3
    assert project.defaults()["group"] == {"a": 1}
    assert Project.at(tmp_path).defaults()["num_envs"] == 4
    assert opened["cfg/config.yaml"] == 4
