"""What tests of the Isaac Gym engine share: scenes, interpreters with faults, and what is alive."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import torch

from rlgpu.sim import Drive, IsaacGymSettings, ResetState, SceneSpec, Timing, make_simulator

# A free body with a turned inertia and offset mass, and an arm that is limited and has friction.
ROBOT = """<mujoco><compiler angle="radian"/><worldbody>
  <geom type="plane" size="5 5 1" conaffinity="1" contype="0" friction="0.8"/>
  <body name="trunk" pos="0 0 0.5" quat="0.8 0 0.6 0"><freejoint name="root"/>
    <inertial pos="0.1 0 0" quat="0.8 0.6 0 0" mass="3" diaginertia="0.3 0.2 0.1"/>
    <geom name="foot" type="sphere" size="0.1" contype="1" conaffinity="0" friction="0.5"/>
    <geom type="box" size=".1 .2 .1" contype="0" conaffinity="0"/>
    <body name="arm" pos="0.2 0 0"><joint name="hinge" axis="0 1 0" range="-1 2" limited="true"
        damping="0.3" armature="0.02" frictionloss="0.1"/>
      <geom type="capsule" fromto="0 0 0 0.3 0 0" size=".02" mass="1" contype="0" conaffinity="0"/>
    </body></body></worldbody></mujoco>"""

FINE = Timing(physics_dt=0.001, decimation=2)


def new_sim(
    folder: Path, n: int = 3, *, timing: Timing = FINE, viewer=False, parameters=(), **settings
):
    """Returns a simulation of a robot; settings are those of the engine."""
    asset = folder / "robot.xml"
    asset.write_text(ROBOT)
    scene = SceneSpec(
        asset,
        {"hinge": Drive("position", stiffness=5.0, damping=0.5, effort_limit=4.0)},
        wrench_bodies=("arm",),
        contact_forces=True,
        body_states=True,
        parameters=parameters,
    )
    chosen = IsaacGymSettings(**settings)
    return make_simulator("isaacgym", scene, timing, n, settings=chosen, viewer=viewer)


def advance(sim, steps: int = 1) -> None:
    """Steps with targets of zero."""
    for _ in range(steps):
        sim.set_targets(torch.zeros(sim.num_envs, len(sim.joint_names)))
        sim.step()
        sim.refresh()


def state_at(sim, height: float, angle: float) -> ResetState:
    """Returns a state at rest, the robot upright."""
    n = sim.num_envs
    return ResetState(
        torch.full((n, 1), angle),
        torch.zeros(n, 1),
        root_pos_w=torch.tensor([0.0, 0.0, height]).expand(n, 3),
        root_quat_w=torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(n, 4),
    )


def worker_of(sim) -> int:
    """Returns the worker's process id."""
    return sim._worker._process.pid


def workers(parent: int | None = None) -> set[int]:
    """Returns the process ids of workers, of all or of one parent."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            state, owner = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        is_worker = any(word.endswith(b"rlgpu/sim/physx/worker") for word in words)
        if is_worker and state != "Z" and parent in (None, int(owner)):
            found.add(int(folder.name))
    return found


def gone(pids: set[int], within: float = 10.0) -> bool:
    """Returns whether processes end within a time [s]."""
    until = time.monotonic() + within
    while pids & workers():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def shared() -> int:
    """Returns how many pieces of memory this process has for workers."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder's own descriptor is gone by now
            links.append(os.readlink(entry))
    return sum("memfd:rlgpu" in link for link in links)
