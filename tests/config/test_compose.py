"""Composition of the configuration, and every input that it refuses."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from rlgpu.config import Project, Range, compose
from rlgpu.errors import Conflict, NoEffect, UnknownKey, Unreadable, UnsupportedModel, UsageError
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from rlgpu.training import Tasks, build_env
from tests.refusals import names
from tests.task_words import task_words

CFG = Path(__file__).parents[2] / "cfg"


def composed(*words: str):
    return compose(words, TASKS, ENGINES)


def test_files_and_command_line_are_merged_in_order() -> None:
    """Task and train files, then the engine's values, then the command line."""
    config = composed("task=Cartpole", "train.gamma=0.5", "num_envs=64", "seed=7").config
    assert config.task.name == "Cartpole"
    assert config.task.max_push_effort == 400.0
    assert config.train.hidden_sizes == [32, 32]
    assert (config.train.gamma, config.num_envs, config.seed) == (0.5, 64, 7)


def test_every_task_composes_with_its_defaults() -> None:
    """Only the task's name is needed, and of Walk its robot."""
    for name in TASKS:
        config = composed(*task_words(name)).config
        assert config.task.name == name
        assert config.max_iterations == config.train.max_iterations


def test_numbers_are_read_as_people_write_them() -> None:
    """1e-4 is read as a number; lists and booleans work too."""
    train = composed("train.learning_rate=1e-4", "train.hidden_sizes=[8,4]", "headless=True").config
    assert train.train.learning_rate == 1e-4
    assert train.train.hidden_sizes == [8, 4]
    assert train.headless is True


def test_an_odd_number_of_environments_adapts_the_minibatch_size_and_adds_a_note() -> None:
    """16 x 37 = 592 rows."""
    result = composed("num_envs=37")
    size = result.config.train.minibatch_size
    assert 592 % size == 0
    assert names(result.notes[0], "train.minibatch_size", size, 592)


@pytest.mark.parametrize(
    "words",
    [
        (
            "train.normalize_advantages=minibatch",
            "train.horizon_length=8",
            "train.num_minibatches=8",
        ),
        (
            "train.normalize_advantages=minibatch",
            "train.horizon_length=8",
            "train.minibatch_size=1",
        ),
        ("train.normalize_advantages=global", "train.horizon_length=1"),
    ],
)
def test_advantages_are_not_normalised_row_by_row(words) -> None:
    """The only row of a minibatch, or of a rollout, would have an advantage of 0."""
    with pytest.raises(Conflict) as refusal:
        composed("task=Cartpole", "num_envs=1", *words)
    assert f"{refusal.value.key}={refusal.value.value}" == words[0]


@pytest.mark.parametrize(
    ("words", "key", "needs"),
    [
        (
            ("algorithm=DQN", "train=GymDQN", "train.entropy_coef=0.01"),
            "train.entropy_coef",
            "algorithm=PPO",
        ),
        (
            ("algorithm=DQN", "train=GymDQN", "preset=cleanrl"),
            "train.num_epochs",
            "algorithm=PPO",
        ),
        (("train.dqn.n_step=5",), "train.dqn.n_step", "algorithm=DQN"),
    ],
)
def test_settings_of_the_other_algorithm_are_refused(words, key, needs) -> None:
    """They would change nothing, without a word."""
    with pytest.raises(NoEffect) as refusal:
        composed(*words)
    assert (refusal.value.key, refusal.value.needs) == (key, needs)
    assert composed(*words, "test=True").config.test


def test_a_preset_leaves_out_what_gymnasium_cannot_do() -> None:
    """Its environments count their own steps; other tasks and explicit requests keep the value."""
    tasks = Tasks()
    words = ["task=gym:CartPole-v1", "preset=rsl_rl", "num_envs=8"]
    result = compose(words, tasks, ENGINES)
    assert result.config.train.init_at_random_ep_len is False
    assert result.config.train.clip_gradients == "per_network"
    assert any("init_at_random_ep_len" in note for note in result.notes)
    assert composed("preset=rsl_rl", "num_envs=64").config.train.init_at_random_ep_len is True
    asked = compose([*words, "train.init_at_random_ep_len=True"], tasks, ENGINES)
    assert asked.config.train.init_at_random_ep_len is True


def test_playing_uses_few_environments() -> None:
    """Sixteen, unless num_envs is given."""
    assert composed("test=True").config.num_envs == 16
    assert composed("test=True", "num_envs=5").config.num_envs == 5


def test_a_seed_of_minus_one_is_drawn_and_recorded() -> None:
    """So that the run can be repeated."""
    assert 0 <= composed("seed=-1").config.seed < 10000


@pytest.mark.parametrize(
    ("word", "instead", "library"),
    [
        ("num_env=4", "num_envs", ""),
        ("train.gama=0.9", "train.gamma", ""),
        ("gamma=0.9", "train.gamma", ""),
        ("train.params.config.gamma=0.9", "train.gamma", "IsaacGymEnvs"),
        ("train.params.config.e_clip=0.1", "train.clip_ratio", "IsaacGymEnvs"),
        ("task.env.numEnvs=8", "num_envs", "IsaacGymEnvs"),
        ("task.env.episodeLength=8", "task.episode_length", "IsaacGymEnvs"),
        ("pipeline=gpu", "sim_device", "IsaacGymEnvs"),
        ("multi_gpu=True", "", "IsaacGymEnvs"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_to_use(word, instead, library) -> None:
    """One that resembles it, or the one for a setting of another library."""
    with pytest.raises(UnknownKey) as refusal:
        composed(word)
    assert refusal.value.key == word.partition("=")[0]
    assert (refusal.value.instead, refusal.value.library) == (instead, library)
    assert names(refusal.value, refusal.value.key, *filter(None, (instead, library)))


@pytest.mark.parametrize(
    ("word", "value", "allowed", "suggested"),
    [
        ("train=AntPPQ", "AntPPQ", "CartpolePPO", "AntPPO"),
        ("sim=mujoko", "mujoko", "fused", "mujoco"),
        ("sim.num_threads=-1", -1, Range(0, 1024), "0 to 1024"),
        ("num_envs=many", "many", int, "num_envs=many"),
        ("train.schedule=cosine", "cosine", "adaptive", "linear"),
        ("train.gamma=1.5", 1.5, Range(0, 1), "0 to 1"),
        ("num_envs=0", 0, Range(1, 2**31 - 1), "2147483647"),
        ("max_iterations=-3", -3, Range(1, 2**31 - 1), "1"),
        ("train.minibatch_size=999999", 999999, Range(1, 8192), "8192"),
        ("rl_device=gpu", "gpu", None, "cpu"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(word, value, allowed, suggested) -> None:
    """The key, the value, and what would be taken; the message has them, too."""
    with pytest.raises(UsageError) as refusal:
        composed(word)
    assert (refusal.value.key, refusal.value.value) == (word.partition("=")[0], value)
    assert allowed is None or allowed in refusal.value.allowed
    assert names(refusal.value, word, suggested)


@pytest.mark.parametrize(
    ("word", "fault", "key", "value"),
    [
        ("--task=Ant", "dashes", "--task", "Ant"),
        ("headless", "form", "", "headless"),
        ("--headless", "form", "", "--headless"),
        ("task.gear=[1", "syntax", "task.gear", "[1"),
    ],
)
def test_a_word_that_cannot_be_read_is_refused_with_one_that_can(word, fault, key, value) -> None:
    """Dashes, no value, and brackets that stay open."""
    with pytest.raises(Unreadable) as refusal:
        composed(word)
    found = refusal.value
    assert (found.fault, found.key, found.value) == (fault, key, value)
    assert names(found, word, word.lstrip("-"))


def test_a_task_that_does_not_exist_is_refused() -> None:
    """With the names that exist, and the one that resembles it most."""
    with pytest.raises(UsageError) as refusal:
        composed("task=Antt")
    assert (refusal.value.key, refusal.value.value) == ("task", "Antt")
    assert {"Ant", "Cartpole"} <= set(refusal.value.allowed)
    assert names(refusal.value, "task=Antt", "Ant", "Cartpole")


@pytest.mark.parametrize(("file", "fault"), [("missing.py", "missing"), ("mine.txt", "form")])
def test_a_task_that_is_not_in_a_python_file_is_refused(tmp_path, file, fault) -> None:
    """There is no file, or one of another kind."""
    (tmp_path / "mine.txt").write_text("class Mine: pass")
    path = tmp_path / file
    with pytest.raises(Unreadable) as refusal:
        composed(f"task={path}:Mine")
    found = refusal.value
    assert (found.fault, found.path) == (fault, path)
    assert (found.key, found.value) == ("task", f"{path}:Mine")
    assert names(found, f"task={path}:Mine")


def test_a_setting_of_another_engine_is_refused() -> None:
    """It says which engine has it."""
    with pytest.raises(NoEffect) as refusal:
        composed("sim=mujoco", "sim.njmax=9")
    assert (refusal.value.key, refusal.value.needs) == ("sim.njmax", "sim=mujoco_warp")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("key", ["rl_device", "sim_device"])
def test_a_cuda_device_on_a_machine_without_a_gpu_is_refused(key) -> None:
    """Before anything is built."""
    with pytest.raises(UsageError) as refusal:
        composed(f"{key}=cuda:0")
    assert (refusal.value.key, refusal.value.value) == (key, "cuda:0")
    assert refusal.value.allowed == ("cpu",)


@pytest.fixture
def with_gpu(monkeypatch) -> None:
    """A machine whose torch sees one GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.mark.parametrize(
    ("words", "engine", "sim_device", "rl_device", "num_envs"),
    [
        ((), "mujoco_warp", "cuda:0", "cuda:0", 4096),
        (("sim_device=cuda",), "mujoco_warp", "cuda:0", "cuda:0", 4096),
        (("sim=mujoco",), "mujoco", "cpu", "cpu", 512),
        (("sim_device=cpu",), "fused", "cpu", "cpu", 512),
        (("sim=mujoco", "rl_device=cuda:0"), "mujoco", "cpu", "cuda:0", 512),
        (("sim=mujoco_warp", "sim_device=cpu"), "mujoco_warp", "cpu", "cpu", 4096),
    ],
)
def test_the_engine_follows_the_device(
    with_gpu, words, engine, sim_device, rl_device, num_envs
) -> None:
    """For the Ant: MuJoCo Warp on a GPU, MuJoCo on the CPU, unless other settings are given."""
    config = composed("task=Ant", *words).config
    assert (config.sim.engine, config.sim_device) == (engine, sim_device)
    assert (config.rl_device, config.num_envs) == (rl_device, num_envs)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_runs_on_the_fused_engine_of_a_cpu(task) -> None:
    """With as many environments as on MuJoCo, not the thousands that are meant for a GPU."""
    words = task_words(task)
    config = composed(*words, "sim_device=cpu").config
    assert config.sim.engine == "fused"
    assert config.num_envs == composed(*words, "sim=mujoco").config.num_envs


def test_an_engine_on_a_device_it_cannot_use_is_refused(with_gpu) -> None:
    """The CPU engine on a GPU, and a GPU that does not exist."""
    with pytest.raises(Conflict) as conflict:
        composed("sim=mujoco", "sim_device=cuda:0")
    assert (conflict.value.key, conflict.value.other) == ("sim_device", "sim")
    assert conflict.value.allowed == ("cpu",)
    with pytest.raises(UsageError) as refusal:
        composed("sim_device=cuda:1")
    assert (refusal.value.key, refusal.value.value) == ("sim_device", "cuda:1")
    assert refusal.value.allowed == ("cpu", "cuda:0")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_the_gpu_engine_without_a_gpu_is_refused() -> None:
    """It could run on Warp's CPU device, but that is rarely intended."""
    with pytest.raises(Conflict) as refusal:
        composed("sim=mujoco_warp")
    assert (refusal.value.key, refusal.value.value) == ("sim", "mujoco_warp")
    assert refusal.value.other == "sim_device"


def test_a_task_outside_the_tree_brings_its_own_files(tmp_path) -> None:
    """task=path/to/file.py:Class, with its YAML files in the same folder."""
    source = (CFG.parent / "tasks" / "cartpole.py").read_text()
    shutil.copytree(CFG.parent / "tasks" / "assets", tmp_path / "assets")
    (tmp_path / "my_task.py").write_text(source.replace("class Cartpole(Task)", "class Mine(Task)"))
    (tmp_path / "Mine.yaml").write_text("name: Mine\nepisode_length: 77\n")
    (tmp_path / "MinePPO.yaml").write_text("gamma: 0.25\n")
    result = composed(f"task={tmp_path / 'my_task.py'}:Mine")
    assert result.task_class.__name__ == "Mine"
    assert (result.config.task.episode_length, result.config.train.gamma) == (77, 0.25)
    with pytest.raises(UsageError) as refusal:
        composed(f"task={tmp_path / 'my_task.py'}:Other")
    file = tmp_path / "my_task.py"
    assert (refusal.value.key, refusal.value.value) == ("task", f"{file}:Other")
    assert (refusal.value.allowed, refusal.value.path) == ((f"{file}:Mine",), file)
    assert names(refusal.value, "Other", "Mine")


def test_auto_takes_mujoco_for_what_fused_does_not_simulate_and_says_why(tmp_path) -> None:
    """An asset enables what fused lacks; its CPU values are those of the engine it gets."""
    for file in ("tasks/cartpole.py", "cfg/task/Cartpole.yaml", "cfg/train/CartpolePPO.yaml"):
        shutil.copy(CFG.parent / file, tmp_path)
    asset = (CFG.parent / "tasks" / "assets" / "cartpole.xml").read_text()
    (tmp_path / "assets").mkdir()
    changed = asset.replace("<compiler", '<option><flag diagexact="enable"/></option><compiler')
    (tmp_path / "assets" / "cartpole.xml").write_text(changed)
    word = f"task={tmp_path / 'cartpole.py'}:Cartpole"
    result = composed(word, "sim_device=cpu")
    assert result.config.sim.engine == "mujoco"
    (note,) = result.notes
    assert names(note, "sim=auto", "fused")
    with pytest.raises(UsageError) as unfit:
        build_env(composed(word, "sim=fused").config, result.task_class, 4, 0)
    assert (unfit.value.key, unfit.value.value) == ("sim", "fused")
    assert isinstance(unfit.value.__cause__, UnsupportedModel)
    (reason,) = unfit.value.__cause__.reasons
    assert names(reason, "diagexact")
    assert reason in note
    (tmp_path / "assets" / "cartpole.xml").unlink()
    with pytest.raises(UsageError) as refusal:
        composed(word, "sim_device=cpu")
    assert f"{refusal.value.key}={refusal.value.value}" == word
    assert names(refusal.value, "Cartpole", "cartpole.xml")


def test_a_resolved_configuration_cannot_be_changed() -> None:
    """Frozen all the way down, a task's and an engine's values included."""
    config = composed("task=Ant", "sim=mujoco").config
    for part, name in (
        (config, "seed"),
        (config.train, "gamma"),
        (config.task, "gear"),
        (config.sim, "num_threads"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, 1)


def test_an_environment_of_a_file_has_its_own_training_values_too(tmp_path) -> None:
    """By the class's name, as ``gym/NAMEPPO.yaml``, of a project."""
    own = tmp_path / "cfg" / "train" / "gym" / "CounterPPO.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("gamma: 0.25\n")
    word = f"task=gym:{CFG.parent / 'tests' / 'foreign' / 'envs_of_ours.py'}:Counter"
    config = compose([word], Tasks(), ENGINES, Project.at(tmp_path)).config
    assert config.train.gamma == 0.25
