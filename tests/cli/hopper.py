"""A new task whose files tests change, and the parts of them that they replace."""

from __future__ import annotations

from pathlib import Path

from rlgpu.tools.new_task import task_files

FORCE = "return self.config.force * actions"
OBSERVE = "return torch.cat((state.joint_pos, state.joint_vel), dim=-1)"
OUTCOME = "return Outcome(rewards=1.0 - error, terminated=error > 2.0)"
RESET = "return ResetState(joint_pos=start, joint_vel=torch.zeros_like(start))"
BODY = '<body name="mass">'
JOINT = '<joint name="lift" type="slide" axis="0 0 1"/>'


def hopper(folder: Path) -> list[str]:
    """Writes a new task and returns the arguments that train it."""
    for name, text in task_files("Hopper").items():
        (folder / name).write_text(text)
    word = f"task={folder / 'hopper.py'}:Hopper"
    return [word, "num_envs=64", "max_iterations=2", "headless=True", f"runs_dir={folder / 'runs'}"]


def change(folder: Path, file: str, old: str, new: str) -> list[str]:
    """Writes a new task with a change in a file, and returns the arguments that train it."""
    words, text = hopper(folder), (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    return words
