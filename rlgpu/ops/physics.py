"""Steps worlds of one model with the fused engine's kernels. The reference is MuJoCo C itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlgpu.ops.extension import load_extension


class PhysicsModel(NamedTuple):
    """A model as flat tables; ``rlgpu/sim/mujoco/fused/tables.py`` writes them."""

    header: Tensor
    """Sizes, and where each table begins, int32, always on the CPU."""
    ints: Tensor
    """Indices and flags, int32."""
    constants: Tensor
    """Numbers that all worlds share; float32, or float64 for the exact variant."""
    parameters: Tensor
    """Numbers that may differ between worlds, of the constants' dtype: one row for all, shape
    [1, P], or blocks of worlds side by side, as ``in_blocks`` makes them."""


class PhysicsState(NamedTuple):
    """State of N worlds, updated in place; MuJoCo's layouts, in the model's dtype."""

    qpos: Tensor
    """Positions, shape [N, nq]."""
    qvel: Tensor
    """Velocities, shape [N, nv]."""
    qacc: Tensor
    """The solver's accelerations: in, its start; out, its result, shape [N, nv]."""
    diverged: Tensor
    """Whether the last step met a non-finite state and restarted that world, shape [N], bool."""
    act: Tensor | None = None
    """Activations of the actuators with internal state, shape [N, na]; needed if there are any."""


class PhysicsOutputs(NamedTuple):
    """What to report about the start of the last physics step; None where it is not needed."""

    wrenches: Tensor | None = None
    """Contact force and torque on the watched bodies, about their origins in their axes,
    shape [N, S, 6]."""
    xpos: Tensor | None = None
    """Positions of the bodies, shape [N, nbody, 3]."""
    xquat: Tensor | None = None
    """Orientations (w, x, y, z), shape [N, nbody, 4]."""
    xmat: Tensor | None = None
    """Orientations as matrices, shape [N, nbody, 9]."""
    subtree_com: Tensor | None = None
    """Centre of mass of each body's whole tree, shape [N, nbody, 3]."""
    cvel: Tensor | None = None
    """Velocities (angular, linear) about those centres, shape [N, nbody, 6]."""
    cfrc_ext: Tensor | None = None
    """Contact wrenches (torque, force) about those centres, shape [N, nbody, 6]."""
    qfrc_actuator: Tensor | None = None
    """Forces of the actuators on the dofs, after all clamps, shape [N, nv]."""
    xipos: Tensor | None = None
    """Centres of mass of the bodies, shape [N, nbody, 3]."""
    cdof: Tensor | None = None
    """Axes (angular, linear) of the dofs about the centre of mass of their tree, [N, nv, 6]."""


PARAMETER_BLOCK = 16
"""Worlds whose parameters lie side by side, ``kParameterBlock`` in csrc."""


def in_blocks(parameters: Tensor) -> Tensor:
    """Returns rows of parameters as the kernels read them, [N, P] -> [ceil(N / 16), P, 16].

    The last block is filled up with the first row.
    """
    missing = -len(parameters) % PARAMETER_BLOCK
    rows = torch.cat((parameters, parameters[:1].expand(missing, -1)))
    blocks = rows.view(-1, PARAMETER_BLOCK, parameters.shape[1])
    return blocks.transpose(1, 2).contiguous()


def write_blocks(blocks: Tensor, worlds: Tensor, parameters: Tensor) -> None:
    """Writes rows of parameters of some worlds into blocks.

    Args:
        blocks: As ``in_blocks`` returns them.
        worlds: Numbers of the worlds, shape [R], int64.
        parameters: Their rows, shape [R, P].
    """
    blocks[worlds // PARAMETER_BLOCK, :, worlds % PARAMETER_BLOCK] = parameters


def physics_tables() -> dict[str, list[str]]:
    """Returns the names of the tables in their order: sizes, ints, constants, parameters.

    Raises:
        RuntimeError: The extension is not built.
    """
    names: dict[str, list[str]] = load_extension(torch.device("cpu")).physics_tables()
    return names


def physics_step(
    model: PhysicsModel,
    ctrl: Tensor,
    state: PhysicsState,
    outputs: PhysicsOutputs,
    *,
    num_steps: int,
    num_threads: int,
    lanes: int = 0,
    xfrc_applied: Tensor | None = None,
    mocap_pose: Tensor | None = None,
) -> None:
    """Advances every world by physics steps under held controls.

    Results depend neither on the number of threads nor on the other worlds.

    Args:
        model: The model.
        ctrl: Controls, shape [N, nu].
        state: Updated in place.
        outputs: Tensors to fill.
        num_steps: Physics steps; with 0 only the poses and velocities of the bodies are computed,
            for the state as it is, and ``state`` is left alone.
        num_threads: Threads to use on a CPU.
        lanes: On a CPU, worlds per vector: 4, 8 (AVX2) or 16 (AVX-512); 0 is the most that it has.
            On a GPU, lanes of a warp that share a world: 1 (also for 0), 2, 4, 8, 16 or 32.
        xfrc_applied: Force [N] on each body at its centre of mass and torque [N m], in world axes,
            held over the steps, shape [N, nbody, 6]; none if None.
        mocap_pose: Position [m] and orientation (w, x, y, z) of each mocap body, shape
            [N, nmocap, 7]; as in the model if None.

    Raises:
        ValueError: A tensor has the wrong shape, dtype or device, or the CPU lacks such vectors.
    """
    torch.ops.rlgpu.physics_step(
        *model, ctrl, xfrc_applied, mocap_pose, *state, *outputs, num_steps, num_threads, lanes
    )


def register_fake() -> None:
    """Registers that the op returns nothing, for tracing without data."""

    @torch.library.register_fake("rlgpu::physics_step")
    def _(*arguments: object) -> None:
        return None
