"""VecEnv: the compiled step against the plain one."""

from __future__ import annotations

import torch
from torch._dynamo.utils import counters

from rlgpu.sim import make_simulator
from rlgpu.vec_env import VecEnv
from tasks.ant import Ant, AntConfig

N = 16


def make(compiled: bool) -> VecEnv:
    config = AntConfig(name="Ant", episode_length=7)
    sim = make_simulator("mujoco_warp", Ant(config).scene(), config.timing(), N)
    return VecEnv(Ant(config), sim, seed=1, compiled=compiled)


def test_a_compiled_step_is_one_piece_and_does_what_the_plain_one_does() -> None:
    """Observations, rewards, ends and resets over 20 steps, two time limits among them."""
    torch._dynamo.reset()
    counters.clear()
    plain, compiled = make(False), make(True)
    g = torch.Generator().manual_seed(0)
    ended = 0
    for _ in range(20):
        actions = torch.rand(N, 8, generator=g) * 2 - 1
        steps = []
        for env in (plain, compiled):
            env._begin(actions)
            env.sim.step()
            steps.append(env._finish(env.task.reset_state(env.generator)))
        for ours, theirs in zip(*steps, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        ended += int((steps[0].terminated | steps[0].truncated).sum())
        # Contacts let roundings grow; what is compared is a step.
        compiled.load_state_dict(plain.state_dict())
    assert ended >= 2 * N
    assert not counters["graph_break"]
    # The part before the physics and the part after it, each compiled once.
    assert counters["stats"]["unique_graphs"] == 2
