"""Environments of a standing robot: built, warned of or refused."""

from __future__ import annotations

import pytest

from rlgpu.envs import VecEnv, scene_of
from rlgpu.errors import UsageError
from rlgpu.sim import make_simulator
from tests.envs.standing import Standing, Start


@pytest.fixture
def standing(tmp_path):
    """Starts two environments, which are closed, and returns them."""

    def run(xml: str, start: Start | None = None, task: type[Standing] = Standing) -> VecEnv:
        asset = tmp_path / "robot.xml"
        asset.write_text(xml)
        made = task(asset, start or Start())
        sim = make_simulator("mujoco", scene_of(made), made.config.timing(), 2)
        try:
            return VecEnv(made, sim, seed=0)
        finally:
            sim.close()

    return run


@pytest.fixture
def begin(standing):
    """Starts two environments and returns the warnings."""
    return lambda xml, start=None, task=Standing: list(standing(xml, start, task).warnings)


@pytest.fixture
def refused(standing):
    """Returns the refusal of two environments."""

    def start(xml: str, start: Start | None = None, task: type[Standing] = Standing) -> UsageError:
        with pytest.raises(UsageError) as refusal:
            standing(xml, start, task)
        return refusal.value

    return start
