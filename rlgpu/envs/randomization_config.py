"""Settings of domain randomisation, by IsaacGymEnvs' schema, for ``envs/randomization.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from rlgpu.config import Count, Size, Span


@dataclass(frozen=True)
class Spread:
    """How numbers are drawn, and what they do; an empty range is no randomisation."""

    range: list[float] = field(default_factory=list)
    """Least and largest number; of a Gaussian, mean and standard deviation."""
    operation: Literal["additive", "scaling"] = "additive"
    """Whether the number is added to the value or a factor of it."""
    distribution: Literal["uniform", "loguniform", "gaussian"] = "uniform"
    """How numbers are distributed."""
    schedule: Literal["none", "linear", "constant"] = "none"
    """``linear``: the effect grows over ``schedule_steps``; ``constant``: it begins after them."""
    schedule_steps: Size = 0
    """Control steps of the schedule."""


@dataclass(frozen=True)
class Noise(Spread):
    """Noise that is drawn in every step, with a part that is drawn at resets and held.

    Both parts are summed before the operation, so two factors around 1 make one around 2. With a
    schedule the factor starts from 1; IsaacGymEnvs' starts from 2.
    """

    range_correlated: list[float] = field(default_factory=list)
    """Range of the part that is held during an episode."""


@dataclass(frozen=True)
class Varied(Spread):
    """A physical parameter that is drawn at resets.

    A range that takes a mass to zero, or a friction, damping, armature or gain below zero, is
    refused. Gaussian numbers that do so are clamped: to 1 % of the mass, else to zero.
    """

    setup_only: bool = False
    """Whether it is drawn only once, before the first episode."""
    per_robot: bool = False
    """Whether a robot's parts share one number, instead of a number each."""
    only: list[str] = field(default_factory=list)
    """Names of the bodies or joints that vary; empty: all of them. Not for friction and gravity."""


@dataclass(frozen=True)
class Randomization:
    """What differs between environments, and from episode to episode; ``task.randomization.*``."""

    frequency: Count = 1
    """Control steps after which an environment's next reset draws its parameters again."""
    observations: Noise = field(default_factory=Noise)
    """Noise in observations."""
    actions: Noise = field(default_factory=Noise)
    """Noise in actions, before they are clamped."""
    action_delay: Annotated[list[Size], Span(optional=True)] = field(default_factory=list)
    """Least and most control steps by which actions come late, drawn at resets; empty: none."""
    gravity: Varied = field(default_factory=Varied)
    """Gravity [m/s^2], each axis."""
    mass: Varied = field(default_factory=Varied)
    """Masses of bodies [kg], with their inertias in proportion."""
    center_of_mass: Varied = field(default_factory=Varied)
    """Centres of mass in the bodies' axes [m], each axis."""
    friction: Varied = field(default_factory=Varied)
    """Sliding friction of geoms."""
    stiffness: Varied = field(default_factory=Varied)
    """Proportional gains of position drives [N m/rad]."""
    damping: Varied = field(default_factory=Varied)
    """Derivative gains of position drives [N m s/rad]."""
    joint_damping: Varied = field(default_factory=Varied)
    """Damping of the joints themselves [N m s/rad]."""
    armature: Varied = field(default_factory=Varied)
    """Reflected inertia of joints [kg m^2]."""
