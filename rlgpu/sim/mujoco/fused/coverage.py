"""Which models the fused engine simulates: the reasons against a model, all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mujoco
import numpy as np

from rlgpu.sim.mujoco.contact_parameters import ContactParameters, contact_parameters
from rlgpu.sim.mujoco.fused.actuator_tables import ON_JOINTS, STATEFUL
from rlgpu.sim.mujoco.fused.coupling_coverage import SUPPORTED_POWERS, couplings
from rlgpu.sim.mujoco.fused.fluid_tables import has_fluid
from rlgpu.sim.mujoco.fused.pair_kinds import PairKind, kind_of, steps_of
from rlgpu.sim.mujoco.fused.parameter_tables import anisotropy_of, has_elliptic_cones
from rlgpu.sim.mujoco.layout import SCALAR_JOINTS
from rlgpu.sim.mujoco.pairs import Pair, colliding_pairs
from rlgpu.sim.mujoco.specials import SIMPLY_DISABLED, special_elements, special_options

_GEOM = mujoco.mjtGeom
_ELEMENTS = (
    "gravity compensation",
    "explicit contact pairs",
    "mocap bodies",
    "actuators with internal state",
    "equality constraints",
    "tendons",
)
"""Special elements of models that this engine has."""
MOST_CELLS = 4
"""Cells of a height field along a side that a ball can touch, ``kMostTerrainCells`` in csrc."""
MOST_FRICTION_WEIGHT = 1e4
"""Largest weight of friction relative to inertia that the solver bears in single precision."""
MOST_TURNING_WEIGHT = 100
"""Largest weight of a pyramid's spin and roll, of which single precision bears less."""
SOFTENED_FRICTION_WEIGHT = 2e3
"""What friction of elliptic cones weighs at most at first in csrc, ``kMostFrictionWeight``."""
_ENABLED = mujoco.mjtEnableBit.mjENBL_OVERRIDE
_SOLVERS = tuple(
    int(solver)
    for solver in (
        mujoco.mjtSolver.mjSOL_PGS,
        mujoco.mjtSolver.mjSOL_CG,
        mujoco.mjtSolver.mjSOL_NEWTON,
    )
)
"""Solvers of MuJoCo's that all find the one minimum."""
_TRANSMISSIONS = (
    int(mujoco.mjtTrn.mjTRN_JOINT),
    int(mujoco.mjtTrn.mjTRN_JOINTINPARENT),
    int(mujoco.mjtTrn.mjTRN_TENDON),
    int(mujoco.mjtTrn.mjTRN_SITE),
    int(mujoco.mjtTrn.mjTRN_BODY),
)
_GAINS = (int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtGain.mjGAIN_AFFINE))
_BIASES = (int(mujoco.mjtBias.mjBIAS_NONE), int(mujoco.mjtBias.mjBIAS_AFFINE))


def accept(model: mujoco.MjModel) -> list[str]:
    """Returns why the fused engine cannot simulate a model; empty if it can.

    Args:
        model: A compiled model.
    """
    pairs = colliding_pairs(model)
    return [
        *_elements(model),
        *_options(model),
        *_joints(model),
        *_actuators(model),
        *couplings(model),
        *_contacts(model, pairs),
        *_terrain(model, pairs),
    ]


def _elements(model: mujoco.MjModel) -> Iterator[str]:
    yield from special_elements(model, other_than=_ELEMENTS)
    if model.jnt_actgravcomp.any() and model.body_gravcomp.any():
        yield "it has gravity compensation by actuators (actuatorgravcomp)"
    if model.nv == 0:
        yield "nothing in it can move"


def _options(model: mujoco.MjModel) -> Iterator[str]:
    option = model.opt
    if option.integrator != mujoco.mjtIntegrator.mjINT_IMPLICITFAST:
        yield f"its integrator is {_name(option.integrator, 'Integrator')}; use implicitfast"
    if option.solver not in _SOLVERS:
        yield f"its solver is {_name(option.solver, 'Solver')}; use Newton"
    yield from special_options(
        model, honoured=int(SIMPLY_DISABLED), enabled=int(_ENABLED), fluids=True
    )
    if has_fluid(model):
        yield from _ellipsoids(model)


def _ellipsoids(model: mujoco.MjModel) -> Iterator[str]:
    for geom in np.flatnonzero(model.geom_fluid[:, 0] > 0).tolist():
        yield (
            f"geom {_geom_name(model, geom)!r} has the ellipsoid model of a fluid; use "
            'fluidshape="none"'
        )


def _joints(model: mujoco.MjModel) -> Iterator[str]:
    for i in range(model.njnt):
        joint = model.joint(i)
        kind = mujoco.mjtJoint(joint.type[0])
        if model.jnt_limited[i] and model.jnt_solimp[i, 4] not in SUPPORTED_POWERS:
            yield f"joint {joint.name!r} has another solimp power (its fifth number) than 1 or 2"
        if kind not in SCALAR_JOINTS:
            if model.jnt_actfrclimited[i]:
                yield f"ball or free joint {joint.name!r} limits the forces of actuators"
            if kind == mujoco.mjtJoint.mjJNT_FREE and model.body_jntnum[joint.bodyid[0]] > 1:
                yield f"the body of free joint {joint.name!r} has further joints"
            continue
        low, high = model.jnt_range[i]
        if model.jnt_limited[i] and high - low <= 2 * model.jnt_margin[i]:
            yield (
                f"the margin of joint {joint.name!r} reaches both of its limits at once; use one "
                f"below {0.5 * (high - low):g}"
            )
    if model.jnt_stiffnesspoly.any() or model.dof_dampingpoly.any():
        yield "it has joints with polynomial stiffness or damping; use linear ones"
    if (model.dof_frictionloss < 0).any():
        yield f"it has a negative friction loss, {model.dof_frictionloss.min():g}; use 0 or more"


def _actuators(model: mujoco.MjModel) -> Iterator[str]:
    driven = [int(kind) for kind in (*SCALAR_JOINTS, mujoco.mjtJoint.mjJNT_BALL)]
    for i in range(model.nactuator):
        name = model.actuator(i).name
        if model.actuator_trntype[i] not in _TRANSMISSIONS:
            yield f"actuator {name!r} acts through a slider and crank; use a joint or tendon"
        elif (
            model.actuator_trntype[i] in ON_JOINTS
            and model.jnt_type[model.actuator_trnid[i, 0]] not in driven
        ):
            yield f"actuator {name!r} acts on a free joint; use a site of its body"
        if model.actuator_gaintype[i] not in _GAINS:
            yield f"actuator {name!r} has a gain that is neither fixed nor affine; use one of these"
        if model.actuator_biastype[i] not in _BIASES:
            yield f"actuator {name!r} has a bias that is not affine; use an affine one or none"
        yield from _dynamics(model, i)
        if model.actuator_ctrlnum[i] != 1 or model.actuator_outnum[i] != 1:
            yield f"actuator {name!r} has more than one control or output"
    if model.actuator_armature.any() or model.actuator_damping.any():
        yield "it has actuators with armature or damping; give them to the joints"
    if model.actuator_dampingpoly.any():
        yield "it has actuators with polynomial damping; use linear damping of joints"


def _dynamics(model: mujoco.MjModel, actuator: int) -> Iterator[str]:
    kind, count = int(model.actuator_dyntype[actuator]), int(model.actuator_actnum[actuator])
    name = model.actuator(actuator).name
    if kind not in (int(mujoco.mjtDyn.mjDYN_NONE), *STATEFUL):
        yield (
            f"actuator {name!r} has dynamics of type {_name(kind, 'Dyn')}; use integrator, filter "
            "or filterexact"
        )
    elif count != (1 if kind in STATEFUL else 0):
        yield f"actuator {name!r} has {count} activations"


def _contacts(model: mujoco.MjModel, pairs: Sequence[Pair]) -> Iterator[str]:
    for pair in pairs:
        names = " and ".join(repr(_geom_name(model, g)) for g in (pair.geom1, pair.geom2))
        kind = kind_of(pair)
        if kind is None:
            first, second = (kind.name.removeprefix("mjGEOM_").lower() for kind in pair.kind)
            yield (
                f"geoms {names} may collide: {first} against {second}; use a mesh or another "
                "convex shape, or exclude them"
            )
        contact = contact_parameters(model, pair)
        if contact.gap < 0:
            yield f"geoms {names} have a negative gap, {contact.gap:g}; use 0 or more"
        weight = _friction_weight(model, contact)
        if weight > MOST_FRICTION_WEIGHT:
            yield (
                f"geoms {names} have an impratio of {model.opt.impratio:g}, a solimp and friction "
                f"with which friction weighs {weight:.0f} times as much as inertia; single "
                f"precision bears {MOST_FRICTION_WEIGHT:.0f}, with an impratio of "
                f"{model.opt.impratio * MOST_FRICTION_WEIGHT / weight:.3g}"
            )
        turning = _turning_weight(model, contact)
        if turning > MOST_TURNING_WEIGHT:
            yield (
                f"geoms {names} resist spin or roll {turning:.0f} times as much as inertia; "
                f"single precision bears {MOST_TURNING_WEIGHT:.0f} with pyramidal cones; use "
                "elliptic ones"
            )
        if max(1.0, contact.solimp[4]) not in SUPPORTED_POWERS:
            yield f"geoms {names} have another solimp power (its fifth number) than 1 or 2"


def _friction_weight(model: mujoco.MjModel, contact: ContactParameters) -> float:
    """Returns the weight of two geoms' friction in the solver, relative to their inertia.

    Softened weights may be anything: along normals, see csrc/kernels/physics/cone.h, and along the
    first tangent of elliptic cones, see wide.h.
    """
    if contact.condim == 1:
        return 0.0
    weight = float(model.opt.impratio) * _odds(contact)
    if has_elliptic_cones(model):
        weight = min(weight, SOFTENED_FRICTION_WEIGHT)
    return weight * max(1.0, anisotropy_of(contact) ** 2)


def _turning_weight(model: mujoco.MjModel, contact: ContactParameters) -> float:
    """Returns the weight of a pyramid's spin and roll, relative to inertia."""
    if has_elliptic_cones(model) or contact.condim <= 3:
        return 0.0
    ratio = float(contact.friction[2 : contact.condim - 1].max() / contact.friction[0])
    return float(model.opt.impratio) * _odds(contact) * ratio * ratio


def _odds(contact: ContactParameters) -> float:
    """Returns d / (1 - d) of the largest impedance d of a pair."""
    most = min(float(max(contact.solimp[:2])), 0.9999)
    return most / (1.0 - most)


def _terrain(model: mujoco.MjModel, pairs: Sequence[Pair]) -> Iterator[str]:
    pairs = [p for p in pairs if p.kind[0] == _GEOM.mjGEOM_HFIELD]
    grounds = {pair.geom1 for pair in pairs}
    if len(grounds) > 1:
        yield f"it has {len(grounds)} height fields to touch, not one"
    for ground in grounds:
        if model.geom_bodyid[ground] or not np.allclose(model.geom_quat[ground], [1, 0, 0, 0]):
            yield (
                f"height field {_geom_name(model, ground)!r} is turned or a body's; use one of the "
                "world's with its axes"
            )
    for pair in pairs:
        if kind_of(pair) is PairKind.TERRAIN_CONVEX:
            continue
        contact = contact_parameters(model, pair)
        detection = contact.margin + contact.gap
        is_box = pair.kind[1] == _GEOM.mjGEOM_BOX
        reach = detection + (0.0 if is_box else float(model.geom_size[pair.geom2, 0]))
        step = min(steps_of(model, pair.geom1))
        if 2.0 * reach >= (MOST_CELLS - 1) * step:
            yield (
                f"geom {_geom_name(model, pair.geom2)!r} is too large for the height field: its "
                f"radius of {reach:g} m is at most {0.5 * (MOST_CELLS - 1):g} times the distance "
                f"of samples, {step:g} m"
            )


def _geom_name(model: mujoco.MjModel, geom: int) -> str:
    body = model.body(model.geom_bodyid[geom]).name
    return model.geom(geom).name or f"{body} #{geom - model.body_geomadr[model.geom_bodyid[geom]]}"


def _name(value: int, kind: str) -> str:
    names = {
        int(member): name for name, member in getattr(mujoco, f"mjt{kind}").__members__.items()
    }
    return names[value].split("_")[1].lower() if value in names else f"number {value}"
