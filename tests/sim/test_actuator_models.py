"""Actuators between targets and torques, on every engine, against motion that is worked by hand.

A mass of 2 kg slides without gravity or friction, so that a physics step changes its velocity by
force * dt / mass, and its position by the new velocity * dt.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rlgpu.errors import Unreadable, UsageError, WrongShape
from rlgpu.sim import ActuatorNetwork, ActuatorSettings, Drive, Timing
from tests.sim.states import advance, at_rest, everyone, rows

DT, MASS = 0.001, 2.0
SLIDER = """<mujoco><option gravity="0 0 0"/>
  <default><geom contype="0" conaffinity="0"/></default><worldbody>
  <body name="mass"><joint name="slide" type="slide" axis="1 0 0"/>
    <geom type="box" size=".1 .1 .1" mass="2"/></body></worldbody></mujoco>"""
STEPS = Timing(DT, 4)
EFFORT = {"slide": Drive("effort", effort_limit=10.0)}
POSITION = {"slide": Drive("position", stiffness=50.0, damping=3.0, effort_limit=10.0)}


def pushed(make, drives, actuators: ActuatorSettings, target: float, steps: int = 1, **scene):
    """Returns a simulator after control steps with one target."""
    sim = make(SLIDER, timing=STEPS, drives=drives, actuators=actuators, **scene)
    sim.reset(everyone(sim), at_rest(sim))
    for _ in range(steps):
        sim.set_targets(rows(sim, target))
        advance(sim)
    return sim


def by_hand(force_of, steps: int) -> tuple[float, float]:
    """Returns position and velocity after physics steps of a force at each step's start."""
    pos = vel = 0.0
    for _ in range(steps):
        vel += force_of(pos, vel) * DT / MASS
        pos += vel * DT
    return pos, vel


def check(sim, pos: float, vel: float) -> None:
    torch.testing.assert_close(sim.state.joint_pos, rows(sim, pos), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(sim.state.joint_vel, rows(sim, vel), rtol=1e-4, atol=1e-7)


def test_gains_act_in_every_physics_step(make) -> None:
    """``pd`` takes the torque from the state at the start of each physics step."""
    sim = pushed(make, POSITION, ActuatorSettings("pd"), 0.1, steps=5)
    check(sim, *by_hand(lambda pos, vel: 50.0 * (0.1 - pos) - 3.0 * vel, 20))


def test_a_motor_loses_torque_with_speed(make) -> None:
    """10 N at rest, none at 0.05 m/s, and at most the drive's limit of 10 N of the 15."""
    slow = ActuatorSettings("dc_motor", no_load_speed={"all": 0.05})
    check(
        pushed(make, EFFORT, slow, 100.0, steps=5),
        *by_hand(lambda _, vel: 10.0 * (1.0 - vel / 0.05), 20),
    )
    strong = ActuatorSettings("dc_motor", no_load_speed={"sl": 0.05}, stall_torque={"slide": 15.0})
    check(
        pushed(make, EFFORT, strong, 100.0, steps=5),
        *by_hand(lambda _, vel: min(15.0 * (1.0 - vel / 0.05), 10.0), 20),
    )


def test_a_motor_brakes_with_more_than_it_drives(make) -> None:
    """At half its speed backwards, a motor of 10 N may give 15 N forwards, here cut to 10."""
    actuators = ActuatorSettings("dc_motor", no_load_speed={"all": 1.0})
    sim = make(SLIDER, timing=STEPS, drives=EFFORT, actuators=actuators)
    for vel, wanted, force in ((-0.5, 100.0, 10.0), (0.8, 100.0, 2.0), (0.8, -100.0, -10.0)):
        sim.reset(everyone(sim), at_rest(sim)._replace(joint_vel=rows(sim, vel)))
        sim.set_targets(rows(sim, wanted))
        sim.step()
        sim.refresh_joints()
        change = (sim.state.joint_vel - vel) * MASS / (4 * DT)
        torch.testing.assert_close(change, rows(sim, force), rtol=0.02, atol=0.0)


@pytest.mark.parametrize("model", ["drive", "pd"])
def test_targets_come_late(make, model: str) -> None:
    """Of 8 physics steps, those before the delay have the target that the episode began with."""
    sim = make(SLIDER, n=40, timing=STEPS, drives=EFFORT, actuators=ActuatorSettings(model, [1, 6]))
    sim.reset(everyone(sim), at_rest(sim))
    for target in (0.0, 4.0, 4.0):
        sim.set_targets(rows(sim, target))
        advance(sim)
    pushes = (sim.state.joint_vel * MASS / (4.0 * DT)).round().long()[:, 0]
    torch.testing.assert_close(sim.state.joint_vel[:, 0], pushes * 4.0 * DT / MASS)
    delays = 8 - pushes
    assert delays.bincount()[1:7].tolist() == pytest.approx([40 / 6] * 6, abs=2)
    assert (delays.min(), delays.max()) == (1, 6)


def test_an_episode_begins_with_its_own_targets(make) -> None:
    """What came before a reset does not arrive after it, and delays change."""
    sim = pushed(make, EFFORT, ActuatorSettings("pd", [2, 2]), 4.0, steps=3)
    mask = everyone(sim)
    mask[0] = False
    sim.reset(mask, at_rest(sim))
    sim.set_targets(rows(sim, -4.0))
    advance(sim)
    # The first one has had 12 steps of 4 N and 2 more until the new target came, then 2 of -4 N.
    pushes = torch.full((sim.num_envs, 1), -4)
    pushes[0] = 12
    torch.testing.assert_close(sim.state.joint_vel, pushes * 4.0 * DT / MASS)


class SpringOfErrors(nn.Module):
    """The torque of a spring on the oldest error, and of a damper on the newest velocity."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns torques [B, 1] of rows [B, 6]."""
        return (50.0 * x[:, 2] - 3.0 * x[:, 3])[:, None]


class Remembering(nn.Module):
    """An LSTM, as legged_gym's actuators have it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 8, 2, batch_first=True)
        self.out = nn.Linear(8, 1)

    def forward(
        self, x: Tensor, memory: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Returns torques [B, 1] and the memory after this step."""
        said, after = self.lstm(x, memory)
        return self.out(said[:, -1]), after


def saved(network: nn.Module, tmp_path) -> ActuatorSettings:
    file = tmp_path / "motor.pt"
    with torch.device("cpu"):
        torch.jit.script(network).save(str(file))
    return ActuatorSettings("network", network=ActuatorNetwork(str(file)))


def test_a_network_sees_errors_and_velocities_of_past_steps(make, tmp_path) -> None:
    """Newest first, errors before velocities; before the episode they are 0."""
    sim = pushed(make, POSITION, saved(SpringOfErrors(), tmp_path), 0.1, steps=5)
    errors = [0.0, 0.0]

    def force(pos: float, vel: float) -> float:
        errors.append(0.1 - pos)
        return 50.0 * errors[-3] - 3.0 * vel

    check(sim, *by_hand(force, 20))


def test_a_network_remembers(make, tmp_path) -> None:
    """Its memory goes on from step to step, of each joint alone, and is forgotten at a reset."""
    torch.manual_seed(0)
    with torch.device("cpu"):
        network = Remembering()
    actuators = saved(network, tmp_path)
    sim = pushed(make, POSITION, actuators, 0.1, steps=3)
    memory = (torch.zeros(2, 1, 8, device="cpu"), torch.zeros(2, 1, 8, device="cpu"))

    def force(pos: float, vel: float) -> float:
        nonlocal memory
        with torch.no_grad():
            said, memory = network(torch.tensor([[[0.1 - pos, vel]]], device="cpu"), memory)
        return float(said)

    wanted = by_hand(force, 12)
    check(sim, *wanted)
    sim.reset(everyone(sim), at_rest(sim))
    for _ in range(3):
        advance(sim)
    check(sim, *wanted)


def test_a_saved_state_goes_on(make, tmp_path) -> None:
    """Late targets and a network's memory are saved; another engine's state is refused."""
    torch.manual_seed(0)
    with torch.device("cpu"):
        network = Remembering()
    actuators = ActuatorSettings("network", [1, 3], network=saved(network, tmp_path).network)
    sim = pushed(make, POSITION, actuators, 0.1, steps=2)
    state = sim.state_dict()
    runs = []
    for _ in range(2):
        sim.load_state_dict(state)
        for target in (0.3, -0.2):
            sim.set_targets(rows(sim, target))
            advance(sim)
        runs.append(sim.state.joint_pos.clone())
    assert torch.equal(*runs)
    del state["actuators.hidden"]
    with pytest.raises(WrongShape, match="hidden"):
        sim.load_state_dict(state)


def test_gains_vary_between_robots(make) -> None:
    """``drive_stiffness`` is a parameter of the actuators, not of the engine."""
    sim = pushed(
        make, POSITION, ActuatorSettings("pd"), 0.0, steps=0, parameters=("drive_stiffness",)
    )
    gains = torch.arange(1.0, sim.num_envs + 1)[:, None]
    sim.set_parameter("drive_stiffness", gains)
    sim.set_parameters({"drive_stiffness": gains[:1] * 20.0}, torch.tensor([0]))
    gains[0] = 20.0
    torch.testing.assert_close(sim.parameters["drive_stiffness"], gains)
    sim.set_targets(rows(sim, 0.1))
    sim.step()
    sim.refresh_joints()
    wanted = [by_hand(lambda x, v, k=k: k * (0.1 - x) - 3.0 * v, 4)[1] for k in gains[:, 0]]
    torch.testing.assert_close(sim.state.joint_vel[:, 0], torch.tensor(wanted), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize(
    ("actuators", "said"),
    [
        (ActuatorSettings("dc_motor"), "no_load_speed.all=30"),
        (ActuatorSettings("dc_motor", no_load_speed={"knee": 3.0}), "knee: there is no such joint"),
        (ActuatorSettings("network", network=ActuatorNetwork("none.pt")), "no such file"),
        (ActuatorSettings("network", network=ActuatorNetwork(__file__)), "not a TorchScript"),
    ],
)
def test_what_cannot_be_is_refused(make, actuators: ActuatorSettings, said: str) -> None:
    """In one sentence, with what to give."""
    with pytest.raises(UsageError, match=said):
        make(SLIDER, timing=STEPS, drives=POSITION, actuators=actuators)


def test_a_network_that_takes_something_else_is_refused(make, tmp_path) -> None:
    """Before the first step, with what torch says; drives of torques have no position errors."""
    with pytest.raises(UsageError, match="does not take or return"):
        make(SLIDER, timing=STEPS, drives=POSITION, actuators=saved(nn.Linear(3, 1), tmp_path))
    with pytest.raises(UsageError, match="needs position drives"):
        make(SLIDER, timing=STEPS, drives=EFFORT, actuators=saved(SpringOfErrors(), tmp_path))
    (tmp_path / "motor.pt").write_bytes(b"PK")
    settings = ActuatorSettings("network", network=ActuatorNetwork(str(tmp_path / "motor.pt")))
    with pytest.raises(Unreadable):
        make(SLIDER, timing=STEPS, drives=POSITION, actuators=settings)
