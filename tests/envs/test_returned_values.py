"""What a task's methods may return: checked once, when its environments are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from rlgpu.envs import Outcome, VecEnv
from rlgpu.errors import UsageError
from rlgpu.sim import ResetState, make_simulator
from rlgpu.tasks.cartpole import Cartpole, CartpoleConfig
from tests.refusals import names

NO = torch.zeros(3, dtype=torch.bool)


def build(**methods: Callable[..., Any]) -> VecEnv:
    """Returns three Cartpoles whose task has other methods."""
    config = CartpoleConfig(name="Odd")
    task = type("Odd", (Cartpole,), methods)(config)
    return VecEnv(task, make_simulator("mujoco", task.scene(), config.timing(), 3), seed=0)


def test_an_outcome_may_be_a_pair() -> None:
    """Rewards and failures, with nothing to report."""
    env = build(evaluate=lambda *_: (torch.tensor([1.0, 2.0, 3.0]), NO))
    assert env.step(torch.zeros(3, 1)).rewards.tolist() == [1.0, 2.0, 3.0]
    assert dict(env.reported) == {}


def test_rewards_and_reported_numbers_need_not_be_finite_before_the_first_step() -> None:
    """A speed over the time since the start is 0 / 0 there; the sum of later steps counts."""
    steps: list[float] = []

    def evaluate(*_: object) -> Outcome:
        value = float(len(steps)) or math.nan
        return Outcome(torch.full((3,), value), NO, {"speed": torch.full((3,), value)})

    env = build(evaluate=evaluate)
    for _ in range(2):
        steps.append(1.0)
        assert env.step(torch.zeros(3, 1)).rewards.tolist() == [float(len(steps))] * 3
    assert float(env.reported["speed"]) == 3.0


@pytest.mark.parametrize(
    "change",
    [
        {"joint_vel": torch.full((3, 2), math.nan)},
        {"joint_pos": torch.zeros(3, 1)},
        {"joint_vel": torch.zeros(3, 2, dtype=torch.float64)},
        {"joint_pos": None},
        {"object_pos_w": torch.zeros(3, 1, 3)},
    ],
    ids=["nan", "shape", "dtype", "nothing", "objects"],
)
def test_a_start_of_another_shape_or_type_is_refused(change) -> None:
    """Before it reaches the engine; the scene has two joints and no objects."""
    start = ResetState(torch.zeros(3, 2), torch.zeros(3, 2))._replace(**change)
    (name,) = change
    with pytest.raises(UsageError) as refusal:
        build(reset_state=lambda *_: start)
    assert refusal.value.key.startswith(f"Odd.reset_state.{name}")
    assert names(refusal.value, f"Odd.reset_state.{name}")


def test_the_environment_of_a_nan_is_named() -> None:
    """The third column of the second environment."""
    rows = torch.zeros(3, 4)
    rows[1, 2] = math.nan
    with pytest.raises(UsageError) as refusal:
        build(observe=lambda *_: rows)
    assert refusal.value.key == "Odd.observe[1]"
    assert math.isnan(refusal.value.value)
