"""Velocities that walking robots are asked for, drawn from ranges or by a user's function.

Source: legged_gym, envs/base/legged_robot.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from rlgpu.config import NonNegative, Positive, Span, load_function
from rlgpu.errors import UsageError, line_in
from rlgpu.rotations import wrap_angle, yaw_of

KEY = "task.commands.function"


@dataclass(frozen=True)
class Commands:
    """Velocities that the robot is asked for; ``task.commands.*``."""

    lin_vel_x: Annotated[list[float], Span()] = field(default_factory=lambda: [-1.0, 1.0])
    """Least and largest forward velocity [m/s]."""
    lin_vel_y: Annotated[list[float], Span()] = field(default_factory=lambda: [-1.0, 1.0])
    """Least and largest velocity to the left [m/s]."""
    ang_vel_yaw: Annotated[list[float], Span()] = field(default_factory=lambda: [-1.0, 1.0])
    """Least and largest yaw velocity [rad/s], without ``follow_heading``."""
    heading: Annotated[list[float], Span()] = field(default_factory=lambda: [-3.14, 3.14])
    """Least and largest heading [rad], with ``follow_heading``."""
    follow_heading: bool = True
    """Whether the yaw velocity is half the angle to a random heading, at most 1 rad/s."""
    resampling_time: Positive = 10.0
    """Time between new commands in an episode [s]."""
    dead_zone: NonNegative = 0.2
    """Horizontal speed below which a command becomes 0 [m/s]."""
    function: str = ""
    """A function of your own, path/to/file.py:function, that returns commands instead: forward and
    left [m/s], turning left [rad/s] or heading [rad], of random numbers in [-1, 1) and what the
    ranges make of them, all of shape [N, 3]."""


class VelocityCommands:
    """Makes commands of random numbers."""

    def __init__(self, settings: Commands, n: int, device: torch.device) -> None:
        """Reads the ranges.

        Args:
            settings: ``task.commands``.
            n: Number of robots N.
            device: Of the tensors.

        Raises:
            UsageError: A user's function cannot be used.
        """
        self._settings = settings
        third = settings.heading if settings.follow_heading else settings.ang_vel_yaw
        limits = [settings.lin_vel_x, settings.lin_vel_y, third]
        self.ranges = torch.tensor(limits, device=device)
        """Least and largest of each column, shape [3, 2]; a curriculum may change it in place."""
        word = settings.function
        self._own: Callable[[Tensor, Tensor], Any] | None = (
            load_function(KEY, word) if word else None
        )
        try:
            self.made_of(torch.zeros(n, 3, device=device))
        except UsageError:
            raise
        except Exception as error:  # of a user's function
            said = f"{KEY}: {line_in(error, Path(word.rpartition(':')[0]))}"
            raise UsageError(said, key=KEY, value=word) from error

    def _checked(self, values: Any, shape: torch.Size) -> Tensor:
        """Returns what the user's function returned.

        Raises:
            UsageError: It is no tensor of that shape.
        """
        if isinstance(values, Tensor) and values.shape == shape:
            return values.float()
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        word, wanted = self._settings.function, tuple(shape)
        said = f"{KEY}: {word}: wanted a tensor of shape {wanted}, got {found}"
        raise UsageError(said, key=KEY, value=word)

    def made_of(self, random: Tensor) -> Tensor:
        """Returns commands of numbers in [-1, 1): x, y, yaw velocity and heading, [N, 3 -> 4]."""
        low, high = self.ranges.unbind(-1)
        values = low + (random + 1.0) / 2.0 * (high - low)
        moving = values[:, :2].norm(dim=-1, keepdim=True) > self._settings.dead_zone
        values = torch.cat((values[:, :2] * moving, values[:, 2:]), dim=-1)
        if self._own:
            values = self._checked(self._own(random, values), values.shape)
        return torch.cat((values, values[:, 2:]), dim=-1)

    def follow_heading(self, commands: Tensor, quat_w: Tensor) -> None:
        """Sets yaw velocities to what turns robots to their headings; commands are [N, 4]."""
        if not self._settings.follow_heading:
            return
        away = wrap_angle(commands[:, 3] - yaw_of(quat_w))
        commands[:, 2] = (0.5 * away).clamp(-1.0, 1.0)
