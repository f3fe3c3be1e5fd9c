"""Boxes, spheres and capsules as assets."""

from __future__ import annotations

import mujoco

from rlgpu.isaacgym.records.asset import Asset, read_options
from rlgpu.isaacgym.records.structs import AssetOptions
from rlgpu.robots import finish
from rlgpu.robots.frames import THIN


def box(width: float, height: float, depth: float, options: AssetOptions) -> Asset:
    """Returns a box of side lengths along x, y, z [m]."""
    size = [0.5 * width, 0.5 * height, 0.5 * depth]
    return _single("box", mujoco.mjtGeom.mjGEOM_BOX, size, [1, 0, 0, 0], options)


def sphere(radius: float, options: AssetOptions) -> Asset:
    """Returns a ball [m]."""
    return _single("sphere", mujoco.mjtGeom.mjGEOM_SPHERE, [radius, 0, 0], [1, 0, 0, 0], options)


def capsule(radius: float, width: float, options: AssetOptions) -> Asset:
    """Returns a capsule along x; ``width`` is the length of its cylinder [m]."""
    along_x = [0.5**0.5, 0, 0.5**0.5, 0]
    size = [radius, 0.5 * width, 0]
    return _single("capsule", mujoco.mjtGeom.mjGEOM_CAPSULE, size, along_x, options)


def _single(
    name: str, kind: mujoco.mjtGeom, size: list[float], quat: list[float], options: AssetOptions
) -> Asset:
    if any(value < 0 for value in size):
        raise ValueError(f"a {name} needs positive sizes, got {size}")
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(name=name)
    # Scripts hide tables by making them flat.
    size = [max(value, THIN) for value in size]
    body.add_geom(type=kind, size=size, quat=quat, density=options.density)
    return Asset(finish(name, spec, read_options(options)), options)
