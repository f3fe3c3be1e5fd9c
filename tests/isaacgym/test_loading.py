"""Options, scales and limits of assets against values worked by hand."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scenes import GYM, at, close, joint, link, new_env, new_sim, run, urdf, wrapped

from rlgpu.errors import MalformedModel
from rlgpu.isaacgym.api import gymapi
from tests.refusals import names

BOX = '<collision><geometry><box size="0.2 0.4 0.6"/></geometry></collision>'
OF_BOX = np.diag([0.4**2 + 0.6**2, 0.2**2 + 0.6**2, 0.2**2 + 0.4**2]) / 12
"""Inertia of the box per kilogram."""


def load(sim, file, **options):
    """Loads a file with options."""
    chosen = gymapi.AssetOptions()
    for name, value in options.items():
        setattr(chosen, name, value)
    return GYM.load_asset(sim, *file, chosen)


def mjcf(tmp_path, text, name="robot.xml"):
    """Writes an MJCF file and returns its folder and name."""
    (tmp_path / name).write_text(f"<mujoco>{text}</mujoco>")
    return str(tmp_path), name


def matrix(body):
    """Returns the inertia of a body's properties."""
    return np.array(body.inertia.rows())


@pytest.mark.parametrize("kind", ["urdf", "mjcf"])
@pytest.mark.parametrize("override_com", [False, True])
@pytest.mark.parametrize("override_inertia", [False, True])
def test_shapes_replace_what_the_options_name(tmp_path, kind, override_com, override_inertia):
    """A box of 2 kg that states the centre (0.3, 0, 0) and moments of 9 keeps its mass."""
    if kind == "urdf":
        file = urdf(tmp_path, link("box", 2.0, (0.3, 0, 0), (9, 9, 9), BOX))
    else:
        file = mjcf(
            tmp_path,
            """<worldbody><body><freejoint/><inertial pos=".3 0 0" mass="2" diaginertia="9 9 9"/>
            <geom type="box" size=".1 .2 .3"/><geom size="1" pos="5 0 0" contype="0"
            conaffinity="0"/></body></worldbody>""",
        )
    asset = load(
        new_sim("auto"), file, override_com=override_com, override_inertia=override_inertia
    )
    body = asset.body_properties[0]
    assert body.mass == pytest.approx(2.0)
    close(list(body.com), [0 if override_com else 0.3, 0, 0], atol=1e-9)
    close(matrix(body), 2 * OF_BOX if override_inertia else 9 * np.eye(3), rtol=1e-6, atol=1e-9)


LIMITS = '<limit lower="{}" upper="{}" effort="1" velocity="1"/>'


def reports(capsys, file):
    """Returns the remarks about a file."""
    return [line for line in capsys.readouterr().err.splitlines() if file in line]


@pytest.mark.parametrize(
    ("lower", "upper", "has_limits"), [(0.5, -0.5, False), (0.25, 0.25, True), (0, 0, True)]
)
def test_limits_that_leave_no_room_are_reported(tmp_path, capsys, lower, upper, has_limits):
    """Reversed limits are none, equal ones lock the joint; one line names it and no other."""
    text = link("base") + link("a") + link("b") + link("c")
    text += joint("odd", "base", "a", more=LIMITS.format(lower, upper))
    text += joint("fine", "base", "b") + joint("wheel", "base", "c", "continuous", more=" ")
    name = f"limits_{lower}_{upper}.urdf"
    asset = load(new_sim("auto"), urdf(tmp_path, text, name), fix_base_link=True)
    (said,) = reports(capsys, name)
    assert "odd" in said
    assert not {"fine", "wheel"} & set(said.split())
    odd, fine, wheel = asset.dof_properties
    assert (odd["hasLimits"], fine["hasLimits"], wheel["hasLimits"]) == (has_limits, True, False)
    if has_limits:
        close([odd["lower"], odd["upper"]], lower, atol=2e-3)


def test_joints_without_bounds_are_reported_in_one_line(tmp_path, capsys):
    """A revolute joint needs a limit in URDF; that of a continuous one is not read."""
    text = link("base") + link("a") + link("b") + link("c")
    text += joint("first", "base", "a", more='<limit effort="1" velocity="1"/>')
    text += joint("second", "base", "b", more=" ")
    text += joint("wheel", "base", "c", "continuous", more=LIMITS.format(0, 0))
    asset = load(new_sim("auto"), urdf(tmp_path, text, "free.urdf"), fix_base_link=True)
    (said,) = reports(capsys, "free.urdf")
    assert "first" in said and "second" in said and "wheel" not in said
    assert not asset.dof_properties["hasLimits"].any()


def test_limits_of_mjcf_that_leave_no_room_are_reported(tmp_path, capsys):
    """MuJoCo takes both for joints without limits, and says nothing."""
    text = """<worldbody><body><geom size=".1"/>
        <body><joint name="odd" range="30 -30"/><geom size=".1"/></body>
        <body><joint name="stuck" range="45 45"/><geom size=".1"/></body></body></worldbody>"""
    asset = load(new_sim("auto"), mjcf(tmp_path, text, "limits.xml"), fix_base_link=True)
    assert asset.dof_properties["hasLimits"].tolist() == [False, True]
    close(asset.dof_properties["lower"][1], np.pi / 4, atol=1e-4)
    said = reports(capsys, "limits.xml")
    assert ["odd" in line for line in said] == [True, False]
    assert ["stuck" in line for line in said] == [False, True]


def test_equal_limits_count_only_where_limits_do(tmp_path, capsys):
    """A default of no limits, and 0 to 0 in a default, which is MuJoCo's own, lock nothing."""
    parts = "".join(
        f'<body><joint name="{name}" {limits}/><geom size=".1"/></body>'
        for name, limits in {
            "free": 'class="unlimited" range="0 0"',
            "loose": 'class="unlimited" range="2 2"',
            "undone": 'class="undone"',
            "zero": 'range="0 0"',
        }.items()
    )
    text = f"""<default><joint range="10 20"/>
        <default class="unlimited"><joint limited="false"/></default>
        <default class="undone"><joint range="0 0"/></default></default>
        <worldbody><body><geom size=".1"/>{parts}</body></worldbody>"""
    asset = load(new_sim("auto"), mjcf(tmp_path, text, "equal.xml"), fix_base_link=True)
    assert asset.dof_properties["hasLimits"].tolist() == [False, False, False, True]
    close(asset.dof_properties["upper"][3], 0, atol=1e-4)
    (said,) = reports(capsys, "equal.xml")
    assert "joint zero is locked at 0" in said


def test_a_link_states_mass_centre_and_tensor_alone_or_together(tmp_path):
    """What a link does not state follows from its shapes, turned about x by a right angle."""
    frame = '<inertial><origin xyz="0.1 0.2 0.3" rpy="1.5707963267948966 0 0"/>{}</inertial>'
    mass, tensor = '<mass value="2"/>', '<inertia ixx="1" iyy="2" izz="2.5"/>'
    links = {
        "all": frame.format(mass + tensor) + BOX,
        "mass": frame.format(mass) + BOX,
        "tensor": frame.format(tensor) + BOX,
        "place": frame.format("") + BOX,
        "turn": '<inertial><origin rpy="0 0 1"/>' + mass + "</inertial>" + BOX,
        "point": frame.format(mass),
        "shape": BOX,
    }
    text = link("base") + "".join(f'<link name="{n}">{part}</link>' for n, part in links.items())
    text += "".join(joint(f"j_{name}", "base", name) for name in links)
    asset = load(new_sim("auto"), urdf(tmp_path, text), density=500.0)
    bodies = dict(zip(asset.bodies, asset.body_properties, strict=True))
    of_shape = 0.2 * 0.4 * 0.6 * 500
    for name, expected in (
        ("all", 2),
        ("mass", 2),
        ("tensor", of_shape),
        ("place", of_shape),
        ("point", 2),
        ("turn", 2),
        ("shape", of_shape),
    ):
        assert bodies[name].mass == pytest.approx(expected), name
        centre = [0, 0, 0] if name in ("turn", "shape") else [0.1, 0.2, 0.3]
        close(list(bodies[name].com), centre, atol=1e-9)
    for name in ("all", "tensor"):  # x stays, y and z change places
        close(matrix(bodies[name]), np.diag([1, 2.5, 2]), atol=1e-9)
    close(matrix(bodies["mass"]), 2 * OF_BOX, atol=1e-9)
    for name in ("place", "shape"):
        close(matrix(bodies[name]), of_shape * OF_BOX, atol=1e-9)


def test_degrees_of_freedom_are_driven_as_the_files_actuators_say(tmp_path):
    """Position 1, velocity 2, else the option's mode; a motor's effort is its gear's."""
    names = ("servo", "speed", "motor", "limited", "free", "none")
    arms = "".join(
        f'<body><joint name="{name}" axis="0 1 0"/><geom size=".1"/></body>' for name in names
    )
    text = f"""<worldbody><body><geom size=".1"/>{arms}</body></worldbody><actuator>
        <position joint="servo" kp="20" forcerange="-3 3"/><velocity joint="speed" kv="4"/>
        <motor joint="motor" gear="-5" ctrlrange="-1 1"/>
        <motor joint="limited" gear="5" ctrlrange="-1 1" forcerange="-2 2"/>
        <motor joint="free" gear="5"/></actuator>"""
    file = mjcf(tmp_path, text)
    asset = load(new_sim("auto"), file, default_dof_drive_mode=gymapi.DOF_MODE_EFFORT)
    found = dict(zip(asset.dofs, asset.dof_properties, strict=True))
    huge = np.finfo(np.float32).max
    modes = {name: int(row["driveMode"]) for name, row in found.items()}
    assert modes == {"servo": 1, "speed": 2, "motor": 3, "limited": 3, "free": 3, "none": 3}
    assert [found[name]["stiffness"] for name in names] == [20, 0, 0, 0, 0, 0]
    efforts = [float(found[name]["effort"]) for name in names]
    assert efforts == [3.0, huge, 5.0, 2.0, huge, huge]


def test_shapes_of_the_world_are_no_part_of_an_asset(tmp_path):
    """Neither those beside a robot, in frames or not, nor those beside several fixed bodies."""
    ball, plane = '<geom size=".1"/>', '<geom type="plane" size="1 1 1"/>'
    around = f"""{plane}<frame pos="0 0 1">{ball}<site name="s"/></frame>
        <replicate count="2" offset="1 0 0"><frame>{ball}</frame></replicate>"""
    one, two = f"<body><freejoint/>{ball}</body>", f"<body>{ball}</body>" * 2
    for bodies, number in ((one, 1), (two, 2)):
        file = mjcf(tmp_path, f"<worldbody>{around}{bodies}</worldbody>")
        asset = load(new_sim("auto"), file, fix_base_link=True)
        assert (len(asset.shapes), asset.model.ngeom) == (number, number)
    (tmp_path / "part.xml").write_text(f"<mujoco><worldbody>{plane}{one}</worldbody></mujoco>")
    text = """<asset><model name="m" file="part.xml"/></asset><worldbody><frame>
        <attach model="m" prefix="x_"/></frame></worldbody>"""
    assert load(new_sim("auto"), mjcf(tmp_path, text), fix_base_link=True).model.ngeom == 1


def test_moments_that_are_not_positive_become_a_thousandth_of_the_largest(tmp_path, capsys):
    """-1, 2 and 2 kg m^2 are no body's; and a tensor of zeros is that of a ball of 10 cm."""
    text = link("base", inertia=(-1, 2, 2)) + link("none", 3.0, inertia=(0, 0, 0))
    text += joint("j", "base", "none")
    asset = load(new_sim("auto"), urdf(tmp_path, text, "thin.urdf"))
    odd, none = asset.body_properties
    close(matrix(odd), np.diag([0.002, 2, 2]), rtol=1e-6, atol=1e-12)
    close(matrix(none), 0.4 * 3.0 * 0.1**2 * np.eye(3), rtol=1e-6, atol=1e-12)
    assert len(reports(capsys, "thin.urdf")) == 2


def test_a_joint_without_an_axis_turns_about_x(tmp_path):
    """As URDF says; and a joint without a parent or a child is refused by its name."""
    text = link("base") + link("arm")
    whole = """<joint name="odd" type="continuous">{}</joint>"""
    ends = '<parent link="base"/>', '<child link="arm"/>'
    asset = load(new_sim("auto"), urdf(tmp_path, text + whole.format("".join(ends))))
    close(asset.model.jnt_axis, [[1, 0, 0]])
    for end in ends:
        with pytest.raises(MalformedModel) as refusal:
            load(new_sim("auto"), urdf(tmp_path, text + whole.format(end)))
        assert refusal.value.fault == "missing"
        assert "odd" in refusal.value.named


def test_origins_are_turned_as_mujocos_own_reader_turns_them(tmp_path):
    """About the fixed axes x, y and z, one after the other; a joint's and a shape's."""
    ball = '<collision><origin xyz="1 2 3" rpy="-0.7 0.4 2.5"/>' + BOX.partition(">")[2]
    hinge = joint("j", "base", "arm", xyz='0.1 0.2 0.3" rpy="0.3 -0.5 1.1')
    text = link("base") + link("arm", shape=ball) + hinge
    folder, name = urdf(tmp_path, text)
    model = load(new_sim("auto"), (folder, name), fix_base_link=True).model
    wanted = mujoco.MjSpec.from_file(f"{folder}/{name}").compile()
    close(model.body_pos[2], wanted.body("arm").pos, atol=1e-9)
    assert abs(model.body_quat[2] @ wanted.body("arm").quat) == pytest.approx(1.0)
    close(model.geom_pos[0], wanted.geom_pos[0], atol=1e-9)
    assert abs(model.geom_quat[0] @ wanted.geom_quat[0]) == pytest.approx(1.0)


def test_gains_and_biases_of_other_types_are_no_gains(tmp_path):
    """An affine gain and a muscle's parameters mean something else: a motor without effort."""
    text = """<worldbody><body><geom size=".1"/><body><joint name="j"/><geom size=".1"/></body>
        </body></worldbody><actuator><general joint="j" gaintype="affine" gainprm="3 2 1"
        biastype="none" biasprm="0 -4 -5" gear="7"/></actuator>"""
    (actuator,) = load(new_sim("auto"), mjcf(tmp_path, text)).actuators
    assert (actuator.properties.type, actuator.properties.motor_effort) == ("motor", 0.0)
    assert (actuator.properties.kp, actuator.properties.kv) == (0.0, 0.0)


def test_links_without_mass_get_little_and_are_reported(tmp_path, capsys):
    """0.1 g and 1e-8 kg m^2, so that a joint that moves nothing else can be simulated."""
    text = link("base") + '<link name="none"/>' + joint("j", "base", "none")
    asset = load(new_sim("auto"), urdf(tmp_path, text, "empty.urdf"))
    assert asset.body_properties[1].mass == pytest.approx(1e-4)
    close(matrix(asset.body_properties[1]), 1e-8 * np.eye(3), rtol=1e-6, atol=1e-20)
    (said,) = reports(capsys, "empty.urdf")
    assert "none" in said


def test_springs_by_times_stay_as_they_are_when_a_script_sets_masses(tmp_path):
    """MuJoCo computes their stiffness and damping once, from the masses of the file."""
    text = """<worldbody><body name="a"><freejoint/><geom size=".1" mass="1"/><body name="b">
        <joint name="j" type="slide" springdamper=".1 1"/><geom size=".1" mass="2"/></body></body>
        </worldbody>"""
    folder, name = mjcf(tmp_path, text)
    wanted = mujoco.MjModel.from_xml_path(f"{folder}/{name}")
    sim = new_sim("auto")
    env = new_env(sim)
    handle = GYM.create_actor(env, load(sim, (folder, name)), at(), "robot", 0, 0)
    properties = GYM.get_actor_rigid_body_properties(env, handle)
    properties[1].mass = 7.0
    GYM.set_actor_rigid_body_properties(env, handle, properties)
    GYM.prepare_sim(sim)
    model = sim.world.worlds.model
    assert model.body_mass[-1] == pytest.approx(7.0)
    close(model.jnt_stiffness[1], wanted.jnt_stiffness[1], rtol=1e-6)
    # The spring is integrated implicitly: 0.01 s of its stiffness are added to the damping.
    close(model.dof_damping[6], wanted.dof_damping[6] + 0.01 * wanted.jnt_stiffness[1], rtol=1e-6)


def test_tiny_links_keep_their_mass_and_inertia(tmp_path):
    """0.02 g and 1e-11 kg m^2 are not rounded up."""
    asset = load(new_sim("auto"), urdf(tmp_path, link("base", 2e-5, inertia=(1e-11,) * 3)))
    assert asset.body_properties[0].mass == pytest.approx(2e-5)
    close(matrix(asset.body_properties[0]), 1e-11 * np.eye(3), rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("is_set", [False, True])
def test_gravity_compensation_of_the_file_counts(tmp_path, is_set):
    """Half of the weight is carried, also once a script has set the body's properties."""
    text = (
        '<worldbody><body gravcomp=".5"><freejoint/><geom size=".1" mass="2"/></body></worldbody>'
    )
    sim = new_sim("auto")
    asset = load(sim, mjcf(tmp_path, text))
    for index in range(2):
        env = new_env(sim)
        GYM.create_actor(env, asset, at(z=1.0), "robot", index, 0)
        if is_set:
            properties = GYM.get_actor_rigid_body_properties(env, 0)
            properties[0].mass = 3.0 + index
            GYM.set_actor_rigid_body_properties(env, 0, properties, recomputeInertia=True)
    GYM.prepare_sim(sim)
    roots = wrapped(GYM.acquire_actor_root_state_tensor(sim))
    run(sim, 10)
    close(roots[:, 9], [-0.4905, -0.4905], rtol=1e-4)


TWO, THREE = (link("a") + link("b"), link("a") + link("b") + link("c"))
HINGE = joint("j", "a", "b")


@pytest.mark.parametrize(
    ("text", "fault", "named"),
    [
        (TWO + link("b") + HINGE, "twice", ("link", "b")),
        (THREE + HINGE + joint("j", "a", "c"), "twice", ("joint", "j")),
        (
            THREE + HINGE + joint("k", "a", "c") + joint("l", "b", "c"),
            "two_parents",
            ("c", "k", "l"),
        ),
        (
            THREE + link("d") + HINGE + joint("k", "c", "d") + joint("l", "d", "c"),
            "circle",
            ("c", "d"),
        ),
        (TWO + HINGE.replace('type="revolute"', ""), "missing", ("joint", "j", "type")),
        (
            TWO + joint("j", "a", "b", more=LIMITS.format("nan", 1)),
            "number",
            ("limit", "lower", "nan"),
        ),
        (
            link("a", shape=BOX.replace("0.4", "0.4,")),
            "number",
            ("box", "size", "0.2 0.4, 0.6"),
        ),
        (link("a", shape=BOX.replace("0.4", "-0.4")), "negative", ("box", "-0.4")),
        (
            link("a", shape=BOX.replace('size="0.2 0.4 0.6"', "").replace("box", "sphere")),
            "missing",
            ("sphere", "", "radius"),
        ),
        (link("a", -2.0), "negative", ("mass", "-2")),
    ],
)
def test_what_makes_no_sense_in_urdf_is_refused_with_the_file(tmp_path, text, fault, named):
    """Rather than an arbitrary choice, a number that is none, or Python's words."""
    with pytest.raises(MalformedModel) as refusal:
        load(new_sim("auto"), urdf(tmp_path, text, "robot.urdf"))
    assert (refusal.value.fault, refusal.value.named) == (fault, named)
    assert refusal.value.file == "robot.urdf"
    assert names(refusal.value, "robot.urdf", named[-1])


def test_infinite_limits_are_none(tmp_path):
    """One end may be infinite alone; both are a joint without limits."""
    text = THREE + joint("j", "a", "b", more=LIMITS.format("-inf", "inf"))
    text += joint("k", "a", "c", more=LIMITS.format("-inf", 1))
    properties = load(new_sim("auto"), urdf(tmp_path, text)).dof_properties
    assert properties["hasLimits"].tolist() == [False, True]
    assert np.isfinite(properties["lower"]).all() and properties["upper"][1] == 1
