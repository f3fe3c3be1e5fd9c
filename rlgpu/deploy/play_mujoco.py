"""Plays an exported policy in plain MuJoCo: needs this folder, mujoco, numpy and onnxruntime.

python play_mujoco.py [--command 0.5 0 0] [--seconds 20] [--view]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import mujoco
import mujoco.viewer
import numpy as np
import onnxruntime


class Player:
    """The robot, its policy, and what the policy observes."""

    def __init__(self, folder: Path) -> None:
        """Loads ``policy.onnx``, which carries its description, and ``scene.xml``."""
        self.session = onnxruntime.InferenceSession(str(folder / "policy.onnx"))
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.described: dict[str, Any] = json.loads(metadata["rlgpu"])
        self.model = mujoco.MjModel.from_xml_path(str(folder / "scene.xml"))
        self.data = mujoco.MjData(self.model)
        said = self.described
        joints = [self.model.joint(name) for name in said["joints"]]
        self.qpos = np.array([joint.qposadr[0] for joint in joints])
        self.qvel = np.array([joint.dofadr[0] for joint in joints])
        self.motors = np.array([self.model.actuator(name).id for name in said["joints"]])
        self.default = np.array(said["default_joint_pos"])
        kinds = mujoco.mjtObj
        self.frame = (
            (kinds.mjOBJ_SITE, self.model.site(said["imu"]).id)
            if said["imu"]
            else (kinds.mjOBJ_XBODY, self.model.body(said["base"]).id)
        )
        self.reset()

    def reset(self) -> None:
        """Puts the robot into its default pose, and forgets."""
        said, data = self.described, self.data
        mujoco.mj_resetData(self.model, data)
        root = self.model.body(said["base"]).jntadr[0]
        data.qpos[self.model.jnt_qposadr[root] + 2] = said["start_height"]
        for name, value in said["start_joint_pos"].items():
            data.joint(name).qpos[0] = value
        mujoco.mj_forward(self.model, data)
        self.action = np.zeros(said["num_actions"])
        self.steps = 0
        self.past: deque[dict[str, Any]] = deque(maxlen=said["history"])
        shape = (said.get("memory_layers", 0), 1, said.get("memory_size", 0))
        self.memory = [np.zeros(shape, np.float32) for _ in said["inputs"][1:]]

    def measure(self, command: Any) -> dict[str, Any]:
        """Returns what the terms of the observation are made of, unscaled."""
        data, (kind, number) = self.data, self.frame
        motion = np.zeros(6)  # angular, then linear velocity, in the frame's axes
        mujoco.mj_objectVelocity(self.model, data, kind, number, motion, 1)
        axes = (data.site_xmat if kind == mujoco.mjtObj.mjOBJ_SITE else data.xmat)[number]
        said = self.described
        angle = 2.0 * np.pi * self.steps * said["step_dt"] / said["gait_period"]
        return {
            "lin_vel_b": motion[3:],
            "ang_vel_b": motion[:3],
            "gravity_b": axes.reshape(3, 3).T @ [0.0, 0.0, -1.0],
            "commands": np.array(command, dtype=float),
            "joint_pos": data.qpos[self.qpos],
            "joint_vel": data.qvel[self.qvel],
            "actions": self.action,
            "phase": np.array([np.sin(angle), np.cos(angle)]),
        }

    def observe(self, command: Any) -> Any:
        """Returns the observation of a velocity command, forward, left and turning, [1, O]."""
        now = self.measure(command)
        self.past.extendleft([now] * (1 if self.past else self.described["history"]))
        columns = []
        for term in self.described["observations"]:
            value = self.past[term["steps_ago"]][term["name"]]
            columns.append(np.array(term["scale"]) * (value - np.array(term["offset"])))
        limit = self.described["clip_observations"]
        return np.concatenate(columns).clip(-limit, limit)[None].astype(np.float32)

    def act(self, observation: Any) -> Any:
        """Returns the policy's action."""
        inputs = dict(zip(self.described["inputs"], [observation, *self.memory], strict=True))
        actions, *self.memory = self.session.run(None, inputs)
        return actions[0].astype(float)

    def step(self, command: Any) -> None:
        """Takes one control step."""
        self.action = self.act(self.observe(command))
        target = self.default + np.array(self.described["action_scale"]) * self.action
        self.data.ctrl[self.motors] = target
        for _ in range(self.described["decimation"]):
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_forward(self.model, self.data)
        self.steps += 1


def main() -> None:
    """Plays, in a window or without, and prints how well the command was followed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", type=float, nargs=3, default=[0.5, 0.0, 0.0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--view", action="store_true", help="open a window")
    given = parser.parse_args()
    player, errors = Player(Path(__file__).parent), []
    viewer = mujoco.viewer.launch_passive(player.model, player.data) if given.view else None
    step_dt = player.described["step_dt"]
    for _ in range(round(given.seconds / step_dt)):
        begun = time.monotonic()
        player.step(given.command)
        moved = player.measure(given.command)["lin_vel_b"][:2]
        errors.append(np.linalg.norm(moved - given.command[:2]))
        if viewer:
            viewer.sync()
            time.sleep(max(step_dt - (time.monotonic() - begun), 0.0))
    height = player.data.body(player.described["base"]).xpos[2]
    print(f"velocity error {np.mean(errors):.3f} m/s, base at {height:.2f} m in the end")


if __name__ == "__main__":
    main()
