"""Terms of walking robots' rewards, each against a value worked by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from rlgpu.envs import RewardTerms
from rlgpu.sim import SimState
from rlgpu.tasks.legged_rewards import TERMS, Moment, RewardScales


def state(**values) -> SimState:
    """Returns a state of one robot with two joints and three bodies, the last two its feet."""
    shapes = {
        "joint_pos": (2,),
        "joint_vel": (2,),
        "drive_force": (2,),
        "contact_force_w": (3, 3),
        "body_pos_w": (3, 3),
        "body_lin_vel_w": (3, 3),
        "body_ang_vel_w": (3, 3),
        "body_quat_w": (3, 4),
    }
    fields = dict.fromkeys(SimState._fields, torch.zeros(1, 0))
    fields |= {name: torch.zeros(1, *shape) for name, shape in shapes.items()}
    return SimState(**fields | {k: torch.tensor(v)[None] for k, v in values.items()})


def slope(points: torch.Tensor) -> torch.Tensor:
    """Returns heights of ground that rises by 10 cm for each metre along x, and is 0 at x = 0."""
    return 0.1 * points[..., 0]


def moment(state: SimState | None = None, **values) -> Moment:
    """Returns a moment of one robot at rest, upright, told to stand."""
    usual = {
        "commands": [0.0, 0.0, 0.0],
        "lin_vel_b": [0.0] * 3,
        "ang_vel_b": [0.0] * 3,
        "gravity_b": [0.0, 0.0, -1.0],
        "base_height": 0.3,
        "actions": [0.0, 0.0],
        "last_actions": [0.0, 0.0],
        "last_joint_vel": [0.0, 0.0],
        "landed_air_time": [0.0, 0.0],
        "landed": [False, False],
        "air_time": [0.0, 0.0],
        "phase": [0.0, 0.5],
        "terminated": False,
    }
    rows = {name: torch.tensor(value)[None] for name, value in (usual | values).items()}
    return Moment(
        state=state or globals()["state"](),
        default_joint_pos=torch.tensor([0.1, -0.2]),
        soft_lower=torch.tensor([-1.0, -math.inf]),
        soft_upper=torch.tensor([1.0, math.inf]),
        foot_ids=torch.tensor([1, 2]),
        collision_ids=torch.tensor([0, 1]),
        hip_ids=torch.tensor([1]),
        step_dt=0.02,
        tracking_sigma=0.25,
        base_height_target=0.25,
        max_contact_force=100.0,
        foot_points_b=torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -0.2]]),
        effort_limits=torch.tensor([10.0, math.inf]),
        pose_width=torch.tensor([0.2, 0.4]),
        swing_height=0.1,
        ground=slope,
        **rows,
    )


WALKING = {"commands": [0.5, 0.0, 0.0]}
HALF = math.sqrt(0.5)
# The second foot's body is turned by 90 degrees about x, so its sole, 0.2 m below its middle, is
# 0.2 m to the left (y), and its turning at 2 rad/s about z moves the sole at -0.4 m/s along x.
SOLE = {
    "body_quat_w": [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], [HALF, 0.0, 0.0, HALF]],
    "body_pos_w": [[0.0] * 3, [0.0, 0.0, 0.1], [0.0, 0.0, 0.3]],
    "body_lin_vel_w": [[9.0] * 3, [0.0] * 3, [1.0, 0.0, 5.0]],
    "body_ang_vel_w": [[9.0] * 3, [0.0] * 3, [0.0, 0.0, 2.0]],
}
FAINT = {"contact_force_w": [[0.0] * 3, [0.0, 0.0, 0.8], [0.0, 0.0, 1.2]]}
CASES = [
    # |(0.8, 0.1) - (0.5, 0.5)|^2 = 0.09 + 0.16 = 0.25, a sigma: 1 / e
    ("tracking_lin_vel", {"commands": [0.8, 0.1, 0.0], "lin_vel_b": [0.5, 0.5, 9.0]}, {}, 0.367879),
    ("tracking_ang_vel", {"commands": [0.0, 0.0, 0.5], "ang_vel_b": [9.0, 9.0, 0.0]}, {}, 0.367879),
    ("lin_vel_z", {"lin_vel_b": [1.0, 2.0, -0.5]}, {}, 0.25),
    ("ang_vel_xy", {"ang_vel_b": [1.0, 2.0, 7.0]}, {}, 5.0),
    ("orientation", {"gravity_b": [0.6, 0.0, -0.8]}, {}, 0.36),
    ("base_height", {}, {}, 0.0025),
    ("torques", {}, {"drive_force": [3.0, 4.0]}, 25.0),
    ("dof_vel", {}, {"joint_vel": [1.0, -2.0]}, 5.0),
    # (0.1 / 0.02)^2 + (0.2 / 0.02)^2
    ("dof_acc", {"last_joint_vel": [0.9, 0.2]}, {"joint_vel": [1.0, 0.0]}, 125.0),
    ("action_rate", {"actions": [1.0, 0.0], "last_actions": [0.0, 2.0]}, {}, 5.0),
    # 0.2 above the first joint's upper limit; the second has none
    ("dof_pos_limits", {}, {"joint_pos": [1.2, 50.0]}, 0.2),
    ("dof_pos_limits", {}, {"joint_pos": [-1.5, 0.0]}, 0.5),
    ("collision", {}, {"contact_force_w": [[0.0, 0.2, 0.0], [0.0, 0.0, 0.05], [9.0] * 3]}, 1.0),
    ("termination", {"terminated": True}, {}, 1.0),
    # One foot lands after 0.7 s, the other after 0.2 s: 0.2 - 0.3
    (
        "feet_air_time",
        {"landed": [True, True], "landed_air_time": [0.7, 0.2], "commands": [0.5, 0.0, 0.0]},
        {},
        -0.1,
    ),
    ("feet_air_time", {"landed": [True, True], "landed_air_time": [0.7, 0.7]}, {}, 0.0),
    ("stumble", {}, {"contact_force_w": [[0.0] * 3, [6.0, 0.0, 1.0], [0.0] * 3]}, 1.0),
    ("stumble", {}, {"contact_force_w": [[9.0, 0.0, 0.0], [4.0, 0.0, 1.0], [0.0] * 3]}, 0.0),
    ("stand_still", {}, {"joint_pos": [0.4, -0.2]}, 0.3),
    ("stand_still", {"commands": [0.5, 0.0, 0.0]}, {"joint_pos": [0.4, -0.2]}, 0.0),
    (
        "feet_contact_forces",
        {},
        {"contact_force_w": [[900.0] * 3, [0.0, 90.0, 120.0], [0.0] * 3]},
        50.0,
    ),
    ("alive", {}, {}, 1.0),
    # Both feet in the air: the first should stand (phase 0), the second (0.5) too: 0; one lands: 1
    ("contact", {}, {}, 0.0),
    (
        "contact",
        {"phase": [0.0, 0.6]},
        {"contact_force_w": [[0.0] * 3, [0.0, 0.0, 5.0], [0.0] * 3]},
        2.0,
    ),
    # The first foot stands; the second is at 18 cm: 0.1^2
    (
        "feet_swing_height",
        {},
        {
            "contact_force_w": [[0.0] * 3, [0.0, 0.0, 5.0], [0.0] * 3],
            "body_pos_w": [[0.0] * 3, [0.0, 0.0, 0.5], [0.0, 0.0, 0.18]],
        },
        0.01,
    ),
    # On ground at 30 cm, a foot at 18 cm is 12 cm in it, and one at 48 cm 18 cm above: 0.04 + 0.01
    (
        "feet_swing_height",
        {},
        {"body_pos_w": [[0.0] * 3, [3.0, 1.0, 0.18], [3.0, -1.0, 0.48]]},
        0.05,
    ),
    (
        "contact_no_vel",
        {},
        {
            "contact_force_w": [[0.0] * 3, [0.0, 0.0, 5.0], [0.0] * 3],
            "body_lin_vel_w": [[9.0] * 3, [1.0, 2.0, 2.0], [9.0] * 3],
        },
        9.0,
    ),
    # A foot touches the ground with more than 1 N: one with 0.8 N swings, one with 1.2 N stands
    ("contact", {"phase": [0.6, 0.54]}, FAINT, 2.0),
    ("contact", {"phase": [0.54, 0.56]}, FAINT, 0.0),
    (
        "feet_swing_height",
        {},
        FAINT | {"body_pos_w": [[0.0] * 3, [0.0, 0.0, 0.18], [0.0] * 3]},
        0.01,
    ),
    (
        "contact_no_vel",
        {},
        FAINT | {"body_lin_vel_w": [[9.0] * 3, [9.0] * 3, [1.0, 2.0, 2.0]]},
        9.0,
    ),
    ("hip_pos", {}, {"joint_pos": [5.0, 0.3]}, 0.09),
    # A width and half a width away: exp(-(1 + 0.25) / 2); standing, twice as many widths
    ("pose", WALKING, {"joint_pos": [0.3, -0.4]}, math.exp(-0.625)),
    ("pose", {}, {"joint_pos": [0.3, -0.4]}, math.exp(-2.5)),
    # (5 / 10)^2 of one drive, 0 of one without a limit
    ("effort", {}, {"drive_force": [5.0, 99.0]}, 0.125),
    # The second sole is at 0.3 m, 0.2 m above the swing's height, at 0.6 m/s
    ("foot_clearance", WALKING, SOLE, 0.12),
    ("foot_clearance", {}, SOLE, 0.0),
    (
        "foot_slip",
        {},
        SOLE | {"contact_force_w": [[9.0] * 3, [0.0] * 3, [0.0, 0.0, 5.0]]},
        0.36,
    ),
    ("foot_slip", {}, SOLE | {"contact_force_w": [[9.0] * 3, [0.0, 0.0, 5.0], [0.0] * 3]}, 0.0),
    ("single_stance", WALKING | {"air_time": [0.0, 0.2]}, FAINT, 1.0),
    ("single_stance", WALKING | {"air_time": [0.6, 0.0]}, FAINT, 0.0),
    ("single_stance", {"air_time": [0.2, 0.0]}, FAINT, 0.0),
    ("single_stance", WALKING, {"contact_force_w": [[9.0] * 3] * 3}, 0.0),
    ("upright", {"gravity_b": [0.6, 0.0, -0.8]}, {}, 0.81),
    # 0.3 m of 0.25 counts as 1; half the height, upright by a quarter: 0.5 * 0.25
    ("standing_height", {}, {}, 1.0),
    ("standing_height", {"base_height": 0.125, "gravity_b": [1.0, 0.0, 0.0]}, {}, 0.125),
    ("standing_pose", {}, {"joint_pos": [0.3, -0.4]}, math.exp(-6.0 * 0.04)),
    ("standing_pose", {"base_height": 0.17}, {"joint_pos": [0.1, -0.2]}, 0.0),
    ("standing_pose", {"gravity_b": [0.7, 0.0, -0.7]}, {"joint_pos": [0.1, -0.2]}, 0.0),
]


@pytest.mark.parametrize(("name", "values", "measured", "wanted"), CASES)
def test_a_term_is_what_its_name_says(name, values, measured, wanted) -> None:
    """Before its scale."""
    found = TERMS[name](moment(state(**measured), **values))
    assert found.shape == (1,)
    assert found.item() == pytest.approx(wanted, abs=1e-5, rel=1e-5)


def test_every_scale_has_a_term_and_every_term_a_case() -> None:
    """So that a key is never without effect."""
    names = {f.name for f in dataclasses.fields(RewardScales)}
    assert names == set(TERMS)
    assert names == {case[0] for case in CASES}


def test_terms_with_scale_zero_are_not_computed() -> None:
    """A term that would fail is never called; scales are per second."""

    def failing(_: object) -> torch.Tensor:
        raise AssertionError

    functions = {name: failing for name in TERMS} | {"alive": TERMS["alive"]}
    terms = RewardTerms(functions, RewardScales(alive=3.0), 0.02)
    found = terms(moment())
    assert {name: value.tolist() for name, value in found.items()} == {
        "alive": [pytest.approx(0.06)]
    }
    reported = terms.reported(found)
    assert reported["reward_alive"].tolist() == [pytest.approx(3.0)]
