"""Builds the environments and the agent from a configuration."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgpu.compiler import NoCompiler
from rlgpu.config import Config, DqnConfig, TrainConfig, without_unused
from rlgpu.device import generator_seed, is_gpu
from rlgpu.envs import (
    Environments,
    Task,
    VecEnv,
    explained,
    observation_space_of,
    scene_of,
    shown_space_of,
)
from rlgpu.errors import Conflict, Misfit, Unavailable, UsageError, first_line
from rlgpu.foreign.task import EnvRequest, ForeignTask
from rlgpu.learner import Agent, Dqn, Ppo
from rlgpu.ops import Kernels, Precision, select_kernels
from rlgpu.sim import ENGINES, make_simulator
from rlgpu.spaces import ObservationSpace, Part, with_true_values
from rlgpu.training.checkpoint import find_checkpoint, load_checkpoint
from rlgpu.training.memory import check_memory
from rlgpu.training.run_folder import task_folder

_LONG = 5.0
"""Seconds from which the time that compiling took is told."""
_COARSE = 2.0**20
"""Observations from which float32's steps, of an eighth there, are worth a warning."""


def build_env(
    config: Config,
    task_class: type[Task] | type[ForeignTask],
    num_envs: int | None = None,
    seed: int | None = None,
    *,
    training: bool = False,
    viewer: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Environments:
    """Returns environments of a task on the configured engine.

    Args:
        config: The run's configuration.
        task_class: The task.
        num_envs: Number of environments; the configuration's if None.
        seed: Seed of the resets; the configuration's if None.
        training: Whether they are used for training, so that compiling their code pays off.
        viewer: Whether to open the engine's own viewer, if it has one.
        say: Takes a line for the user, before something that takes a while.

    Raises:
        UsageError: The engine is not installed, or cannot use the device or simulate the task; the
            task makes a mistake; or the memory does not suffice.
    """
    num_envs = config.num_envs if num_envs is None else num_envs
    seed = config.seed if seed is None else seed
    if issubclass(task_class, ForeignTask):
        where = torch.device(config.sim_device), config.sim.engine
        return task_class.make(EnvRequest(config.task, num_envs, seed, *where))
    separate = config.algorithm == "PPO" and config.train.has_separate_critic
    with explained(task_class, "__init__"):
        task = task_class(config.task)
    width = shown_space_of(task, separate_critic=separate).size
    check_memory(config, width, task.num_actions)
    scene = scene_of(task)
    device = torch.device(config.sim_device)
    try:
        sim = make_simulator(
            config.sim.engine,
            scene,
            config.task.timing(),
            num_envs,
            device=device,
            settings=config.sim,
            deterministic=config.torch_deterministic,
            viewer=viewer,
        )
    except ImportError as error:
        engine, install = config.sim.engine, ENGINES[config.sim.engine].install
        raise Unavailable(str(error), install, key="sim", value=engine) from error
    except (RuntimeError, ValueError) as error:
        said = f"sim={config.sim.engine}: {error}"
        raise UsageError(said, key="sim", value=config.sim.engine) from error
    use_compile = training and bool(config.compile)
    by_torch = use_compile and is_gpu(device)
    env = VecEnv(task, sim, seed=seed, use_compile=by_torch, separate_critic=separate)
    if use_compile and not by_torch:
        _compile_ahead(env, say)
    return env


def _compile_ahead(env: VecEnv, say: Callable[[str], object]) -> None:
    """Compiles the task's code for the CPU, and notes what stays Python code and why."""
    start = time.monotonic()

    def announce() -> None:
        say("compiling the task's code, once; compile=False skips it")

    try:
        reasons = env.compile_ahead(announce)
    except NoCompiler as error:
        reasons = [str(error)]
    if (seconds := time.monotonic() - start) > _LONG:
        say(f"compiled in {seconds:.0f} s")
    said = (f"the task's code is not compiled, and slower: {reason}" for reason in reasons)
    env.notes = [*env.notes, *said]


def make_agent(config: Config, env: Environments) -> Agent:
    """Returns a fresh agent for the environments.

    Raises:
        UsageError: The compiled kernels are requested but not available, or the algorithm does not
            take the task's actions.
    """
    _warn_of_coarse_observations(config, env)
    if config.algorithm == "PPO":
        return make_ppo(config, env)
    train = config.train
    if config.test or config.checkpoint:  # an earlier version took whatever was given
        train = without_unused(train, "DQN")
    return Dqn(
        train,
        env.observation_space,
        env.action_space,
        max_iterations=config.max_iterations,
        num_envs=config.num_envs,
        kernels=_kernels(config),
        device=torch.device(config.rl_device),
        seed=config.seed,
        precision=config.precision,
    )


def _warn_of_coarse_observations(config: Config, env: Environments) -> None:
    """Warns if float64 observations reach the networks with float32's coarse steps."""
    if env.observation_space.dtype != "float64" or config.train.normalize_observations:
        return
    if (far := float(env.observations.abs().max())) >= _COARSE:
        warnings.warn(
            f"observations reach {far:.3g}, where float32 has steps of "
            f"{np.spacing(np.float32(far)):.3g}; train.normalize_observations=True keeps them "
            "apart",
            stacklevel=2,
        )


def _kernels(config: Config) -> Kernels:
    try:
        return select_kernels(config.kernels, torch.device(config.rl_device))
    except RuntimeError as error:
        said = f"kernels={config.kernels}: {error}"
        raise UsageError(said, key="kernels", value=config.kernels) from error


def make_ppo(config: Config, env: Environments) -> Ppo:
    """Returns a fresh agent that learns by PPO.

    Raises:
        UsageError: The compiled kernels are requested but not available, or the teacher is not one.
    """
    device = torch.device(config.rl_device)
    batch_size = config.train.horizon_length * config.num_envs
    return Ppo(
        config.train,
        env.observation_space,
        env.action_space,
        max_iterations=config.max_iterations,
        num_minibatches=max(batch_size // config.train.minibatch_size, 1),
        kernels=_kernels(config),
        device=device,
        seed=config.seed,
        precision=config.precision,
        use_compile=bool(config.compile) and is_gpu(device),
        mirror=_mirror_of(config, env),
        teacher=_teacher_of(config, env),
    )


def _mirror_of(config: Config, env: Environments) -> Any:
    """Returns how the task looks in a mirror, None if it does not say or nobody asks."""
    if not isinstance(env, VecEnv) or not config.train.symmetry.augment:
        return None
    one = torch.zeros(1, env.num_observations, device=env.device)
    said = env.task.mirror(one, torch.zeros(1, env.num_actions, device=env.device))
    return None if said is None else env.mirror


def _teacher_of(config: Config, env: Environments) -> Any:
    """Returns the trained policy to learn from, None if there is none.

    Raises:
        UsageError: The checkpoint is not of such a policy.
    """
    word = config.train.distillation.teacher
    if not word or config.test:
        return None
    device = torch.device(config.rl_device)
    try:
        runs = task_folder(config.runs_dir, config.experiment, config.task.name)
        path = find_checkpoint(word, runs)
        teacher = load_trained(path, env, _kernels(config), device, config.precision)
    except UsageError as error:
        error.add_place(f"train.distillation.teacher={word}")
        error.key, error.value = "train.distillation.teacher", word  # not the teacher's own
        raise
    kind = ("action_distribution", "state_dependent_std")
    if not isinstance(teacher, Ppo) or teacher.network.memory_size:
        said = f"train.distillation.teacher={word}: a teacher is by PPO, without memory"
        raise UsageError(said, key="train.distillation.teacher", value=word)
    if any(getattr(teacher.config, key) != getattr(config.train, key) for key in kind):
        raise Conflict(
            f"train.distillation.teacher={word}: its train.{kind[0]} and train.{kind[1]} must be "
            "the student's",
            key="train.distillation.teacher",
            value=word,
            other="train.action_distribution",
        )
    return teacher.outputs


def load_trained(
    path: Path, env: Environments, kernels: Kernels, device: torch.device, precision: Precision
) -> Agent:
    """Returns a trained policy, only to act; it may see what is hidden in the environments.

    Args:
        path: Its checkpoint.
        env: Environments of its task, or of one with the same observations and actions.
        kernels: Implementation of the ops.
        device: Device of its tensors.
        precision: Precision of its matrix products.

    Raises:
        UsageError: It is no checkpoint.
        Misfit: It is not of a policy for such environments.
    """
    content = load_checkpoint(path)
    saved = content["config"]
    settings = dict(saved["train"])
    dqn = DqnConfig(**settings.pop("dqn"))
    for name in ("curiosity", "symmetry", "distillation"):
        settings.pop(name, None)
    space = env.observation_space
    if isinstance(env, VecEnv):
        hidden = {key: saved["task"].get(key) for key in ("hidden", "hidden_from")}
        space = observation_space_of(type(env.task)(replace(env.task.config, **hidden)))
        space = _fit_width(space, env, saved_width=len(_saved_means(content)))
    policy: Agent
    try:
        train = TrainConfig(**settings, dqn=dqn)
        if saved["algorithm"] == "DQN":
            policy = Dqn(
                without_unused(train, "DQN"),
                space,
                env.action_space,
                max_iterations=1,
                num_envs=1,
                kernels=kernels,
                device=device,
                seed=0,
                precision=precision,
            )
        else:
            policy = Ppo(
                train,
                space,
                env.action_space,
                max_iterations=1,
                num_minibatches=1,
                kernels=kernels,
                device=device,
                seed=0,
                precision=precision,
            )
        policy.load_policy(content["agent"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        said = f"{path}: it does not fit this task: {first_line(error)}"
        raise Misfit(said, path=path) from error
    return policy


def _saved_means(content: Mapping[str, Any]) -> Tensor:
    means: Tensor = content["agent"]["observation_normalizer"]["mean"]
    return means


def _fit_width(space: ObservationSpace, env: Environments, *, saved_width: int) -> ObservationSpace:
    """Returns a trained policy's space with the columns without noise that environments have.

    Args:
        space: What it sees of the task's own columns.
        env: The environments.
        saved_width: Width of the observations in training.
    """
    further = env.observation_space.size - space.size
    if not further:
        return space
    if saved_width == env.observation_space.size:
        return with_true_values(space)
    unseen = Part("true_observations", (further,), seen_by="nobody", repeats=True)
    return replace(space, parts=(*space.parts, unseen))


def seed_everything(config: Config) -> None:
    """Seeds the global random generators; those of rlgpu take the seed explicitly."""
    seed = generator_seed(config.seed)
    torch.manual_seed(seed)
    np.random.seed(seed)
    # The call imports torch's compiler, which takes over a second.
    if config.torch_deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(config.torch_deterministic)
    if config.torch_deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by torch
    # For kernels=torch and matrix products in tasks; the compiled ops get the precision directly.
    torch.set_float32_matmul_precision("highest" if config.precision == "fp32" else "high")
