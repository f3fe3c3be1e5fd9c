"""Writes a trained policy as files that other programs run.

    rlgpu export checkpoint=latest task=Go2 [out=FOLDER] [--check]

The folder, by default export/ in the run's, has policy.onnx (observations as the policy sees them
in, actions out, the normaliser and the limit of actions within), policy.pt (the same as
TorchScript) and policy.yaml (joints, default pose, gains, scales, terms of the observation), and
the files of unitree_rl_lab's, rl_sar's and unitree_rl_gym's deployments as far as they can run it.
--check plays the policy for 1000 observations and compares both files with it.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from rlgpu.cli.opened import OpenedPolicy, opened_policy
from rlgpu.config import Project
from rlgpu.deploy import compare, export
from rlgpu.envs import VecEnv
from rlgpu.errors import UsageError, usable_path

_NUM_ENVS = 64


def run(words: list[str]) -> int:
    """Exports the policy that the words name; returns the exit code, 1 if a check fails.

    Raises:
        UsageError: There is none, or it cannot be exported.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    checks = "--check" in words
    out = [word.partition("=")[2] for word in words if word.startswith("out=")]
    rest = [word for word in words if word != "--check" and not word.startswith("out=")]
    if not any(word.startswith("num_envs=") for word in rest):
        rest.append(f"num_envs={_NUM_ENVS}")
    with opened_policy(rest, Project.at(Path.cwd())) as opened:
        folder = usable_path("out", out[-1]) if out else opened.path.parent.parent / "export"
        return int(not _export(opened, folder, console, checks=checks))


def _export(opened: OpenedPolicy, folder: Path, console: Console, *, checks: bool) -> bool:
    """Writes the folder; returns whether its files act as the policy does, as far as checked."""
    env = opened.env
    if not isinstance(env, VecEnv):
        said = f"task={opened.config.task.name}: only tasks of rlgpu are exported"
        raise UsageError(said, key="task", value=opened.config.task.name)
    policy, formats = export(folder, opened.config, env, opened.agent)
    console.print(f"wrote policy.onnx, policy.pt and policy.yaml of {opened.path} to {folder}")
    for name, reason in formats.items():
        console.print(f"{name}/: {'written' if not reason else f'not written: {reason}'}")
    if not checks:
        return True
    found = compare(folder, policy, env, opened.agent)
    for difference in found:
        console.print(
            f"{difference.file}: largest difference {difference.largest:.1e} in "
            f"{difference.rows} observations"
        )
    if wrong := [difference.file for difference in found if not difference.is_small]:
        console.print(f"error: {wrong[0]} does not act as the policy does")
    return not wrong
