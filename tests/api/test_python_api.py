"""The Python API: an agent in your own loop, training by a call, environments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlgpu
from rlgpu.errors import Misfit, UnknownKey
from rlgpu.spaces import Continuous, numbers
from tests.refusals import names
from tests.runs import last_numbers, numbers_of

BOX = spaces.Box(-np.inf, np.inf, (3,))


def agent(observations=BOX, actions=None, num_envs: int = 4, **settings) -> rlgpu.PPOAgent:
    chosen = {"horizon_length": 5, "hidden_sizes": [8], "num_epochs": 2, **settings}
    return rlgpu.PPOAgent(observations, actions or spaces.Discrete(2), num_envs, **chosen)


def drive(
    ours: rlgpu.PPOAgent, seed: int = 0, *, ended_at_the_end: bool = False
) -> list[torch.Tensor]:
    """Plays a rollout of random numbers; returns the actions."""
    g, taken = np.random.default_rng(seed), []
    for t in range(5):
        taken.append(ours.act(g.normal(size=(4, 3)).astype(np.float32)).actions)
        ended = (g.random(4) < 0.1) | (ended_at_the_end and t == 4)
        ours.observe(g.normal(size=(4, 3)), g.normal(size=4), ended)
    return taken


def test_an_action_is_what_the_policy_says_of_it() -> None:
    """Its probability and parameters agree, and the value is in the reward's units."""
    ours = agent(actions=spaces.Discrete(3, start=2))
    action = ours.act(np.zeros((4, 3), np.float32))
    assert action.actions.dtype == np.int64
    assert set(action.actions) <= {2, 3, 4}
    log_probs = action.parameters.log_softmax(-1)
    wanted = log_probs[torch.arange(4), torch.as_tensor(action.actions) - 2]
    torch.testing.assert_close(action.log_probs, wanted)
    assert action.values.shape == (4,)
    again = ours.act(np.zeros((4, 3), np.float32), deterministic=True)
    assert again.actions.tolist() == (action.parameters.argmax(-1) + 2).tolist()


def test_bounded_actions_fill_their_bounds() -> None:
    """Gymnasium's bounds, or the caller's; beyond them nothing comes."""
    box = spaces.Box(np.array([0.0, -3.0], np.float32), np.array([4.0, 3.0], np.float32))
    ours = agent(actions=box, num_envs=500, initial_log_std=1.5, num_epochs=1)
    taken = ours.act(np.zeros((500, 3), np.float32)).actions
    assert all(box.contains(action) for action in taken)
    assert np.allclose(taken.max(0), [4.0, 3.0])
    own = rlgpu.PPOAgent(
        numbers(3), Continuous(2), 500, action_bounds=(10.0, 20.0), initial_log_std=1.5
    )
    values = own.act(torch.zeros(500, 3)).actions
    assert (values.min().item(), values.max().item()) == (10.0, 20.0)


def test_one_environment_needs_no_batch() -> None:
    """A plain Gymnasium environment: an observation in, an action out."""
    env = gym.make("CartPole-v1")
    ours = agent(env.observation_space, env.action_space, 1, horizon_length=64)
    observation, _ = env.reset(seed=0)
    while not ours.ready:
        action = ours.act(observation).actions
        assert env.action_space.contains(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        final = observation
        if terminated or truncated:
            observation, _ = env.reset()
        ours.observe(observation, reward, terminated, truncated, final)
    metrics = ours.update()
    assert metrics["mean_length"] > 5
    assert {"approx_kl", "clip_fraction", "explained_variance", "entropy"} <= metrics.keys()


def test_final_observations_come_from_gymnasiums_info() -> None:
    """Where an episode ended; elsewhere they are those of the step."""
    ours = agent()
    ours.act(np.zeros((4, 3)))
    final = np.array([None, np.ones(3), None, None], dtype=object)
    ended = np.array([False, True, False, False])
    ours.observe(np.full((4, 3), 7.0), np.zeros(4), ended & False, ended, {"final_obs": final})
    stored = ours._storage.final_observations[0]
    assert stored.tolist() == [[7.0] * 3, [1.0] * 3, [7.0] * 3, [7.0] * 3]
    assert ours._storage.truncated[0].tolist() == ended.tolist()


def test_a_dictionary_is_observed() -> None:
    """By a vector environment's arrays, one for each key."""
    space = spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(-1.0, 1.0, (2,))})
    ours = agent(space)
    ours.act({"a": np.array([0, 1, 2, 0]), "b": np.ones((4, 2), np.float32)})
    assert ours._storage.observations[0].tolist() == [
        [1, 0, 0, 1, 1],
        [0, 1, 0, 1, 1],
        [0, 0, 1, 1, 1],
        [1, 0, 0, 1, 1],
    ]


def test_training_by_a_call_returns_what_it_achieved(tmp_path, capsys) -> None:
    """Groups of keys as mappings; nothing is printed if quiet."""
    result = rlgpu.train(
        "Cartpole",
        quiet=True,
        num_envs=16,
        max_iterations=3,
        seed=1,
        runs_dir=str(tmp_path),
        train={"hidden_sizes": [8], "horizon_length": 4},
        sim="mujoco",
    )
    assert (result.iterations, result.env_steps) == (3, 3 * 16 * 4)
    assert result.checkpoint.is_file()
    assert result.metrics()["env_steps"] == [64.0, 128.0, 192.0]
    assert not capsys.readouterr().out
    with pytest.raises(UnknownKey) as refusal:
        rlgpu.train("Cartpole", num_env=3)
    assert (refusal.value.key, refusal.value.instead) == ("num_env", "num_envs")


def test_environments_by_a_call() -> None:
    """Stepped by tensors."""
    env = rlgpu.make_env("Cartpole", num_envs=3, seed=1, task_={"reset_dist": 2.5})
    assert env.task.config.reset_dist == 2.5
    step = env.step(torch.zeros(3, 1))
    assert step.observations.shape == (3, env.observation_space.size)
    env.close()


def test_importing_the_package_is_quick() -> None:
    """Torch comes with the first use of the API."""
    code = "import sys, rlgpu; assert 'torch' not in sys.modules; rlgpu.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert names(done.stderr.splitlines()[-1], "AttributeError", "rlgpu", "nothing")


@pytest.mark.slow
def test_a_script_needs_no_guard_against_its_own_processes(tmp_path) -> None:
    """The processes of Gymnasium's environments do not import it again."""
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\nimport rlgpu\n"
        "result = rlgpu.train('gym:CartPole-v1', num_envs=16, max_iterations=1, quiet=True)\n"
        "assert result.iterations == 1\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["once"]


@pytest.mark.parametrize("name", ["cartpole", pytest.param("lunar_lander", marks=pytest.mark.slow)])
def test_examples_run(name, tmp_path, warm_python) -> None:
    """The first iterations of each, as a user starts them."""
    source = Path(__file__).parents[2] / "examples" / "gymnasium" / f"{name}.py"
    text = source.read_text()
    assert len(text.splitlines()) < 20
    short = tmp_path / source.name
    short.write_text(text.replace("range(80)", "range(3)").replace("range(300)", "range(2)"))
    done = subprocess.run(
        [warm_python, str(short)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    last = {"cartpole": 2, "lunar_lander": 1}[name]  # and a return and a KL
    found = last_numbers(done.stdout)
    assert (len(found), found[0]) == (3, last)
    assert (tmp_path / f"{name}.pth").is_file()


@pytest.mark.slow
def test_the_database_example_measures_and_compares(tmp_path) -> None:
    """With few measurements: every line is printed, from real measurements."""
    source = Path(__file__).parents[2] / "examples" / "database_tuning.py"
    done = subprocess.run(
        [sys.executable, str(source), "120"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[-3:]
    assert all(len(numbers_of(row)) == 4 for row in rows), done.stdout


def test_a_trained_policy_acts_in_environments_of_its_task(tmp_path) -> None:
    """As playing it back does; another task's environments refuse it."""
    result = rlgpu.train(
        "Cartpole",
        quiet=True,
        num_envs=64,
        max_iterations=30,
        seed=1,
        runs_dir=str(tmp_path),
        sim="mujoco",
    )
    env = rlgpu.make_env("Cartpole", num_envs=8, seed=2, sim="mujoco")
    policy, total = rlgpu.load_policy(result.folder, env), torch.zeros(8)
    for _ in range(60):
        step = env.step(policy.act(env.observations))
        total += step.rewards
    assert total.mean() > 20
    ant = rlgpu.make_env("Ant", num_envs=2, sim="mujoco")
    with pytest.raises(Misfit) as refusal:
        rlgpu.load_policy(result.folder, ant)
    assert refusal.value.path is not None
    assert refusal.value.path.is_relative_to(result.folder)
    for made in (env, ant):
        made.sim.close()


@pytest.mark.slow
def test_a_high_level_policy_commands_a_walker(tmp_path) -> None:
    """The hierarchical example, with a walker that has hardly learned: everything runs."""
    folder = Path(__file__).parents[2] / "examples" / "hierarchical"
    result = rlgpu.train(
        f"{folder / 'heading_ant.py'}:HeadingAnt",
        quiet=True,
        num_envs=32,
        max_iterations=1,
        runs_dir=str(tmp_path),
        train={"minibatch_size": 512},
    )
    source = (folder / "goals.py").read_text().replace("steps: int = 300", "steps: int = 3")
    short = tmp_path / "goals.py"
    short.write_text(source.replace("Path(__file__).parent /", f"Path({str(folder)!r}) /"))
    done = subprocess.run(
        [sys.executable, str(short), str(result.folder), "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[-3:]  # three ways to choose headings
    assert all(len(numbers_of(row)) == 1 for row in rows), done.stdout


def test_a_command_changes_where_the_ant_is_to_run(tmp_path) -> None:
    """Seen from its commanded heading, an Ant's observation is the plain Ant's when that is 0."""
    folder = Path(__file__).parents[2] / "examples" / "hierarchical"
    env = rlgpu.make_env(f"{folder / 'heading_ant.py'}:HeadingAnt", num_envs=4, seed=1)
    plain = rlgpu.make_env("Ant", num_envs=4, seed=1)
    state = env.sim.state
    env.task.command.zero_()
    ours = env.task.observe(state, torch.zeros(4, 8))
    theirs = plain.task.observe(state, torch.zeros(4, 8))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    env.task.command.fill_(torch.pi / 2)
    turned = env.task.observe(state, torch.zeros(4, 8))
    yaw = (ours[:, 7] - turned[:, 7]).remainder(2 * torch.pi)
    torch.testing.assert_close(yaw, torch.full((4,), torch.pi / 2), atol=1e-3, rtol=0)
    for made in (env, plain):
        made.sim.close()


def test_steps_that_only_reset_are_not_trained_on() -> None:
    """Gymnasium's default for vector environments: such rows give no gradient, whatever they say.

    Returns and lengths are those of the episodes.
    """
    results = []
    for nonsense in (0.0, 50.0):
        ours = agent(autoreset="next_step", num_epochs=2, entropy_coef=0.01, target_kl=0.0)
        g = np.random.default_rng(0)
        ended = np.zeros(4, bool)
        for _ in range(5):
            observed = g.normal(size=(4, 3)).astype(np.float32)
            observed[ended] += nonsense  # what is acted on there is the old episode's last
            ours.act(observed)
            ours._storage.actions[ours._step, ended] = 0.0
            rewards, new = g.normal(size=4), g.random(4) < 0.4
            rewards[ended] = 0.0
            new &= ~ended
            ours.observe(g.normal(size=(4, 3)), rewards, new & False, new)
            ended = new
        storage = ours._storage
        assert storage.filler.any()
        ours._ppo.observation_normalizer.enabled = False
        ours._ppo.compute_advantages(storage)
        (option,) = ours._ppo.options
        option.prepare(storage)
        valid = storage.advantages[~storage.filler]
        assert valid.mean().abs() < 1e-6
        assert valid.std().item() == pytest.approx(1.0, rel=1e-4)
        for index, ids in ours._ppo._minibatches(storage):
            replaced = storage.minibatch(
                index, ours._ppo.num_minibatches, ids, ours._ppo.kernels.gather_rows
            )
            assert not storage.filler.flatten()[replaced.ids].any()
        results.append(ours.update()["mean_length"])
    assert results[0] == results[1]


def test_lengths_leave_out_the_steps_that_only_reset() -> None:
    """Gymnasium's own vector environment in its default mode: CartPole with one action falls."""
    envs = gym.make_vec("CartPole-v1", 4, vectorization_mode="sync")
    assert envs.metadata["autoreset_mode"] == gym.vector.AutoresetMode.NEXT_STEP
    ours = agent(
        envs.single_observation_space,
        envs.single_action_space,
        autoreset="next_step",
        horizon_length=60,
    )
    observations, _ = envs.reset(seed=0)
    lengths, running, ended = [], np.zeros(4), np.zeros(4, bool)
    while not ours.ready:
        ours.act(observations)
        observations, rewards, terminated, truncated, info = envs.step(np.ones(4, np.int64))
        ours.observe(observations, rewards, terminated, truncated, info)
        running = np.where(ended, 0.0, running + 1)
        ended = terminated | truncated
        lengths += running[ended].tolist()
    metrics = ours.update()
    assert metrics["episodes"] == len(lengths)
    assert metrics["mean_length"] == pytest.approx(np.mean(lengths), abs=0.5)
    assert metrics["mean_return"] == pytest.approx(metrics["mean_length"])


@pytest.mark.parametrize("num_envs", [1, 4])
def test_choices_are_observed_as_one_hots(num_envs) -> None:
    """Alone or in a batch, whatever the shape of the space."""
    several = agent(spaces.MultiDiscrete([3, 2]), num_envs=num_envs)
    several.act(np.tile([2, 0], (num_envs, 1)))
    assert several._storage.observations[0].tolist() == [[0, 0, 1, 1, 0]] * num_envs
    one = agent(spaces.Discrete(3), num_envs=num_envs)
    assert np.shape(one.act(np.full(num_envs, 1)).actions) == (num_envs,)
    assert one._storage.observations[0].tolist() == [[0, 1, 0]] * num_envs
    if num_envs == 1:
        assert np.shape(agent(spaces.Discrete(3), num_envs=1).act(1).actions) == ()


PAIR = spaces.Tuple((spaces.Box(-9.0, 9.0, (2,)), spaces.Box(-9.0, 9.0, (2,))))


@pytest.mark.parametrize("num_envs", [1, 2, 3])
@pytest.mark.parametrize("kind", [list, tuple, None], ids=["list", "tuple", "batch"])
def test_tuples_are_observed_whatever_the_number_of_environments(num_envs, kind) -> None:
    """As a batch for each part, or one observation for each environment, in a list or a tuple."""
    parts = [np.array([[i, i + 0.1] for i in range(k, k + num_envs)], np.float32) for k in (0, 5)]
    one_by_one = list(zip(*parts, strict=True))
    ours = agent(PAIR, num_envs=num_envs)
    ours.act(kind(one_by_one) if kind else tuple(parts))
    torch.testing.assert_close(
        ours._storage.observations[0], torch.from_numpy(np.concatenate(parts, axis=1))
    )


def test_actions_without_bounds_take_the_callers() -> None:
    """Gymnasium's infinite box, in the shape of the space."""
    ours = agent(
        actions=spaces.Box(-np.inf, np.inf, (2,)),
        num_envs=300,
        action_bounds=(-5.0, 5.0),
        initial_log_std=1.5,
    )
    taken = ours.act(np.zeros((300, 3))).actions
    assert taken.shape == (300, 2)
    assert (taken.min(), taken.max()) == (-5.0, 5.0)


def test_what_acting_returned_is_the_callers() -> None:
    """Writing into it changes no rollout."""
    ours = rlgpu.PPOAgent(numbers(3), Continuous(2), 1, normalize_values=False, horizon_length=4)
    action = ours.act(torch.zeros(3))
    before = ours._storage.actions[0].clone(), ours._storage.values[0].clone()
    for values in (action.actions, action.values, action.log_probs, action.parameters):
        values.fill_(99.0)
    assert torch.equal(before[0], ours._storage.actions[0])
    assert torch.equal(before[1], ours._storage.values[0])


def test_a_policy_by_dqn_is_loaded_too(tmp_path) -> None:
    """And acts by its best choices."""
    result = rlgpu.train(
        "gym:CartPole-v1",
        quiet=True,
        algorithm="DQN",
        num_envs=8,
        max_iterations=3,
        runs_dir=str(tmp_path),
    )
    env = rlgpu.make_env("gym:CartPole-v1", num_envs=4, seed=2)
    actions = rlgpu.load_policy(result.folder, env).act(env.observations)
    assert actions.shape == (4, 1)
    assert set(actions.flatten().tolist()) <= {0.0, 1.0}
    env.close()
