"""Playing back a policy: episode statistics, a viewer, or a video."""

from rlgpu.playing.episodes import Policy, play_episodes, play_until_stopped
from rlgpu.playing.picture import num_shown
from rlgpu.playing.video import record_video, require_video
from rlgpu.playing.viewer import play_in_viewer

__all__ = [
    "Policy",
    "num_shown",
    "play_episodes",
    "play_in_viewer",
    "play_until_stopped",
    "record_video",
    "require_video",
]
