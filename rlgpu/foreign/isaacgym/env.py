"""Environments written for Isaac Gym, stepped as rlgpu's.

What their ``step`` returns is mapped to ``Step``:

- IsaacGymEnvs reports an episode's end one step before it resets, and the step between belongs to
  no episode. Here, ended environments are reset at once by the task's own ``reset_idx``, its
  ``compute_observations`` (HumanoidAMP: ``_compute_observations``) gives the first observations of
  the new episode, and the observations that ``step`` returned are the final ones, exactly.
- legged_gym resets within the step and returns the new episode's observations only. The final ones
  are lost, so an episode that ends by time is continued by the value of the observations before the
  step, as in rsl_rl.
- Time limits are those in ``extras["time_outs"]``; every other end is a failure.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlgpu.device import generator_seed
from rlgpu.envs import Environments, Step, WorldCounts
from rlgpu.errors import UsageError
from rlgpu.isaacgym.calls.simulation import running_world
from rlgpu.isaacgym.drawing.mirrors import Mirrors
from rlgpu.isaacgym.records.scene import Sim
from rlgpu.isaacgym.simulation.world import World
from rlgpu.sim.mujoco.mirror import PoseMirror
from rlgpu.sim.mujoco.worlds import Worlds
from rlgpu.spaces import Continuous, numbers


class _Returned(NamedTuple):
    """What a ``step`` returned, whichever library's."""

    observations: Tensor
    rewards: Tensor
    done: Tensor
    extras: Mapping[str, Any]


class ScriptEnv(Environments):
    """An environment object of a script, as environments of ours."""

    def __init__(self, env: Any, config: Any) -> None:
        """Takes a first step with actions of zero, in which scripts reset everything.

        Args:
            env: The script's object.
            config: The task's configuration.

        Raises:
            UsageError: It lacks what is needed to step it.
        """
        self._world = _world_of(env.sim)
        self._episode_length = int(_first(env, "max_episode_length") or config.episode_length)
        self.script, self.config = env, config
        self.source_file = Path(inspect.getfile(type(env)))
        self.num_envs = int(env.num_envs)
        self.device = torch.device(env.sim.device)
        self.num_observations = int(_first(env, "num_obs", "num_observations"))
        self.num_actions = int(env.num_actions)
        self.observation_space = numbers(self.num_observations)
        self.action_space = Continuous(self.num_actions)
        normalization = getattr(_first(env, "cfg"), "normalization", None)  # legged_gym's
        limit = _first(env, "clip_actions") or getattr(normalization, "clip_actions", None)
        self.action_limit = float(limit or 1.0)
        self.joint_names = tuple(
            f"{actor.name}/{name}" for actor in env.sim.envs[0].actors for name in actor.asset.dofs
        )
        self.description = f"Isaac Gym's API on {self.sim.description}"
        repeats = _first(env, "control_freq_inv", "decimation") or _of_config(env) or 1
        self.step_dt = float(env.sim.params.dt) * int(repeats)
        self.generator = torch.Generator(device=self.device)
        self.privileged: Tensor | None = None
        """What the critic alone may see, if the task says; not used by the learner."""
        self._num_further_ids = _count_further_ids(env)
        none = torch.zeros((), dtype=torch.int64, device=self.device)
        self.counts = WorldCounts(none, none.clone())
        self.observations = torch.zeros(self.num_envs, self.num_observations, device=self.device)
        if _first(env, "progress_buf") is None and hasattr(env, "reset"):
            env.reset()  # IsaacGymEnvs' does nothing, its first step resets
        first, has_begun = self._first_step()
        if first.observations.shape != self.observations.shape:
            raise UsageError(
                f"{type(env).__name__} says num_obs {self.num_observations} and returns "
                f"observations of shape {list(first.observations.shape)}",
                key=f"{type(env).__name__}.num_obs",
                value=self.num_observations,
                allowed=[first.observations.shape[-1]],
            )
        self.observations.copy_(self._next(first))
        if not has_begun:
            self.reset()

    def _first_step(self) -> tuple[_Returned, bool]:
        """Steps with actions of zero; returns the results, and whether episodes have begun.

        HumanoidAMP never resets in its step, only when its player asks for it.
        """
        actions = torch.zeros(self.num_envs, self.num_actions, device=self.device)
        if _first(self.script, "progress_buf") is None or not hasattr(self.script, "reset_idx"):
            return self._returned(actions), True
        reset_idx, calls = self.script.reset_idx, []

        def watched(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return reset_idx(*args, **kwargs)

        self.script.reset_idx = watched
        try:
            return self._returned(actions), bool(calls)
        finally:
            del self.script.reset_idx

    def _returned(self, actions: Tensor) -> _Returned:
        """Steps the script's environments."""
        result = self.script.step(actions)
        if len(result) == 5:  # legged_gym: observations, privileged observations, ...
            observations, self.privileged, rewards, done, extras = result
        else:
            observations, rewards, done, extras = result
        if isinstance(observations, Mapping):
            self.privileged = observations.get("states")
            observations = observations["obs"]
        # Scripts rewrite their buffers.
        return _Returned(observations.clone(), rewards.clone(), done.bool().clone(), extras)

    def _next(self, returned: _Returned) -> Tensor:
        """Resets ended environments that were not reset in the step; returns what comes next."""
        progress = _first(self.script, "progress_buf")
        if progress is None:
            return returned.observations
        # A count that still stands is that of the episode that ended.
        waiting = returned.done & (progress > 0)
        ids = waiting.nonzero().squeeze(-1)
        if ids.numel() == 0:
            return returned.observations
        self.script.reset_idx(ids, *self._further_ids(ids))
        self._observe()
        limit = float(_first(self.script, "clip_obs") or float("inf"))
        fresh = self._add_noise(self.script.obs_buf).clamp(-limit, limit)
        return torch.where(waiting[:, None], fresh, returned.observations)

    def _observe(self) -> None:
        """Lets the script observe its environments.

        Raises:
            UsageError: It has no method for that.
        """
        observe = _first(self.script, "compute_observations", "_compute_observations")
        if observe is None:
            name = type(self.script).__name__
            raise UsageError(
                f"{name} has no compute_observations, which gives the first observations of new "
                "episodes; define it, so that it writes obs_buf",
                key=f"{name}.compute_observations",
            )
        observe()

    def _further_ids(self, ids: Tensor) -> list[Tensor]:
        """Returns what ``reset_idx`` takes after the environments' ids.

        The hands of IsaacGymEnvs take the ids of environments whose goal is due. Those of ended
        environments are given here; the others wait for the task's next step, as they always do.
        """
        due = _first(self.script, "reset_goal_buf")
        return [ids if due is None else ids[due[ids] != 0]] * self._num_further_ids

    def _add_noise(self, observations: Tensor) -> Tensor:
        """Returns observations with the noise that IsaacGymEnvs' ``step`` adds after the task's."""
        randomized = _first(self.script, "dr_randomizations") or {}
        noise = randomized.get("observations")
        return noise["noise_lambda"](observations) if noise else observations

    def step(self, actions: Tensor) -> Step:
        """Applies actions for one control step; ended environments are reset.

        Args:
            actions: Actions, which the task itself limits, shape [N, A].
        """
        before = self.observations.clone()
        returned = self._returned(actions)
        progress = _first(self.script, "progress_buf")
        kept = returned.done if progress is None else returned.done & ~(progress > 0)
        time_outs = returned.extras.get("time_outs")
        truncated = torch.zeros_like(returned.done)
        if time_outs is not None:
            truncated = time_outs.bool().to(self.device) & returned.done
        # Where the script has reset already, the final observations are not known.
        final = torch.where(kept[:, None], before, returned.observations)
        self.observations.copy_(self._next(returned))
        self.counts.diverged.add_(self.sim.diverged.sum())
        self.counts.overflowed.add_(self.sim.overflowed.sum())
        return Step(
            self.observations, returned.rewards, returned.done & ~truncated, truncated, final
        )

    def reset(self, seed: int | None = None) -> Tensor:
        """Begins new episodes in all environments; returns their first observations, [N, O].

        Args:
            seed: Seed of the global generators, which scripts draw from; None goes on with them.

        Raises:
            UsageError: The task has neither of IsaacGymEnvs' and legged_gym's ways to reset.
        """
        if seed is not None:
            seed_scripts(seed)
        progress = _first(self.script, "progress_buf")
        if progress is not None:
            progress.clamp_(min=1)  # also those that have just begun
            everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
            last = _Returned(self.observations.clone(), self.observations[:, 0], everyone, {})
            self.observations.copy_(self._next(last))
        elif hasattr(self.script, "reset"):
            first = self.script.reset()
            if first is None:
                self._observe()
                first = self.script.obs_buf
            self.observations.copy_(first[0] if isinstance(first, tuple) else first)
        else:
            name = type(self.script).__name__
            raise UsageError(
                f"{name} has neither progress_buf nor reset, so its episodes cannot be begun from "
                "outside; make new environments",
                key=f"{name}.reset",
            )
        return self.observations

    def randomize_ages(self) -> None:
        """Spreads out the ends of the first episodes, where the task counts their steps."""
        for name in ("progress_buf", "episode_length_buf"):
            ages = _first(self.script, name)
            if ages is not None:
                limit = int(_first(self.script, "max_episode_length"))
                ages.copy_(torch.randint_like(ages, limit))
                return

    @property
    def sim(self) -> Worlds:
        """The engine's worlds, which the simulation may have rebuilt."""
        return self._world.worlds

    @property
    def episode_length(self) -> int:
        """The task's own time limit, else ``task.episode_length``, in steps."""
        return self._episode_length

    @property
    def episode_step(self) -> Tensor:
        """Steps of each running episode, shape [N].

        Raises:
            UsageError: The task does not count them.
        """
        ages = _first(self.script, "progress_buf", "episode_length_buf")
        if ages is None:
            name = type(self.script).__name__
            said = f"{name} does not count its episodes' steps"
            raise UsageError(said, key=f"{name}.progress_buf")
        return ages

    def nan_source(self, *, rewards: bool = False) -> str:
        """Returns what is known of where a NaN came from: the task's step."""
        return "" if rewards else f"{type(self.script).__name__}.step"

    def mirrored_scene(self) -> PoseMirror:
        """Returns a mirror that shows one environment at a time, of those like the first."""
        return Mirrors(self._world).show(0)

    def close(self) -> None:
        """Frees the engine's memory and threads."""
        self.sim.close()

    def _buffers(self) -> dict[str, Tensor]:
        """Returns the tensors that the script's object keeps, by name."""
        return {
            name: value for name, value in vars(self.script).items() if isinstance(value, Tensor)
        }

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of the engine's state, the script's tensors and the global generators."""
        world = self._world
        kind, keys, position, has_gauss, gauss = np.random.get_state()
        return {
            "engine": world.worlds.state_dict(),
            "targets": [world.position_targets.clone(), world.velocity_targets.clone()],
            "buffers": {name: value.clone() for name, value in self._buffers().items()},
            "observations": self.observations.clone(),
            "torch": torch.get_rng_state(),
            "numpy": [
                str(kind),
                torch.from_numpy(np.asarray(keys, np.int64)),
                int(position),
                int(has_gauss),
                float(gauss),
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        world = self._world
        world.worlds.load_state_dict(state["engine"])
        world.read_roots()
        world.read_dofs()
        world.position_targets.copy_(state["targets"][0])
        world.velocity_targets.copy_(state["targets"][1])
        buffers = self._buffers()
        for name, value in state["buffers"].items():
            if name in buffers and buffers[name].shape == value.shape:
                buffers[name].copy_(value)
        self.observations.copy_(state["observations"])
        torch.set_rng_state(state["torch"])
        kind, keys, position, has_gauss, gauss = state["numpy"]
        np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))


def _world_of(sim: Sim) -> World:
    world = running_world(sim)
    if world is None:
        said = "the task did not prepare its simulation; call gym.prepare_sim in create_sim"
        raise UsageError(said, key="prepare_sim")
    return world


def seed_scripts(seed: int) -> None:
    """Seeds the global generators, which scripts draw from.

    Source: ``set_seed`` of IsaacGymEnvs and legged_gym.
    """
    seed = generator_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _first(env: Any, *names: str) -> Any:
    """Returns the first of some attributes that an object has, None without any."""
    return next((getattr(env, name) for name in names if hasattr(env, name)), None)


def _count_further_ids(env: Any) -> int:
    """Returns how many parameters ``reset_idx`` needs after the environments' ids.

    Raises:
        UsageError: It needs something else than ids.
    """
    if not hasattr(env, "reset_idx"):
        return 0
    names = [
        parameter.name
        for parameter in list(inspect.signature(env.reset_idx).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if other := [name for name in names if "ids" not in name]:
        raise UsageError(
            f"{type(env).__name__}.reset_idx needs {', '.join(other)}; the learner resets "
            "environments by ids alone: give such parameters defaults",
            key=f"{type(env).__name__}.reset_idx",
            value=tuple(other),
        )
    return len(names)


def _of_config(env: Any) -> Any:
    """Returns legged_gym's ``cfg.control.decimation``, None without one."""
    return getattr(getattr(getattr(env, "cfg", None), "control", None), "decimation", None)
