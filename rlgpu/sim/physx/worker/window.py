"""Isaac Gym's own viewer, with the keys that IsaacGymEnvs' users know."""

from typing import Any, Dict

from isaacgym import gymapi

from .refusal import Refused


class Window:
    """The viewer of a simulation: V switches drawing off and on, Escape ends."""

    def __init__(self, gym: Any, sim: Any, scene: Dict[str, Any]) -> None:
        """Opens it.

        Raises:
            Refused: It cannot be opened.
        """
        self._gym, self._sim = gym, sim
        self._on_gpu = scene["device"]["gpu"]
        self._viewer = gym.create_viewer(sim, gymapi.CameraProperties())
        if self._viewer is None:
            raise Refused("the viewer cannot be opened; use headless=True", "no_viewer")
        for key, action in ((gymapi.KEY_ESCAPE, "QUIT"), (gymapi.KEY_V, "toggle_viewer_sync")):
            gym.subscribe_viewer_keyboard_event(self._viewer, key, action)
        self._draws = True
        span = (scene["spacing"] or 5.0) * 1.5
        gym.viewer_camera_look_at(
            self._viewer, None, gymapi.Vec3(span, span, 0.6 * span), gymapi.Vec3(0.0, 0.0, 0.5)
        )

    def update(self) -> bool:
        """Shows the state now, in real time; returns False once the user wants to end."""
        gym, viewer = self._gym, self._viewer
        if gym.query_viewer_has_closed(viewer):
            return False
        wants_more = True
        for event in gym.query_viewer_action_events(viewer):
            if event.action == "QUIT" and event.value > 0:
                wants_more = False
            elif event.action == "toggle_viewer_sync" and event.value > 0:
                self._draws = not self._draws
        if self._draws:
            if self._on_gpu:
                gym.fetch_results(self._sim, True)
            gym.step_graphics(self._sim)
            gym.draw_viewer(viewer, self._sim, True)
            gym.sync_frame_time(self._sim)
        else:
            gym.poll_viewer_events(viewer)
        return wants_more

    def close(self) -> None:
        """Closes it."""
        self._gym.destroy_viewer(self._viewer)
