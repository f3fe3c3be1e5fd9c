"""The viewer's calls on a window that only records: there is no display where tests run."""

from __future__ import annotations

import mujoco
import pytest
from scenes import GYM, at, close, new_env, new_sim, run

from rlgpu.isaacgym.api import gymapi, gymutil
from rlgpu.isaacgym.simulation import grouping


class Window:
    """What MuJoCo's passive viewer offers."""

    def __init__(self, model, data, *, key_callback, **_):
        self.data, self.press = data, key_callback
        self.cam, self.user_scn = mujoco.MjvCamera(), mujoco.MjvScene(model, maxgeom=50)
        self.open, self.shown = True, 0

    def is_running(self):
        """Whether it is open."""
        return self.open

    def sync(self):
        """Counts."""
        self.shown += 1

    def close(self):
        """Closes it."""
        self.open = False


@pytest.fixture
def window(monkeypatch):
    """The windows that the next viewer opens."""
    viewer = pytest.importorskip("mujoco.viewer")
    opened = []

    def launch(*args, **kwargs):
        opened.append(Window(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(viewer, "launch_passive", launch)
    monkeypatch.setenv("DISPLAY", ":0")
    return opened


def test_the_viewer_shows_lines_keys_and_the_other_environment(window):
    """Subscribed keys report a press and a release; [ and ] switch what is shown."""
    sim = new_sim("mujoco")
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    for index in range(2):
        GYM.create_actor(new_env(sim), ball, at(x=float(index)), "ball", index, 0)
    GYM.prepare_sim(sim)
    viewer = GYM.create_viewer(sim, gymapi.CameraProperties())
    made = window[0]
    GYM.subscribe_viewer_keyboard_event(viewer, gymapi.KEY_ESCAPE, "QUIT")
    GYM.viewer_camera_look_at(viewer, None, gymapi.Vec3(3, 0, 0), gymapi.Vec3(0, 0, 0))
    close([made.cam.distance, made.cam.azimuth, made.cam.elevation], [3, 180, 0], atol=1e-9)
    close(list(GYM.get_viewer_camera_transform(viewer, None).p), [3, 0, 0], atol=1e-9)
    axes = gymutil.AxesGeometry(1.0)
    gymutil.draw_lines(axes, GYM, viewer, GYM.get_env(sim, 0), gymapi.Transform())
    GYM.draw_viewer(viewer, sim, True)
    assert (made.user_scn.ngeom, made.shown) == (3, 1)
    GYM.clear_lines(viewer)
    made.press(256)
    events = GYM.query_viewer_action_events(viewer)
    assert [(event.action, event.value) for event in events] == [("QUIT", 1.0), ("QUIT", 0.0)]
    assert GYM.query_viewer_action_events(viewer) == []
    made.press(ord("]"))
    run(sim, 1)
    GYM.draw_viewer(viewer, sim)
    assert made.user_scn.ngeom == 0
    close(made.data.qpos[0], 1.0)
    GYM.destroy_viewer(viewer)
    assert GYM.query_viewer_has_closed(viewer)


def test_the_viewer_turns_to_environments_of_another_model(window, monkeypatch):
    """It needs another window, which looks from the same place."""
    monkeypatch.setattr(grouping, "way_out", lambda _sim: None)
    sim = new_sim("mujoco", gravity=(0, 0, 0))
    ball = GYM.create_sphere(sim, 0.1, gymapi.AssetOptions())
    box = GYM.create_box(sim, 0.1, 0.1, 0.1, gymapi.AssetOptions())
    for index in range(4):
        env = new_env(sim)
        for asset in ((ball,), (ball, box))[index % 2]:
            GYM.create_actor(env, asset, at(x=float(index)), "thing", index, 0)
    GYM.prepare_sim(sim)
    viewer = GYM.create_viewer(sim, gymapi.CameraProperties())
    GYM.viewer_camera_look_at(viewer, None, gymapi.Vec3(3, 0, 0), gymapi.Vec3(1, 0, 0))
    for shown, (count, bodies) in enumerate([(1, 1), (2, 2), (3, 1), (4, 2)]):
        GYM.draw_viewer(viewer, sim)
        assert len(window) == count
        assert len(window[-1].data.qpos) == 7 * bodies
        close(window[-1].data.qpos[0], float(shown))
        close([*window[-1].cam.lookat, window[-1].cam.distance], [1, 0, 0, 2], atol=1e-9)
        assert [made.open for made in window] == [False] * (count - 1) + [True]
        window[-1].press(ord("]"))
    GYM.destroy_viewer(viewer)
    assert GYM.query_viewer_has_closed(viewer)


def test_contacts_are_drawn_along_their_normals(window):
    """A box of 8 kg has four, each a line of a fourth of its weight, here 0.01 m a newton."""
    sim = new_sim("mujoco", ground=True)
    env, box = new_env(sim), GYM.create_box(sim, 0.2, 0.2, 0.2, gymapi.AssetOptions())
    GYM.create_actor(env, box, at(z=0.1), "box", 0, 0)
    GYM.prepare_sim(sim)
    run(sim, 100)
    viewer = GYM.create_viewer(sim, gymapi.CameraProperties())
    GYM.draw_env_rigid_contacts(viewer, env, gymapi.Vec3(1, 0, 0), 0.01, False)
    lines = viewer._lines
    assert len(lines) == 4
    for start, end, color in lines:
        close(abs(start), [0.1, 0.1, 0.0], atol=1e-3)
        close(end - start, [0, 0, 0.01 * 8 * 9.81 / 4], atol=1e-3)
        close(color, [1, 0, 0])
    GYM.clear_lines(viewer)
    GYM.draw_env_rigid_contacts(viewer, env, gymapi.Vec3(1, 0, 0), 0.01, True)
    for start, end, _ in viewer._lines:
        close(end - start, [0, 0, 0.01 * (8 * 9.81 / 4) ** 0.5], atol=1e-3)


def test_without_a_display_there_is_no_viewer(monkeypatch):
    """As in Isaac Gym, the call returns None."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert GYM.create_viewer(new_sim("mujoco"), gymapi.CameraProperties()) is None
