"""Checkpoints: one file for everything, written atomically, loaded without executing code."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlgpu.config import NETWORK_KEYS, Config, Range
from rlgpu.errors import Fault, Misfit, Unreadable, UsageError, first_line, list_some, usable_path

FORMAT = 6
_SECTIONS = ("format", "digest", "config", "origin", "agent", "env", "trainer", "joint_names")
NUMBERED = "iteration_{:06d}.pth"


class Checkpoint(NamedTuple):
    """A checkpoint that has been read."""

    path: Path
    content: Mapping[str, Any]


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a checkpoint to a temporary file, syncs it and renames it.

    Args:
        path: The file to write.
        content: ``config``, ``origin``, ``agent``, ``env``, ``trainer`` and ``joint_names``.

    Raises:
        OSError: It cannot be written; a file that was there is whole, and nothing else is left.
    """
    # In memory first: torch's own writer aborts the process if the disk is full.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "digest": digest(content), **content}, buffer)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest(content: Any) -> str:
    """Returns a digest of a checkpoint's content: of all names, numbers and bytes of tensors."""
    hashed = hashlib.blake2b(digest_size=16)

    def add(value: Any) -> None:
        if isinstance(value, Tensor):
            # A damaged file may claim that a tensor needs gradients; none that is saved does.
            wants_grad = " grad" if value.requires_grad else ""
            hashed.update(f"{value.dtype}{tuple(value.shape)}{wants_grad}".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            hashed.update(flat.view(torch.uint8).numpy().tobytes())
        elif isinstance(value, Mapping):
            for name, part in value.items():
                add(name)
                add(part)
        elif isinstance(value, list | tuple):
            hashed.update(str(len(value)).encode())
            for part in value:
                add(part)
        else:
            hashed.update(repr(value).encode())

    add(content)
    return hashed.hexdigest()


def keep_numbered(path: Path, iteration: int, keep: int) -> None:
    """Gives a checkpoint a second name with its iteration, and removes the oldest such names.

    Args:
        path: The checkpoint.
        iteration: Its iteration.
        keep: Number of numbered checkpoints to keep.

    Raises:
        OSError: The folder cannot be written.
    """
    if keep > 0:
        numbered = path.with_name(NUMBERED.format(iteration))
        numbered.unlink(missing_ok=True)
        try:
            os.link(path, numbered)  # the same bytes: what replaces `path` is a new file
        except OSError:
            shutil.copyfile(path, numbered)  # a file system without links
    every = sorted(path.parent.glob(NUMBERED.replace("{:06d}", "*")))
    for old in every[: max(len(every) - keep, 0)]:
        old.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Returns a checkpoint's content, with all tensors on the CPU.

    Raises:
        UsageError: The file is missing, damaged, not a checkpoint or of another format.
    """
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.pth")) if path.parent.is_dir() else []
        found = f"{path.parent} has {', '.join(beside)}" if beside else "no checkpoints beside it"
        raise _unreadable(path, f"there is no such file; {found}", "missing")
    try:
        file = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, f"it cannot be read: {error.strerror}", "missing") from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        said = (
            f"the file is damaged or not a checkpoint of rlgpu ({first_line(error)[:80]}); use "
            "another, e.g. checkpoint=best"
        )
        raise _unreadable(path, said, "damaged") from error
    form = content.get("format") if isinstance(content, dict) else None
    if type(form) is not int:
        raise _unreadable(path, "the file is not a checkpoint of rlgpu", "form")
    if form != FORMAT:
        said = f"checkpoint={path}: its format is {form}; this version reads {FORMAT}"
        raise UsageError(said, key="format", value=form, allowed=[FORMAT], path=path)
    if any(key not in content for key in _SECTIONS):
        raise _unreadable(path, "the file is not a checkpoint of rlgpu", "form")
    body = {name: part for name, part in content.items() if name not in ("format", "digest")}
    try:
        whole = digest(body) == content["digest"]
    except (RuntimeError, RecursionError):  # tensors or nesting that we never save
        whole = False
    if not whole:
        said = (
            "the file is damaged: its content does not have the digest it was saved with; use "
            "another, e.g. checkpoint=best"
        )
        raise _unreadable(path, said, "damaged")
    return content


def _unreadable(path: Path, said: str, fault: Fault) -> Unreadable:
    """Returns the refusal of a file that is no checkpoint."""
    said = f"checkpoint={path}: {said}"
    return Unreadable(said, fault, key="checkpoint", value=str(path), path=path)


def find_checkpoint(wanted: str, task_folder: Path) -> Path:
    """Returns the path that ``checkpoint=`` refers to.

    Args:
        wanted: ``latest``, ``best``, or the path of a file or a run folder.
        task_folder: ``runs/<experiment or task>``.

    Raises:
        UsageError: ``latest`` or ``best`` is requested and there is no run.
    """
    if wanted not in ("latest", "best"):
        path = usable_path("checkpoint", wanted)
        if not path.is_dir():
            return path
        # A run's folder, the folder of its checkpoints, or that of several runs.
        below = [path / "nn", path, path / "latest" / "nn"]
        return next((p for p in below if (p / "last.pth").is_file()), below[0]) / "last.pth"
    newest = task_folder / "latest"
    if not newest.exists():
        others = sorted(p.parent for p in task_folder.parent.glob("*/latest") if p.exists())
        hint = f"; there are runs in {list_some(list(map(str, others)))}" if others else ""
        said = f"checkpoint={wanted}: no run in {task_folder}{hint}; train first, or give a path"
        raise UsageError(said, key="checkpoint", value=wanted, allowed=others, path=task_folder)
    return newest.resolve() / "nn" / ("last.pth" if wanted == "latest" else "best.pth")


def check_compatible(checkpoint: Checkpoint, config: Config, joint_names: tuple[str, ...]) -> None:
    """Checks that a checkpoint is from the same task, robot and network.

    Args:
        checkpoint: The checkpoint.
        config: This run's configuration.
        joint_names: This run's joints.

    Raises:
        UsageError: A setting that the weights depend on differs.
    """
    path, content = checkpoint
    saved = content["config"]
    rows: list[tuple[str, Any, Any]] = [("joints", list(content["joint_names"]), list(joint_names))]
    if not config.weights_only:
        _check_equal(path, "task", saved["task"]["name"], config.task.name)
    rows.append(("algorithm", saved["algorithm"], config.algorithm))
    dueling = (saved["train"]["dqn"]["dueling"], config.train.dqn.dueling)
    rows.append(("train.dqn.dueling", *dueling))
    for key in NETWORK_KEYS:
        rows.append((f"train.{key}", saved["train"][key], getattr(config.train, key)))
    for key, theirs, ours in rows:
        _check_equal(path, key, theirs, ours)


def _check_equal(path: Path, key: str, theirs: Any, ours: Any) -> None:
    """Checks that a checkpoint was made with the same value of a setting.

    Raises:
        Misfit: It was not.
    """
    if theirs != ours:
        said = f"checkpoint={path}: it was made with {key}={theirs}, this run has {key}={ours}"
        raise Misfit(said, key=key, value=ours, allowed=[theirs], path=path)


class _Difference(NamedTuple):
    """Something in which a checkpoint and this run differ."""

    key: str
    theirs: Any
    ours: Any
    said: str


def misfit_of(
    checkpoint: Checkpoint, config: Config, sizes: Mapping[str, int], error: Exception
) -> Misfit:
    """Returns the refusal of a checkpoint whose tensors cannot be loaded.

    Args:
        checkpoint: The checkpoint.
        config: This run's configuration.
        sizes: This run's numbers of ``observations`` and ``actions``.
        error: Why they cannot; it counts where no difference is found.
    """
    path = checkpoint.path
    found = _differences(checkpoint.content, config, sizes)
    reason = "; ".join(difference.said for difference in found) or str(error)
    said = f"checkpoint={path}: it does not fit this run: {reason}"
    if not found:
        return Misfit(said, path=path)
    first = found[0]
    return Misfit(said, key=first.key, value=first.ours, allowed=[first.theirs], path=path)


def _differences(
    content: Mapping[str, Any], config: Config, sizes: Mapping[str, int]
) -> list[_Difference]:
    """Returns how a checkpoint's observations or actions differ from this run's."""
    found = []
    # Observations without noise, for a separate critic, double the width and are no misfit.
    has_two = config.train.has_separate_critic
    for name, size in sizes.items():
        values = content["env"].get(name)
        fitting = (size, 2 * size) if name == "observations" and has_two else (size,)
        if (
            isinstance(values, torch.Tensor)
            and values.dim() == 2
            and values.shape[1] not in fitting
        ):
            said = f"it has {values.shape[1]} {name}, this run has {size}"
            found.append(_Difference(name, values.shape[1], size, said))
    for key in ("hidden", "hidden_from"):
        theirs, ours = content["config"]["task"].get(key), getattr(config.task, key, None)
        if theirs is not None and theirs != ours:
            said = f"it has task.{key}={theirs}, this run has task.{key}={ours}"
            found.append(_Difference(f"task.{key}", theirs, ours, said))
    return found


def check_resumable(checkpoint: Checkpoint, config: Config) -> None:
    """Checks that a run is unfinished and used the same task, engine and number of environments.

    Raises:
        UsageError: The task, engine or ``num_envs`` differs, or ``max_iterations`` is already
            reached.
    """
    path, content = checkpoint
    _check_equal(path, "task", content["config"]["task"]["name"], config.task.name)
    done, wanted = content["trainer"]["iteration"], config.max_iterations
    if done >= wanted:
        raise UsageError(
            f"checkpoint={path}: it has done {done} of max_iterations={wanted} iterations, "
            f"so nothing is left to do; to train on, use e.g. max_iterations={2 * done}",
            key="max_iterations",
            value=wanted,
            allowed=[Range(done + 1)],
            path=path,
        )
    saved = content["config"]
    engine, num_envs = saved["sim"]["engine"], saved["num_envs"]
    other = "; weights_only=True takes only the weights"
    if engine != config.sim.engine:
        raise Misfit(
            f"checkpoint={path}: it holds the state of sim={engine}, this run has "
            f"sim={config.sim.engine}; use sim={engine}{other}",
            key="sim",
            value=config.sim.engine,
            allowed=[engine],
            path=path,
        )
    if num_envs != config.num_envs:
        raise Misfit(
            f"checkpoint={path}: it holds {num_envs} environments, this run "
            f"has num_envs={config.num_envs}; use num_envs={num_envs}{other}",
            key="num_envs",
            value=config.num_envs,
            allowed=[num_envs],
            path=path,
        )


def carry_best_over(resumed: Checkpoint, folder: Path) -> float:
    """Copies the best checkpoint of a resumed run to the new run's folder, if it is beside it.

    Args:
        resumed: The checkpoint that training continues from.
        folder: The new run's folder.

    Returns:
        Its mean return, or minus infinity if there is none: the next one is then the best.
    """
    content, best = resumed.content, resumed.path.with_name("best.pth")
    try:
        found = load_checkpoint(best)
        ours, theirs = content["trainer"], found["trainer"]
        same = found["config"]["task"]["name"] == content["config"]["task"]["name"]
        # That of another run, or of later iterations than this checkpoint's, is not ours.
        if not same or ours["best_return"] != theirs["best_return"]:
            return float("-inf")
        shutil.copyfile(best, folder / "nn" / "best.pth")
    except (UsageError, OSError, KeyError):
        return float("-inf")  # missing or damaged
    return float(theirs["best_return"])
