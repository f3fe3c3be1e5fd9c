"""Tasks written for Isaac Gym under rlgpu's learner: what ``step`` returns is mapped exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scenes import close

from rlgpu.errors import Unreadable, UsageError
from rlgpu.foreign.isaacgym import script_task
from rlgpu.foreign.task import EnvRequest
from rlgpu.isaacgym.runner.without_cuda import ON_CPU
from rlgpu.isaacgym.simulation import engines
from rlgpu.sim.mujoco.batch import BatchWorlds
from rlgpu.sim.mujoco.fused.worlds import FusedWorlds
from rlgpu.training import load_checkpoint
from tests.refusals import names

ROOT = Path(__file__).parents[2]

TASK = '''
import torch
from isaacgym import gymapi, gymtorch


class Slider:
    """A ball on a rail of velocity a; It fails beyond 0.2 m."""

    def __init__(self, cfg, rl_device, sim_device, graphics_device_id, headless,
                 virtual_screen_capture, force_render):
        self.cfg, self.device = cfg, rl_device
        self.num_envs, self.max_episode_length = cfg["env"]["numEnvs"], cfg["env"]["length"]
        self.num_obs, self.num_actions = 2, 1
        self.gym = gymapi.acquire_gym()
        params = gymapi.SimParams()
        params.dt, params.gravity = 0.01, gymapi.Vec3()
        self.sim = self.gym.create_sim(0, -1, gymapi.SIM_PHYSX, params)
        ball = self.gym.create_sphere(self.sim, 0.1, gymapi.AssetOptions())
        for i in range(self.num_envs):
            env = self.gym.create_env(self.sim, gymapi.Vec3(), gymapi.Vec3(), 1)
            self.gym.create_actor(env, ball, gymapi.Transform(), "ball", i, 0)
        self.gym.prepare_sim(self.sim)
        self.roots = gymtorch.wrap_tensor(self.gym.acquire_actor_root_state_tensor(self.sim))
        self.obs_buf = torch.zeros(self.num_envs, 2)
        self.rew_buf = torch.zeros(self.num_envs)
        self.reset_buf = torch.ones(self.num_envs, dtype=torch.long)
        self.{count} = torch.zeros(self.num_envs, dtype=torch.long)
        self.extras = {{}}

    def reset_idx(self, ids):
        self.roots[ids] = 0.0
        self.roots[ids, 6] = 1.0
        self.roots[ids, 0] = 0.01
        self.gym.set_actor_root_state_tensor_indexed(
            self.sim, gymtorch.unwrap_tensor(self.roots),
            gymtorch.unwrap_tensor(ids.to(torch.int32)), len(ids))
        self.reset_buf[ids] = 0
        self.{count}[ids] = 0

    def reset(self):
        self.reset_idx(torch.arange(self.num_envs))

    def compute_observations(self):
        self.obs_buf[:, 0] = self.roots[:, 0]
        self.obs_buf[:, 1] = self.{count}.float()

    def judge(self):
        self.rew_buf[:] = self.roots[:, 0]
        failed = self.roots[:, 0].abs() > 0.2
        late = self.{count} >= self.max_episode_length - 1
        self.reset_buf[:] = (failed | late).long()
        self.extras["time_outs"] = late & (self.reset_buf != 0)

    def step(self, actions):
        self.roots[:, 7] = actions[:, 0]
        self.gym.set_actor_root_state_tensor(self.sim, gymtorch.unwrap_tensor(self.roots))
        self.gym.simulate(self.sim)
        self.{count} += 1
        {body}
'''
DEFERRED = """ids = self.reset_buf.nonzero().flatten()
        if len(ids):
            self.reset_idx(ids)
        self.compute_observations()
        self.judge()
        states = {"obs": self.obs_buf, "states": self.obs_buf}
        return states, self.rew_buf, self.reset_buf, self.extras"""
AT_ONCE = """self.judge()
        done = self.reset_buf.clone()
        self.reset_idx(done.nonzero().flatten())
        self.compute_observations()
        return self.obs_buf, 2 * self.obs_buf, self.rew_buf, done, self.extras"""
YAML = "name: Slider\nenv:\n  numEnvs: ${resolve_default:4,${...num_envs}}\n  length: 5\n"


def write(folder, body, count):
    """Writes a task's file and configuration and returns its word."""
    text = TASK.format(body=body, count=count)
    (folder / "slider.py").write_text(text)
    (folder / "Slider.yaml").write_text(YAML)
    return f"isaacgym:{folder / 'slider.py'}:Slider"


def make(word, num_envs=2, overrides=(), engine="mujoco"):
    """Returns the environments of a word."""
    task = script_task(word)
    config = task.Config(overrides=overrides)
    return task.make(EnvRequest(config, num_envs, 0, torch.device("cpu"), engine))


def test_deferred_resets_lose_no_observation_and_leave_no_filler(tmp_path):
    """The final observations are those returned; the next ones start the new episode at once."""
    env = make(write(tmp_path, DEFERRED, "progress_buf"))
    close(env.observations, [[0.01, 0], [0.01, 0]], atol=1e-6)
    actions = torch.tensor([[10.0], [1.0]])  # 0.1 m and 0.01 m a step
    one = env.step(actions)
    close(one.observations, [[0.11, 1], [0.02, 1]], atol=1e-5)
    two = env.step(actions)
    # The first fails at 0.21 m: terminated, its reward 0.21, a new episode from 0.01 m.
    assert two.terminated.tolist() == [True, False]
    close(two.rewards, [0.21, 0.03], atol=1e-5)
    close(two.final_observations, [[0.21, 2], [0.03, 2]], atol=1e-5)
    close(two.observations, [[0.01, 0], [0.03, 2]], atol=1e-5)
    three = env.step(torch.zeros(2, 1))
    close(three.observations, [[0.01, 1], [0.03, 3]], atol=1e-5)
    assert not (three.terminated | three.truncated).any()
    four = env.step(torch.zeros(2, 1))
    # The second has taken 4 = length - 1 steps: a time limit.
    assert four.truncated.tolist() == [False, True]
    assert not four.terminated.any()
    close(four.final_observations[1], [0.03, 4], atol=1e-5)
    close(four.observations[1], [0.01, 0], atol=1e-5)
    assert env.privileged is not None


def test_a_task_that_resets_only_when_told_begins_with_episodes(tmp_path):
    """As HumanoidAMP, whose step never resets, and whose method to observe begins with ``_``."""
    body = """self.compute_observations()
        self.judge()
        return {"obs": self.obs_buf}, self.rew_buf, self.reset_buf, self.extras"""
    word = write(tmp_path, body, "progress_buf")
    file = tmp_path / "slider.py"
    file.write_text(file.read_text().replace("compute_observations", "_compute_observations"))
    env = make(word)
    close(env.observations, [[0.01, 0], [0.01, 0]], atol=1e-6)
    env.step(torch.tensor([[10.0], [1.0]]))
    two = env.step(torch.tensor([[10.0], [1.0]]))
    assert two.terminated.tolist() == [True, False]
    close(two.final_observations, [[0.21, 2], [0.03, 2]], atol=1e-5)
    close(two.observations, [[0.01, 0], [0.03, 2]], atol=1e-5)


def test_a_task_that_cannot_observe_is_refused(tmp_path):
    """When it is to begin new episodes."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    file = tmp_path / "slider.py"
    file.write_text(file.read_text().replace("compute_observations", "observe"))
    with pytest.raises(UsageError) as refusal:
        make(word).reset()
    assert refusal.value.key == "Slider.compute_observations"


def test_an_override_that_chooses_a_file_needs_hydra(tmp_path):
    """Hydra composes only tasks of isaacgymenvs; a key of the configuration is overridden."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    assert make(word, overrides=("env.length=7",)).script.max_episode_length == 7
    with pytest.raises(UsageError) as refusal:
        make(word, overrides=("task/env=throw",))
    assert (refusal.value.key, refusal.value.value) == ("task.overrides", "task/env=throw")
    assert names(refusal.value, "hydra-core", "task/env=throw")


def test_worlds_that_a_script_has_rebuilt_are_the_environments(tmp_path):
    """As when gravity first varies; closing closes them, not those before."""
    env = make(write(tmp_path, DEFERRED, "progress_buf"))
    before, world = env.sim, env.script.sim.world
    world.set_gravity(torch.tensor([0.0, 0.0, -5.0]))
    assert world.worlds is not before
    assert env.sim is world.worlds


def test_hands_are_reset_with_the_goals_that_are_due(tmp_path):
    """``reset_idx(env_ids, goal_env_ids)``: ended environments get goals, the others' wait."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    text = (tmp_path / "slider.py").read_text()
    text = text.replace(
        "reset_idx(self, ids):",
        "reset_idx(self, ids, goal_env_ids):\n"
        "        self.given = (ids.tolist(), goal_env_ids.tolist())",
    )
    text = text.replace("self.reset_idx(ids)", "self.reset_idx(ids, ids)")
    text = text.replace(
        "self.reset_idx(torch.arange(self.num_envs))", "self.reset_idx(*[torch.arange(4)] * 2)"
    )
    (tmp_path / "slider.py").write_text(text)
    env = make(word, num_envs=4)
    env.script.reset_goal_buf = torch.tensor([1, 0, 0, 1])
    fast, slow = 25.0, 1.0  # 0.25 m fails
    step = env.step(torch.tensor([[fast], [fast], [slow], [slow]]))
    assert step.terminated.tolist() == [True, True, False, False]
    assert env.script.given == ([0, 1], [0])
    close(step.observations[:2], [[0.01, 0], [0.01, 0]], atol=1e-6)
    del env.script.reset_goal_buf
    env.step(torch.tensor([[slow], [slow], [slow], [fast]]))
    assert env.script.given == ([3], [3])


def test_a_reset_that_needs_more_than_ids_is_refused(tmp_path):
    """When the environments are made."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    text = (tmp_path / "slider.py").read_text()
    text = text.replace("reset_idx(self, ids):", "reset_idx(self, ids, pose):")
    text = text.replace("self.reset_idx(ids)", "self.reset_idx(ids, None)")
    text = text.replace("arange(self.num_envs))", "arange(self.num_envs), None)")
    (tmp_path / "slider.py").write_text(text)
    with pytest.raises(UsageError) as refusal:
        make(word)
    assert (refusal.value.key, refusal.value.value) == ("Slider.reset_idx", ("pose",))


def test_first_observations_have_the_noise_that_a_script_adds_in_its_step(tmp_path):
    """IsaacGymEnvs adds it after the task has observed, so also to a new episode's."""
    env = make(write(tmp_path, DEFERRED, "progress_buf"))
    env.script.clip_obs = 99.5
    env.script.dr_randomizations = {"observations": {"noise_lambda": lambda x: x + 99.0}}
    step = env.step(torch.tensor([[25.0], [1.0]]))
    # The task's own step here adds none, so the second row is as it was; 99 + 0.01, 99 + 0.
    close(step.observations, [[99.01, 99.0], [0.02, 1.0]], atol=1e-5)
    env.script.dr_randomizations = {"observations": {"noise_lambda": lambda x: x + 200.0}}
    close(env.step(torch.tensor([[25.0], [1.0]])).observations[0], [99.5, 99.5])


def test_resets_within_the_step_keep_time_limits_apart(tmp_path):
    """legged_gym's way: five results, new observations, the last known ones as the final ones."""
    env = make(write(tmp_path, AT_ONCE, "episode_length_buf"))
    env.step(torch.tensor([[10.0], [1.0]]))
    two = env.step(torch.tensor([[10.0], [1.0]]))
    assert two.terminated.tolist() == [True, False]
    close(two.observations[0], [0.01, 0], atol=1e-5)
    close(two.final_observations[0], [0.11, 2], atol=1e-5)  # one count was the first, idle step
    close(env.privileged, 2 * two.observations)
    three = env.step(torch.zeros(2, 1))
    assert three.truncated.tolist() == [False, True]


@pytest.mark.parametrize(
    ("body", "count"), [(DEFERRED, "progress_buf"), (AT_ONCE, "episode_length_buf")]
)
def test_a_reset_from_outside_begins_new_episodes_in_both_ways(tmp_path, body, count):
    """From 0.01 m at step 0, in the middle of an episode; the step counts can be read and set."""
    env = make(write(tmp_path, body, count))
    env.step(torch.tensor([[2.0], [1.0]]))
    env.set_ages(torch.tensor([3, 2]))
    assert env.episode_step.tolist() == [3, 2]
    close(env.reset(seed=2**40), [[0.01, 0], [0.01, 0]], atol=1e-6)
    assert env.episode_step.tolist() == [0, 0]
    assert torch.rand(1) != torch.rand(1, generator=torch.Generator().manual_seed(0))
    close(env.step(torch.tensor([[2.0], [1.0]])).observations, [[0.03, 1], [0.02, 1]], atol=1e-5)


def test_words_and_files_that_do_not_fit_are_refused(tmp_path):
    """A missing file, class, package or configuration: one sentence."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    with pytest.raises(Unreadable) as missing:
        script_task("isaacgym:nowhere.py:Slider")
    assert (missing.value.key, missing.value.value) == ("task", "isaacgym:nowhere.py:Slider")
    assert missing.value.path == Path("nowhere.py")
    other = word.replace(":Slider", ":Other")
    with pytest.raises(UsageError) as refusal:
        make(other)
    assert not isinstance(refusal.value, Unreadable)
    assert (refusal.value.value, refusal.value.path) == (other, tmp_path / "slider.py")
    (tmp_path / "Slider.yaml").unlink()
    with pytest.raises(Unreadable) as missing:
        make(word)
    assert (missing.value.fault, missing.value.path) == ("missing", tmp_path / "Slider.yaml")
    with pytest.raises(UsageError) as refusal:
        make("legged_gym:anymal_c_flat")
    assert refusal.value.value == "legged_gym:anymal_c_flat"
    assert isinstance(refusal.value.__cause__, ModuleNotFoundError)
    assert refusal.value.__cause__.name == "legged_gym"
    assert names(refusal.value, "PYTHONPATH")


def test_a_task_of_isaacgymenvs_is_found_by_the_name_in_its_file(tmp_path, monkeypatch):
    """The file is called otherwise and fixes the number of environments; the device has an index.

    As AllegroHandManualDR's, IndustReal's and AllegroKuka's.
    """
    folder = tmp_path / "isaacgymenvs"
    (folder / "cfg" / "task").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    code = TASK.format(body=DEFERRED, count="progress_buf")
    index = 'self.index = int(sim_device.split(":")[1])'
    code = code.replace("self.cfg, self.device", f"{index}\n        self.cfg, self.device")
    (folder / "tasks.py").write_text(f"{code}\nisaacgym_task_map = {{'Slider': Slider}}\n")
    (folder / "cfg" / "task" / "Rail.yaml").write_text(
        "name: Slider\nenv:\n  numEnvs: 128\n  length: 5\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "hydra", None)
    for name in ("Slider", "Rail"):
        env = make(f"isaacgymenvs:{name}", num_envs=3)
        assert (env.num_envs, env.script.index) == (3, 0)
    with pytest.raises(UsageError) as refusal:
        make("isaacgymenvs:Other")
    assert list(refusal.value.allowed) == ["Slider"]
    for name in ("isaacgymenvs", "isaacgymenvs.tasks"):
        del sys.modules[name]


def test_mujoco_takes_the_place_of_an_engine_that_cannot_run(tmp_path, monkeypatch, capsys):
    """The fused engine, if the extension is not compiled; a remark says so."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    assert isinstance(make(word, engine="fused").sim, FusedWorlds)

    def missing(_device):
        raise RuntimeError("not compiled")

    monkeypatch.setattr(engines, "load_extension", missing)
    assert isinstance(make(word, engine="fused").sim, BatchWorlds)
    assert "MuJoCo C" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is used where there is a GPU")
def test_scripts_train_on_the_fused_engine_and_the_cpu_unless_told_otherwise(tmp_path):
    """What a script puts on CUDA is on the CPU, and it is said once."""
    word = write(tmp_path, DEFERRED, "progress_buf")
    text = (tmp_path / "slider.py").read_text()
    text = text.replace("zeros(self.num_envs, 2)", 'zeros(self.num_envs, 2, device="cuda:0")')
    text = text.replace("self.judge()", "self.judge(); torch.ones(2).cuda()")
    (tmp_path / "slider.py").write_text(text)
    done = run_training(tmp_path, f"task={word}", "max_iterations=1", "sim_device=cpu")
    said = done.stdout + done.stderr
    assert said.count(ON_CPU) == 1
    assert "fused engine on the CPU" in said


def run_training(folder, *words):
    """Runs the training command in a folder; returns the finished process."""
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "headless=True", "num_envs=16",
         "train.minibatch_size=64", "train.horizon_length=8", f"runs_dir={folder}", *words],
        check=True, capture_output=True, text=True,
    )  # fmt: skip


def train(folder, *words):
    """Runs the training command in a folder and returns the newest checkpoint."""
    run_training(folder, *words)
    runs = sorted(folder.glob("*/2*"))
    return runs[-1] / "nn" / "last.pth"


@pytest.mark.slow
def test_training_stops_and_goes_on_as_if_it_had_not(tmp_path):
    """6 iterations equal 3, a stop, and 3 more, byte for byte; its own name names the runs."""
    word = f"task={write(tmp_path, DEFERRED, 'progress_buf')}"
    whole = load_checkpoint(train(tmp_path / "whole", word, "max_iterations=6"))
    part = train(tmp_path / "part", word, "max_iterations=6", "train.save_every=3")
    assert part.parents[2].name == "isaacgym_Slider"
    middle = part.with_name("iteration_3.pth")
    if not middle.exists():
        middle = next(path for path in sorted(part.parent.glob("*3*.pth")))
    resumed = load_checkpoint(train(tmp_path / "rest", word, f"checkpoint={middle}"))
    first, second = (content["agent"] for content in (whole, resumed))
    flat = [torch.nn.utils.parameters_to_vector(_tensors(agent)) for agent in (first, second)]
    assert torch.equal(*flat)


def _tensors(value):
    """All floating tensors in a nested dictionary."""
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in _tensors(item)]
    return [value] if isinstance(value, torch.Tensor) and value.is_floating_point() else []
