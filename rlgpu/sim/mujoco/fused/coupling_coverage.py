"""Which tendons and equality constraints the fused engine simulates: the reasons against others."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from rlgpu.sim.mujoco.fused.coupling_tables import active_equalities, anchored_bodies
from rlgpu.sim.mujoco.fused.tendon_tables import acting_tendons
from rlgpu.sim.mujoco.specials import is_disabled

MOST_EQUALITY_WEIGHT = 2e3
"""Largest weight of an equality relative to inertia that the solver bears in single precision."""
LEAST_ARM = 1e-5
"""Least arm of a tendon with constraints, as a rough measure over all joints [m]."""
SUPPORTED_POWERS = (1.0, 2.0)
"""Powers of a constraint's impedance (solimp) that the kernels have."""
_EQ = mujoco.mjtEq
_EQUALITIES = (_EQ.mjEQ_CONNECT, _EQ.mjEQ_WELD, _EQ.mjEQ_JOINT, _EQ.mjEQ_TENDON)


def couplings(model: mujoco.MjModel) -> Iterator[str]:
    """Yields why the fused engine cannot simulate a model's tendons and equality constraints."""
    for tendon in acting_tendons(model):
        yield from _tendon(model, tendon)
    for tendon in _constrained_tendons(model):
        yield from _arms(model, tendon)
    if not np.isin(model.eq_type, [int(kind) for kind in _EQUALITIES]).all():
        yield "it has equality constraints of flexible bodies"
    for equality in active_equalities(model, *_EQUALITIES):
        yield from _equality(model, equality)


def _tendon(model: mujoco.MjModel, tendon: int) -> Iterator[str]:
    name = f"tendon {model.tendon(tendon).name!r}"
    if model.tendon_armature[tendon] > 0:
        yield f"{name} has armature; give it to the joints"
    if model.tendon_stiffnesspoly[tendon].any() or model.tendon_dampingpoly[tendon].any():
        yield f"{name} has polynomial stiffness or damping"
    if model.tendon_actfrclimited[tendon]:
        yield f"{name} limits the force of its actuators (actuatorfrcrange)"
    if model.tendon_frictionloss[tendon] < 0:
        loss = model.tendon_frictionloss[tendon]
        yield f"{name} has a negative friction loss, {loss:g}; use 0 or more"
    if model.tendon_limited[tendon]:
        low, high = model.tendon_range[tendon]
        if high - low <= 2 * model.tendon_margin[tendon]:
            yield (
                f"the margin of {name} reaches both of its limits at once; use one below "
                f"{0.5 * (high - low):g}"
            )
        if model.tendon_solimp_lim[tendon, 4] not in SUPPORTED_POWERS:
            yield f"{name} has another solimp power (its fifth number) than 1 or 2"


def _constrained_tendons(model: mujoco.MjModel) -> list[int]:
    """Returns the tendons with a limit, dry friction or an equality."""
    found = np.zeros(model.ntendon, bool)
    if not is_disabled(model, "CONSTRAINT", "LIMIT"):
        found |= model.tendon_limited != 0
    if not is_disabled(model, "CONSTRAINT", "FRICTIONLOSS"):
        found |= model.tendon_frictionloss > 0
    for equality in active_equalities(model, _EQ.mjEQ_TENDON):
        sides = [int(model.eq_obj1id[equality]), int(model.eq_obj2id[equality])]
        found[[side for side in sides if side >= 0]] = True
    return np.flatnonzero(found).tolist()


def _arms(model: mujoco.MjModel, tendon: int) -> Iterator[str]:
    inverse = model.dof_invweight0.max(initial=0.0)
    if model.tendon_invweight0[tendon] <= LEAST_ARM**2 * inverse:
        yield (
            f"tendon {model.tendon(tendon).name!r} moves nothing in the model's own pose, so its "
            "limit, friction loss or equality would be infinitely hard; use a ref of its joints at "
            "which it has an arm"
        )


def _equality(model: mujoco.MjModel, equality: int) -> Iterator[str]:
    name = f"equality constraint {(model.equality(equality).name or str(equality))!r}"
    solimp = model.eq_solimp[equality]
    if solimp[4] not in SUPPORTED_POWERS:
        yield f"{name} has another solimp power (its fifth number) than 1 or 2"
    if model.eq_type[equality] in (int(_EQ.mjEQ_CONNECT), int(_EQ.mjEQ_WELD)):
        for body in anchored_bodies(model, equality):
            if _slides_on_ball(model, body):
                yield f"{name} is on a body with a slide that a ball joint of the same body turns"
    most = min(float(max(solimp[:2])), 0.9999)
    weight = most / (1.0 - most)
    if weight > MOST_EQUALITY_WEIGHT:
        yield (
            f"{name} has a solimp with which it weighs {weight:.0f} times as much as inertia; "
            f"single precision bears {MOST_EQUALITY_WEIGHT:.0f}, with a second number of "
            f"{MOST_EQUALITY_WEIGHT / (1.0 + MOST_EQUALITY_WEIGHT):.4f}"
        )


def _slides_on_ball(model: mujoco.MjModel, body: int) -> bool:
    """Returns whether a slide follows a ball joint in a body or one that it is attached to.

    MuJoCo's rate of change of the ball joint's axes then includes the slide's velocity.
    """
    while body > 0:
        first = int(model.body_jntadr[body])
        kinds = model.jnt_type[first : first + int(model.body_jntnum[body])].tolist()
        if int(mujoco.mjtJoint.mjJNT_BALL) in kinds[:-1]:
            return True
        body = int(model.body_parentid[body])
    return False
