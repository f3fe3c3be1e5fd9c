"""The pose in which a robot stands: one that its file names, or else one that is looked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rlgpu.robots.floating import FloatingRobot, Keyframe
from rlgpu.robots.survey.stance import Foot, Stance

_USUAL = ("home", "stand", "default", "init")
"""Parts of the names of keyframes in which robots stand; those come first."""
_BENT = {True: (0.95, 0.9, 0.98), False: (0.75, 0.85, 0.65)}
"""Lengths of legs, as shares of their reach, with flat feet and with others, in the order tried;
makers' own poses are at 0.94 to 0.99 (G1, H1, T1) and at 0.65 to 0.92 (Go1, A1, ANYmal C)."""
_SAMPLES, _ROUNDS = 1500, 4
_MARGIN = 0.05
"""Least distance to a joint's limits, as a share of its range."""
_FREE_RANGE = 1.6
"""Taken for the range of joints without limits [rad]."""


class Pose(NamedTuple):
    """Where the joints are while the robot stands."""

    joint_pos: dict[str, float]
    """By joint [rad or m]."""
    source: str


def poses(robot: FloatingRobot, stance: Stance) -> Iterator[Pose]:
    """Yields poses in which a robot may stand, the most likely first.

    Args:
        robot: The robot.
        stance: Computes its poses.
    """
    names = list(stance.joints)

    def rank(key: Keyframe) -> int:
        hits = [i for i, word in enumerate(_USUAL) if word in key.name.lower()]
        return hits[0] if hits else len(_USUAL)

    for key in sorted(robot.keyframes, key=rank):
        joint_pos = {name: _rounded(key.joint_pos[name]) for name in names}
        yield Pose(joint_pos, f"keyframe {key.name or '(unnamed)'} of the file")
    own = {name: _rounded(_within(stance, name, at)) for name, at in stance.drawn.items()}
    stance.put(stance.drawn)
    feet = stance.feet()
    for bent in range(3) if feet else ():
        yield Pose(_bent_legs(stance, own, feet, bent), "found by a search")
    yield Pose(own, "the file's own pose")
    middle = {name: _rounded(_middle(stance, name)) for name in names}
    yield Pose(middle, "the middle of the joints' ranges")


def _limits(stance: Stance, joint: str) -> tuple[float, float]:
    """Returns the range in which a joint's default position may be."""
    model, j = stance.model, stance.joints[joint]
    if not model.jnt_limited[j]:
        return -_FREE_RANGE, _FREE_RANGE
    low, high = (float(limit) for limit in model.jnt_range[j])
    low, high = max(low, -math.pi), min(high, math.pi)
    margin = _MARGIN * (high - low)
    return low + margin, high - margin


def _within(stance: Stance, joint: str, value: float) -> float:
    low, high = _limits(stance, joint)
    return min(max(value, low), high)


def _middle(stance: Stance, joint: str) -> float:
    return 0.5 * sum(_limits(stance, joint))


def _bent_legs(
    stance: Stance, start: Mapping[str, float], feet: Sequence[Foot], attempt: int
) -> dict[str, float]:
    """Returns a pose with each leg bent under its hip and, of two legs, under the centre of mass.

    Args:
        stance: Computes poses.
        start: The pose to begin with; only joints that bend legs forwards and backwards change.
        feet: Where the robot meets the ground in it.
        attempt: Which of the lengths of legs to try.
    """
    pose = dict(start)
    shift = 0.0
    is_flat = all(foot.is_flat for foot in feet)
    for _ in range(3 if len(feet) == 2 else 1):
        pose = dict(start)
        for foot in feet:
            pose |= _bent_leg(stance, pose, foot, _BENT[is_flat][attempt], shift)
        stance.put(pose)
        centre = float(stance.data.subtree_com[stance.base_id, 0])
        shift += centre - float(np.mean([stance.place(foot)[0] for foot in feet]))
    return {name: _rounded(value) for name, value in pose.items()}


def _bent_leg(
    stance: Stance, pose: Mapping[str, float], foot: Foot, length: float, shift: float
) -> dict[str, float]:
    """Returns positions of a leg's pitch joints that put its foot below its hip.

    Args:
        stance: Computes poses.
        pose: Positions of all joints.
        foot: The foot.
        length: Wanted length of the leg, as a share of its reach.
        shift: How far before the hip the foot is to be [m].
    """
    stance.put(pose)
    chain = stance.chain(foot.body)
    pitch = [name for name in chain if abs(stance.axis(name)[1]) > 0.8]
    if len(pitch) < 2:
        return {}
    hip, knee = pitch[0], pitch[1]
    stance.move({name: stance.drawn[name] for name in chain})
    upright = stance.data.xmat[stance.model.body(foot.body).id].reshape(3, 3)[2].copy()
    stance.move({name: pose[name] for name in chain})
    limits = np.array([_limits(stance, name) for name in pitch])
    generator = np.random.default_rng(0)
    low, high = limits.T

    def measured(values: np.ndarray) -> tuple[float, ...]:
        """Returns drop, offset ahead, tilt of the sole and offset of the knee, in metres."""
        stance.move(dict(zip(pitch, values, strict=True)))
        at, below = stance.data.xanchor[stance.joints[hip]], stance.place(foot)
        up = stance.data.xmat[stance.model.body(foot.body).id].reshape(3, 3)[2]
        ahead = stance.data.xanchor[stance.joints[knee]][0] - at[0]
        return at[2] - below[2], below[0] - at[0], float(up @ upright), ahead

    samples = generator.uniform(low, high, (_SAMPLES, len(pitch)))
    found = np.array([measured(values) for values in samples])
    reach = float(np.hypot(found[:, 0], found[:, 1]).max())

    def costs(found: np.ndarray, samples: np.ndarray) -> np.ndarray:
        drop, ahead, cosine, knee_ahead = found.T
        cost = ((drop / reach - length) / 0.05) ** 2 + ((ahead - shift) / reach / 0.04) ** 2
        if foot.is_flat:
            cost += ((1.0 - cosine) / 0.005) ** 2
        # Of two ways to bend a leg, animals' hind legs apart, knees of bipeds point forwards.
        forwards = 1.0 if foot.is_flat else -1.0
        cost += 0.5 * (forwards * knee_ahead < 0)
        near = (np.minimum(samples - low, high - samples) / np.maximum(high - low, 1e-6)).min(1)
        return np.asarray(cost + ((0.1 - near).clip(0) / 0.05) ** 2)

    best = samples[int(costs(found, samples).argmin())]
    width = 0.15 * (high - low)
    for _ in range(_ROUNDS):
        near = np.clip(best + generator.normal(size=(200, len(pitch))) * width, low, high)
        near[0] = best
        best = near[int(costs(np.array([measured(x) for x in near]), near).argmin())]
        width = width / 3.0
    return dict(zip(pitch, map(float, best), strict=True))


def _rounded(value: float) -> float:
    return round(float(value), 3)
