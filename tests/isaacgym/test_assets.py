"""What MJCF and URDF files say, compared with MuJoCo's own models of them."""

from __future__ import annotations

import warnings

import mujoco
import numpy as np
import pytest
from scenes import GYM, at, close, new_env, new_sim

from rlgpu.isaacgym.api import gymapi

TETRAHEDRON = "v 0 0 0\nv 1 0 0\nv 0 2 0\nv 0 0 3\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
LEG = """<mujoco><compiler angle="radian" eulerseq="ZYX" boundmass="0.7" meshdir="../meshes"/>
  <asset><mesh name="t" file="t.obj" scale=".1 .1 .1"/></asset>
  <default><geom density="12"/><joint damping="3"/></default>
  <worldbody><body name="leg" euler=".1 .2 .3"><joint name="j" range="-1 1"/><geom size=".1"/>
    <geom type="mesh" mesh="t"/><body name="foot" pos="0 0 1"><joint name="k"/>
      <inertial pos="0 0 .1" mass="2" fullinertia="1 1.1 1.2 .1 .2 .3"/></body></body></worldbody>
  <actuator><position joint="j" kp="10" dampratio="1"/></actuator></mujoco>"""
TORSO = """<body name="torso" pos="0 0 1"><freejoint/>
  <geom type="box" size=".1 .2 .3" pos=".1 0 0" euler="10 20 30"/>{}</body>"""
STATED = """<inertial pos=".1 .2 .3" mass="2" fullinertia="1 1.2 1.5 .1 .2 .3"/>"""
ARM = '<body name="arm" pos="1 0 0" euler="0 90 0"><joint name="j" axis="0 1 0"/>{}</body>'
BALL = '<geom size=".1" mass="1"/>'
MODEL = '<asset><model name="m" file="parts/leg.xml"/></asset>'
PARTS = {"meshes/t.obj": TETRAHEDRON, "parts/leg.xml": LEG,
         "parts/model.xml": f"<mujoco>{MODEL.replace('parts/', '')}</mujoco>"}  # fmt: skip


def in_world(*parts, before="", after=""):
    """Returns a model with parts inside a torso that floats."""
    return f"{before}<worldbody>{TORSO.format(''.join(parts))}</worldbody>{after}"


def arm(*parts, before="", after=""):
    """Returns a model of a torso with one jointed arm."""
    return in_world(ARM.format("".join(parts)), before=before, after=after)


MODELS = {
    "diagonal inertia in a turned frame": arm(
        '<inertial pos=".1 .2 .3" euler="10 20 30" mass="2" diaginertia="1 1.5 2"/>', BALL
    ),
    "full inertia": arm(STATED, BALL),
    "density and mass of several geoms": arm(
        '<geom size=".1" density="30" pos="1 0 0"/><geom type="box" size=".1 .2 .3" mass="2"/>'
    ),
    "shell inertia": arm('<geom size=".3" shellinertia="true" mass="2"/>'),
    "balanceinertia": arm(
        '<inertial pos="0 0 0" mass="2" diaginertia="1 1 9"/>',
        before='<compiler balanceinertia="true"/>',
    ),
    "boundmass and boundinertia": arm(
        BALL, before='<compiler boundmass="2" boundinertia=".5"/>'
    ),
    "settotalmass": arm(STATED, BALL, before='<compiler settotalmass="20"/>'),
    "inertiafromgeom true": arm(STATED, BALL, before='<compiler inertiafromgeom="true"/>'),
    "inertiafromgeom false": '<compiler inertiafromgeom="false"/><worldbody><body><freejoint/>'
    f"{STATED}{BALL}</body></worldbody>",
    "inertiagrouprange": arm(
        '<geom size=".1" group="2"/><geom size=".2" pos="1 0 0" group="4"/>',
        before='<compiler inertiagrouprange="1 3"/><default><geom group="1"/></default>',
    ),
    "angle, eulerseq and autolimits": arm(
        '<joint type="slide" axis="1 0 0" limited="true" range="-.5 .5"/>',
        '<geom type="capsule" fromto="0 0 0 1 0 1" size=".1" mass="1"/>',
        before='<compiler angle="radian" eulerseq="ZXY" autolimits="false"/>',
    ),
    "springs, limits and references": in_world(
        '<body name="b"><joint name="j" range="-30 40" damping="2" armature=".1" ref="10"'
        f' stiffness="3" springref="20" margin=".1"/>{BALL}</body>'
        f'<body name="c"><joint type="slide" axis="1 0 0" springdamper=".1 1"/>{BALL}</body>'
    ),
    "defaults and child classes": in_world(
        '<body name="b" childclass="x"><joint/><geom/><geom class="main" size=".1"/></body>',
        before='<default><geom density="500" contype="2"/><default class="x"><geom type="capsule"'
        ' size=".1 .2" mass="3"/><joint damping="4" range="0 45" axis="1 0 0"/></default>'
        "</default>",
    ),
    "discardvisual": arm(
        BALL, '<geom size=".2" contype="0" conaffinity="0" pos="1 0 0"/>',
        before='<compiler discardvisual="true"/>',
    ),
    "fusestatic": in_world(
        '<body pos="1 2 3" euler="0 0 45"><geom size=".2" pos="1 0 0"/>', ARM.format(BALL),
        "</body>", before='<compiler fusestatic="true"/>',
    ),
    "frames": in_world(
        '<frame pos="0 0 1" euler="0 90 0"><geom size=".1" pos="1 0 0"/><frame euler="10 0 0">',
        ARM.format(STATED), "</frame></frame>",
    ),
    "a scaled frame": in_world(
        '<frame pos="0 0 1" scale="2" scaling="geometry">', ARM.format(STATED + BALL), "</frame>"
    ),
    "replicate": in_world(
        '<replicate count="3" offset="1 0 0" euler="0 0 20"><body name="b"><joint/>', BALL,
        "</body></replicate>",
    ),
    "attach": in_world(
        '<frame pos="1 0 0" euler="0 0 30"><attach model="m" body="leg" prefix="l_"/></frame>'
        '<attach model="m" prefix="r_"/>', before=MODEL,
    ),
    "attach what an included file names": in_world(
        '<attach model="m" prefix="l_"/>', before='<include file="parts/model.xml"/>',
    ),
    "attach to itself": in_world(
        ARM.format(BALL), '<frame pos="0 0 1"><attach body="arm" prefix="x_"/></frame>'
    ),
    "meshes": in_world(
        '<geom type="mesh" mesh="t"/><geom type="mesh" mesh="u" mass="1"/>'
        '<geom type="capsule" mesh="v" mass="1"/>',
        before='<compiler assetdir="meshes"/><asset><mesh name="t" file="t.obj" scale=".1 .2 .3"'
        ' refpos="1 0 0" refquat="1 1 0 0"/><mesh name="u" file="t.obj" inertia="shell"/>'
        '<mesh name="v" file="t.obj" inertia="exact"/></asset>',
    ),
    "strippath and fitaabb": in_world(
        '<geom type="box" mesh="t" fitscale=".5"/>',
        before='<compiler strippath="true" meshdir="meshes" fitaabb="true"/>'
        '<asset><mesh file="C:/cad/t.obj"/></asset>',
    ),
    "gravity compensation": arm(BALL).replace('name="arm"', 'name="arm" gravcomp=".5"'),
    "a tendon": in_world(
        f'<body><joint name="j"/>{BALL}</body><body><joint name="k"/>{BALL}</body>',
        after='<tendon><fixed range="-1 1" stiffness="2" damping="1"><joint joint="j" coef="1"/>'
        '<joint joint="k" coef="-2"/></fixed></tendon>',
    ),
}  # fmt: skip

OF_THE_TREE = {
    f"{kind}_{name}"
    for kind, names in {
        "body": "weldid rootid jntnum jntadr dofnum dofadr treeid simple sameframe invweight0",
        "jnt": "qposadr dofadr group",
        "dof": "bodyid jntid parentid treeid Madr simplenum M0 invweight0 length frictionloss",
        "geom": "matid group sameframe dataid",
        "tendon": "treeid treenum group invweight0",
    }.items()
    for name in names.split()
}
"""Fields that follow from the free root or only say how it is drawn; Isaac Gym has no friction."""


def model_of(path):
    """Returns MuJoCo's own model of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mujoco.MjSpec.from_file(str(path)).compile()


def write(folder, text, name="robot.xml"):
    """Writes an MJCF file and those that it may name, and returns its path."""
    for part, content in PARTS.items():
        (folder / part).parent.mkdir(exist_ok=True)
        (folder / part).write_text(content)
    (folder / name).write_text(f"<mujoco>{text}</mujoco>")
    return folder / name


def load(path, **options):
    """Loads a file."""
    chosen = gymapi.AssetOptions()
    for name, value in options.items():
        setattr(chosen, name, value)
    return GYM.load_asset(new_sim("mujoco", gravity=(0, 0, 0)), str(path.parent), path.name, chosen)


def simulated(asset, scale=1.0, mass=None):
    """Returns the model that is simulated of one actor of an asset, whose root has a mass."""
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    env = new_env(sim)
    handle = GYM.create_actor(env, asset, at(), "robot", 0, 0)
    GYM.set_actor_scale(env, handle, scale)
    if mass is not None:
        properties = GYM.get_actor_rigid_body_properties(env, handle)
        properties[0].mass = mass
        GYM.set_actor_rigid_body_properties(env, handle, properties, recomputeInertia=True)
    GYM.prepare_sim(sim)
    return sim.world.worlds.model


def physical_fields(model, kind):
    """Returns the physical fields of a kind of parts, by name."""
    names = [name for name in dir(model) if name.startswith(f"{kind}_")]
    fields = {name: getattr(model, name) for name in names if name not in OF_THE_TREE}
    return {n: v for n, v in fields.items() if isinstance(v, np.ndarray) and "bvh" not in n}


def tensors(model):
    """Returns the inertia tensors of bodies in their frames, shape [bodies, 3, 3]."""
    found = []
    for moments, quat in zip(model.body_inertia, model.body_iquat, strict=True):
        axes = np.zeros(9)
        mujoco.mju_quat2Mat(axes, quat)
        found.append((axes.reshape(3, 3) * moments) @ axes.reshape(3, 3).T)
    return np.array(found)


@pytest.mark.parametrize("kind", MODELS)
def test_an_asset_has_all_physical_fields_of_mujocos_own_model(tmp_path, kind):
    """Every field of bodies, joints, geoms and tendons is the compiler's, but the root's pose."""
    path = write(tmp_path, MODELS[kind])
    expected, asset = model_of(path), load(path)
    assert asset.model.nbody == expected.nbody
    for part, first in (("body", 0), ("jnt", 1), ("dof", 6), ("geom", 0), ("tendon", 0)):
        for name, values in physical_fields(expected, part).items():
            skipped = 2 if name in ("body_pos", "body_quat") else 0
            own = getattr(asset.model, name)[skipped:]
            close(own, values[max(first, skipped) :], atol=1e-9, err_msg=name)
    close(asset.model.body_pos[1], 0)
    close(asset.model.body_quat[1], [1, 0, 0, 0])
    moves = simulated(asset)  # whose first body is the asset's root too
    for name in ("body_mass", "body_ipos", "geom_pos", "geom_size"):
        close(getattr(moves, name), getattr(expected, name), atol=1e-9, err_msg=name)
    limited = expected.jnt_limited.astype(bool)
    close(moves.jnt_range[limited], expected.jnt_range[limited], rtol=1e-6)
    for name in ("jnt_pos", "jnt_axis", "jnt_limited", "dof_armature"):
        close(getattr(moves, name), getattr(expected, name), rtol=1e-6, atol=1e-9, err_msg=name)
    close(tensors(moves), tensors(expected), atol=1e-9)


def test_a_fixed_root_keeps_the_orientation_of_its_file(tmp_path):
    """The root's frame counts with those around it, as MuJoCo accumulates them."""
    text = f"""<worldbody><frame pos="1 2 3" euler="0 30 40"><body name="a" euler="10 20 30">{BALL}
        </body></frame></worldbody>"""
    path = write(tmp_path, text)
    asset = load(path, fix_base_link=True)
    close(asset.model.body_quat, model_of(path).body_quat, atol=1e-12)
    close(asset.model.body_pos, 0, atol=1e-12)


def test_bodies_of_the_world_become_one_articulation(tmp_path):
    """Fixed bodies in frames and replicas get a common base and keep their places."""
    text = f"""<worldbody><geom type="plane" size="1 1 1"/><body name="a" pos="0 0 1">{BALL}</body>
        <frame pos="1 0 0">{ARM.format(BALL)}</frame>
        <replicate count="2" offset="0 1 0"><body name="c" pos="0 0 2">{BALL}</body></replicate>
        </worldbody>"""
    path = write(tmp_path, text)
    asset, expected = load(path, fix_base_link=True), model_of(path)
    assert asset.bodies[1:] == ("a", "arm", "c0", "c1")
    close(asset.model.body_pos[2:], expected.body_pos[1:])
    close(asset.model.body_mass[2:], expected.body_mass[1:])


def test_included_files_are_relative_to_the_main_file(tmp_path):
    """The main file's folder comes before the including file's, as in MuJoCo."""
    text = '<worldbody><body name="a"><freejoint/><include file="parts/a.xml"/></body></worldbody>'
    path = write(tmp_path, text)
    (tmp_path / "parts/a.xml").write_text('<part><include file="b.xml"/></part>')
    (tmp_path / "parts/b.xml").write_text('<part><geom size=".1" mass="4"/></part>')
    assert load(path).body_properties[0].mass == pytest.approx(4.0)
    assert model_of(path).body_mass[1] == pytest.approx(4.0)
    (tmp_path / "b.xml").write_text('<part><geom size=".1" mass="7"/></part>')
    assert load(path).body_properties[0].mass == pytest.approx(7.0)
    assert model_of(path).body_mass[1] == pytest.approx(7.0)


@pytest.mark.parametrize("meshdir", ["", '<compiler meshdir="meshes"/>'])
@pytest.mark.parametrize("places", [("parts", "."), ("parts", "meshes"), ("parts",)])
def test_meshes_beside_an_included_file_are_found_last(tmp_path, places, meshdir):
    """Tetrahedra of other sizes in several places: the same one as in MuJoCo, or none."""
    text = f"""{meshdir}<include file="parts/inc.xml"/><worldbody><body><freejoint/>
      <geom type="mesh" mesh="u" density="1"/></body></worldbody>"""
    path = write(tmp_path, text)
    part = '<mujoco><asset><mesh file="u.obj"/></asset></mujoco>'
    (tmp_path / "parts/inc.xml").write_text(part)
    for i, place in enumerate(places):
        (tmp_path / place / "u.obj").write_text(TETRAHEDRON.replace("v 1 ", f"v {i + 1} "))
    close(load(path).model.body_mass, model_of(path).body_mass)


def test_meshes_that_are_only_drawn_weigh_as_in_mujoco(tmp_path):
    """1 kg of a ball and 2 kg of a mesh without a file, which then is no longer needed."""
    text = f"""<asset><mesh name="t" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset><worldbody>
        <body name="a"><freejoint/>{BALL}<geom type="mesh" mesh="t" mass="2" contype="0"
        conaffinity="0"/></body></worldbody>"""
    path = write(tmp_path, text)
    asset, expected = load(path), model_of(path)
    assert (asset.model.body_mass[1], asset.model.nmesh) == (pytest.approx(3.0), 0)
    close(tensors(asset.model), tensors(expected), rtol=1e-9)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_servo_has_the_gains_that_mujoco_compiles(tmp_path, fixed):
    """A damping ratio becomes the damping of the joint's inertia, whose base floats or not."""
    root = TORSO.replace("<freejoint/>", "") if fixed else TORSO
    text = f"""<worldbody>{root.format(ARM.format('<geom size=".1" mass="1"/>'))}</worldbody>
        <actuator><position name="ratio" joint="j" kp="20" dampratio="1" forcerange="-3 3"/>
        <position name="filtered" joint="j" kp="5" kv="2" timeconst=".1" ctrlrange="-1 2"/>
        <velocity name="speed" joint="j" kv="4"/>
        <general name="plain" joint="j" gainprm="6" biasprm="0 -1 -1" gear="2"/></actuator>"""
    path = write(tmp_path, text)
    asset, expected = load(path, fix_base_link=fixed), model_of(path)
    ratio, filtered, speed, plain = (actuator.properties for actuator in asset.actuators)
    assert ratio.kv == pytest.approx(-expected.actuator_biasprm[0, 2], rel=1e-6)
    if fixed:  # 2 sqrt(kp I), I = 0.4 m r^2
        assert ratio.kv == pytest.approx(2 * (20 * 0.004) ** 0.5)
    assert (ratio.kp, ratio.upper_force_limit, ratio.control_limited) == (20, 3, False)
    assert (filtered.kp, filtered.kv, filtered.upper_control_limit) == (5, 2, 2)
    assert (speed.type, speed.kv) == ("velocity", 4)
    assert (plain.type, plain.motor_effort) == ("motor", 12)  # its bias has no type


def test_joints_and_actuators_of_the_root_are_left_out(tmp_path):
    """A planar root floats; what drives its joints goes with them."""
    text = f"""<worldbody><body name="a"><joint name="x" type="slide"/>{BALL}{ARM.format(BALL)}
        </body></worldbody><tendon><fixed name="t"><joint joint="x" coef="1"/></fixed></tendon>
        <actuator><motor joint="x"/><motor joint="j" gear="5"/><motor tendon="t"/></actuator>"""
    asset = load(write(tmp_path, text))
    assert [actuator.joint for actuator in asset.actuators] == ["j"]
    assert (asset.dofs, asset.tendons) == (("j",), ())


def test_a_root_that_the_file_moves_by_mocap_floats(tmp_path):
    """The option decides whether a root is fixed; MuJoCo would refuse to free this one."""
    text = f'<worldbody><body name="a" mocap="true">{BALL}</body></worldbody>'
    assert simulated(load(write(tmp_path, text))).nv == 6


def test_a_free_root_keeps_the_frame_of_its_body(tmp_path):
    """The root tensor is about the body's frame, also where alignfree would move it."""
    text = """<compiler alignfree="true"/><worldbody><body name="a"><freejoint/><geom type="box"
        size=".1 .2 .3" pos=".1 .2 .3"/></body></worldbody>"""
    model = simulated(load(write(tmp_path, text)))
    close(model.body_ipos[1], [0.1, 0.2, 0.3], atol=1e-12)
    close(model.geom_pos[0], [0.1, 0.2, 0.3], atol=1e-12)


def test_a_mass_set_on_a_full_tensor_scales_its_moments(tmp_path):
    """3 kg instead of 2 make the eigenvalues of the tensor 1.5 times as large."""
    tensor = np.array([[0.02, 0.001, 0.002], [0.001, 0.03, -0.003], [0.002, -0.003, 0.04]])
    text = """<worldbody><body name="a"><freejoint/><inertial pos="0 0 0" mass="2"
        fullinertia="0.02 0.03 0.04 0.001 0.002 -0.003"/><geom size=".1"/></body></worldbody>"""
    model = simulated(load(write(tmp_path, text)), mass=3.0)
    assert model.body_mass[1] == pytest.approx(3.0)
    close(tensors(model)[1], 1.5 * tensor, rtol=1e-6)


def test_the_moments_of_a_flat_body_are_not_averaged(tmp_path):
    """0.3 + 0.6 = 0.9 but for rounding, in any axes and at any mass."""
    text = """<worldbody><body name="a"><freejoint/><inertial pos="0 0 0" euler="10 20 30" mass="1"
        diaginertia=".3 .6 .9"/><geom size=".1"/></body></worldbody>"""
    asset = load(write(tmp_path, text))
    close(asset.model.body_inertia[1], [0.3, 0.6, 0.9], rtol=1e-9)
    close(np.sort(simulated(asset, mass=2.0).body_inertia[1]), [0.6, 1.2, 1.8], rtol=1e-6)


def test_impossible_tensors_are_mended_and_reported(tmp_path, capsys):
    """One moment above the sum of the others: all become their mean, as balanceinertia does."""
    text = """<worldbody><body name="odd"><freejoint/><inertial pos="0 0 0" mass="1"
        diaginertia="1 1 9"/><geom size=".1"/></body></worldbody>"""
    asset = load(write(tmp_path, text, "impossible.xml"))
    close(asset.model.body_inertia[1], 11 / 3)
    said = [line for line in capsys.readouterr().err.splitlines() if "impossible.xml" in line]
    assert len(said) == 1
    assert "odd" in said[0]


@pytest.mark.parametrize(
    "kind", ["frames", "a scaled frame", "meshes", "springs, limits and references", "fusestatic"]
)
def test_a_scaled_actor_is_what_mujoco_compiles_in_a_scaled_frame(tmp_path, kind):
    """Lengths double, and so do limits of sliding joints; masses grow eightfold."""
    text = MODELS[kind]
    scaled = text.replace("<worldbody>", '<worldbody><frame scale="2" scaling="geometry">')
    scaled = scaled.replace("</worldbody>", "</frame></worldbody>")
    asset = load(write(tmp_path, text))
    model, expected = simulated(asset, scale=2.0), model_of(write(tmp_path, scaled, "scaled.xml"))
    limited = expected.jnt_limited.astype(bool)
    close(model.jnt_range[limited], expected.jnt_range[limited], rtol=1e-6)
    close(model.qpos_spring[7:], expected.qpos_spring[7:], atol=1e-9)
    close(model.body_pos[2:], expected.body_pos[2:], atol=1e-9)
    for name in ("body_mass", "body_ipos", "geom_pos", "geom_size", "geom_rbound", "jnt_pos"):
        close(getattr(model, name), getattr(expected, name), rtol=1e-6, atol=1e-9, err_msg=name)
    close(tensors(model), tensors(expected), rtol=1e-6, atol=1e-9)


def test_a_scaled_actor_reports_its_mass_and_can_be_given_another(tmp_path):
    """2 kg and 1 kg m^2 become 16 kg and 32 kg m^2, a limit of 1 m one of 2 m."""
    text = """<worldbody><body><freejoint/><inertial pos=".1 0 0" mass="2" diaginertia="1 1 1"/>
        <geom size=".1"/><body><joint type="slide" range="-1 1"/><geom size=".1"/></body></body>
        </worldbody>"""
    sim = new_sim("mujoco")
    env = new_env(sim)
    path = write(tmp_path, text)
    asset = GYM.load_asset(sim, str(tmp_path), path.name, gymapi.AssetOptions())
    handle = GYM.create_actor(env, asset, at(), "robot", 0, 0)
    GYM.set_actor_scale(env, handle, 2.0)
    properties = GYM.get_actor_rigid_body_properties(env, handle)
    assert properties[0].mass == pytest.approx(16.0)
    close(list(properties[0].com), [0.2, 0, 0])
    close(np.array(properties[0].inertia.rows()), 32 * np.eye(3))
    limits = GYM.get_actor_dof_properties(env, handle)[0]
    assert (limits["lower"], limits["upper"]) == (-2.0, 2.0)
    properties[0].mass = 5.0
    GYM.set_actor_rigid_body_properties(env, handle, properties)
    GYM.prepare_sim(sim)
    assert sim.world.worlds.model.body_mass[1] == pytest.approx(5.0)
    assert asset.body_properties[0].mass == pytest.approx(2.0)  # of other actors
