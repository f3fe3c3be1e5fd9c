"""Settings of actuators: ``task.actuators.*``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from rlgpu.config import Length, Positive, Range, Span

PastStep = Annotated[int, Range(0, 1000)]


@dataclass(frozen=True)
class ActuatorNetwork:
    """A network that says the torques of motors, from a TorchScript file.

    One that takes a tensor gets position errors and velocities of a joint in physics steps, newest
    first, [rows, 2 * steps]. One that takes a tensor and the two tensors of an LSTM's memory gets
    those of this step, [rows, 1, 2], and has a part named ``lstm``. A row is a joint of a robot.
    """

    file: str = ""
    """The file."""
    steps: Annotated[list[PastStep], Length(1, 100)] = field(default_factory=lambda: [0, 1, 2])
    """Physics steps ago from which it sees errors and velocities; without memory."""
    velocity_first: bool = False
    """Whether velocities come before position errors."""
    position_scale: float = 1.0
    """Factor on position errors, target less position; -1 for networks that see the opposite."""
    velocity_scale: float = 1.0
    """Factor on velocities."""
    torque_scale: float = 1.0
    """Factor on the torques that it returns."""


@dataclass(frozen=True)
class ActuatorSettings:
    """How drives make torques; ``task.actuators.*``.

    Keys of mappings from joints are names or parts of names, or ``all``; the last one counts.
    Source of the models: Isaac Lab, actuators (DCMotor, DelayedPDActuator, ActuatorNetMLP and
    ActuatorNetLSTM).
    """

    model: Literal["drive", "pd", "dc_motor", "network"] = "drive"
    """``drive``: the engine's own, with damping integrated implicitly. Others compute the torque
    from the state at the start of each physics step, which is slower: ``pd`` by the drives' gains;
    ``dc_motor`` likewise, within what a motor can give at its speed; ``network``."""
    delay: Annotated[list[PastStep], Span(optional=True)] = field(default_factory=list)
    """Least and most latency of targets, in physics steps of ``physics_dt``; another number for
    each robot and episode; empty: none."""
    no_load_speed: dict[str, Positive] = field(default_factory=dict)
    """Speed at which a motor has no torque left [rad/s or m/s], by joint."""
    stall_torque: dict[str, Positive] = field(default_factory=dict)
    """Torque of a motor at rest, if the effort limit did not cut it [N m or N], by joint; the
    effort limit where it is not given."""
    network: ActuatorNetwork = field(default_factory=ActuatorNetwork)

    @property
    def are_plain(self) -> bool:
        """Whether the engine's own drives are all there is."""
        return self.model == "drive" and not max(self.delay, default=0)
