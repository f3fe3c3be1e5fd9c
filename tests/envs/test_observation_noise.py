"""Noise and clamping of observations: what the policy, the critic and the reward see."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import rlgpu
import train
from rlgpu.config import compose
from rlgpu.envs import VecEnv
from rlgpu.envs.randomization_config import Noise, Randomization
from rlgpu.learner import Ppo
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.training import build_env, make_agent

HALF = Randomization(observations=Noise(range=[0.5, 0.5]))
"""Adds 0.5 to every column."""


def make(name: str, n: int = 4, *, separate_critic: bool = False, **changes) -> VecEnv:
    """Returns environments with the values of the task's YAML, and changes to them."""
    config = compose([f"task={name}"], TASKS, ENGINES).config.task
    task = TASKS[name](replace(config, **changes))
    sim = make_simulator("mujoco", task.scene(), config.timing(), n)
    return VecEnv(task, sim, seed=0, separate_critic=separate_critic)


def seen(env: VecEnv, who: str) -> Tensor:
    """Returns the observations that the actor or the critic sees now."""
    space = env.observation_space
    return env.observations[:, space.columns(space.of(who, "numbers"))]


def truth(env: VecEnv) -> Tensor:
    """Returns the observations without noise."""
    return env.task.observe(env.sim.state, env._actions)


@pytest.mark.parametrize(
    "changes",
    [
        {"randomize": True, "randomization": Randomization(observations=Noise(range=[-1, 1]))},
        {
            "randomize": True,
            "randomization": Randomization(
                observations=Noise(range_correlated=[0.0, 0.0], operation="scaling")
            ),
        },
        {"clip_observations": 0.3},  # below the height of 0.31 m at which an ant has fallen
    ],
)
def test_rewards_and_failures_are_those_of_true_observations(changes) -> None:
    """Ants that stand still have the rewards of ants whose observations are as they are."""
    noisy, plain = make("Ant", **changes), make("Ant")
    everyone = torch.ones(4, dtype=torch.bool)
    for _ in range(5):
        start = plain.task.reset_state(torch.Generator().manual_seed(1))
        for env in (noisy, plain):
            env._reset(everyone, start)
        ours, theirs = (env.step(torch.zeros(4, 8)) for env in (noisy, plain))
        assert not ours.terminated.any()
        assert torch.equal(ours.rewards, theirs.rewards)
        assert not torch.equal(ours.observations, theirs.observations)


def test_a_critic_that_shares_the_network_sees_the_noise() -> None:
    """There is one row for both."""
    env = make("Cartpole", randomize=True, randomization=HALF)
    torch.testing.assert_close(env.observations, truth(env) + 0.5)
    assert env.observation_space.is_plain


@pytest.mark.parametrize(
    "changes",
    [{"separate_critic": True}, {"hidden": ["pole_vel"], "hidden_from": "policy"}],
)
def test_a_separate_critic_sees_no_noise(changes) -> None:
    """Nor does one that is separate because it sees more; both are clamped."""
    env = make("Cartpole", randomize=True, randomization=HALF, **changes)
    columns = 3 if "hidden" in changes else 4
    for _ in range(2):
        torch.testing.assert_close(seen(env, "actor"), truth(env)[:, :columns] + 0.5)
        torch.testing.assert_close(seen(env, "critic"), truth(env))
        step = env.step(torch.full((4, 1), 0.01))
    torch.testing.assert_close(step.final_observations, step.observations)
    clamped = make(
        "Cartpole", clip_observations=0.01, randomize=True, randomization=HALF, separate_critic=True
    )
    assert seen(clamped, "critic").abs().max() == pytest.approx(0.01)


def test_without_noise_a_separate_critic_costs_no_columns() -> None:
    """Its row is the actor's."""
    assert make("Cartpole", separate_critic=True).observations.shape == (4, 4)


def test_g1s_critic_sees_true_velocities_and_joints_as_in_unitrees_task() -> None:
    """Its 50 columns have no noise; 33 of the actor's 47 have."""
    env = make("G1")
    env.step(torch.zeros(4, 12))
    torch.testing.assert_close(seen(env, "critic"), truth(env))
    away = (seen(env, "actor") - truth(env)[:, 3:]).abs()
    noisy = [*range(6), *range(9, 33)]  # rotation and gravity; joints; not commands, actions, phase
    assert (away[:, noisy].amax(dim=0) > 0).all()
    assert not away[:, 33:].any()
    assert not away[:, 6:9].any()


def test_first_observations_have_the_tasks_noise() -> None:
    """Those of new environments, and those after a reset."""
    env = make("Go2", n=50)
    for observations in (env.observations, env.reset()):
        noise = observations[:, 24:36] - truth(env)[:, 24:36]
        assert noise.abs().max() > 0.07  # 1.5 rad/s times 0.05 is 0.075
        assert noise.abs().max() <= 0.0751


def agent_of(*words: str) -> tuple[VecEnv, Ppo]:
    """Returns two Go2s and a fresh agent of a command line."""
    given = ["task=Go2", "num_envs=2", "train.hidden_sizes=[8]", "headless=True", "sim=mujoco"]
    config = compose([*given, *words], TASKS, ENGINES).config
    env = build_env(config, TASKS["Go2"], 2, 0)
    agent = make_agent(config, env)
    assert isinstance(agent, Ppo)
    return env, agent


def test_noise_moves_the_actions_of_a_network_but_not_a_separate_critics_values() -> None:
    """The same state, observed twice."""
    for words, moves in ((["train.separate=True"], False), (["train.separate=False"], True)):
        env, agent = agent_of(*words)
        rows = [env.reset().clone()]
        env.task.draw(env.generator)
        rows.append(env._observe())
        outputs = [agent.outputs(row) for row in rows]
        values = [agent.network.value(agent.observation_normalizer.normalize(x)) for x in rows]
        assert not torch.allclose(*outputs)
        assert torch.allclose(*values) != moves


def test_a_policy_acts_alike_with_noise_switched_off_or_on_since() -> None:
    """Its statistics of the noisy columns stay; the columns without noise come and go."""
    words = ("train.separate=True", "task.pushes.interval=0")
    noisy_env, noisy = agent_of(*words)
    plain_env, plain = agent_of(*words, "task.noise.level=0")
    statistics = noisy.observation_normalizer
    statistics.update(torch.randn(100, 96, generator=torch.Generator().manual_seed(0)) * 3 + 1)
    plain.load_policy(noisy.state_dict())
    row = plain_env.observations
    torch.testing.assert_close(plain.outputs(row), noisy.outputs(torch.cat((row, row), dim=-1)))
    _, again = agent_of(*words)
    again.load_policy(plain.state_dict())
    torch.testing.assert_close(again.outputs(torch.cat((row, row), dim=-1)), plain.outputs(row))
    plain_env.load_state_dict(noisy_env.state_dict())
    torch.testing.assert_close(plain_env.observations, truth(noisy_env))


def test_what_a_mirror_shows_of_both_kinds_of_columns() -> None:
    """The noisy columns and the true ones are each mirrored as the task's own are."""
    env = make("Ant", randomize=True, randomization=HALF, separate_critic=True)
    env.step(torch.rand(4, 8, generator=torch.Generator().manual_seed(0)))
    actions = torch.rand(4, 8)
    image, mirrored = env.mirror(env.observations, actions)
    for part in (slice(0, 60), slice(60, 120)):
        wanted, wanted_actions = env.task.mirror(env.observations[:, part], actions)
        assert torch.equal(image[:, part], wanted)
        assert torch.equal(mirrored, wanted_actions)


NOISE = ("task.randomize=True", "task.randomization.observations.range=[-0.1,0.1]")


@pytest.mark.parametrize(
    ("trained", "played"),
    [
        ((*NOISE, "train.separate=True"), ()),
        ((), (*NOISE, "train.separate=True")),
        (NOISE, (*NOISE, "train.separate=True")),
    ],
)
def test_a_checkpoint_is_loaded_with_other_noise(trained, played, tmp_path, monkeypatch) -> None:
    """As a policy to act with, in environments with or without columns for a separate critic."""
    monkeypatch.chdir(tmp_path)
    given = ["task=Cartpole", "num_envs=8", "sim=mujoco", "headless=True", "max_iterations=1"]
    assert train.main([*given, "train.horizon_length=4", *trained]) == 0
    config = compose([*given, *played], TASKS, ENGINES).config
    env = build_env(config, TASKS["Cartpole"], 8, 0)
    policy = rlgpu.load_policy("runs/Cartpole/latest", env)
    actions = policy.act(env.observations)
    # The same as in environments that show nothing but what the actor sees.
    plain = make("Cartpole", n=8)
    actor = seen(env, "actor")
    torch.testing.assert_close(actions, rlgpu.load_policy("runs/Cartpole/latest", plain).act(actor))


def test_the_source_of_a_nan_is_looked_for_in_true_observations() -> None:
    """``evaluate`` gets the task's own columns, not those of the learner."""
    env = make("Ant", randomize=True, randomization=HALF, separate_critic=True)
    evaluate, widths = env.task.evaluate, []

    def watched(state, actions, observations):
        widths.append(observations.shape[1])
        return evaluate(state, actions, observations)

    env.task.evaluate = watched
    assert env.nan_source(rewards=True) == ""
    assert set(widths) == {60}
