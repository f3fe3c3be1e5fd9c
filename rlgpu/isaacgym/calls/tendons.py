"""Calls that read and set the joints, coefficients and offsets of fixed tendons.

A tendon's length is its offset plus the sum of its joints' positions times their coefficients.
"""

from __future__ import annotations

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.calls.environments import actor_of
from rlgpu.isaacgym.calls.loading import find
from rlgpu.isaacgym.calls.simulation import refuse_late
from rlgpu.isaacgym.records.asset import Asset, TendonPath
from rlgpu.isaacgym.records.scene import Env


@strict
class TendonCalls:
    """Joints, coefficients and offsets of fixed tendons."""

    def get_asset_fixed_tendon_joint_coefficients(self, asset: Asset, index: int) -> list[float]:
        """Returns the coefficients of a tendon's joints."""
        return list(_checked(asset, asset.tendon_paths, index).coefficients)

    def set_asset_fixed_tendon_joint_coefficients(
        self, asset: Asset, index: int, coefficients: list[float]
    ) -> bool:
        """Sets the coefficients of a tendon's joints for actors created from now on."""
        asset.tendon_paths = _with_coefficients(asset, asset.tendon_paths, index, coefficients)
        return True

    def get_asset_fixed_tendon_joint_name(self, asset: Asset, index: int, joint: int) -> str:
        """Returns the name of one of a tendon's joints."""
        return _checked(asset, asset.tendon_paths, index).joints[joint]

    def get_actor_fixed_tendon_joint_coefficients(
        self, env: Env, handle: int, index: int
    ) -> list[float]:
        """Returns the coefficients of the joints of an actor's tendon."""
        return list(_path(env, handle, index).coefficients)

    def set_actor_fixed_tendon_joint_coefficients(
        self, env: Env, handle: int, index: int, coefficients: list[float]
    ) -> bool:
        """Sets the coefficients of the joints of an actor's tendon; before ``prepare_sim``."""
        actor = actor_of(env, handle)
        paths = _with_coefficients(actor.asset, actor.tendon_paths, index, coefficients)
        if paths != actor.tendon_paths:
            refuse_late(env.sim, "set_actor_fixed_tendon_joint_coefficients")
            actor.tendon_paths = paths
        return True

    def get_actor_fixed_tendon_joint_name(
        self, env: Env, handle: int, index: int, joint: int
    ) -> str:
        """Returns the name of one of the joints of an actor's tendon."""
        return _path(env, handle, index).joints[joint]

    def find_actor_fixed_tendon_joint_index(
        self, env: Env, handle: int, index: int, name: str
    ) -> int:
        """Returns the index of a joint of an actor's tendon, -1 if it has none of the name."""
        return find(_path(env, handle, index).joints, name)

    def get_actor_tendon_offset(self, env: Env, handle: int, index: int) -> float:
        """Returns the offset of the length of an actor's tendon."""
        return _path(env, handle, index).offset

    def set_actor_tendon_offset(self, env: Env, handle: int, index: int, offset: float) -> bool:
        """Sets the offset of the length of an actor's tendon; before ``prepare_sim``."""
        actor, path = actor_of(env, handle), _path(env, handle, index)
        if offset != path.offset:
            refuse_late(env.sim, "set_actor_tendon_offset")
            actor.tendon_paths = list(actor.tendon_paths)
            actor.tendon_paths[index] = path._replace(offset=offset)
        return True


def _path(env: Env, handle: int, index: int) -> TendonPath:
    actor = actor_of(env, handle)
    return _checked(actor.asset, actor.tendon_paths, index)


def _checked(asset: Asset, paths: list[TendonPath], index: int) -> TendonPath:
    """Returns a tendon's path, refusing an index without a tendon."""
    if not 0 <= index < len(paths):
        raise IndexError(f"tendon {index} of {asset.file}, which has {len(paths)} tendons")
    return paths[index]


def _with_coefficients(
    asset: Asset, paths: list[TendonPath], index: int, coefficients: list[float]
) -> list[TendonPath]:
    """Returns paths of which one has other coefficients."""
    path = _checked(asset, paths, index)
    if len(coefficients) != len(path.joints):
        raise ValueError(
            f"{len(coefficients)} coefficients for tendon {asset.tendons[index]}, which has "
            f"{len(path.joints)} joints: {', '.join(path.joints)}"
        )
    changed = list(paths)
    changed[index] = path._replace(coefficients=tuple(float(c) for c in coefficients))
    return changed
