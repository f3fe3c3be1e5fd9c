"""CUDA graphs: the same bytes as plain calls, no synchronisation, skipping changes nothing.

Tests that need a GPU are marked; that no operation would synchronise is also checked without one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rlgpu.config import compose
from rlgpu.device import Phase, Skipping, working_stream
from rlgpu.sim import ENGINES
from rlgpu.tasks import TASKS
from rlgpu.training import Trainer, build_env, make_agent
from rlgpu.training.collectors import make_collector
from rlgpu.training.report import Report

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
# Operations that make the host wait for a GPU: they read a value, or their result's size depends
# on one.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::is_nonzero",
    "aten::unique",
    "aten::_unique2",
    "aten::repeat_interleave.Tensor",
}

INDEXING = {"aten::index.Tensor", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}

VARIED_MASSES = (
    "task.randomize=True",
    "task.randomization.mass.range=[0.5,1.5]",
    "task.randomization.mass.operation=scaling",
)
RANDOMIZED = (
    *VARIED_MASSES,
    "task.randomization.action_delay=[0,2]",
    "task.randomization.center_of_mass.range=[0,0.01]",
    "task.randomization.friction.range=[0,1]",
    "task.randomization.stiffness.range=[0,1]",
    "task.randomization.observations.range_correlated=[0,0.1]",
)


class NotAllowed(AssertionError):
    """An operation, by its name, that a test forbids."""


class NothingWaits(TorchDispatchMode):
    """Raises if an operation would wait for a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        masks = [x for x in args[1] if x is not None] if name in INDEXING else []
        if name in WAITING or any(getattr(x, "dtype", None) == torch.bool for x in masks):
            raise NotAllowed(name)
        return func(*args, **(kwargs or {}))


def trainer(tmp_path: Path, *words: str) -> Trainer:
    words = ("headless=True", *words)
    if not any(word.startswith("num_envs=") for word in words):
        words += ("num_envs=64", "train.minibatch_size=256")
    composed = compose(words, TASKS, ENGINES)
    config = composed.config
    env = build_env(config, composed.task_class, training=True)
    return Trainer(config, env, make_agent(config, env))


def iterate(trained: Trainer, iterations: int) -> dict[str, torch.Tensor]:
    """Runs some iterations and returns everything that they change."""
    with working_stream(trained.agent.device):
        for _ in range(iterations):
            trained.collect()
            numbers = trained.update()
    agent, env = trained.agent.state_dict(), trained.env.state_dict()
    return {
        "params": trained.agent.flat.params.clone(),
        "numbers": numbers,
        **agent["adam"],
        **agent["observation_normalizer"],
        **{name: value for name, value in env["sim"].items() if name.startswith("q")},
        "observations": env["observations"],
        "rng_state": agent["rng_state"],
    }


def run_without_waiting(trained: Trainer, iterations: int) -> None:
    """Runs some iterations, in which torch raises if anything waits for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(iterations):
            trained.collect()
            trained.update()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def pretend_to_be_on_a_gpu(trained: Trainer) -> None:
    """Makes the code take its GPU paths; the tensors stay where they are."""
    trained.agent.host_may_read = trained.env.host_may_read = False
    trained.env.sim._host_may_branch = lambda: False
    trained.env.sim.capturable = True
    trained.collector = make_collector(
        trained.env, trained.agent, trained.storage, cuda_graphs=False
    )


@pytest.mark.parametrize("task", ["Ant", "Cartpole"])
@pytest.mark.parametrize("schedule", ["linear", "adaptive"])
def test_no_operation_of_an_iteration_would_wait_for_a_gpu(tmp_path, task, schedule) -> None:
    """Every torch operation of two iterations, on the GPU code paths."""
    words = (f"task={task}", "sim=mujoco_warp", "sim_device=cpu", f"train.schedule={schedule}")
    trained = trainer(tmp_path, *words, "task.episode_length=9")
    pretend_to_be_on_a_gpu(trained)
    with NothingWaits():
        for _ in range(2):
            trained.collect()
            trained.update()
    assert trained.statistics.means().episodes > 64  # episodes ended, so resets were exercised
    assert trained.agent.optimizer.state.step > 0


@pytest.mark.parametrize(
    "words",
    [
        ("task=Humanoid",),
        ("task=Quadcopter",),
        ("task=Ingenuity", "task.target_steps=5"),
        ("task=BallBalance",),
        ("task=FrankaCubeStack",),
        ("task=G1", "task.pushes.interval=0.1"),
        ("task=AnymalTerrain", "task.terrain.num_levels=3", "task.terrain.num_columns=2"),
        ("task=Go2", *RANDOMIZED),
    ],
    ids=lambda words: words[0],
)
def test_no_operation_of_a_task_would_wait_for_a_gpu(tmp_path, words) -> None:
    """Every torch operation of one iteration of the other tasks, resets included."""
    trained = trainer(
        tmp_path, "sim=mujoco_warp", "sim_device=cpu", *words, "task.episode_length=5"
    )
    pretend_to_be_on_a_gpu(trained)
    if trained.env._randomizer:
        trained.env._randomizer._host_may_read = False
    with NothingWaits():
        trained.collect()
        trained.update()
    assert trained.statistics.means().episodes > 16


def test_the_guard_notices_operations_that_wait() -> None:
    """A mask used as an index, a value that is read, a branch."""
    x = torch.tensor([1.0, 2.0])
    for wait in (lambda: x[x > 1], x[0].item, lambda: bool(x[0] > 0)):
        with pytest.raises(NotAllowed), NothingWaits():
            wait()


def test_a_phase_and_skipping_are_plain_calls_on_the_cpu() -> None:
    """The function is called every time and nothing is skipped."""
    calls = []
    phase = Phase(lambda: calls.append(1) or len(calls), CPU, name="count", enabled=True)
    assert [phase(), phase(), phase()] == [1, 2, 3]
    with Skipping(CPU, enabled=True).unless(torch.tensor(True)):
        calls.append(1)
    assert len(calls) == 4


def test_a_report_arrives_in_order_with_its_times() -> None:
    """On the CPU it arrives at once."""
    report = Report(CPU, started=0.0)
    for iteration in (1, 2):
        report.begin()
        report.end_of_rollout()
        report.send(iteration, torch.tensor([iteration + 0.5], dtype=torch.float64))
        (arrived,) = report.receive(everything=False)
        assert arrived.iteration == iteration
        assert arrived.numbers == [iteration + 0.5]
        assert 0.0 < arrived.rollout_seconds <= arrived.seconds


@pytest.mark.cuda
@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
def test_graphs_and_plain_calls_give_identical_bytes_for_ten_iterations(tmp_path, task) -> None:
    """Weights, optimiser, normalisers, simulation, random numbers, reported numbers."""
    results = []
    for graphs in (True, False):
        words = (f"task={task}", f"cuda_graphs={graphs}", "train.target_kl=0.004")
        # Otherwise the order of contacts depends on atomics.
        trained = trainer(tmp_path, *words, "torch_deterministic=True")
        results.append(iterate(trained, 10))
    for name, value in results[0].items():
        assert torch.equal(value.nan_to_num(), results[1][name].nan_to_num()), name


@pytest.mark.cuda
@pytest.mark.parametrize("graphs", [True, False])
def test_an_iteration_never_synchronises(tmp_path, graphs) -> None:
    """Torch raises on implicit synchronisation; the first two iterations compile and capture."""
    trained = trainer(tmp_path, "task=Ant", f"cuda_graphs={graphs}")
    with working_stream(trained.agent.device):
        for _ in range(3):
            trained.collect()
            trained.update()
        run_without_waiting(trained, 5)


@pytest.mark.cuda
def test_skipping_and_predicated_steps_give_the_same_weights(tmp_path) -> None:
    """Ten iterations that the KL limit stops early: conditional nodes or steps without effect."""
    words = ("task=Cartpole", "train.learning_rate=0.003", "train.target_kl=0.005")
    results = []
    for skipping in (True, False):
        trained = trainer(tmp_path, *words)
        if not skipping:
            trained.agent._skipping = Skipping(trained.agent.device, enabled=False)
        else:
            assert trained.agent._skipping._extension is not None, "this driver cannot skip"
        results.append(iterate(trained, 10))
    steps = trained.config.train.num_epochs * trained.agent.num_minibatches
    assert 0 < results[0]["step"] < 10 * steps
    for name, value in results[0].items():
        assert torch.equal(value.nan_to_num(), results[1][name].nan_to_num()), name


@pytest.mark.cuda
def test_a_captured_update_follows_changed_coefficients(tmp_path) -> None:
    """The learning rate and the loss weights are read from the device, not frozen at capture."""
    trained = trainer(tmp_path, "task=Cartpole", "train.schedule=constant")
    with working_stream(trained.agent.device):
        for _ in range(3):
            trained.collect()
            trained.update()
        trained.agent.learning_rate.zero_()
        before = trained.agent.flat.params.clone()
        trained.collect()
        trained.update()
    assert torch.equal(trained.agent.flat.params, before)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp32"])
def test_training_on_a_gpu_balances_the_pole(tmp_path, precision) -> None:
    """A mean return of 400 out of 500 within the default run, in every precision."""
    words = ("task=Cartpole", f"precision={precision}", "num_envs=512", "train.minibatch_size=8192")
    trained = trainer(tmp_path, *words)
    iterate(trained, trained.config.max_iterations)
    assert trained.statistics.means()[0] > 400


def test_every_precision_can_be_chosen_on_the_command_line(tmp_path) -> None:
    """The choice reaches the networks."""
    for precision in ("tf32", "bf16", "fp32"):
        trained = trainer(tmp_path, "task=Cartpole", "sim=mujoco", f"precision={precision}")
        assert trained.agent.network.actor.layers._precision == precision
        assert dataclasses.asdict(trained.config)["precision"] == precision


# Source: torch.use_deterministic_algorithms, operations that throw on CUDA.
VARYING = {
    "aten::histc",
    "aten::bincount",
    "aten::kthvalue",
    "aten::median",
    "aten::put_",
    "aten::scatter_reduce.two",
    "aten::index_reduce",
    "aten::_cdist_forward",
}


class NothingVaries(TorchDispatchMode):
    """Raises if a GPU's result may differ from run to run, as torch_deterministic does on a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name()
        sums_floats = name.startswith("aten::cumsum") and args[0].is_floating_point()
        if name in VARYING or sums_floats or name.startswith("aten::cumprod"):
            raise NotAllowed(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("task", ["Ant", "Cartpole"])
def test_torch_deterministic_accepts_every_operation_of_an_iteration(tmp_path, task) -> None:
    """Every torch operation of two iterations, on the GPU code paths."""
    words = (f"task={task}", "sim=mujoco_warp", "sim_device=cpu", "torch_deterministic=True")
    trained = trainer(tmp_path, *words)
    pretend_to_be_on_a_gpu(trained)
    assert trained.env.sim.worlds._m.opt.deterministic == 7
    with NothingVaries():
        for _ in range(2):
            trained.collect()
            trained.update()
    with pytest.raises(NotAllowed) as refusal, NothingVaries():
        torch.ones(3).cumsum(0)
    assert refusal.value.args == ("aten::cumsum",)
