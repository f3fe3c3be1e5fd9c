"""The Isaac Gym engine beyond the conformance suite: importer, setters, exchange of numbers."""

from __future__ import annotations

import ctypes
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rlgpu.errors import EngineFailed, UnsupportedModel
from rlgpu.sim import Drive, IsaacGymSettings, ResetState, SceneSpec, Timing, make_simulator
from rlgpu.sim.mujoco.model import build_model
from rlgpu.sim.physx import simulator
from rlgpu.sim.physx.collision import filters_of
from rlgpu.sim.physx.exchange import ArenaExchange, HostExchange, StagedExchange
from rlgpu.sim.physx.worker import driver, protocol
from tests.conftest import ROOT, interpreter
from tests.refusals import names
from tests.sim.physx_worker import FINE, advance, new_sim, state_at

WORKER = ROOT / "rlgpu" / "sim" / "physx" / "worker"


@pytest.fixture
def idle(tmp_path: Path) -> str:
    """An interpreter whose Isaac Gym does nothing, but imports and sets as the real one does."""
    return str(interpreter(tmp_path / "idle", "idle"))


def test_what_the_importer_drops_is_set_and_read_back(tmp_path, idle, monkeypatch) -> None:
    """The turned inertia comes back right; an importer that stays deaf is reported."""
    assert "instead of" not in new_sim(tmp_path, python=idle).description
    monkeypatch.setenv("STAND_IN_FAULT", "deaf")
    said = new_sim(tmp_path, python=idle).description
    # R diag(0.3, 0.2, 0.1) R^T with R a turn by 73.74 degrees about x: cos 0.28, sin 0.96.
    assert (
        "inertia of [0.3, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.1] and its centre at [0.1," in said
    )
    assert "0.10784" in said
    assert "joint hinge has stiffness 0 instead of 5" in said


def test_resets_are_merged_into_one_setter_a_step(tmp_path, idle) -> None:
    """A second setter before ``simulate`` would replace the first; both rows arrive, and stay."""
    sim = new_sim(tmp_path, python=idle)
    advance(sim)
    sim.reset(torch.tensor([True, False, False]), state_at(sim, 1.0, 0.25))
    sim.reset(torch.tensor([False, False, True]), state_at(sim, 2.0, 0.75))
    wanted = torch.tensor([1.0, 0.5, 2.0])
    for _ in range(2):
        torch.testing.assert_close(sim.state.root_pos_w[:, 2], wanted)
        assert sim.state.joint_pos[:, 0].tolist() == [0.25, 0.0, 0.75]
        advance(sim)


def test_joints_and_bodies_are_found_by_name_in_any_order(tmp_path, idle, monkeypatch) -> None:
    """Isaac Gym has them backwards; resets, targets, states and masses go to the right ones."""
    monkeypatch.setenv("STAND_IN_FAULT", "other_order")
    asset = tmp_path / "robot.xml"
    asset.write_text("""<mujoco><worldbody><body name="base">
        <inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
        <body name="a"><joint name="j"/><inertial pos="0 0 0" mass="2" diaginertia="1 1 1"/>
        <body name="b"><joint name="k"/><inertial pos="0 0 0" mass="3" diaginertia="1 1 1"/>
        </body></body></body></worldbody></mujoco>""")
    scene = SceneSpec(asset, {"j": Drive("effort"), "k": Drive("position")}, body_states=True,
                      contact_forces=True)  # fmt: skip
    settings = IsaacGymSettings(python=idle)
    sim = make_simulator("isaacgym", scene, FINE, 2, settings=settings)
    assert "instead of" not in sim.description
    slots = sim._exchange.tensors
    sim.set_targets(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert slots["efforts"].tolist() == [[0.0, 1.0], [0.0, 3.0]]
    assert slots["positions"].tolist() == [[2.0, 0.0], [4.0, 0.0]]
    joints = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    sim.reset(torch.ones(2, dtype=torch.bool), ResetState(joints, -joints))
    sim.step()
    sim.refresh()
    torch.testing.assert_close(slots["dof"][..., 0], joints.flip(1))
    torch.testing.assert_close(sim.state.joint_pos, joints)
    torch.testing.assert_close(sim.state.joint_vel, -joints)
    slots["contacts"][0, 2] = 5.0  # of the base
    sim.refresh()
    assert sim.state.contact_force_w[0].tolist() == [[5.0] * 3, [0.0] * 3, [0.0] * 3]


def test_the_first_step_starts_where_the_asset_is(tmp_path, idle) -> None:
    """``prepare_sim`` may move actors: here it moves them to 7, 7, 7."""
    sim = new_sim(tmp_path, python=idle)
    advance(sim)
    torch.testing.assert_close(sim.state.root_pos_w, torch.tensor([[0.0, 0.0, 0.5]] * 3))
    quat = torch.tensor([0.0, 0.6, 0.0, 0.8])  # the asset's, (x, y, z, w)
    torch.testing.assert_close(sim.state.root_quat_w, quat.expand(3, 4))


def test_body_states_are_right_at_once_after_a_reset(tmp_path) -> None:
    """As the simulation itself has them a moment later."""
    sim = new_sim(tmp_path, timing=Timing(1e-6, 1))
    to = ResetState(
        torch.tensor([[0.7]] * 3), torch.tensor([[2.0]] * 3),
        root_pos_w=torch.tensor([[1.0, 2.0, 3.0]] * 3),
        root_quat_w=torch.nn.functional.normalize(torch.tensor([[0.1, 0.4, -0.2, 0.7]] * 3)),
        root_lin_vel_w=torch.tensor([[0.3, -0.5, 0.2]] * 3),
        root_ang_vel_w=torch.tensor([[1.0, -2.0, 0.5]] * 3),
    )  # fmt: skip
    sim.reset(torch.ones(3, dtype=torch.bool), to)
    names = ("body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w")
    before = [getattr(sim.state, name).clone() for name in names]
    advance(sim)
    for name, values in zip(names, before, strict=True):
        torch.testing.assert_close(getattr(sim.state, name), values, atol=2e-3, rtol=0)


def test_targets_that_are_not_finite_never_reach_physx(tmp_path, idle) -> None:
    """They count as a diverged environment, which starts again where the asset is."""
    sim = new_sim(tmp_path, python=idle)
    sim.reset(torch.ones(3, dtype=torch.bool), state_at(sim, 1.0, 0.25))
    sim.set_targets(torch.tensor([[0.0], [torch.nan], [0.0]]))
    assert sim._exchange.tensors["positions"].isfinite().all()
    sim.step()
    sim.refresh()
    assert sim.state.diverged.tolist() == [False, True, False]
    assert sim.state.root_pos_w[:, 2].tolist() == [1.0, 0.5, 1.0]
    advance(sim)
    assert not sim.state.diverged.any()
    # A state that is not finite restarts its own environment only.
    sim._exchange.tensors["root"][2, 0] = torch.inf
    sim.refresh()
    assert sim.state.diverged.tolist() == [False, False, True]


def test_friction_handed_over_is_never_negative(tmp_path, idle) -> None:
    """The robot's alone made small: the ground's 0.8 acts, by twice that on a plane without any."""
    sim = new_sim(tmp_path, python=idle, parameters=("friction",))
    friction = sim.parameters["friction"].clone()
    friction[:, 1:] = 0.1
    sim.set_parameter("friction", friction)
    assert sim._host.tensors["parameter"][:, 0].tolist() == pytest.approx([1.6] * 3)


def test_an_interrupted_request_ends_the_worker(tmp_path, idle, monkeypatch) -> None:
    """Its answer, still to come, must not be taken for that of the next."""
    sim = new_sim(tmp_path, python=idle)

    def interrupted(connection):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(protocol, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            advance(sim)
    with pytest.raises(EngineFailed) as failure:
        advance(sim)
    assert (failure.value.reason, failure.value.command) == ("ended", "step")


def test_keys_of_isaac_gyms_viewer_do_what_they_do_there(tmp_path, idle, monkeypatch) -> None:
    """V switches drawing off and on; Escape is Ctrl-C, once."""
    monkeypatch.setenv("STAND_IN_KEYS", "4 toggle_viewer_sync,8 toggle_viewer_sync,12 QUIT")
    sim = new_sim(tmp_path, python=idle, viewer=True)
    interrupts = []
    previous = signal.signal(signal.SIGINT, lambda *_: interrupts.append(sim._steps))
    try:
        advance(sim, 8)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert re.findall(r"drawn (\d+)", sim._worker.said()) == ["2", "8", "10", "12", "14", "16"]
    assert interrupts == [6]
    monkeypatch.delenv("STAND_IN_KEYS")
    with pytest.raises(EngineFailed) as failure:
        new_sim(tmp_path, python=idle, viewer=True)
    assert failure.value.fault == "no_viewer"
    assert names(failure.value, "headless=True")


@pytest.mark.parametrize(
    ("mjcf", "kind", "named"),
    [
        ('<body name="a"><freejoint/><geom size=".1"/></body>'
         '<body name="b"><freejoint/><geom size=".1"/></body>',
         "free_body", ("b",)),
        ('<geom type="plane" size="1 1 1"/><geom type="plane" size="1 1 1" pos="0 0 1"/>'
         '<body name="a"><freejoint/><geom size=".1"/></body>', "grounds", ("2",)),
        ('<body name="a"><freejoint/><geom size=".1"/></body><equality><weld body1="a"/>'
         '</equality>', "equality", ("connect",)),
        ('<geom type="plane" size="1 1 1"/><body name="a"><freejoint/>'
         '<geom type="ellipsoid" size=".1 .1 .2"/></body>', "shapes", ("ellipsoid",)),
        ('<body name="a"><joint name="x" type="slide" axis="1 0 0"/><joint name="y" type="slide" '
         'axis="1 1 0"/><geom size=".1"/></body>', "joint_axes", ("a",)),
        ('<geom type="plane" size="1 1 1" euler="0 20 0"/><body name="a"><freejoint/>'
         '<geom size=".1"/></body>', "slope", ()),
        ('<body><joint name="x"/><geom size=".1"/></body>', "unnamed", ()),
        ('<geom type="plane" size="1 1 1" condim="1"/><body name="a"><freejoint/>'
         '<geom size=".1" condim="1"/></body>', "friction", ("condim",)),
        ('<body name="a" gravcomp="1"><joint name="x"/><geom size=".1"/></body>'
         '<body name="b"><geom size=".1"/></body>', "gravity_compensation", ("a",)),
        ('<body name="a"><geom size=".1"/><body name="b"><joint name="x"/><geom size=".1"/></body>'
         '</body>', "parent_and_child", ("a", "b")),
        ('<body name="a"><joint name="x" stiffness="3" springref="5"/><geom size=".1"/></body>',
         "spring_reference", ("x", "springref")),
    ],
)  # fmt: skip
def test_a_model_that_isaac_gym_does_not_take_is_refused(tmp_path, mjcf, kind, named) -> None:
    """In a sentence, before a process is started."""
    asset = tmp_path / "robot.xml"
    bodies, mark, equality = mjcf.partition("<equality>")
    asset.write_text(f"<mujoco><worldbody>{bodies}</worldbody>{mark}{equality}</mujoco>")
    with pytest.raises(UnsupportedModel) as refusal:
        make_simulator("isaacgym", SceneSpec(asset, {}), FINE, 1)
    (reason,) = (x for x in refusal.value.reasons if getattr(x, "kind", "") == kind)
    assert names(Exception(reason), *named)
    assert reason in str(refusal.value)


def test_filter_bits_say_which_shapes_touch(tmp_path) -> None:
    """Four balls on arms of one trunk: 1 touches 2 and 3; no other two touch."""
    masks = [(1, 6), (2, 0), (4, 0), (8, 0)]
    arms = "".join(
        f'<body name="arm{i}" pos="{i} 0 0"><joint name="j{i}"/><geom size=".1" contype="{t}" '
        f'conaffinity="{a}"/></body>'
        for i, (t, a) in enumerate(masks)
    )
    asset = tmp_path / "robot.xml"
    trunk = '<geom type="plane" size="1 1 1" contype="15" conaffinity="15"/><body name="trunk">'
    asset.write_text(f"<mujoco><worldbody>{trunk}{arms}</body></worldbody></mujoco>")
    filters = filters_of(build_model(SceneSpec(asset, {}), FINE))
    bits = [filters[geom] for geom in sorted(filters)]
    touching = {(i, j) for i in range(4) for j in range(i) if not bits[i] & bits[j]}
    assert touching == {(1, 0), (2, 0)}


class OnHost(ArenaExchange):
    """An arena whose "device" memory the host can read."""

    def _view(self, address, place):
        kind = {"f4": torch.float32, "i4": torch.int32}[place.slot.kind]
        memory = (ctypes.c_char * place.num_bytes).from_address(address)
        return torch.frombuffer(memory, dtype=kind).view(place.slot.shape)

    def _stream(self):
        return 0


@pytest.fixture
def device_memory(tmp_path: Path, monkeypatch) -> str:
    """A stand-in for NVIDIA's driver on both sides; returns an interpreter that has it."""
    library = tmp_path / "libcuda.so.1"
    source = ROOT / "tests" / "stand_ins" / "driver" / "libcuda.cpp"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", library, source], check=True)
    monkeypatch.setattr(driver, "LIBRARY", str(library))
    python = interpreter(tmp_path / "python", "mujoco")
    python.write_text(python.read_text().replace("exec", f"LD_LIBRARY_PATH={tmp_path} exec"))

    def share(self, slots):
        return OnHost(slots, self.device), []

    monkeypatch.setattr(simulator.IsaacGymSimulator, "_share", share)
    return str(python)


def trajectory(folder: Path, python: str) -> tuple[torch.Tensor, str]:
    sim = new_sim(folder, python=python, parameters=("gravity",))
    rows = []
    for step in range(30):
        if step == 10:
            sim.reset(torch.tensor([False, True, True]), state_at(sim, 0.09, 0.4))
        sim.set_targets(torch.tensor([[0.1], [0.2], [0.3]]))
        sim.step()
        sim.refresh()
        state = sim.state
        rows.append(
            torch.cat([x.flatten() for x in (state.root_pos_w, state.body_lin_vel_w,
                                             state.contact_force_w, state.contact_wrench_b)])
        )  # fmt: skip
    sim.close()
    return torch.stack(rows), sim.description


def test_numbers_in_device_memory_are_those_of_shared_memory(
    tmp_path, device_memory, monkeypatch
) -> None:
    """Bit for bit, with a driver that fails where events are not recorded and awaited in turn."""
    on_device, said = trajectory(tmp_path, device_memory)
    assert "in the GPU's memory" in said
    # A worker on another GPU cannot open the memory: it goes by the host, and says so.
    original = ArenaExchange.__init__

    def other(self, slots, device):
        original(self, slots, device)
        self.handles = {**self.handles, "uuid": "another"}

    monkeypatch.setattr(ArenaExchange, "__init__", other)
    staged, said = trajectory(tmp_path, device_memory)
    assert "not the GPU's: the worker's GPU is not torch's" in said
    monkeypatch.undo()
    shared, said = trajectory(tmp_path, "")
    assert "in shared memory" in said
    assert shared.abs().max() > 1
    assert torch.equal(on_device, shared)
    assert torch.equal(staged, shared)


def test_staged_tensors_are_copied_each_way() -> None:
    """What is written here arrives there, and the other way round."""
    import os

    slots = [protocol.Slot("efforts", "f4", (2, 3)), protocol.Slot("dof", "f4", (2,))]
    memory = os.memfd_create("test")
    os.ftruncate(memory, protocol.size_of(protocol.places(slots)))
    host, there = HostExchange(memory, slots), HostExchange(memory, slots)
    here = StagedExchange(host, ("efforts",), torch.device("cpu"))
    here.tensors["efforts"].fill_(2.0)
    there.tensors["dof"].fill_(3.0)
    here.begin()
    here.end()
    assert there.tensors["efforts"].eq(2.0).all()
    assert here.tensors["dof"].eq(3.0).all()
    os.close(memory)


def test_the_worker_is_written_for_python_3_6() -> None:
    """Its source needs no newer one."""
    command = [Path(sys.executable).with_name("vermin"), "-t=3.6-", "--violations", str(WORKER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def python_with_numpy(minor: int) -> str:
    """Returns a Python 3 of a minor version with NumPy, made once; skips where there is none."""
    kept = ROOT / "build" / f"python3.{minor}"
    if not (kept / "bin" / "python").exists():
        installed = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
        found = str(installed[-1]) if installed else shutil.which(f"python3.{minor}")
        if not found:
            pytest.skip(f"there is no Python 3.{minor} on this machine")
        for words in ([found, "-m", "venv", kept], [kept / "bin" / "pip", "install", "numpy"]):
            if subprocess.run(words, capture_output=True, check=False).returncode:
                shutil.rmtree(kept, ignore_errors=True)
                pytest.skip(f"no environment with NumPy can be made for Python 3.{minor}")
    return str(kept / "bin" / "python")


@pytest.mark.slow
@pytest.mark.parametrize("minor", [6, 7, 8])
def test_the_worker_runs_under_isaac_gyms_pythons(tmp_path, minor) -> None:
    """Start, step, reset and parameters, with a stand-in that needs NumPy alone."""
    python = interpreter(tmp_path / "python", "idle", python_with_numpy(minor))
    asset = tmp_path / "robot.xml"
    asset.write_text("""<mujoco><worldbody><body name="cart"><joint name="push" type="slide"/>
        <geom size=".1" mass="2"/></body></worldbody></mujoco>""")
    parameters = ("body_mass", "friction", "joint_damping", "gravity")
    scene = SceneSpec(asset, {"push": Drive("effort")}, parameters=parameters, body_states=True)
    settings = IsaacGymSettings(python=str(python))
    sim = make_simulator("isaacgym", scene, FINE, 4, settings=settings)
    assert f"Python 3.{minor}." in sim.description
    for name in parameters:
        sim.set_parameter(name, sim.parameters[name] * 2)
    sim.reset(torch.ones(4, dtype=torch.bool), ResetState(torch.ones(4, 1), torch.ones(4, 1)))
    advance(sim, 3)
    assert sim.state.joint_pos.tolist() == [[1.0]] * 4
    assert np.isfinite(sim.state.body_pos_w.numpy()).all()
    sim.close()
