"""VecEnv: diverged worlds, random ages, clamped actions, time limits, restored state."""

from __future__ import annotations

import math

import pytest
import torch

import rlgpu
from rlgpu.config import compose
from rlgpu.envs import VecEnv, uniform
from rlgpu.errors import WrongShape
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.tasks.ant import Ant, AntConfig
from rlgpu.tasks.cartpole import Cartpole, CartpoleConfig
from rlgpu.training import Trainer, build_env, make_agent
from tests.refusals import names


def make(engine: str = "mujoco", n: int = 4, **changes) -> VecEnv:
    config = CartpoleConfig(name="Cartpole", **changes)
    task = Cartpole(config)
    sim = make_simulator(engine, task.scene(), config.timing(), n)
    return VecEnv(task, sim, seed=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_diverged_world_ends_its_episode_with_reward_zero_and_is_counted(engine) -> None:
    """An infinite push in world 2: the other worlds continue, and world 2 restarts."""
    env = make(engine, clip_actions=math.inf)
    env.step(torch.zeros(4, 1))
    actions = torch.zeros(4, 1)
    actions[2] = math.inf
    step = env.step(actions)
    assert step.terminated.tolist() == [False, False, True, False]
    assert not step.truncated.any()
    assert step.rewards[2] == 0.0
    assert (step.rewards[[0, 1, 3]] > 0.5).all()
    assert step.observations.isfinite().all()
    assert env.episode_step.tolist() == [2, 2, 0, 2]
    assert env.counts.diverged.item() == 1
    env.step(torch.zeros(4, 1))
    assert env.counts.diverged.item() == 1


def test_a_seeded_reset_repeats_what_follows_from_it() -> None:
    """Commands, terrain levels, noise and masses included, whatever happened before."""
    noise = {"range": [-0.1, 0.1], "range_correlated": [-0.1, 0.1]}
    randomization = {"frequency": 1000, "observations": noise, "action_delay": [0, 2]}
    env = rlgpu.make_env(
        "AnymalTerrain",
        num_envs=4,
        sim="mujoco",
        task_={"randomize": True, "randomization": randomization, "episode_length": 4},
    )

    def play(seed: int) -> torch.Tensor:
        rows = [env.reset(seed).clone()]
        rows += [env.step(torch.full((4, 12), 0.1)).observations.clone() for _ in range(6)]
        return torch.stack(rows)

    first, other, again = play(5), play(6), play(5)
    env.sim.close()
    assert torch.equal(first, again)
    assert (first[0] != other[0]).any(-1).all()


def test_resets_without_a_seed_begin_different_episodes() -> None:
    """Also the second of two with no step between."""
    env = make()
    first, second = env.reset().clone(), env.reset().clone()
    assert not torch.equal(first, second)


def test_random_ages_spread_out_the_time_limits() -> None:
    """Ages lie between 0 and the episode length; the first episodes to end are truncated."""
    env = make(n=400, episode_length=50)
    env.randomize_ages()
    assert env.episode_step.min() == 0
    assert 45 <= env.episode_step.max() < 50
    ended = [int(env.step(torch.zeros(400, 1)).truncated.sum()) for _ in range(10)]
    assert 0 < max(ended) < 30


def test_actions_beyond_the_limit_act_like_the_limit() -> None:
    """Clamped to +-1 before the task sees them."""
    wild, tame = make(), make()
    a = wild.step(torch.tensor([[5.0], [-5.0], [0.5], [1.0]]))
    b = tame.step(torch.tensor([[1.0], [-1.0], [0.5], [1.0]]))
    assert torch.equal(a.observations, b.observations)


def test_a_time_limit_is_not_a_failure_but_a_failure_at_the_limit_is() -> None:
    """After the last step: truncated if the pole still stands, terminated if it fell."""
    env = make(n=2, episode_length=3)
    env.step(torch.zeros(2, 1))
    env.step(torch.zeros(2, 1))
    env.sim.worlds.array("qpos")[1, 1] = 3.0
    step = env.step(torch.zeros(2, 1))
    assert step.terminated.tolist() == [False, True]
    assert step.truncated.tolist() == [True, False]
    assert step.rewards[1].item() == -2.0
    assert env.episode_step.tolist() == [0, 0]


def test_a_restored_environment_continues_like_the_saved_one() -> None:
    """Physics, ages, counts, last actions and the random numbers of later resets."""
    first, second = make(n=30, episode_length=9), make(n=30, episode_length=9)
    g = torch.Generator().manual_seed(1)
    for _ in range(20):
        first.step(torch.rand(30, 1, generator=g) * 2 - 1)
    first.counts.overflowed.fill_(5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.observations, second.observations)
    assert second.counts.overflowed.item() == 5
    for _ in range(20):
        actions = torch.rand(30, 1, generator=g) * 2 - 1
        ours, theirs = first.step(actions), second.step(actions)
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)


def test_a_resumed_run_goes_on_with_running_episodes() -> None:
    """Five steps each, in rollouts of seven: the second begins before the run is stopped."""
    words = ["task=Cartpole", "sim=mujoco", "num_envs=2", "train.horizon_length=7"]
    words += ["task.episode_length=5", "task.max_push_effort=0", "headless=True"]
    config = compose(words, TASKS, ENGINES).config
    trainers = []
    for _ in range(2):
        env = build_env(config, Cartpole, 2, 0, training=True)
        trainers.append(Trainer(config, env, make_agent(config, env)))
    stopped, resumed = trainers
    stopped.collect()
    stopped.update()
    resumed.load(stopped._content())
    resumed.collect()
    resumed.update()
    _, length, number = resumed.statistics.means()
    assert (length.item(), number.item()) == (5.0, 4)


def ants(seed: int = 0) -> VecEnv:
    config = AntConfig(name="Ant", episode_length=11)
    task = Ant(config)
    return VecEnv(task, make_simulator("mujoco", task.scene(), config.timing(), 20), seed=seed)


def test_the_gpu_code_path_steps_to_the_same_bits() -> None:
    """Without branches on the host every step resets by mask; 30 steps, two time limits."""
    plain, branchless = ants(), ants()
    branchless.host_may_read, branchless.sim._host_may_branch = False, lambda: False
    g = torch.Generator().manual_seed(0)
    ended = 0
    for _ in range(30):
        actions = torch.rand(20, 8, generator=g) * 2 - 1
        ours, theirs = plain.step(actions), branchless.step(actions)
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)
        ended += int((ours.terminated | ours.truncated).sum())
        # Without branches, every step draws reset states.
        branchless.generator.set_state(plain.generator.get_state())
    assert ended >= 40


def test_a_restored_ant_goes_on_with_its_own_buffers() -> None:
    """The reward of the first step depends on the position before it."""
    first, second = ants(), ants(seed=5)
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        first.step(torch.rand(20, 8, generator=g) * 2 - 1)
    second.load_state_dict(first.state_dict())
    actions = torch.rand(20, 8, generator=g) * 2 - 1
    for a, b in zip(first.step(actions), second.step(actions), strict=True):
        assert torch.equal(a, b)
    assert set(first.state_dict()) == {
        "sim",
        "task",
        "episode_step",
        "actions",
        "past_observations",
        "observations",
        "counts",
        "generator",
    }


def test_a_state_without_one_of_the_buffers_is_refused_by_name() -> None:
    """As one that an earlier version of a task saved."""
    env = ants()
    state = env.state_dict()
    del state["task"]["previous_pos_w"]
    with pytest.raises(WrongShape) as refusal:
        env.load_state_dict(state)
    assert (refusal.value.name, refusal.value.found) == ("previous_pos_w", None)
    assert names(refusal.value, "previous_pos_w")


def test_evaluating_a_step_leaves_the_physics_alone() -> None:
    """The engine's positions stay, the episode goes on."""
    env = make()
    before = env.sim.worlds.array("qpos").clone()
    step = env.evaluate_step(torch.ones(4, 1))
    assert torch.equal(env.sim.worlds.array("qpos"), before)
    assert env.episode_step.tolist() == [1] * 4
    assert step.observations[:, 0].tolist() == before[:, 0].float().tolist()


def test_random_ages_depend_on_the_seed_alone() -> None:
    """Not on torch's global generator."""
    ages = []
    for _ in range(2):
        env = make(n=50)
        torch.rand(3)
        env.randomize_ages()
        ages.append(env.episode_step.clone())
    assert torch.equal(*ages)


def test_observations_keep_their_limit() -> None:
    """Clamped to +-0.05 on both sides, in the final observations, too."""
    env = make(n=50, clip_observations=0.05)
    step = env.step(torch.zeros(50, 1))
    assert step.observations.abs().max().item() == pytest.approx(0.05)
    assert step.final_observations.min().item() == pytest.approx(-0.05)


def test_steps_and_counts_are_whole_numbers() -> None:
    """Float32 would stop counting at 16.8 million."""
    env = make()
    env.step(torch.zeros(4, 1))
    for number in (env.episode_step, *env.counts):
        assert number.dtype == torch.int64


def test_uniform_numbers_fill_their_range() -> None:
    """10 000 numbers from 2 to 3, with the generator's own seed."""
    x, again = (uniform((10_000,), 2.0, 3.0, torch.Generator().manual_seed(1)) for _ in range(2))
    assert 2.0 <= x.min() < 2.01
    assert 2.99 < x.max() < 3.0
    assert torch.equal(x, again)


def test_a_tasks_methods_are_called_in_the_documented_order() -> None:
    """As ``Task`` says; the second environment's time is up in the second step."""
    called: list[str] = []

    def recorded(name):
        def method(self, *args):
            called.append(name)
            return getattr(Cartpole, name)(self, *args)

        return method

    names = (
        "targets",
        "draw",
        "advance",
        "observe",
        "evaluate",
        "add_noise",
        "reset_state",
        "after_reset",
    )
    kind = type("Recorded", (Cartpole,), {name: recorded(name) for name in names})
    task = kind(CartpoleConfig(name="Recorded", episode_length=2))
    env = VecEnv(task, make_simulator("mujoco", task.scene(), task.config.timing(), 2), seed=0)
    step = ["targets", "draw", "advance", "observe", "evaluate", "add_noise"]
    called.clear()
    env.step(torch.zeros(2, 1))
    assert called == step
    env.set_ages(torch.tensor([0, 1]))
    called.clear()
    env.step(torch.zeros(2, 1))
    assert called == [*step, "reset_state", "after_reset", "observe", "add_noise"]
