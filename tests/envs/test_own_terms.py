"""Terms of the reward, failures and events from a user's files, for tasks of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlgpu.config import compose
from rlgpu.envs import VecEnv, scene_of
from rlgpu.errors import UsageError
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.tasks import TASKS
from tests.refusals import error_of
from tests.runs import equal

N = 8
MINE = '''
import torch


def right(m):
    """The cart's position; what the task observes first."""
    assert m.task.config.name == "Cartpole"
    return m.observations[:, 0]


def fast(m):
    return m.state.joint_vel[:, 0].abs()


def shove(e):
    """At its time, by a speed that is drawn; the pole stays."""
    vel = e.state.joint_vel + torch.nn.functional.pad(e.random[:, :1], (0, 1))
    e.task.buffers["shoved"] += e.chosen
    return e.steps


def begun(e):
    e.task.buffers["begun"] += e.chosen


def broken(m):
    return m.no_such_thing


def narrow(m):
    return m.state.joint_vel


def wider(e):
    """A curriculum: commands grow over 100 steps."""
    share = (e.steps / 100).clamp(max=1.0)
    e.task.buffers["command_ranges"][0].copy_(torch.stack((-share, share)))
    return share


def kick(e):
    velocity = e.state.root_lin_vel_w + 0.5 * e.random[:, :3]
    e.sim.set_root_velocity(e.chosen, velocity, e.state.root_ang_vel_w)


def low(m):
    return 0.2 - m.base_height


def eastwards(random, values):
    return torch.stack((values[:, 0].abs(), 0 * values[:, 1], random[:, 2]), dim=-1)


def all_wrong(random, values):
    return values[:, :2]
'''


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)


def make(task: str, *words: str, n: int = N, engine: str = "mujoco") -> VecEnv:
    """Returns environments with two counters that events may write."""
    config = compose([f"task={task}", f"sim={engine}", *words], TASKS, ENGINES).config
    made = TASKS[task](config.task)
    bind = made.bind

    def with_counters(sim):
        bind(sim)
        for name in ("shoved", "begun"):
            made.buffers[name] = torch.zeros(sim.num_envs, dtype=torch.int64)

    made.bind = with_counters
    sim = make_simulator(engine, scene_of(made), config.task.timing(), n)
    return VecEnv(made, sim, seed=1)


def test_terms_and_failures_of_a_users_are_added() -> None:
    """Scales are per second; an episode fails where a function is above its limit."""
    mine = make(
        "Cartpole",
        "task.own_rewards={mine.py:right: 10, mine.py:fast: -1}",
        "task.own_terminations={mine.py:fast: 2.0}",
    )
    plain = make("Cartpole", "task.own_rewards={mine.py:fast: 0}")
    actions = torch.linspace(-0.5, 0.5, N)[:, None]
    failed = 0
    for _ in range(12):
        step, other = mine.step(actions), plain.step(actions)
        cart = step.final_observations
        speed = cart[:, 1].abs()
        wanted = other.rewards + mine.step_dt * (10.0 * cart[:, 0] - speed)
        torch.testing.assert_close(step.rewards, wanted)
        assert torch.equal(step.terminated, other.terminated | (speed > 2.0))
        failed += int(step.terminated.sum())
        plain.load_state_dict(mine.state_dict())
    assert failed > 0
    assert {"reward_right", "reward_fast"} <= set(mine.reported)


def test_events_happen_at_intervals_and_at_resets() -> None:
    """Every fourth step, of each environment at a time of its own, and whenever one begins."""
    words = ["task.episode_length=7", "task.own_events={mine.py:shove: 0.06667, mine.py:begun: 0}"]
    env = make("Cartpole", *words)
    assert env.task.buffers["begun"].tolist() == [1] * N
    times = torch.zeros(4, N)
    for step in range(20):
        before = env.task.buffers["shoved"].clone()
        env.step(torch.zeros(N, 1))
        times[step % 4] += env.task.buffers["shoved"] - before
    assert sorted(times.sum(0).tolist()) == [5] * N
    assert (times.count_nonzero(0) == 1).all()  # always in the same step of four
    assert (times.count_nonzero(1) > 0).all()  # others in each
    assert env.task.buffers["begun"].tolist() == [3] * N
    assert float(env.reported["event_shove"]) == 20 * 21 / 2


def test_what_events_have_counted_is_saved() -> None:
    """A restored run goes on with the same steps and random numbers."""
    words = "task.own_events={mine.py:kick: 0.1}", "task.noise.level=0"
    env = make("Go2", *words)
    actions = torch.zeros(N, 12)
    for _ in range(3):
        env.step(actions)
    saved, runs = env.state_dict(), []
    for _ in range(2):
        env.load_state_dict(saved)
        for _ in range(6):
            env.step(actions)
        runs.append(env.state_dict())
    assert int(runs[0]["task"]["own_steps"]) == 9
    assert equal(*runs)


def test_a_walking_robot_fails_by_a_users_function_and_is_punished() -> None:
    """The task's own term of failures counts it, too."""
    words = ["task.own_terminations={mine.py:low: -0.5}", "task.rewards.termination=-3"]
    env = make("Go2", *words)  # as 0.2 m less its height of about 0.4 m is above
    step = env.step(torch.zeros(N, 12))
    assert step.terminated.all()
    assert float(env.reported["reward_termination"]) == pytest.approx(-3.0)


def test_commands_and_curricula_of_a_users() -> None:
    """Ranges that grow with the steps, and commands by a function."""
    env = make("Go2", "task.own_events={mine.py:wider: 1}", "task.commands.dead_zone=0")
    for _ in range(50):
        env.step(torch.zeros(N, 12))
    torch.testing.assert_close(env.task._velocities.ranges[0], torch.tensor([-0.5, 0.5]))
    assert float(env.task.buffers["own_events"]) == 0.5
    env = make("Go2", "task.commands.function=mine.py:eastwards")
    commands = env.task.buffers["commands"]
    assert (commands[:, 0] >= 0.0).all()
    assert (commands[:, 1] == 0.0).all()
    assert torch.equal(commands[:, 2], commands[:, 3]) or env.task.config.commands.follow_heading


def test_a_users_functions_are_compiled() -> None:
    """With the task, for the CPU; steps stay those of Python."""
    words = "task.own_events={mine.py:kick: 0.1}", "task.own_rewards={mine.py:low: 1}"
    plain, env = (make("Go2", *words, engine="fused") for _ in range(2))
    assert env.compile_ahead(lambda: None) == []
    for _ in range(6):
        actions = torch.rand(N, 12) - 0.5
        for ours, theirs in zip(plain.step(actions), env.step(actions), strict=True):
            torch.testing.assert_close(theirs.float(), ours.float(), rtol=1e-3, atol=1e-3)
        env.load_state_dict(plain.state_dict())


@pytest.mark.parametrize(
    ("task", "word", "said"),
    [
        ("Ant", "task.own_rewards={mine.py:broken: 1}", "return m.no_such_thing"),
        ("Go2", "task.own_rewards={mine.py:broken: 1}", "return m.no_such_thing"),
        ("Ant", "task.own_terminations={mine.py:narrow: 1}", "wanted a tensor of shape"),
        ("Ant", "task.own_events={mine.py:none: 1}", "has no function none"),
        ("Ant", "task.own_events={mine.py:kick: -1}", "seconds between events"),
        ("Ant", "task.own_events={mine.py:broken: 0}", "return m.no_such_thing"),
        ("Ant", "task.own_rewards={no.py:kick: 1}", "wanted an existing"),
        ("Go2", "task.commands.function=mine.py:all_wrong", "wanted a tensor of shape"),
    ],
)
def test_what_cannot_be_is_refused(task: str, word: str, said: str) -> None:
    """In one sentence, with the line of the file, and nothing is begun."""
    error = error_of([f"task={task}", word, "num_envs=4", "headless=True"])
    assert said in str(error)
    assert error.key.startswith((word.partition("=")[0], "Go2.evaluate"))


BAD = """
import torch

def replaces(e):
    e.task.buffers["age"] = torch.zeros(4, dtype=torch.int64)

def writes(m):
    m.actions.fill_(1.0)
    return m.actions[:, 0]

def text(e):
    return "text"

def unknown(m):
    return 0.0 * m.actions[:, 0] / 0.0
"""


@pytest.mark.parametrize(
    ("task", "word", "said"),
    [
        ("Go2", "task.own_events={bad.py:replaces: 1}", "change buffers in place"),
        ("Ant", "task.own_rewards={bad.py:writes: 1}", "terms only read"),
        ("Ant", "task.own_events={bad.py:text: 1}", "wanted nothing, a number"),
        ("Ant", "task.own_events={mine.py:kick: 1e300}", "seconds between events"),
        ("gym:CartPole-v1", "task.own_rewards={mine.py:fast: 1}", "task.own_rewards"),
    ],
)
def test_what_would_be_silently_wrong_is_refused(tmp_path, task: str, word: str, said: str) -> None:
    """Buffers that are replaced, terms that write, numbers that would be lost."""
    (tmp_path / "bad.py").write_text(BAD)
    assert said in str(error_of([f"task={task}", word, "num_envs=4", "headless=True"]))


def test_a_failure_that_is_no_number_counts(tmp_path) -> None:
    """NaN is above no limit, and below none."""
    (tmp_path / "bad.py").write_text(BAD)
    env = make("Ant", "task.own_terminations={bad.py:unknown: 1}")
    assert env.step(torch.zeros(N, 8)).terminated.all()
    assert float(env.reported["failed_unknown"]) == 1.0


def test_neighbours_of_two_files_are_their_own(tmp_path) -> None:
    """Files that import modules of the same name, each the one beside it."""
    for folder, value in (("one", 1.0), ("two", 100.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "beside.py").write_text(f"VALUE = {value}")
        text = (
            f"import beside\n\ndef {folder}(m):\n    return 0.0 * m.actions[:, 0] + beside.VALUE\n"
        )
        (tmp_path / folder / "terms.py").write_text(text)
    env = make("Ant", "task.own_rewards={one/terms.py:one: 1, two/terms.py:two: 1}")
    env.step(torch.zeros(N, 8))
    assert float(env.reported["reward_one"]) == pytest.approx(1.0)
    assert float(env.reported["reward_two"]) == pytest.approx(100.0)


def test_more_than_one_function_of_a_name_is_refused(tmp_path) -> None:
    """Their numbers would have the same name."""
    (tmp_path / "other.py").write_text(MINE)
    with pytest.raises(UsageError, match="two functions are called fast"):
        make("Cartpole", "task.own_rewards={mine.py:fast: 1, other.py:fast: 1}")
