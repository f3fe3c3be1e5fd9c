"""The fused engine's tables of physical parameters, which may differ between worlds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rlgpu.ops import physics_tables
from rlgpu.rotations import matrix_of, xyzw_of
from rlgpu.sim.mujoco import specials
from rlgpu.sim.mujoco.contact_parameters import MIN_FRICTION, ContactParameters
from rlgpu.sim.mujoco.fused.fluid_tables import drag_of, wet_bodies
from rlgpu.sim.mujoco.fused.joint_parameters import JointParameters
from rlgpu.sim.mujoco.fused.least_inertias import least_of_geoms
from rlgpu.sim.mujoco.pairs import Pair

PARAMETER_FIELDS = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "body_gravcomp",
    "dof_armature",
    "dof_damping",
    "dof_frictionloss",
    "jnt_range",
    "jnt_stiffness",
    "geom_friction",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
    "dof_invweight0",
    "body_invweight0",
    "tendon_invweight0",
    "opt.gravity",
)
"""Fields of a model behind the physical parameters; stiffness that of hinges and slides."""

_INVERSE_INERTIAS = ("body_invweight0", "dof_invweight0", "tendon_invweight0")


class Inertia(NamedTuple):
    """Where the inverse inertia of a constraint comes from."""

    field: str
    """A field of the model: of bodies, dofs or tendons."""
    places: tuple[int, ...]
    """Places in the field's flattened numbers, one for each side of the constraint."""
    least: float = 0.0
    """What it is at least."""


class _Combination(NamedTuple):
    """What combines a model's fields into tables."""

    bodies: Tensor
    """Bodies of each pair of geoms, shape [P, 2], int64."""
    own_friction: Tensor
    """Friction of pairs that do not take it from geoms: sliding, spin and both rolls, shape
    [O, 4], float64. They count as further geoms."""
    first: Tensor
    last: Tensor
    """Geoms whose friction decides over each pair's, shape [P], int64."""
    first_turning: Tensor
    last_turning: Tensor
    """The same, but none if no pair has friction of spin and roll."""
    gain: Tensor
    """1 for actuators that act, 0 for those in a disabled group, shape [A], float64."""
    bias: Tensor
    """The same, but 0 also for actuators whose type has no bias, shape [A, 1], float64."""
    sloped: Tensor
    """Actuators with a gain that depends on the state: all or, if no gain does, none, int64."""
    slope: Tensor
    """Of these, 1 for those whose gain does and that act, else 0, shape [..., 1], float64."""
    inertias: Tensor
    """Places of the two inverse inertias of each row of csrc/.../couplings.h among those of bodies,
    dofs and tendons, and a last 0, one after the other, shape [R, 2], int64."""
    least_of_rows: Tensor
    """What these are at least, shape [R], float64."""
    least_of_pairs: Tensor
    """The same of contacts, shape [P], float64."""
    wet: Tensor
    """Bodies that move in a fluid, int64."""
    fluid: Tensor
    """The fluid's density and viscosity, shape [2], float64."""
    damping: Tensor
    """1, or 0 if the model disables dampers, shape [], float64."""
    gravity: Tensor
    """1, or 0 if the model disables gravity, shape [], float64."""


class ParameterTables:
    """Combines fields of a model into rows of parameters."""

    def __init__(
        self,
        model: mujoco.MjModel,
        pairs: Sequence[Pair],
        contacts: Sequence[ContactParameters],
        inertias: Sequence[Inertia],
        joints: JointParameters,
    ) -> None:
        """Looks up what belongs together.

        Args:
            model: The model.
            pairs: Its pairs of geoms that may touch.
            contacts: The parameters of each pair's contacts.
            inertias: Where the inverse inertia of each row over several joints comes from.
            joints: The joints' part of the parameters.
        """
        bodies = _ids(model.geom_bodyid[g] for pair in pairs for g in (pair.geom1, pair.geom2))
        own = [contact for contact in contacts if not contact.follows]
        further = itertools.count(model.ngeom)
        decisive = [contact.follows or (next(further),) for contact in contacts]
        turning = decisive if any(contact.condim > 3 for contact in contacts) else []
        acts = ~is_in_disabled_group(model) & (not specials.is_disabled(model, "ACTUATION"))
        is_biased = acts & (model.actuator_biastype != int(mujoco.mjtBias.mjBIAS_NONE))
        is_sloped = acts & (model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_AFFINE))
        sloped = _ids(range(model.nu) if has_gain_slopes(model) else ())
        self._on_cpu = _Combination(
            bodies.view(-1, 2),
            torch.from_numpy(np.array([_friction_of(contact) for contact in own]).reshape(-1, 4)),
            _ids(geoms[0] for geoms in decisive),
            _ids(geoms[-1] for geoms in decisive),
            _ids(geoms[0] for geoms in turning),
            _ids(geoms[-1] for geoms in turning),
            torch.from_numpy(acts).double(),
            torch.from_numpy(is_biased).double()[:, None],
            sloped,
            torch.from_numpy(is_sloped).double()[sloped, None],
            _ids(places_of(model, inertias)).view(-1, 2),
            _numbers(inertia.least for inertia in inertias),
            _numbers(least_of_geoms(model, pair.geom1, pair.geom2) for pair in pairs),
            _ids(wet_bodies(model)),
            torch.tensor([model.opt.density, model.opt.viscosity], dtype=torch.float64),
            _one_unless_disabled(model, "DAMPER"),
            _one_unless_disabled(model, "GRAVITY"),
        )
        self._joints = joints
        self._on: dict[torch.device, tuple[_Combination, JointParameters]] = {}
        self._order = physics_tables()["parameters"]

    def rows(self, fields: Mapping[str, Tensor]) -> Tensor:
        """Returns rows of parameters, shape [1 or N, P], float64.

        Args:
            fields: All of ``PARAMETER_FIELDS``, each of shape [1 or N, ...], float64.
        """
        tables = self.tables(fields)
        rows = max(len(table) for table in tables)
        return torch.cat([table.expand(rows, -1) for table in tables], dim=1)

    def tables(self, fields: Mapping[str, Tensor]) -> list[Tensor]:
        """Returns the tables in the kernels' order, each of shape [1 or N, width], float64."""
        device = fields["body_inertia"].device
        if device not in self._on:  # a CUDA graph cannot copy them
            parts = _Combination(*(part.to(device) for part in self._on_cpu))
            self._on[device] = parts, self._joints.to(device)
        by, joints = self._on[device]
        turned = matrix_of(xyzw_of(fields["body_iquat"]))  # inertial axes to the bodies' own
        inertia = (turned * fields["body_inertia"][..., None, :]) @ turned.mT
        off_diagonal = (inertia[..., 0, 1:], inertia[..., 1, 2:])  # xy, xz, yz
        unique = torch.cat((inertia.diagonal(dim1=-2, dim2=-1), *off_diagonal), dim=-1)
        friction = fields["geom_friction"].clamp(min=MIN_FRICTION)
        friction = torch.cat((friction, friction[..., 2:]), dim=-1)
        own = by.own_friction.expand(len(friction), -1, -1)
        friction = torch.cat((friction, own), dim=1)  # [N, G + O, 4]
        sliding, turn = friction[..., 0], friction[..., 1:]
        turning = torch.maximum(turn[:, by.first_turning], turn[:, by.last_turning])
        slopes = fields["actuator_gainprm"]
        mass, moments = fields["body_mass"], fields["body_inertia"]
        weights = [fields[name].flatten(1) for name in _INVERSE_INERTIAS]
        rows = max(len(weight) for weight in weights)
        weights = [weight.expand(rows, -1) for weight in weights]
        met = fields["body_invweight0"][..., 0][:, by.bodies].sum(-1)
        inverse = torch.nn.functional.pad(torch.cat(weights, dim=1), (0, 1))
        tables = {
            "body_mass": fields["body_mass"],
            "body_inertia": unique.flatten(1),
            "body_ipos": fields["body_ipos"].flatten(1),
            "dof_armature": fields["dof_armature"],
            "dof_damping": fields["dof_damping"] * by.damping,
            "dof_invweight": fields["dof_invweight0"],
            "pair_friction": torch.maximum(sliding[:, by.first], sliding[:, by.last]),
            "pair_turning": turning.flatten(1),
            "pair_invweight": torch.maximum(met, by.least_of_pairs),
            "actuator_gain": fields["actuator_gainprm"][..., 0] * by.gain,
            "actuator_bias": (fields["actuator_biasprm"][..., :3] * by.bias).flatten(1),
            "actuator_gain_slope": (slopes[:, by.sloped, 1:3] * by.slope).flatten(1),
            "row_invweight": torch.maximum(inverse[:, by.inertias].sum(-1), by.least_of_rows),
            "wet_drag": drag_of(mass[:, by.wet], moments[:, by.wet], *by.fluid).flatten(1),
            "gravity": fields["opt.gravity"] * by.gravity,
            **joints.tables(fields),
        }
        return [tables[name] for name in self._order]


def _one_unless_disabled(model: mujoco.MjModel, part: str) -> Tensor:
    return torch.tensor(0.0 if specials.is_disabled(model, part) else 1.0).double()


def places_of(model: mujoco.MjModel, inertias: Iterable[Inertia]) -> list[int]:
    """Returns two places for each of several inertias, among all fields and a last 0."""
    sizes = [getattr(model, name).size for name in _INVERSE_INERTIAS]
    starts = dict(zip(_INVERSE_INERTIAS, itertools.accumulate([0, *sizes]), strict=False))
    found = []
    for inertia in inertias:
        places = [starts[inertia.field] + place for place in inertia.places]
        found += [*places, sum(sizes)][:2]
    return found


def model_field(model: mujoco.MjModel, name: str) -> Tensor:
    """Returns a field of a model as one row, shape [1, ...], float64; options as ``opt.<name>``."""
    holder = model.opt if name.startswith("opt.") else model
    return torch.from_numpy(np.array(getattr(holder, name.removeprefix("opt."))))[None].double()


def is_in_disabled_group(model: mujoco.MjModel) -> np.ndarray:
    """Returns whether each actuator is in a group that the options disable, shape [A], bool.

    Source: MuJoCo, mj_actuatorDisabled: groups 0 to 30 can be.
    """
    groups = model.actuator_group
    bits = model.opt.disableactuator >> groups.clip(0, 30) & 1
    return (groups >= 0) & (groups <= 30) & (bits > 0)


def has_gain_slopes(model: mujoco.MjModel) -> bool:
    """Returns whether the gain of any actuator depends on its length or velocity."""
    return bool((model.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_AFFINE)).any())


def has_elliptic_cones(model: mujoco.MjModel) -> bool:
    """Returns whether friction cones are elliptic, not pyramids."""
    return bool(model.opt.cone == int(mujoco.mjtCone.mjCONE_ELLIPTIC))


def anisotropy_of(contact: ContactParameters) -> float:
    """Returns the friction along a contact's second tangent relative to the first one's."""
    return float(contact.friction[1] / contact.friction[0])


def _friction_of(contact: ContactParameters) -> list[float]:
    """Returns the friction of sliding, spin and both rolls, as the kernels scale them."""
    sliding, _, spin, *rolls = (float(x) for x in contact.friction)
    return [sliding, spin, rolls[0], rolls[1] / anisotropy_of(contact)]


def _numbers(values: Iterable[float]) -> Tensor:
    """Returns numbers as a tensor on the CPU, whatever torch's default device is."""
    return torch.from_numpy(np.array([*values], np.float64))


def _ids(values: Iterable[Any]) -> Tensor:
    """Returns indices as a tensor on the CPU, whatever torch's default device is."""
    return torch.from_numpy(np.array([int(value) for value in values], np.int64))
