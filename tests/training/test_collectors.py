"""The two collectors: which one is used, and that a captured update reads no stale data."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rlgpu.training.collectors import CapturedCollector, StepwiseCollector
from tests.device.test_graphs import trainer


class ReadsNothingOf(TorchDispatchMode):
    """Raises if an operation reads the memory of one of the given tensors."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        super().__init__()
        self._forbidden = {tensor.untyped_storage().data_ptr() for tensor in tensors}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, torch.Tensor):
                assert value.untyped_storage().data_ptr() not in self._forbidden, func.name()
        return func(*args, **(kwargs or {}))


def test_an_update_reads_nothing_that_a_cpu_engine_owns(tmp_path) -> None:
    """If captured on a GPU, every replay would read the engine's memory as of capture time."""
    trained = trainer(tmp_path, "task=Cartpole", "sim=mujoco")
    env = trained.env
    owned = [env.observations, env.episode_step, *env.counts, *env.sim.state, env._actions]
    assert isinstance(trained.collector, StepwiseCollector)
    trained.collect()
    owned = [x for x in owned if x.numel() > 0]
    with ReadsNothingOf(owned):
        trained.update()
    for tensor in owned:  # the guard itself notices a read
        with pytest.raises(AssertionError), ReadsNothingOf(owned):
            tensor.clone()


def test_counts_arrive_with_the_rollout(tmp_path) -> None:
    """In the collector's own copy, after every rollout."""
    trained = trainer(tmp_path, "task=Cartpole", "sim=mujoco")
    for wanted in (3, 6):
        trained.env.counts.diverged.add_(3)
        trained.collect()
        assert trained.collector.counts.diverged.item() == wanted
    assert trained.collector.counts.diverged is not trained.env.counts.diverged


@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
def test_both_collectors_gather_the_same_rollout(tmp_path, task) -> None:
    """Every tensor of the storage, over three rollouts that contain resets."""
    words = (f"task={task}", "sim=mujoco", "task.episode_length=21")
    stepwise, captured = trainer(tmp_path, *words), trainer(tmp_path, *words)
    captured.collector = CapturedCollector(
        captured.env, captured.agent, captured.storage, cuda_graphs=False
    )
    for _ in range(3):
        stepwise.collect()
        captured.collect()
    for name, tensor in vars(stepwise.storage).items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(tensor, getattr(captured.storage, name)), name
    assert stepwise.storage.truncated.any()
    ended = stepwise.storage.truncated[-1] | stepwise.storage.terminated[-1]
    changed = (stepwise.storage.final_observations[-1] != stepwise.storage.last_observations).any(1)
    assert torch.equal(ended, changed)


def test_one_key_switches_on_random_initial_ages(tmp_path) -> None:
    """Ages spread over the episode length; episodes that begin at a random age are not reported."""
    words = ("task=Cartpole", "sim=mujoco", "task.episode_length=20")
    same, spread = (
        trainer(tmp_path, *words, f"train.init_at_random_ep_len={on}") for on in (False, True)
    )
    assert not same.env.episode_step.any()
    assert len(spread.env.episode_step.unique()) > 10
    truncated = []
    for each in (same, spread):
        each.collect()
        each.update()
        truncated.append(int(each.storage.truncated.sum()))
    assert truncated[0] == 0
    assert truncated[1] > 20
    assert spread.statistics.means().episodes < truncated[1] / 2
