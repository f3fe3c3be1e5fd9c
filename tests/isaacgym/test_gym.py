"""Settings and remarks belong to a gym."""

from __future__ import annotations

import logging

from scenes import joint, link, urdf

from rlgpu.isaacgym.api import gymapi
from rlgpu.isaacgym.runner.settings import Settings


def test_gyms_keep_their_own_settings_and_remarks(capsys):
    """Simulations of two gyms are on the engines of each, and each makes its remark once."""
    gyms = [
        gymapi.Gym(Settings(engine, threads)) for engine, threads in (("mujoco", 1), ("fused", 2))
    ]
    sims = [gym.create_sim(0, 0, gymapi.SIM_PHYSX, gymapi.SimParams()) for gym in gyms]
    assert [(sim.engine, sim.num_threads) for sim in sims] == [("mujoco", 1), ("fused", 2)]
    plane = gymapi.PlaneParams()
    plane.restitution = 0.5
    for gym, sim in zip(gyms, sims, strict=True):
        gym.add_ground(sim, plane)
        gym.add_ground(sim, plane)
    assert capsys.readouterr().err.count("restitution") == 2


def test_reports_on_robot_files_are_remarks_while_a_gym_loads_them(tmp_path, capsys, caplog):
    """A massless link is one; the same logger's warnings outside of a load are not."""
    gym = gymapi.Gym(Settings("mujoco"))
    sim = gym.create_sim(0, 0, gymapi.SIM_PHYSX, gymapi.SimParams())
    text = link("base") + '<link name="frame"/>' + joint("hinge", "base", "frame")
    for _ in range(2):
        gym.load_asset(sim, *urdf(tmp_path, text, "massless.urdf"), gymapi.AssetOptions())
    said = [line for line in capsys.readouterr().err.splitlines() if "massless.urdf" in line]
    assert len(said) == 1
    assert "frame" in said[0]
    assert said[0].startswith("isaacgym: ")
    assert not caplog.records
    logging.getLogger("rlgpu.robots").warning("another reader")
    assert caplog.messages == ["another reader"]
    assert "isaacgym" not in capsys.readouterr().err
