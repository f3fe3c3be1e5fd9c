"""An Ant that runs wherever it is told: the task of the low level.

    python train.py task=examples/hierarchical/heading_ant.py:HeadingAnt

Everything is the Ant's, seen from a world that is turned so that the commanded heading is ahead.
"""

import torch

from rlgpu.rotations import quat_multiply, quat_rotate
from rlgpu.tasks.ant import Ant


class HeadingAnt(Ant):
    """Run along a heading that is drawn at each reset, or set from outside in ``command``."""

    columns = Ant.columns

    def bind(self, sim):
        super().bind(sim)
        self.buffers["command"] = torch.zeros(sim.num_envs, device=sim.device)
        self.buffers["previous_w"] = torch.zeros(sim.num_envs, 3, device=sim.device)
        self._drawn = torch.zeros(sim.num_envs, device=sim.device)

    @property
    def command(self):
        """Headings in the world [rad], shape [N]; to be overwritten in place."""
        return self.buffers["command"]

    def _turn(self):
        """Returns the rotations by which the commanded headings become x, [N, 4]."""
        half = -0.5 * self.command
        zeros = torch.zeros_like(half)
        return torch.stack((zeros, zeros, half.sin(), half.cos()), dim=-1)

    def _turned(self, state):
        turn = self._turn()
        return state._replace(
            root_pos_w=quat_rotate(turn, state.root_pos_w),
            root_quat_w=quat_multiply(turn, state.root_quat_w),
            root_lin_vel_w=quat_rotate(turn, state.root_lin_vel_w),
            root_ang_vel_w=quat_rotate(turn, state.root_ang_vel_w),
        )

    def observe(self, state, actions):
        return super().observe(self._turned(state), actions)

    def evaluate(self, state, actions, observations):
        previous = quat_rotate(self._turn(), self.buffers["previous_w"])
        self.buffers["previous_pos_w"].copy_(previous)
        self.buffers["previous_w"].copy_(state.root_pos_w)
        return super().evaluate(self._turned(state), actions, observations)

    def reset_state(self, generator):
        drawn = torch.rand(self.num_envs, generator=generator, device=generator.device)
        self._drawn = (2.0 * drawn - 1.0) * torch.pi
        return super().reset_state(generator)

    def after_reset(self, state, mask):
        self.command.copy_(torch.where(mask, self._drawn, self.command))
        before = self.buffers["previous_w"]
        before.copy_(torch.where(mask[:, None], state.root_pos_w, before))

    def mirror(self, observations, actions):
        return None  # the command is not among the columns
