"""``rlgpu accept``."""

from __future__ import annotations

import pytest

from rlgpu.cli import main
from rlgpu.sim.reasons import group_reasons
from tests.conftest import ROOT
from tests.refusals import error_of, names


@pytest.mark.parametrize("name", ["ant", "cartpole"])
def test_the_tasks_assets_are_simulated(name, capsys) -> None:
    """Exit code 0."""
    assert main(["accept", str(ROOT / "tasks" / "assets" / f"{name}.xml")]) == 0
    assert "sim=fused simulates" in capsys.readouterr().out


def test_all_reasons_are_listed(tmp_path, capsys) -> None:
    """One line each, and exit code 1."""
    asset = tmp_path / "robot.xml"
    asset.write_text("""<mujoco><option><flag diagexact="enable"/></option>
      <worldbody><body><joint name="j"/><geom size=".1"/></body></worldbody>
      <actuator><muscle name="m" joint="j" lengthrange="0 1"/></actuator></mujoco>""")
    assert main(["accept", str(asset)]) == 1
    printed = capsys.readouterr().out
    assert "diagexact" in printed
    assert "dynamics of type muscle" in printed


def run(tmp_path, capsys, text: str) -> tuple[int, list[str]]:
    """Returns the exit code and the lines for a file."""
    asset = tmp_path / "robot.xml"
    asset.write_text(text)
    code = main(["accept", str(asset)])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "part",
    [
        '<joint name="j"/><geom size=".1"/></body></worldbody>'
        '<actuator><motor joint="j"/></actuator>',
        '<joint type="ball"/><geom size=".1"/></body></worldbody>',
    ],
    ids=["actuators", "ball joints"],
)
def test_what_every_task_refuses_is_not_said_to_work_elsewhere(tmp_path, capsys, part) -> None:
    """Actuators of the file, and ball joints."""
    code, lines = run(tmp_path, capsys, f"<mujoco><worldbody><body>{part}</mujoco>")
    assert code == 1
    assert lines[0].startswith("no task takes ")
    assert "sim=mujoco" not in " ".join(lines)


def test_what_mujoco_does_is_said(tmp_path, capsys) -> None:
    """What a flag enables is simulated by sim=mujoco only."""
    code, lines = run(
        tmp_path,
        capsys,
        """<mujoco><option><flag diagexact="enable"/></option><worldbody><body>
      <joint/><geom size=".1"/></body></worldbody></mujoco>""",
    )
    assert code == 1
    assert "sim=mujoco does" in lines[0]


BODY = """<body><joint name="j"/><geom name="g" size=".1"/><site name="s"/><site name="t"/></body>
  <body pos="1 0 0"><freejoint name="free"/><geom size=".1"/></body>"""
ACTUATORS = {
    "slider and crank": '<motor name="m" cranksite="s" slidersite="t" cranklength=".1"/>',
    "free joint": '<motor name="m" joint="free" gear="1 0 0 0 0 0"/>',
    "muscle": '<muscle name="m" joint="j" lengthrange="0 1"/>',
    "armature": '<motor name="m" joint="j" armature=".1"/>',
    "more than one control": '<pid name="m" joint="j" kp="1"/>',
    "delay": '<motor name="m" joint="j" delay=".01" nsample="4"/>',
}
PARTS = {
    "polynomial": '<body><joint stiffness="1 2 3"/><geom size=".1"/></body>',
    "surface velocity": '<body><joint/><geom size=".1" adhesion="1"/></body>',
    "flexible": """<flexcomp name="x" type="grid" count="3 3 1" spacing=".1 .1 .1" dim="2">
      <edge equality="true"/></flexcomp>""",
    "turned": """<geom name="h" type="hfield" hfield="h" euler="10 0 0"/>""",
    "too large": """<geom name="h" type="hfield" hfield="h"/>
      <body><freejoint/><geom type="capsule" size=".4 .1"/></body>""",
    "sdf": '<body><freejoint/><geom type="sdf" mesh="t"/></body>',
}
FIELD = '<hfield name="h" nrow="9" ncol="9" size="1 1 .1 .1"/>'
MESH = '<mesh name="t" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/>'


@pytest.mark.parametrize("reason", [*ACTUATORS, *PARTS])
def test_what_is_left_to_mujoco_is_named(tmp_path, capsys, reason) -> None:
    """Each actuator, joint, geom and height field of which the fused engine lacks something."""
    code, lines = run(
        tmp_path,
        capsys,
        f"""<mujoco><asset>{FIELD}{MESH}</asset><worldbody>{BODY}{PARTS.get(reason, "")}</worldbody>
        <actuator>{ACTUATORS.get(reason, "")}</actuator></mujoco>""",
    )
    assert code == 1
    against_fused = lines[lines.index(next(x for x in lines if "sim=fused does not" in x)) :]
    assert any(reason in line for line in against_fused), lines


def test_what_the_engine_has_is_not_held_against_a_file(tmp_path, capsys) -> None:
    """Actuators at sites and on bodies, gaps, and any convex geom on a height field.

    A task refuses the actuators, whatever the engine.
    """
    _, lines = run(
        tmp_path,
        capsys,
        f"""<mujoco><asset>{FIELD}{MESH}</asset><worldbody>{BODY}
          <geom name="h" type="hfield" hfield="h"/>
          <body name="b"><freejoint/><geom type="mesh" mesh="t" gap=".01"/></body>
          <body><freejoint/><geom type="cylinder" size=".4 .1" gap=".01"/></body>
          <body><freejoint/><geom type="ellipsoid" size=".4 .1 .2"/></body></worldbody>
        <actuator><motor site="s" gear="1 2 3 4 5 6"/>
          <position site="s" refsite="t" gear="0 0 0 1 0 0"/>
          <adhesion body="b" ctrlrange="0 1" gain="9"/></actuator></mujoco>""",
    )
    assert not any("sim=fused does not" in line for line in lines), lines


def test_hundreds_of_reasons_of_one_kind_are_one_line(tmp_path, capsys) -> None:
    """Twenty free cylinders: 190 pairs of one kind."""
    geom = 'type="cylinder" size=".1 .1" solimp=".9 .95 .001 .5 3"'
    bodies = "".join(
        f'<body pos="{i} 0 0"><freejoint/><geom name="c{i}" {geom}/></body>' for i in range(20)
    )
    code, lines = run(tmp_path, capsys, f"<mujoco><worldbody>{bodies}</worldbody></mujoco>")
    assert code == 1
    assert [line for line in lines if line.startswith("- ")] == [
        "- geoms 'c0' and 'c1' have another solimp power (its fifth number) than 1 or 2 "
        "(189 more of this kind, such as 'c0' and 'c2', 'c0' and 'c3')"
    ]


def test_reasons_of_other_kinds_stay_apart() -> None:
    """They differ in words, not only in names or numbers."""
    reasons = ["joint 'a' is 3 m long", "joint 'b' is 4.5 m long", "joint 'a' is a ball joint"]
    assert group_reasons(reasons) == [
        "joint 'a' is 3 m long (1 more of this kind, such as 'b')",
        "joint 'a' is a ball joint",
    ]


@pytest.mark.parametrize(
    ("content", "fault"), [(None, "missing"), ("<mujoco><nonsense/></mujoco>", "form")]
)
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path, content, fault) -> None:
    """Exit code 2, and the reason."""
    asset = tmp_path / "robot.xml"
    if content:
        asset.write_text(content)
    error = error_of(["accept", str(asset)], main=main)
    assert (error.fault, error.path) == (fault, asset)
    assert names(error, asset)


@pytest.mark.parametrize("files", [(), ("a.xml", "b.xml")])
def test_a_single_file_is_wanted(files) -> None:
    """With how the command is called."""
    error = error_of(["accept", *files], main=main)
    assert (error.key, error.value) == ("accept", files)
    assert names(error, len(files), "rlgpu accept")
