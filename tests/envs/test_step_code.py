"""Control steps compiled for the CPU against the same steps as Python code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlgpu.compiler import NoCompiler, find_compiler
from rlgpu.config import compose
from rlgpu.device import host_may_branch
from rlgpu.envs import Outcome, VecEnv, scene_of
from rlgpu.sim import ENGINES, ResetState, SimState, Simulator, make_simulator
from rlgpu.tasks import TASKS
from rlgpu.tasks.cartpole import Cartpole, CartpoleConfig
from tests.task_words import task_words

N = 12


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        find_compiler()
    except NoCompiler as error:
        pytest.skip(str(error))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def make(task: Cartpole | None = None, engine: str = "fused") -> VecEnv:
    task = task or Cartpole(CartpoleConfig(name="Cartpole", episode_length=9))
    sim = make_simulator(engine, task.scene(), task.config.timing(), N)
    return VecEnv(task, sim, seed=1)


def check(plain: VecEnv, compiled: VecEnv, steps: int, close: float = 1e-4) -> int:
    """Steps both; returns the number of episodes that ended."""
    g = torch.Generator().manual_seed(0)
    ended = 0
    for _ in range(steps):
        actions = torch.rand(plain.num_envs, plain.num_actions, generator=g) * 2 - 1
        pairs = zip(plain.step(actions), compiled.step(actions), strict=True)
        for ours, theirs in pairs:
            # An angle may jump by a whole turn between two roundings.
            near = torch.isclose(theirs.double(), ours.double(), rtol=close, atol=close)
            assert near.double().mean() > 0.999
        ended += int((plain.episode_step == 0).sum())
        assert torch.equal(plain.generator.get_state(), compiled.generator.get_state())
        # Contacts amplify rounding errors, so each step is compared on its own.
        compiled.load_state_dict(plain.state_dict())
    return ended


def test_compiled_steps_are_those_of_python() -> None:
    """Observations, rewards, ends, resets and random numbers, past two time limits."""
    plain, env = make(), make()
    before = {name: str(value) for name, value in env.state_dict().items()}
    said: list[str] = []
    assert env.compile_ahead(lambda: said.append("compiles")) == []
    assert said == ["compiles"]
    assert env._code != env._plain
    assert {name: str(value) for name, value in env.state_dict().items()} == before
    assert check(plain, env, 20) >= 2 * N
    again = make()
    assert again.compile_ahead(lambda: said.append("compiles")) == []
    assert said == ["compiles"]


def test_steps_with_actuators_compile() -> None:
    """Late targets and motors are operations of torch only."""
    words = ["task=Cartpole", "sim=fused", f"num_envs={N}", "task.episode_length=9"]
    words += ["task.actuators.model=dc_motor", "task.actuators.no_load_speed.all=5"]
    words += ["task.actuators.stall_torque.all=20"]
    words += ["task.actuators.delay=[0,3]", "task.decimation=3"]
    config = compose(words, TASKS, ENGINES).config
    envs = []
    for _ in range(2):
        task = Cartpole(config.task)
        sim = make_simulator("fused", scene_of(task), config.task.timing(), N)
        envs.append(VecEnv(task, sim, seed=3))
    plain, env = envs
    assert env.compile_ahead(lambda: None) == []
    assert check(plain, env, 20) >= 2 * N
    assert "targets 0 to 25 ms late" in env.description


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_every_task_compiles_whole(name: str) -> None:
    words = [*task_words(name), "sim=fused", f"num_envs={N}", "headless=True", "seed=3"]
    config = compose(words, TASKS, ENGINES).config
    envs = []
    for _ in range(2):
        task = TASKS[name](config.task)
        sim = make_simulator("fused", task.scene(), config.task.timing(), N, settings=config.sim)
        envs.append(VecEnv(task, sim, seed=3))
        envs[-1].randomize_ages()
    assert envs[1].compile_ahead(lambda: None) == []
    check(*envs, 30, 1e-3)


class Helper:
    """An object of a task, with a number and a tensor."""

    def __init__(self) -> None:
        self.steps, self.last = 0, torch.zeros(N, 2)


class Counting(Cartpole):
    """Its reward depends on a number of Python that every step replaces, in a helper."""

    def bind(self, sim: Simulator) -> None:
        """Makes the helper."""
        super().bind(sim)
        self.helper = Helper()

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Scales the reward."""
        self.helper.steps += 1
        found = super().evaluate(state, actions, observations)
        return found._replace(rewards=found.rewards * self.helper.steps)


class Replacing(Counting):
    """It replaces a tensor in every step, which compiled code would go on to read."""

    def evaluate(self, state: SimState, actions: Tensor, observations: Tensor) -> Outcome:
        """Takes a small part of the tensor of the step before."""
        found = Cartpole.evaluate(self, state, actions, observations)
        return found._replace(rewards=found.rewards - 4e-4 * self.helper.last[:, 0])

    def targets(self, actions: Tensor) -> Tensor:
        """Keeps a copy."""
        self.helper.last = 2.0 * actions
        return super().targets(actions)


class Drawing(Counting):
    """It draws into a new tensor."""

    evaluate = Cartpole.evaluate

    def draw(self, generator: torch.Generator) -> None:
        """Draws a number for each environment."""
        self.helper.last = torch.rand(N, 2, generator=generator)

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Adds what was drawn."""
        return super().observe(state, actions) + self.helper.last[:, :1]


class Looking(Cartpole):
    """It branches on values."""

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Turns the signs if all are negative."""
        found = super().observe(state, actions)
        return found if bool((found > 0.0).any()) else -found


class Converting(Cartpole):
    """It leaves torch on the way."""

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Adds a sum."""
        found = super().observe(state, actions)
        return found + float(state.joint_pos.numpy().sum())


class Failing(Cartpole):
    """A scripted function branches on values."""

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Turns the signs if all are negative."""
        return turned(super().observe(state, actions))


@torch.jit.script
def turned(x: Tensor) -> Tensor:
    if bool((x > 100.0).any()):
        return -x
    return x


class Wrong(Cartpole):
    """It is wrong on purpose while it is recorded, in a small part of one column."""

    def observe(self, state: SimState, actions: Tensor) -> Tensor:
        """Adds a small number that only compiled code has."""
        found = super().observe(state, actions)
        return found + (0.0 if host_may_branch(found.device) else 0.01 * found.detach())


class WrongResets(Cartpole):
    """It resets to another state while it is recorded."""

    def reset_state(self, generator: torch.Generator) -> ResetState:
        """Returns a state that is half as far from the middle in compiled code."""
        found = super().reset_state(generator)
        factor = 1.0 if host_may_branch(found.joint_pos.device) else 0.5
        return found._replace(joint_pos=factor * found.joint_pos)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Counting, "Counting.helper.steps is replaced in each step"),
        (Replacing, "Replacing.helper.last is replaced in each step"),
        (Drawing, "Drawing.helper.last is replaced in each step"),
        pytest.param(Looking, "needs values on the host", marks=pytest.mark.slow),
        pytest.param(Converting, "Tensor.numpy needs values on", marks=pytest.mark.slow),
        pytest.param(Failing, "needs values on the host", marks=pytest.mark.slow),
        pytest.param(Wrong, "another result (observations of step 0)", marks=pytest.mark.slow),
        pytest.param(WrongResets, "another result (observations of", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_repeated_stays_python(kind: type[Cartpole], said: str) -> None:
    """Also where only a part cannot; results are those of a task that nobody tried to compile."""
    config = CartpoleConfig(name="Cartpole", episode_length=9)
    plain, env = make(kind(config)), make(kind(config))
    reasons = env.compile_ahead(lambda: None)
    assert any(said in reason for reason in reasons), reasons
    assert env._code.evaluate == env._plain.evaluate
    check(plain, env, 12)


def test_engines_without_tensor_code_stay_as_they_are() -> None:
    env = make(engine="mujoco")
    assert env.compile_ahead(lambda: pytest.fail("compiles")) == []
    assert env._code == env._plain
