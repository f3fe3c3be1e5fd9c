"""N parallel environments: an engine and a task, with time limits and automatic resets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlgpu.device import compiled, generator_seed, host_may_read, one_torch_thread
from rlgpu.envs import checks
from rlgpu.envs.environments import Environments, Step, WorldCounts
from rlgpu.envs.own_terms import OwnTerms
from rlgpu.envs.randomization import Randomizer
from rlgpu.envs.shown import Shown
from rlgpu.envs.step_code import StepCode, Trial, compile_steps
from rlgpu.envs.task import Mark, Task, shown_space_of
from rlgpu.envs.task_state import TaskState, restore_buffers
from rlgpu.errors import TaskError
from rlgpu.sim import ResetState, Simulator
from rlgpu.spaces import ActionSpace, Continuous


class VecEnv(Environments):
    """Steps a task on an engine, and resets ended episodes within the same step."""

    def __init__(
        self,
        task: Task,
        sim: Simulator,
        *,
        seed: int,
        use_compile: bool = False,
        separate_critic: bool = False,
    ) -> None:
        """Connects a task to an engine and resets every environment.

        Args:
            task: The task, not yet bound; what it returns is checked here, and only here.
            sim: An engine holding the task's scene.
            seed: Seed of the random numbers for resets.
            use_compile: Whether torch.compile fuses the tensor code of the task and the engine.
                On a GPU the many small kernels may cost more than the physics: compiling them cut
                a step of Ant from 3.12 ms to 1.36 ms. Source: IsaacLab, pull request 6509.
            separate_critic: Whether the critic is a separate network, so that it can see the
                observations without noise. It always is if it sees other columns than the actor.

        Raises:
            UsageError: The task returns something of the wrong shape, dtype or device.
        """
        self.task, self.sim, self.config = task, sim, task.config
        self.joint_names, self.capturable = tuple(sim.joint_names), sim.capturable
        self.description, self.step_dt = sim.description, sim.timing.step_dt
        self.source_file = Path(inspect.getfile(type(task)))
        self.num_envs, self.device = sim.num_envs, sim.device
        self.num_observations, self.num_actions = task.num_observations, task.num_actions
        self.observation_space = shown_space_of(task, separate_critic=separate_critic)
        self.action_space: ActionSpace = Continuous(task.num_actions)
        self.action_limit = task.config.clip_actions
        self.generator = torch.Generator(device=self.device).manual_seed(generator_seed(seed))
        self._episode_step = torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)
        self._actions = torch.zeros(self.num_envs, self.num_actions, device=self.device)
        none = torch.zeros((), dtype=torch.int64, device=self.device)
        self.counts = WorldCounts(none, none.clone())
        self.host_may_read = host_may_read(self.device)
        self._shapes = ((self.num_envs, self.num_observations), (self.num_envs,), (self.num_envs,))
        checks.bind(task, sim)
        self._own = OwnTerms(task, sim)
        self._randomizer: Randomizer | None = None
        if task.config.randomize:
            sizes = self.num_observations, self.num_actions
            self._randomizer = Randomizer(task.config.randomization, sim, *sizes)
            self._randomizer.draw(self.generator)
        self._first_buffers = [
            {name: value.clone() for name, value in buffers.items()} for buffers in self._lasting()
        ]
        truth = any(part.repeats for part in self.observation_space.parts)
        self._shown = Shown(task, self._randomizer, self.num_envs, self.device, truth=truth)
        self._everyone = torch.ones(self.num_envs, dtype=torch.bool, device=self.device)
        states = checks.reset_state(task, sim, self.generator)
        self._own.check_events()
        self._own.draw(self.generator)
        self._reset(self._everyone, states)
        names = self._check_start(states)
        self.reported = {name: torch.zeros((), device=self.device) for name in names}
        # Always overwritten in place: a CUDA graph reads it at this address.
        self.observations = self._first_observations().clone()
        self._plain = StepCode(self._begin_step, self._evaluate, self._restart)
        self._code = self._plain._replace(begin=compiled(self._begin_step, use_compile))
        self._finish = compiled(self._finish_step, use_compile)

    def _check_start(self, states: ResetState) -> list[str]:
        """Checks the first states and what a step returns; returns the names that it reports."""
        task, sim = self.task, self.sim
        warnings = checks.start(task, sim, states, self._actions)
        first = checks.observation(task, sim, self._actions)
        step = checks.check_step(task, sim, self._actions, first)
        self._own.check_terms(self._actions, first)
        self.warnings, self.notes = [*warnings, *step.warnings], checks.notes(task, sim)
        return [*step.reported, *self._own.names]

    def reset(self, seed: int | None = None) -> Tensor:
        """Begins new episodes in all environments; returns their first observations, [N, O].

        Args:
            seed: Seed of all random numbers from now on; what the task has drawn, counted or
                learned of its robots so far is then forgotten. None goes on with the generator.
        """
        if seed is not None:
            self.generator.manual_seed(generator_seed(seed))
            for buffers, first in zip(self._lasting(), self._first_buffers, strict=True):
                for name, value in first.items():
                    buffers[name].copy_(value)
        self._draw()
        self._reset(self._everyone, self.task.reset_state(self.generator))
        self.observations.copy_(self._first_observations())
        return self.observations

    def _first_observations(self) -> Tensor:
        """Returns the observations after a reset, with noise that is drawn for them."""
        kind = type(self.task)
        if self.task.adds_noise:
            with checks.explained(kind, "draw"):
                self.task.draw(self.generator)
        with checks.explained(kind, "add_noise"):
            return self._observe()

    def _lasting(self) -> list[dict[str, Tensor]]:
        """Returns the tensors of the task and of its randomisation that last from step to step."""
        return [self.task.buffers, *([self._randomizer.buffers] if self._randomizer else [])]

    @property
    def episode_length(self) -> int:
        """The time limit of an episode, in control steps."""
        return self.task.config.episode_length

    @property
    def episode_step(self) -> Tensor:
        """Control steps since each environment's reset, shape [N], int64."""
        return self._episode_step

    def randomize_ages(self) -> None:
        """Sets the episode step counts to random values, to spread out the time limits.

        Source: rsl_rl's and legged_gym's ``init_at_random_ep_len``.
        """
        length = self.task.config.episode_length
        self.episode_step.random_(0, length, generator=self.generator)

    def step(self, actions: Tensor) -> Step:
        """Applies actions for one control step and resets the environments that ended.

        Args:
            actions: Actions before clamping, shape [N, A].
        """
        with one_torch_thread(self.device):
            self._code.begin(actions)
            self.sim.step()
            return self._end()

    @torch.no_grad()
    def compile_ahead(self, announce: Callable[[], None]) -> list[str]:
        """Compiles the tensor code of steps for the CPU, and checks it against the Python code.

        Args:
            announce: Called before anything is compiled, which takes a while; what was compiled
                before is loaded from the user's cache.

        Returns:
            Why parts of it stay Python code, if they could be compiled at all: what engines and
            randomisation do between torch's operations cannot.

        Raises:
            NoCompiler: There is no C++ compiler.
        """
        if not self.sim.traceable:
            return []
        before, task = self.state_dict(), TaskState(self.task, (self.sim, self.generator))
        actions = torch.rand(self._actions.shape, generator=torch.Generator().manual_seed(0)) - 0.5
        given = actions.to(self.device) * 2.0 * min(self.task.config.clip_actions, 1.0)

        def restore() -> None:
            task.restore()
            self.load_state_dict(before)
            for total in self.reported.values():
                total.zero_()

        changed = {**self.task.buffers, **self.reported, **self.counts._asdict()}
        changed["past_observations"] = self._shown.past
        trial = Trial(given, self.sim.step, self._draw, restore, changed)
        try:
            with one_torch_thread(self.device):
                found = compile_steps(
                    self._plain, trial, task, announce, restarts=not self._randomizer
                )
        finally:
            restore()
        self._code = found.code
        return found.reasons

    def step_physics(self) -> None:
        """Steps the engine alone, to measure it."""
        self.sim.step()

    def evaluate_step(self, actions: Tensor) -> Step:
        """Does everything that ``step`` does except the physics, to measure the task's cost.

        Args:
            actions: Actions before clamping, shape [N, A].
        """
        self._code.begin(actions)
        return self._end()

    def _draw(self) -> None:
        """Draws the random numbers of a step."""
        self.task.draw(self.generator)
        self._own.draw(self.generator)
        if self._randomizer:
            self._randomizer.draw(self.generator)

    def _end(self) -> Step:
        self._draw()
        if not self.host_may_read:
            return self._finish(self.task.reset_state(self.generator))
        step = self._code.evaluate()
        if bool((step.terminated | step.truncated).any()):
            step = self._code.restart(step)
        self.observations.copy_(step.observations)
        return step._replace(observations=self.observations)

    def _begin_step(self, actions: Tensor) -> None:
        limit = self.task.config.clip_actions
        self._actions.copy_(actions.clamp(-limit, limit))
        taken = self._actions
        if self._randomizer:
            taken = self._randomizer.act(actions).clamp(-limit, limit)
        self.sim.set_targets(self.task.targets(taken))
        if self.task.pushes_bodies:
            self.sim.set_forces(self.task.forces(self.sim.state, taken))

    def _finish_step(self, to: ResetState) -> Step:
        """Does everything that follows the physics, without reading tensors on the host."""
        step = self._restarted(self._evaluate(), to)
        self.observations.copy_(step.observations)
        return step._replace(observations=self.observations)

    def _evaluate(self) -> Step:
        """Returns the results of the step before any reset."""
        config, state = self.task.config, self.sim.state
        self.sim.refresh()
        self._episode_step += 1
        self.task.advance(state)
        self._own.advance(state)
        if self._randomizer:
            self._randomizer.advance()
        true = self.task.observe(state, self._actions)
        outcome = self.task.evaluate(state, self._actions, true)
        outcome = self._own.judge(state, self._actions, true, outcome)
        rewards, terminated = outcome[:2]
        shapes = (true.shape, rewards.shape, terminated.shape)
        if shapes != self._shapes:  # they would be broadcast
            raise TaskError(
                f"{type(self.task).__name__} returned observations, rewards and terminations of "
                f"shapes {[list(shape) for shape in shapes]}"
            )
        # The engine has restarted diverged worlds, so their rewards are meaningless.
        terminated = terminated | state.diverged
        rewards = rewards.masked_fill(state.diverged, 0.0)
        for name, total in self.reported.items():
            total.add_(outcome[2][name].mean())  # type: ignore[index]
        self.counts.diverged.add_(state.diverged.sum())
        self.counts.overflowed.add_(state.overflowed.sum())
        truncated = (self.episode_step >= config.episode_length) & ~terminated
        observations = self._shown.after_step(true)
        return Step(observations, rewards, terminated, truncated, observations)

    def _restart(self, step: Step) -> Step:
        """Resets ended episodes to states that are drawn for them."""
        return self._restarted(step, self.task.reset_state(self.generator))

    def _restarted(self, step: Step, to: ResetState) -> Step:
        """Resets ended episodes; returns the step with the first observations of the new ones."""
        done = step.terminated | step.truncated
        self._reset(done, to)
        observations = torch.where(done[:, None], self._observe(done), step.final_observations)
        return step._replace(observations=observations)

    def _reset(self, mask: Tensor, to: ResetState) -> None:
        if self._randomizer:
            self._randomizer.reset(mask, self.generator)
        self.sim.reset(mask, to)
        self.episode_step.masked_fill_(mask, 0)
        self._actions.masked_fill_(mask[:, None], 0.0)
        self.task.after_reset(self.sim.state, mask)
        self._own.after_reset(self.sim.state, mask)

    def _observe(self, mask: Tensor | None = None) -> Tensor:
        """Returns the first observations of environments that have been reset, all of them if None.

        Rows of other environments mean nothing.
        """
        true = self.task.observe(self.sim.state, self._actions)
        return self._shown.after_reset(true, self._everyone if mask is None else mask)

    def mirror(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor] | None:
        """Returns rows as they look in a mirror; see ``Task.mirror``.

        Args:
            observations: With the columns of ``observation_space``, shape [B, O] or [B, 2 * O].
            actions: Unclamped, shape [B, A].
        """
        blocks = observations.split(self.num_observations, dim=-1)
        mirrored = [self.task.mirror(block, actions) for block in blocks]
        images = [image for image in mirrored if image is not None]
        if not images:
            return None
        return torch.cat([rows for rows, _ in images], dim=-1), images[0][1]

    def nan_source(self, *, rewards: bool = False) -> str:
        """Returns which of the task's methods returns NaN now, to explain a broken simulation.

        Args:
            rewards: Whether rewards count; they may be NaN in states after a reset.
        """
        source = checks.nan_source(self.task, self.sim, self._actions, self.generator)
        if source or not rewards:
            return source
        true = self.task.observe(self.sim.state, self._actions)
        return checks.nan_reward_source(self.task, self.sim, self._actions, true)

    def capturing(self) -> AbstractContextManager[Any]:
        """Returns the engine's context in which a CUDA graph captures steps."""
        return self.sim.capturing()

    def mirrored_scene(self) -> Any:
        """Returns the engine's model of MuJoCo that shows one environment at a time."""
        return self.sim.mirror()

    def marks(self, env_id: int) -> list[Mark]:
        """Returns what the task draws into the picture of an environment."""
        return self.task.marks(self.sim.state, env_id)

    def close(self) -> None:
        """Frees what the engine holds."""
        self.sim.close()

    def state_dict(self) -> dict[str, Any]:
        """Returns copies of everything needed to continue, including the generator's state."""
        state = {
            "sim": self.sim.state_dict(),
            "task": {name: value.clone() for name, value in self.task.buffers.items()},
            "episode_step": self.episode_step.clone(),
            "actions": self._actions.clone(),
            "observations": self.observations.clone(),
            "past_observations": self._shown.past.clone(),
            "counts": {name: count.clone() for name, count in self.counts._asdict().items()},
            "generator": self.generator.get_state(),
        }
        if self._randomizer:
            buffers = self._randomizer.buffers
            state["randomization"] = {name: value.clone() for name, value in buffers.items()}
        return state

    def load_progress(self, state: Mapping[str, Any]) -> None:
        """Takes over of a saved state how far training was, so that curricula go on, not begin."""
        self._own.load_progress(state.get("task", {}))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` returned.

        Raises:
            ValueError: The state is from another scene, engine or number of environments.
        """
        self.sim.load_state_dict(state["sim"])
        restore_buffers(self.task.buffers, state["task"])
        if self._randomizer:
            restore_buffers(self._randomizer.buffers, state.get("randomization", {}))
        self.episode_step.copy_(state["episode_step"])
        self._actions.copy_(state["actions"])
        saved, past = state["observations"], state.get("past_observations", self._shown.past[:, :0])
        if (saved.shape, past.shape) == (self.observations.shape, self._shown.past.shape):
            self.observations.copy_(saved)
            self._shown.past.copy_(past)
        else:  # noise or history was changed since
            self.observations.copy_(self._observe())
        for name, count in self.counts._asdict().items():
            count.copy_(state["counts"][name])
        self.generator.set_state(state["generator"].cpu())
