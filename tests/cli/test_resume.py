"""Runs that go on, are repeated, or lend their weights: what is restored, and to which bit."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest
import torch

import train
from rlgpu.cli import main
from rlgpu.errors import Conflict, NoEffect, Unreadable, UsageError
from rlgpu.training import Trainer, load_checkpoint
from rlgpu.training.checkpoint import save_checkpoint
from tests.refusals import error_of, names
from tests.runs import equal, last_numbers, stop_after

ROOT = Path(__file__).parents[2]
TIMES = {"wall_time", "steps_per_second", "collect_steps_per_second"}
SMALL = ["task=Cartpole", "num_envs=32", "headless=True"]
VARIED = """
from dataclasses import replace
from rlgpu.envs import uniform
from rlgpu.tasks.ant import Ant, AntConfig

class Varied(Ant):
    Config = AntConfig

    def scene(self):
        return replace(super().scene(), parameters=("body_mass", "friction", "gravity"))

    def bind(self, sim):
        super().bind(sim)
        self._sim = sim
        self._usual = {name: value.clone() for name, value in sim.parameters.items()}

    def reset_state(self, generator):
        for name, usual in self._usual.items():
            self._sim.set_parameter(name, usual * uniform(usual.shape, 0.8, 1.2, generator))
        return super().reset_state(generator)
"""


def last(runs: Path) -> dict:
    (link,) = runs.glob("*/latest")
    return load_checkpoint(link / "nn" / "last.pth")


def rows(runs: Path) -> list[dict[str, str]]:
    """Returns the metrics of all runs in their order, without what depends on time."""
    files = sorted(path for path in runs.glob("*/2*/metrics.csv"))
    every = [row for path in files for row in csv.DictReader(path.open())]
    return [{key: x for key, x in row.items() if key not in TIMES} for row in every]


@pytest.fixture
def varied(tmp_path) -> str:
    """An Ant whose masses, friction and gravity are drawn again at resets."""
    (tmp_path / "varied.py").write_text(VARIED)
    for source, target in (("task/Ant", "Varied"), ("train/AntPPO", "VariedPPO")):
        text = (ROOT / "cfg" / f"{source}.yaml").read_text()
        (tmp_path / f"{target}.yaml").write_text(text.replace("name: Ant", "name: Varied"))
    return f"task={tmp_path / 'varied.py'}:Varied"


@pytest.mark.parametrize(
    "words",
    [
        ["sim=fused"],
        ["sim=mujoco"],
        pytest.param(["sim=mujoco_warp", "torch_deterministic=True"], marks=pytest.mark.cuda),
        pytest.param(["sim=fused", "sim_device=cuda:0"], marks=pytest.mark.cuda),
    ],
    ids=" ".join,
)
def test_n_iterations_stop_and_m_more_equal_all_at_once(
    tmp_path, monkeypatch, varied, words
) -> None:
    """Weights, optimiser, normalisers, rate, episodes, worlds, parameters, metrics: every byte.

    Episodes of 40 steps end and reset on both sides of the stop; contacts are under way; the rate
    adapts.
    """
    setting = [
        varied,
        *words,
        "num_envs=24",
        "headless=True",
        "train.schedule=adaptive",
        "task.episode_length=40",
        "max_iterations=9",
        "train.minibatch_size=128",
    ]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train.main([*setting, f"runs_dir={whole}"]) == 0
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        assert train.main([*setting, f"runs_dir={parts}"]) == 0
    assert last(parts)["trainer"]["iteration"] == 5
    folder = next(parts.glob("*/latest")).resolve()
    assert train.main([f"checkpoint={folder}"]) == 0
    one, two = last(whole), last(parts)
    assert two["trainer"]["iteration"] == 9
    for name in ("agent", "env"):
        assert equal(one[name], two[name]), name
    for name in ("iteration", "best_return", "statistics"):
        assert equal(one["trainer"][name], two["trainer"][name]), name
    assert rows(whole) == rows(parts)
    assert len({row["learning_rate"] for row in rows(whole)}) > 1
    assert float(rows(whole)[-1]["episodes"]) > 48


def test_a_resumed_run_has_its_own_settings_and_says_what_differs(tmp_path, capsys) -> None:
    """Only what is named changes; the folder is beside the first one's."""
    runs = f"runs_dir={tmp_path}"
    words = [*SMALL, runs, "train.gamma=0.9", "seed=7", "max_iterations=50", "experiment=mine"]
    words += ["task.reset_dist=2.5"]
    assert train.main([*words, "train.hidden_sizes=[16]", "train.save_every=1"]) == 0
    folder = (tmp_path / "mine" / "latest").resolve()
    numbered = folder / "nn" / "iteration_000049.pth"
    capsys.readouterr()
    named = ["task=Cartpole", "sim=fused"]  # what the run has as well changes nothing
    assert train.main([f"checkpoint={numbered}", "train.clip_ratio=0.3", *named]) == 0
    output = capsys.readouterr().out
    lines = output.splitlines()
    (note,) = [x for x in lines if names(x, "train.clip_ratio=0.3")]
    assert names(note, 0.2)
    assert note.count("=") == 1  # no other key differs
    (line,) = [x for x in lines if names(x, numbered)]
    assert names(line, (tmp_path / "mine" / "latest").resolve())
    resumed = load_checkpoint(tmp_path / "mine" / "latest" / "nn" / "last.pth")
    config = resumed["config"]
    assert (config["train"]["gamma"], config["seed"], config["max_iterations"]) == (0.9, 7, 50)
    assert (config["train"]["hidden_sizes"], config["task"]["reset_dist"]) == ([16], 2.5)
    assert resumed["trainer"]["iteration"] == 50
    play = [f"checkpoint={folder}", "test=True", "headless=True", "games=2", "num_envs=2"]
    capsys.readouterr()
    assert train.main(play) == 0
    assert last_numbers(capsys.readouterr().out)[:2] == [2, 1]


def test_the_command_printed_at_the_end_plays_the_run(tmp_path, capsys) -> None:
    """Also with an experiment's name, another folder and other layers."""
    words = [*SMALL, f"runs_dir={tmp_path / 'a folder'}", "experiment=my run", "max_iterations=2"]
    assert train.main([*words, "train.hidden_sizes=[8,8]"]) == 0
    command = capsys.readouterr().out.rpartition("python -m rlgpu ")[2]
    assert main([*shlex.split(command), "games=1", "num_envs=1", "headless=True"]) == 0


def test_playing_without_a_task_takes_the_newest_run_of_all(tmp_path, capsys) -> None:
    """Whatever its task; training goes on with the default task's, and names other runs."""
    runs = f"runs_dir={tmp_path}"
    assert train.main([*SMALL, runs, "max_iterations=1"]) == 0
    assert train.main([*SMALL, runs, "max_iterations=1", "experiment=other"]) == 0
    capsys.readouterr()
    assert main(["play", runs, "games=1", "num_envs=1", "headless=True"]) == 0
    assert str(tmp_path / "other") in capsys.readouterr().out
    error = error_of([runs, "checkpoint=latest", "headless=True"])
    assert (error.key, error.path) == ("checkpoint", tmp_path / "Ant")
    assert set(error.allowed) == {tmp_path / "Cartpole", tmp_path / "other"}


def test_a_run_is_repeated_from_its_folder(tmp_path) -> None:
    """The same bits; the command, the versions and the revision are recorded."""
    words = [*SMALL, "seed=-1", "train.gamma=0.95", "max_iterations=3"]
    assert train.main([*words, f"runs_dir={tmp_path}"]) == 0
    folder = (tmp_path / "Cartpole" / "latest").resolve()
    first = load_checkpoint(folder / "nn" / "last.pth")
    assert train.main([f"run={folder}"]) == 0
    second = last(tmp_path)
    assert equal(first["agent"], second["agent"])
    assert equal(first["env"], second["env"])
    text = (folder / "config.yaml").read_text()
    for word in ("seed=-1 train.gamma=0.95", "torch 2", "git_revision:", "task: Cartpole"):
        assert word in text


@pytest.mark.parametrize(
    "words", [["num_envs=48"], ["sim=mujoco"], ["task.episode_length=70", "train.gamma=0.9"]]
)
def test_weights_alone_fit_other_environments_engines_and_settings(tmp_path, words) -> None:
    """A new run from iteration 1; the weights and the observation statistics are the old ones."""
    runs = f"runs_dir={tmp_path}"
    assert train.main([*SMALL, runs, "max_iterations=3", "train.hidden_sizes=[16]"]) == 0
    old = last(tmp_path)
    path = (tmp_path / "Cartpole" / "latest").resolve() / "nn" / "last.pth"
    again = [f"checkpoint={path}", "weights_only=True", "max_iterations=1", "train.num_epochs=1"]
    frozen = ["train.learning_rate=0", "train.schedule=constant"]
    assert train.main([*again, *frozen, *words]) == 0
    new = last(tmp_path)
    assert new["trainer"]["iteration"] == 1
    assert equal(old["agent"]["network"], new["agent"]["network"])
    before, after = (x["agent"]["observation_normalizer"]["count"] for x in (old, new))
    assert float(after) > float(before)


def test_weights_fit_a_variant_of_the_task(tmp_path, varied) -> None:
    """A task of another name with the same joints; its own files apply, except for the network."""
    words = ["task=Ant", "num_envs=16", "headless=True", f"runs_dir={tmp_path}"]
    assert train.main([*words, "max_iterations=1", "train.hidden_sizes=[24]"]) == 0
    path = (tmp_path / "Ant" / "latest").resolve() / "nn" / "last.pth"
    again = [f"checkpoint={path}", "weights_only=True", varied, "max_iterations=1"]
    assert train.main(again) == 0
    assert (tmp_path / "Varied" / "latest").exists()


def test_latest_is_a_run_with_a_checkpoint(tmp_path, monkeypatch) -> None:
    """One that dies before its first save does not hide the good one."""
    runs = f"runs_dir={tmp_path}"
    assert train.main([*SMALL, runs, "max_iterations=1"]) == 0
    good = (tmp_path / "Cartpole" / "latest").resolve()

    def dying(self: Trainer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "collect", dying)
        assert train.main([*SMALL, runs]) == 130
    assert (tmp_path / "Cartpole" / "latest").resolve() == good
    assert list((tmp_path / "Cartpole").glob("2*")) == [good]


def test_numbered_checkpoints_are_kept_up_to_a_number(tmp_path) -> None:
    """Every second iteration, the newest two, and the last iteration counts as one."""
    words = [*SMALL, f"runs_dir={tmp_path}", "max_iterations=7"]
    assert train.main([*words, "train.save_every=2", "train.keep_checkpoints=2"]) == 0
    names = sorted(path.name for path in (tmp_path / "Cartpole" / "latest" / "nn").iterdir())
    numbered = ["iteration_000006.pth", "iteration_000007.pth"]
    assert [name for name in names if name not in ("best.pth", "last.pth")] == numbered
    assert (
        load_checkpoint(tmp_path / "Cartpole" / "latest" / "nn" / numbered[0])["trainer"][
            "iteration"
        ]
        == 6
    )


@pytest.mark.parametrize(
    ("words", "kind", "data"),
    [
        (["weights_only=True"], NoEffect, {"key": "weights_only", "needs": "checkpoint"}),
        (["run=nowhere"], Unreadable, {"key": "run", "value": "nowhere", "fault": "missing"}),
        (["run=tests", "checkpoint=latest"], Conflict, {"key": "checkpoint", "other": "run"}),
        (["run=tests", "test=True"], Conflict, {"key": "test", "other": "run"}),
        (["run=tests"], Unreadable, {"fault": "missing", "path": Path("tests/config.yaml")}),
        (["run=cfg/task/Ant.yaml"], UsageError, {"value": "cfg/task/Ant.yaml"}),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(monkeypatch, words, kind, data) -> None:
    """In one line, before anything is written."""
    monkeypatch.chdir(ROOT)
    error = error_of(words)
    assert type(error) is kind
    assert {name: getattr(error, name) for name in data} == data
    assert names(error, words[0].partition("=")[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_run_from_a_gpu_is_played_on_a_cpu(tmp_path, capsys) -> None:
    """On an engine that the machine has, which is said; resuming it needs the GPU."""
    assert train.main([*SMALL, f"runs_dir={tmp_path}", "max_iterations=2"]) == 0
    content = last(tmp_path)
    gpu = {"engine": "mujoco_warp", "nconmax": 0, "njmax": 0}
    config = {**content["config"], "sim": gpu, "sim_device": "cuda:0", "rl_device": "cuda:0"}
    body = {name: content[name] for name in content if name not in ("format", "digest")}
    path = tmp_path / "gpu.pth"
    save_checkpoint(path, {**body, "config": config})
    capsys.readouterr()
    assert train.main([f"checkpoint={path}", "test=True", "games=1", "num_envs=1"]) == 0
    output = capsys.readouterr().out
    assert any(names(x, "sim.engine=fused", "mujoco_warp") for x in output.splitlines())
    assert last_numbers(output)[:2] == [1, 1]
    error = error_of([f"checkpoint={path}", "max_iterations=3"])
    assert (error.key, error.value, error.allowed) == ("sim_device", "cuda:0", ("cpu",))


def test_only_its_own_best_is_carried_over(tmp_path) -> None:
    """Not that of another run in the same folder, nor one of iterations that are gone."""
    words = [*SMALL, f"runs_dir={tmp_path}", "train.save_every=2"]
    assert train.main([*words, "max_iterations=8"]) == 0
    nn = (tmp_path / "Cartpole" / "latest").resolve() / "nn"
    early, best = nn / "iteration_000004.pth", load_checkpoint(nn / "best.pth")
    assert best["trainer"]["iteration"] > 4
    assert train.main([f"checkpoint={early}", "max_iterations=5"]) == 0
    new = load_checkpoint(tmp_path / "Cartpole" / "latest" / "nn" / "best.pth")
    assert new["trainer"]["iteration"] == 5


def test_a_folder_is_searched_for_its_checkpoint(tmp_path) -> None:
    """A run's folder, its nn/, or the folder of an experiment."""
    assert train.main([*SMALL, f"runs_dir={tmp_path}", "max_iterations=1"]) == 0
    run = (tmp_path / "Cartpole" / "latest").resolve()
    for folder in (run, run / "nn", tmp_path / "Cartpole"):
        assert train.main(["test=True", "headless=True", f"checkpoint={folder}", "games=1"]) == 0


@pytest.mark.parametrize("name", ["08", "1e3", "on", "null", "2026-01-01", "~", "0x10"])
def test_a_text_is_the_same_after_config_yaml(tmp_path, name) -> None:
    """A repeated run writes beside the first one."""
    if name == "~":
        pytest.skip("a home directory, not an experiment's name")
    words = [*SMALL, f"runs_dir={tmp_path}", f"experiment={name}", "max_iterations=1"]
    assert train.main(words) == 0
    folder = (tmp_path / name / "latest").resolve()
    assert train.main([f"run={folder}"]) == 0
    assert len(list((tmp_path / name).glob("2*"))) == 2


def test_a_run_from_weights_is_not_repeated_without_them(tmp_path, capsys) -> None:
    """The message says how; a run that was resumed begins again, and says so."""
    runs = f"runs_dir={tmp_path}"
    assert train.main([*SMALL, runs, "max_iterations=1"]) == 0
    first = (tmp_path / "Cartpole" / "latest").resolve()
    assert train.main([f"checkpoint={first}", "weights_only=True"]) == 0
    second = (tmp_path / "Cartpole" / "latest").resolve()
    error = error_of([f"run={second}"])
    assert isinstance(error, Conflict)
    assert (error.key, error.value, error.other) == ("run", str(second), "weights_only")
    assert names(error, first, "checkpoint", "weights_only=True")
    assert train.main([f"checkpoint={first}", "max_iterations=2"]) == 0
    third = (tmp_path / "Cartpole" / "latest").resolve()
    capsys.readouterr()
    assert train.main([f"run={third}"]) == 0
    assert any(names(line, first) for line in capsys.readouterr().out.splitlines())


def test_environment_steps_go_on_when_the_horizon_changes(tmp_path) -> None:
    """Two iterations of 16 steps and one of 8, of 32 environments."""
    assert train.main([*SMALL, f"runs_dir={tmp_path}", "max_iterations=2"]) == 0
    folder = (tmp_path / "Cartpole" / "latest").resolve()
    assert train.main([f"checkpoint={folder}", "max_iterations=3", "train.horizon_length=8"]) == 0
    assert [int(row["env_steps"]) for row in rows(tmp_path)] == [512, 1024, 1280]


@pytest.mark.parametrize("removed", ["num_envs", "max_iterations", "seed"])
def test_a_configuration_with_a_key_less_takes_its_default(tmp_path, removed) -> None:
    """As when a run is older than the key."""
    assert train.main([*SMALL, f"runs_dir={tmp_path}", "max_iterations=1"]) == 0
    path = (tmp_path / "Cartpole" / "latest").resolve() / "config.yaml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith(f"{removed}:")))
    assert train.main([f"run={path}", "train.max_iterations=1"]) == 0
