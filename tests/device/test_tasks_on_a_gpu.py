"""Every task on a GPU: its rollout and update as graphs mean the same as plain calls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlgpu.device import working_stream
from rlgpu.errors import UsageError
from tests.device.test_graphs import (
    RANDOMIZED,
    VARIED_MASSES,
    iterate,
    run_without_waiting,
    trainer,
)
from tests.refusals import names

SMALL = ("task.terrain.num_levels=3", "task.terrain.num_columns=2")
RUNS = [
    ("sim=fused", "task=Ant"),
    ("sim=fused", "task=Anymal"),
    ("sim=fused", "task=Humanoid"),
    ("sim=fused", "task=AnymalTerrain", *SMALL),
    ("sim=fused", "task=Quadcopter"),
    ("sim=fused", "task=G1", "task.pushes.interval=0.1"),
    ("sim=fused", "task=Go2", *RANDOMIZED),
    ("sim=fused", "task=Ingenuity", "task.target_steps=5"),
    ("sim=mujoco_warp", "task=Ant"),
    ("sim=mujoco_warp", "task=BallBalance"),
    ("sim=mujoco_warp", "task=FrankaCubeStack", *VARIED_MASSES),
    ("sim=fused", "task=Ant", "train.memory=lstm"),
    ("sim=fused", "task=Ant", "train.memory=gru"),
    ("sim=fused", "task=Ant", "preset=rl_games"),
    ("sim=fused", "task=Ant", "preset=rsl_rl"),
    ("sim=fused", "task=Ant", "train.curiosity.weight=0.1"),
    ("sim=fused", "task=Ant", "train.symmetry.augment=True"),
    ("sim=fused", "task=Ant", "train.action_distribution=tanh_gaussian"),
    ("sim=fused", "task=Ant", "train.separate=True", "train.clip_gradients=per_network"),
    ("sim=fused", "task=Ant", "kernels=torch"),
]


@pytest.mark.cuda
@pytest.mark.parametrize("words", RUNS, ids=lambda words: "-".join(words)[:60])
def test_graphs_of_a_task_equal_plain_calls_and_never_wait(tmp_path, words) -> None:
    """Five iterations with resets; the last three are only replays."""
    results = []
    for graphs in (True, False):
        trained = trainer(
            tmp_path,
            "sim_device=cuda:0",
            "torch_deterministic=True",
            f"cuda_graphs={graphs}",
            "num_envs=32",
            "train.minibatch_size=256",
            "task.episode_length=9",
            *words,
        )
        iterate(trained, 2)
        with working_stream(trained.agent.device):
            run_without_waiting(trained, 2)
        assert trained.statistics.means().episodes > 32
        results.append(iterate(trained, 1))
    for name, value in results[0].items():
        assert torch.equal(value.nan_to_num(), results[1][name].nan_to_num()), name


@pytest.mark.cuda
def test_a_task_whose_step_waits_is_refused_with_its_line(tmp_path) -> None:
    """A bool mask as an index, as one writes it on the CPU; without graphs it runs."""
    for graphs in (True, False):
        words = ("task=Cartpole", "sim=fused", "sim_device=cuda:0", f"cuda_graphs={graphs}")
        trained = trainer(tmp_path, *words, "compile=False")
        evaluate = trained.env.task.evaluate

        def waiting(*arguments, evaluate=evaluate):
            outcome = evaluate(*arguments)
            outcome.rewards[outcome.rewards > 0.5] = 0.5
            return outcome

        trained.env.task.evaluate = waiting
        if graphs:
            with pytest.raises(UsageError) as refusal:
                iterate(trained, 2)
            assert (refusal.value.key, refusal.value.path) == ("cuda_graphs", Path(__file__))
            line = "outcome.rewards[outcome.rewards > 0.5] = 0.5"
            assert names(refusal.value, "rollout", Path(__file__).name, line)
        else:
            iterate(trained, 2)
