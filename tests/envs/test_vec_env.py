"""VecEnv: the compiled step against the plain one."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters

from rlgpu.envs import VecEnv
from rlgpu.sim import make_simulator
from rlgpu.tasks.ant import Ant, AntConfig

N = 16


def make(use_compile: bool) -> VecEnv:
    config = AntConfig(name="Ant", episode_length=7)
    sim = make_simulator("mujoco_warp", Ant(config).scene(), config.timing(), N)
    return VecEnv(Ant(config), sim, seed=1, use_compile=use_compile)


@pytest.mark.slow
def test_a_compiled_step_has_no_graph_breaks_and_matches_the_plain_one() -> None:
    """Observations, rewards, ends and resets over 20 steps, including two time limits."""
    torch._dynamo.reset()
    counters.clear()
    plain, compiled = make(False), make(True)
    g = torch.Generator().manual_seed(0)
    ended = 0
    for _ in range(20):
        actions = torch.rand(N, 8, generator=g) * 2 - 1
        steps = []
        for env in (plain, compiled):
            env._code.begin(actions)
            env.sim.step()
            steps.append(env._finish(env.task.reset_state(env.generator)))
        for ours, theirs in zip(*steps, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        ended += int((steps[0].terminated | steps[0].truncated).sum())
        # Contacts amplify rounding errors, so each step is compared on its own.
        compiled.load_state_dict(plain.state_dict())
    assert ended >= 2 * N
    assert not counters["graph_break"]
    # The part before the physics and the part after it, each compiled once.
    assert counters["stats"]["unique_graphs"] == 2
