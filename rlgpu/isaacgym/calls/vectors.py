"""Calls that read states of several environments at once, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlgpu.isaacgym.calls.checks import strict
from rlgpu.isaacgym.calls.contacts import ContactCalls
from rlgpu.isaacgym.calls.states import StateCalls
from rlgpu.isaacgym.records.geometry import Transform, Vec3
from rlgpu.isaacgym.records.properties import DofState
from rlgpu.isaacgym.records.scene import Env


@strict
class VectorCalls(StateCalls, ContactCalls):
    """States of lists of environments, which hold alike actors."""

    def get_vec_actor_dof_states(
        self, envs: list[Env], handles: int | list[int], flags: int
    ) -> np.ndarray:
        """Returns states of the DOFs of an actor of each environment, shape [E, D].

        Args:
            envs: The environments.
            handles: The actor, or one for each environment.
            flags: ``STATE_POS``, ``STATE_VEL`` or ``STATE_ALL``.
        """
        pairs = _pairs("get_vec_actor_dof_states", envs, handles)
        rows = [self.get_actor_dof_states(env, handle, flags) for env, handle in pairs]
        return _stacked("get_vec_actor_dof_states", rows, DofState.dtype)

    def get_vec_env_rigid_contact_forces(self, envs: list[Env]) -> np.ndarray:
        """Returns the net contact force on each body of environments now [N], shape [E, B]."""
        rows = [self.get_env_rigid_contact_forces(env) for env in envs]
        return _stacked("get_vec_env_rigid_contact_forces", rows, Vec3.dtype)

    def get_vec_rigid_transform(self, envs: list[Env], bodies: int | list[int]) -> np.ndarray:
        """Returns the pose of a body of each environment, shape [E]; ``bodies`` are handles."""
        poses = [
            self.get_rigid_transform(env, body)
            for env, body in _pairs("get_vec_rigid_transform", envs, bodies)
        ]
        return np.array([(tuple(pose.p), tuple(pose.r)) for pose in poses], Transform.dtype)

    def get_vec_rigid_linear_velocity(self, envs: list[Env], bodies: int | list[int]) -> np.ndarray:
        """Returns the velocity of a body of each environment [m/s], shape [E]."""
        pairs = _pairs("get_vec_rigid_linear_velocity", envs, bodies)
        found = [tuple(self.get_rigid_linear_velocity(env, body)) for env, body in pairs]
        return np.array(found, Vec3.dtype)

    def get_vec_rigid_angular_velocity(
        self, envs: list[Env], bodies: int | list[int]
    ) -> np.ndarray:
        """Returns the angular velocity of a body of each environment [rad/s], shape [E]."""
        pairs = _pairs("get_vec_rigid_angular_velocity", envs, bodies)
        found = [tuple(self.get_rigid_angular_velocity(env, body)) for env, body in pairs]
        return np.array(found, Vec3.dtype)


def _pairs(call: str, envs: list[Env], handles: int | list[int]) -> Sequence[tuple[Env, int]]:
    """Returns each environment with its handle."""
    given = [handles] * len(envs) if isinstance(handles, int) else handles
    if len(given) != len(envs):
        raise ValueError(
            f"{call}: {len(given)} handles for {len(envs)} environments; pass one handle, or one "
            "for each environment"
        )
    return [(env, int(handle)) for env, handle in zip(envs, given, strict=True)]


def _stacked(call: str, rows: list[np.ndarray], layout: np.dtype) -> np.ndarray:
    """Returns rows of one length as an array."""
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise ValueError(
            f"{call}: the environments hold different numbers of rows, {lengths}; pass "
            "environments that hold the same"
        )
    return np.stack(rows) if rows else np.zeros((0, 0), layout)
