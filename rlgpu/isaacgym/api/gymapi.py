"""``isaacgym.gymapi``: Isaac Gym's classes, enumerations, constants and functions.

Names and meanings follow the public documentation and public code; ``docs/isaacgym.md`` says what
differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rlgpu.isaacgym.api.gym import Gym
from rlgpu.isaacgym.drawing.viewer import Viewer
from rlgpu.isaacgym.records import enums, geometry, properties, structs
from rlgpu.isaacgym.records.asset import Asset
from rlgpu.isaacgym.records.buffers import Tensor
from rlgpu.isaacgym.records.enums import *  # noqa: F403
from rlgpu.isaacgym.records.geometry import *  # noqa: F403
from rlgpu.isaacgym.records.geometry import Quat, Transform, Vec3
from rlgpu.isaacgym.records.properties import *  # noqa: F403
from rlgpu.isaacgym.records.scene import Env, Sim
from rlgpu.isaacgym.records.structs import *  # noqa: F403

__all__ = [  # noqa: PLE0604
    "Asset", "Env", "Gym", "Sim", "Tensor", "Viewer", "acquire_gym", "carb_init", "cross", "dot",
    "eulers_to_quats_zyx", "quats_to_eulers_zyx", "rotate", "rotate_inverse", "transform",
    "transform_inverse", *enums.__all__, *geometry.__all__, *properties.__all__, *structs.__all__,
    *enums.CONSTANTS, *(name for enum in enums.ENUMS for name in enum.__members__),
]  # fmt: skip
globals().update(enums.CONSTANTS)
for _enum in enums.ENUMS:
    globals().update(_enum.__members__)


def acquire_gym(*args: Any, **kwargs: Any) -> Gym:
    """Returns a new object with all calls; ``install`` gives scripts one that they share."""
    return Gym()


def carb_init(config_str: str = "") -> None:
    """Does nothing: there is no Carbonite here."""


# The functions below work on arrays of the classes' layouts, element by element.


def _each(function: Any, layout: np.dtype[Any], *arrays: Any) -> np.ndarray:
    flat = [np.asarray(array).reshape(-1) for array in arrays]
    values = [function(*items) for items in zip(*flat, strict=True)]
    return np.array(values, dtype=layout).reshape(np.shape(arrays[0]))


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns cross products of arrays of ``Vec3``."""
    return _each(
        lambda x, y: tuple(Vec3.from_buffer(x).cross(Vec3.from_buffer(y))), Vec3.dtype, a, b
    )


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns scalar products of arrays of ``Vec3``."""
    return _each(
        lambda x, y: Vec3.from_buffer(x).dot(Vec3.from_buffer(y)), np.dtype(np.float32), a, b
    )


def rotate(quats: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns arrays of ``Vec3``, rotated."""
    return _each(
        lambda q, v: tuple(Quat.from_buffer(q).rotate(Vec3.from_buffer(v))),
        Vec3.dtype,
        quats,
        vectors,
    )


def rotate_inverse(quats: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns arrays of ``Vec3``, rotated back."""
    return _each(
        lambda q, v: tuple(Quat.from_buffer(q).inverse().rotate(Vec3.from_buffer(v))),
        Vec3.dtype,
        quats,
        vectors,
    )


def transform(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns arrays of ``Vec3`` in the frame that the poses are given in."""
    return _each(
        lambda t, p: tuple(Transform.from_buffer(t).transform_point(Vec3.from_buffer(p))),
        Vec3.dtype,
        poses,
        points,
    )


def transform_inverse(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns arrays of ``Vec3`` in the poses' frames."""
    return _each(
        lambda t, p: tuple(Transform.from_buffer(t).inverse().transform_point(Vec3.from_buffer(p))),
        Vec3.dtype,
        poses,
        points,
    )


def eulers_to_quats_zyx(angles: np.ndarray) -> np.ndarray:
    """Returns an array of ``Quat`` from one of angles (x, y, z) [rad]."""
    return _each(lambda a: tuple(Quat.from_euler_zyx(*Vec3.from_buffer(a))), Quat.dtype, angles)


def quats_to_eulers_zyx(quats: np.ndarray) -> np.ndarray:
    """Returns an array of angles (x, y, z) [rad] from one of ``Quat``."""
    return _each(lambda q: Quat.from_buffer(q).to_euler_zyx(), Vec3.dtype, quats)
