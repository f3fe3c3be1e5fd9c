"""Every field of a MuJoCo model: the fused engine moves as MuJoCo C does with it, or refuses it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
import torch

from rlgpu.ops import PhysicsOutputs, PhysicsState, physics_step
from rlgpu.sim.mujoco.fused.coverage import accept
from rlgpu.sim.mujoco.fused.tables import Tables
from tests.sim.test_fused import relative_error

# Bodies and geoms are turned and off their origins: MuJoCo skips what it was told is not.
ROBOT = """<mujoco><compiler angle="radian"/>
<option integrator="implicitfast" timestep="0.004" tolerance="1e-14" density="2" viscosity="0.01"
  wind="0.3 0.2 0.1"/>
<default><geom density="400" friction="0.7 0.005 0.0001"/><joint armature="0.02"/></default>
<worldbody>
  <geom name="floor" type="plane" size="9 9 1" euler="0.05 0.03 0" pos="0.1 0 0.02"
    conaffinity="0"/>
  <body name="base" pos="0 0 0.15" quat="0.9 0.1 0.2 0.1"><freejoint/>
    <geom type="box" size="0.1 0.12 0.08" pos="0.01 0.02 0.01" quat="0.9 0.3 0.1 0.1"
      contype="0"/>
    <body name="arm" pos="0.15 0.02 0.03" quat="0.8 0.2 0.1 0.4">
      <joint name="a" axis="0.3 0.8 0.1" pos="0.01 0.02 0.01" range="-0.1 0.15" limited="true"
        damping="0.1" stiffness="2" springref="0.2" frictionloss="0.05" margin="0.01"/>
      <geom type="capsule" size="0.04 0.1" pos="0.05 0.01 0.02" quat="0.7 0.1 0.6 0.2"
        contype="2" conaffinity="3"/>
      <site name="a" pos="0.02 0.03 0.06" quat="0.9 0.2 0.1 0.1"/>
      <geom name="pin" type="cylinder" size="0.02 0.1" pos="0.06 0.02 0.05" quat="0.8 0.1 0.4 0.2"
        contype="4" conaffinity="0"/><site name="pin" pos="0.06 0.02 0.09"/>
      <body name="hand" pos="0.1 0.02 0.02" quat="0.9 0.1 0.3 0.1">
        <joint name="b" type="slide" axis="1 0.2 0.3" pos="0.02 0.01 0" range="-0.02 0.02"
          limited="true" actuatorfrcrange="-3 3" actuatorfrclimited="true"/>
        <geom type="sphere" size="0.05" pos="0.03 0.02 0.01" contype="2" conaffinity="3"/>
        <site name="b" pos="0.05 0.01 0.02" quat="0.9 0.1 0.3 0.2"/>
        <body name="tail" pos="0.1 0 0.03">
          <joint name="c" type="ball" pos="0.01 0 0" range="0 0.2" limited="true" stiffness="0.5"
            damping="0.02" margin="0.01"/>
          <geom type="capsule" size="0.02 0.05" pos="0.05 0.01 0" contype="0" conaffinity="0"/>
        </body></body></body></body>
  <body name="ball" pos="0.32 0.1 0.12" quat="0.9 0.1 0.2 0.1">
    <joint name="free" type="free" stiffness="0.5"/>
    <geom name="ball" type="sphere" size="0.1" pos="0.01 0.01 0.01" quat="0.9 0.1 0.1 0.3"
      contype="2" conaffinity="3" margin="0.01"/>
    <site name="c" pos="0.02 0.01 0.05" quat="0.9 0.3 0.1 0.1"/></body>
</worldbody>
<contact><pair geom1="floor" geom2="ball" friction="0.5 0.6 0.01 0.001 0.002" margin="0.01"
  gap="0.002"/></contact>
<tendon>
  <fixed name="t" stiffness="3" damping="0.2" springlength="0.02 0.03" frictionloss="0.03"
    range="0.01 0.05" limited="true" margin="0.004"><joint joint="a" coef="0.7"/>
    <joint joint="b" coef="-1.2"/></fixed>
  <spatial name="s" stiffness="20" damping="0.5" springlength="0.05" frictionloss="0.02"
    range="0 0.3" limited="true"><site site="a"/><geom geom="pin" sidesite="pin"/><site site="b"/>
    <pulley divisor="2"/><site site="b"/><site site="c"/></spatial>
  <fixed name="u"><joint joint="b" coef="0.3"/></fixed>
</tendon>
<equality>
  <joint joint1="a" joint2="b" polycoef="0.05 1 0.2 0.1 0.3"/>
  <tendon tendon1="s" tendon2="t" polycoef="0.02 0.3 0.1 0.2 0.1"/>
  <connect body1="hand" body2="ball" anchor="0.05 0.02 0.01" solref="0.1 1"/>
  <weld body1="base" body2="ball" anchor="0.1 0.02 0.03" relpose="0.3 0.1 0 0.9 0.1 0.1 0.3"
    torquescale="0.6" solref="0.2 1"/>
  <weld site1="a" site2="c" torquescale="0.8" solref="0.3 1"/>
</equality>
<actuator>
  <motor name="m" joint="a" gear="2" ctrlrange="-1 1" ctrllimited="true" forcerange="-1.5 1.5"
    forcelimited="true"/>
  <position name="p" joint="b" kp="30" kv="1"/>
  <position name="t" joint="c" gear="0.3 1 0.2" kp="0.2" kv="0.1"/>
  <general name="f" joint="a" dyntype="filterexact" dynprm="0.02" actrange="-0.6 0.6"
    actlimited="true" gaintype="affine" gainprm="0.6 -0.2 -0.1" biastype="affine"
    biasprm="0.1 -0.2 -0.1"/>
  <general name="w" site="b" refsite="c" gear="0.3 0.2 0.1 0.02 0.1 0.05" gainprm="0.4"
    biastype="affine" biasprm="0.1 -0.5 -0.05"/>
  <adhesion name="h" body="base" ctrlrange="0 1" gain="2"/>
</actuator></mujoco>"""
STATES = 6

COMPILED = re.compile(
    r"(adr|(?<!flu)id|num|nnz|ind|child|depth|map|map[MD]2[MD]|D_diag|signature|sameframe|simple"
    r"|simplenum|rbound|aabb|plugin|type|pair_geom[12])$"
)
"""Fields that the compiler derives and no file states: addresses, indices, bounds, flags of what
may be skipped. Types are tried apart."""
WITHOUT_MOTION = (
    "bvh", "cam", "key", "light", "mat", "mesh", "name", "numeric", "oct", "sensor",
    "skin", "tex", "text", "tuple",
)  # fmt: skip
"""Elements that do not move a model by themselves."""
REFUSED = ("flex", "flexedge", "plugin", "efm0", "efmC")
"""Elements that come with a size which ``special_elements`` refuses."""
UNIT = {"body_quat": 4, "body_iquat": 4, "geom_quat": 4, "site_quat": 4, "jnt_axis": 3}
"""Fields whose rows the compiler scales to length 1, and their width."""


@pytest.fixture(scope="module")
def robot() -> mujoco.MjModel:
    """A robot and a ball with all that the engine covers on a plane."""
    model = mujoco.MjModel.from_xml_string(ROBOT)
    assert accept(model) == []
    return model


@pytest.fixture(scope="module")
def states(robot) -> list[np.ndarray]:
    """Returns qpos, qvel, act and ctrl along a run, with contacts, limits and saturated motors."""
    rng = np.random.default_rng(0)
    data = mujoco.MjData(robot)
    data.qvel[:] = 0.7 * rng.normal(size=robot.nv)
    found = []
    for _ in range(STATES):
        data.ctrl[:] = rng.uniform(-1.5, 1.5, robot.nu)
        mujoco.mj_step(robot, data, 16)
        found.append((data.qpos.copy(), data.qvel.copy(), data.act.copy(), data.ctrl.copy()))
    return [np.array(column) for column in zip(*found, strict=True)]


def difference(model: mujoco.MjModel, states: list[np.ndarray]) -> float:
    """Returns by how much a step of the fused engine differs from MuJoCo's; 0 if that diverges."""
    data, after = mujoco.MjData(model), []
    for qpos, qvel, act, ctrl in zip(*states, strict=True):
        data.qpos[:], data.qvel[:], data.act[:], data.ctrl[:] = qpos, qvel, act, ctrl
        data.qacc_warmstart[:] = 0.0
        mujoco.mj_step(model, data)
        after.append((data.qpos.copy(), data.qvel.copy(), data.qacc.copy(), data.act.copy()))
    theirs = [torch.tensor(np.array(column)) for column in zip(*after, strict=True)]
    if not theirs[2].abs().max() < 1e6:
        return 0.0
    qpos, qvel, act, ctrl = (torch.tensor(column) for column in states)
    ours = (qpos, qvel, torch.zeros_like(qvel), act)
    flags = torch.zeros(len(qpos), dtype=torch.bool)
    physics_step(
        Tables(model).pack(dtype=torch.float64),
        ctrl,
        PhysicsState(*ours[:3], flags, act),
        PhysicsOutputs(),
        num_steps=1,
        num_threads=1,
    )
    both = zip(ours, theirs, strict=True)
    return max(relative_error(a, b) for a, b in both if a.shape[1] > 0)


def fields(holder: object) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the arrays of a model or of its options."""
    for name in dir(holder):
        value = None if name.startswith("_") else getattr(holder, name)
        if isinstance(value, np.ndarray):
            yield name, value


def other_values(value: np.generic) -> list[float]:
    """Returns plausible values other than that of an element."""
    if isinstance(value, np.bool_):
        return [not value]
    if isinstance(value, np.integer):
        return [int(value) + 1, int(value) + 2]
    return [float(value) * 1.3 + 0.11]


def changed(model: mujoco.MjModel, name: str, element: int, value: float) -> mujoco.MjModel:
    """Returns a model with another value of one element, and all that MuJoCo derives from it."""
    model = copy.copy(model)
    field = getattr(model, name)
    field.flat[element] = value
    if name in UNIT:
        field /= np.linalg.norm(field, axis=1, keepdims=True)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def test_any_element_of_a_model_is_simulated_or_refused(robot, states) -> None:
    """Every element of every array gets another value: the step is MuJoCo's, or is refused."""
    different, noticed, tried = [], set(), 0
    plain = copy.copy(robot)
    for name, array in fields(robot):
        if COMPILED.search(name):
            continue
        for element in range(array.size):
            for value in other_values(array.flat[element]):
                tried += 1
                model = changed(plain, name, element, value)
                if accept(model):
                    noticed.add(name)
                elif (e := difference(model, states)) > 1e-6:
                    different.append(f"{name}[{element}] = {value}: {e:g}")
    assert different == []
    assert tried > 600
    # Some that are refused, so that the loop above is known to reach them.
    assert {"geom_adhesion", "jnt_stiffnesspoly", "pair_adhesion"} <= noticed


TYPES = {
    "actuator_biastype": mujoco.mjtBias,
    "actuator_gaintype": mujoco.mjtGain,
    "actuator_dyntype": mujoco.mjtDyn,
    "actuator_trntype": mujoco.mjtTrn,
    "geom_type": mujoco.mjtGeom,
    "jnt_type": mujoco.mjtJoint,
}
"""Fields that choose a kind, and MuJoCo's list of the kinds."""
PLANE = int(mujoco.mjtGeom.mjGEOM_PLANE)
SEARCHED = (int(mujoco.mjtGeom.mjGEOM_ELLIPSOID), int(mujoco.mjtGeom.mjGEOM_CYLINDER))
"""Geoms whose contacts MuJoCo finds by a search that ends at a tolerance."""
WITH_MORE_DATA = {
    "mjGEOM_HFIELD",
    "mjGEOM_MESH",
    "mjGEOM_SDF",
    "mjJNT_FREE",
    "mjJNT_BALL",
    "mjTRN_TENDON",
}


def test_any_type_is_simulated_or_refused(robot, states) -> None:
    """Every kind of geom, scalar joint and actuator that MuJoCo lists.

    Each actuator has all parameters of a bias, which count with some kinds only.
    """
    different = []
    plain = copy.copy(robot)
    plain.actuator_biasprm[:, :3] = [0.3, -2.0, -0.2]
    for name, kinds in TYPES.items():
        known = [int(k) for key, k in kinds.__members__.items() if key not in WITH_MORE_DATA]
        for element in range(getattr(robot, name).size):
            if name == "jnt_type" and robot.jnt_type[element] < int(mujoco.mjtJoint.mjJNT_SLIDE):
                continue
            for kind in known:
                model = copy.copy(plain)
                getattr(model, name)[element] = kind
                if name == "geom_type":  # sizes that MuJoCo's compiler would have computed
                    model.geom_size[element] = np.maximum(model.geom_size[element], 0.05)
                    model.geom_rbound[element] = 0.0 if kind == PLANE else 10.0
                    if robot.geom_type[element] == PLANE != kind:  # its top is where the plane was
                        model.geom_pos[element, 2] -= model.geom_size[element, 2]
                    model.geom_aabb[element] = [0, 0, 0, 10, 10, 10]
                    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_MIDPHASE
                    model.opt.ccd_tolerance, model.opt.ccd_iterations = 1e-10, 200
                if accept(model):
                    continue
                if name != "geom_type" or kind not in SEARCHED:
                    found, most = difference(model, states), 1e-6
                elif plain.geom_type[element] != PLANE:  # it would be metres deep
                    found, most = second_largest(model, states), 1e-3
                if found > most:
                    different.append(f"{name}[{element}] = {kind}: {found:g}")
    assert different == []


def second_largest(model: mujoco.MjModel, states: list[np.ndarray]) -> float:
    """Returns the difference of all states but one, in which another corner may touch."""
    rows = range(len(states[0]))
    return sorted(difference(model, [part[i : i + 1] for part in states]) for i in rows)[-2]


ACCURACY = ("iterations", "tolerance", "ls_iterations", "ls_tolerance")
"""Options that only say how near to the minimum a solver stops."""
CHOICES = {"cone": mujoco.mjtCone, "integrator": mujoco.mjtIntegrator, "solver": mujoco.mjtSolver}


def other_options(option: mujoco.MjOption) -> Iterator[tuple[str, int | float | np.ndarray]]:
    """Yields every option with other values: each element, choice and bit, also without a name."""
    for name in dir(option):
        value = None if name[0] == "_" or name in ACCURACY else getattr(option, name)
        if isinstance(value, np.ndarray):
            yield from ((name, value + 0.3 * row) for row in np.eye(value.size))
        elif name in CHOICES:
            yield from ((name, int(kind)) for kind in CHOICES[name].__members__.values())
        elif name.startswith("disable") or name.endswith("flags"):
            yield from ((name, value ^ 1 << bit) for bit in range(24))
        elif isinstance(value, int | float):
            yield name, value + 1 if isinstance(value, int) else 1.3 * value + 0.11


def test_any_option_is_simulated_or_refused(robot, states) -> None:
    """Every option gets other values: the step is MuJoCo's, or is refused."""
    different, refused = [], set()
    plain = copy.copy(robot)
    plain.actuator_group[:] = [0, 3, 5, 4, 3, 5]
    for name, value in other_options(plain.opt):
        model = copy.copy(plain)
        if isinstance(value, np.ndarray):
            getattr(model.opt, name)[:] = value
        else:
            setattr(model.opt, name, value)
        if name == "solver":  # PGS and CG need more iterations to the same minimum
            model.opt.tolerance, model.opt.iterations = 0.0, 5000
        if accept(model):
            refused.add((name, value) if name.endswith("flags") else name)
        elif difference(model, states) > 1e-6:
            different.append(f"{name} = {value}")
    assert different == []
    assert "integrator" in refused
    assert {("disableflags", 1 << 23), ("enableflags", 1 << 23)} <= refused


def test_every_kind_of_element_is_known(robot) -> None:
    """A field of an element that is new in MuJoCo must be put into one of the lists above."""
    known = {*WITHOUT_MOTION, *REFUSED, "exclude", "hfield"}
    absent = {name for name, array in fields(robot) if array.size == 0 and "user" not in name}
    assert {name for name in absent if name.split("_")[0] not in known} == set()


def test_an_actuator_in_a_disabled_group_does_not_act(robot, states) -> None:
    """Not even by its bias; groups that are not disabled, and those beyond 30, act."""
    model = copy.copy(robot)
    model.actuator_group[:] = [0, 31, 0, 0, 0, 0]
    model.opt.disableactuator = -1
    assert accept(model) == []
    assert difference(model, states) < 1e-6
    model.actuator_group[1] = 30
    model.actuator_biasprm[1, 0] = 5.0
    assert difference(model, states) < 1e-6


def test_actuators_with_several_controls_are_refused() -> None:
    """MuJoCo's <pid> has two, so the model has more controls than actuators."""
    model = mujoco.MjModel.from_xml_string("""<mujoco><option integrator="implicitfast"/>
      <worldbody><body><joint name="a"/><geom size=".1"/></body></worldbody>
      <actuator><pid name="p" joint="a" kp="1"/></actuator></mujoco>""")
    assert any("'p'" in reason for reason in accept(model))


@pytest.mark.parametrize("name", ["dof_frictionloss", "geom_gap"])
def test_negative_values_that_mujoco_takes_are_refused(robot, name) -> None:
    """Negative friction loss makes constraints, a negative gap removes contacts."""
    model = copy.copy(robot)
    getattr(model, name)[6 if name == "dof_frictionloss" else 0] = -0.05
    assert any("-0.05" in reason for reason in accept(model))
