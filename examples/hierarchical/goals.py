"""A high-level policy that commands a trained low-level walker from goal to goal.

    python train.py task=examples/hierarchical/heading_ant.py:HeadingAnt
    python examples/hierarchical/goals.py runs/HeadingAnt/latest

Ten times a walker's step, the high level sees where the goal is and how the walker moves, and sets
the heading; the walker's own policy does not change. It is compared with random headings, and with
heading straight for the goal, which ignores how fast the walker turns and drifts.
"""

import math
import sys
from pathlib import Path

import torch

import rlgpu
from rlgpu.rotations import quat_rotate_inverse
from rlgpu.spaces import Continuous, numbers

TASK = f"{Path(__file__).parent / 'heading_ant.py'}:HeadingAnt"
STEPS = 10  # of the walker for one of the high level
NEAR, FAR = 0.5, 5.0  # distance at which a goal is reached, and of new goals [m]


class Goals:
    """Walkers with a goal each; an action is a direction in the walker's own frame."""

    observation_space, action_space = numbers(8), Continuous(2)

    def __init__(self, checkpoint: str, num_envs: int, seed: int) -> None:
        settings = {"task_": {"episode_length": 600}}
        self.walkers = rlgpu.make_env(TASK, num_envs=num_envs, seed=seed, **settings)
        self._policy = rlgpu.load_policy(checkpoint, self.walkers)
        self._generator = torch.Generator().manual_seed(seed)
        self.goals = torch.zeros(num_envs, 2)
        self._draw(torch.ones(num_envs, dtype=torch.bool))
        self.reached = 0

    def _draw(self, mask: torch.Tensor) -> None:
        """Gives new goals around the walkers."""
        drawn = torch.rand(len(mask), 2, generator=self._generator)
        angle, distance = 2 * math.pi * drawn[:, 0], 1.0 + (FAR - 1.0) * drawn[:, 1]
        around = torch.stack((angle.cos(), angle.sin()), dim=-1) * distance[:, None]
        position = self.walkers.sim.state.root_pos_w[:, :2]
        self.goals = torch.where(mask[:, None], position + around, self.goals)

    def _distance(self) -> torch.Tensor:
        return (self.goals - self.walkers.sim.state.root_pos_w[:, :2]).norm(dim=-1)

    def observe(self) -> torch.Tensor:
        """Returns goal, velocities and upright axis in the walker's frame, shape [N, 8]."""
        state = self.walkers.sim.state
        quat = state.root_quat_w
        way = torch.nn.functional.pad(self.goals - state.root_pos_w[:, :2], (0, 1))
        up = torch.tensor([0.0, 0.0, 1.0]).expand_as(way)
        parts = [quat_rotate_inverse(quat, x) for x in (way, state.root_lin_vel_w, up)]
        return torch.cat((parts[0][:, :2], parts[1], parts[2]), dim=-1)

    def step(self, actions: torch.Tensor):
        """Commands a heading and lets the walkers walk; returns what the agent observes."""
        env, state = self.walkers, self.walkers.sim.state
        x, y, z, w = state.root_quat_w.unbind(-1)
        yaw = torch.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        env.task.command.copy_(yaw + torch.atan2(actions[:, 1], actions[:, 0]))
        before, rewards = self._distance(), torch.zeros(env.num_envs)
        failed = torch.zeros(env.num_envs, dtype=torch.bool)
        late = failed.clone()
        for _ in range(STEPS):
            step = env.step(self._policy.act(env.observations))
            failed |= step.terminated & ~late
            late |= step.truncated & ~failed
            now = self._distance()
            # A walker that has begun again is elsewhere: what it walks now does not count.
            rewards += torch.where(failed | late, 0.0, before - now)
            before = now
        reached = (before < NEAR) & ~failed & ~late
        self.reached += int(reached.sum())
        rewards = rewards + 2.0 * reached - 2.0 * failed
        final = self.observe()
        self._draw(reached | failed | late)
        return self.observe(), rewards, failed, late, final


def play(env: Goals, choose, steps: int = 300) -> float:
    """Returns how many goals a walker reaches in a minute of its time."""
    env.reached = 0
    for _ in range(steps):
        env.step(choose(env.observe()))
    minutes = steps * STEPS * env.walkers.sim.timing.step_dt / 60
    return env.reached / env.walkers.num_envs / minutes


def main(checkpoint: str, updates: int) -> None:
    """Trains the high level and compares."""
    env = Goals(checkpoint, num_envs=64, seed=1)
    agent = rlgpu.PPOAgent(
        env.observation_space,
        env.action_space,
        64,
        max_iterations=updates,
        horizon_length=32,
        minibatch_size=512,
        learning_rate=1e-3,
        gamma=0.97,
        hidden_sizes=[64, 64],
        initial_log_std=-0.5,
    )
    for update in range(updates):
        while not agent.ready:
            agent.observe(*env.step(agent.act(env.observe()).actions))
        metrics = agent.update()
        if update % 10 == 9:
            print(f"update {update + 1}: mean return {metrics['mean_return']:.1f}", flush=True)
    noise = torch.Generator().manual_seed(2)
    ways = {
        "random headings": lambda x: torch.randn(64, 2, generator=noise),
        "straight for the goal": lambda x: x[:, :2],
        "high-level policy": lambda x: agent.act(x, deterministic=True).actions,
    }
    for name, choose in ways.items():
        print(f"{name:22} {play(Goals(checkpoint, 64, seed=3), choose):6.2f} goals a minute")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
