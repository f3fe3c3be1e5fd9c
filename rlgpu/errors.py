"""The exception for requests that cannot be carried out, and help with its message."""

from __future__ import annotations

import difflib
import linecache
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal


class UsageError(Exception):
    """States what was given, what is allowed and what to do; a command then exits with code 2.

    The message is for people, and may be reworded. Programs read the attributes.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        value: object = None,
        allowed: Iterable[object] = (),
        path: Path | None = None,
    ) -> None:
        """Keeps what is known of the refusal.

        Args:
            message: The sentence.
            key: What was refused: a key of the configuration, a parameter, a name in a file.
            value: What was given for it.
            allowed: What would have been taken, if that can be listed.
            path: The file that it is about.
        """
        super().__init__(message)
        self.key, self.value, self.allowed, self.path = key, value, tuple(allowed), path

    def add_place(self, where: str) -> None:
        """Has the message begin with where the refusal arose, such as ``task=Ant``."""
        self.args = (f"{where}: {self}",)


class UnknownKey(UsageError):
    """A key that the configuration does not have."""

    def __init__(
        self,
        message: str,
        *,
        key: str,
        instead: str = "",
        library: str = "",
        group: str = "",
        allowed: Iterable[object] = (),
    ) -> None:
        """Keeps what may have been meant.

        Args:
            message: The sentence.
            key: The unknown key.
            instead: The key that resembles it most or replaces it, if there is one.
            library: The library that has a setting of that name, if one has.
            group: The group or the value that it is in or below, if there is one.
            allowed: The names in the group, or the type of the value.
        """
        super().__init__(message, key=key, allowed=allowed)
        self.instead, self.library, self.group = instead, library, group


class NoEffect(UsageError):
    """A key that would change nothing, since another one does not have the value that it needs."""

    def __init__(self, message: str, *, key: str, needs: str, value: object = None) -> None:
        """Keeps what it needs: another key, or ``key=value``."""
        super().__init__(message, key=key, value=value)
        self.needs = needs


class Conflict(UsageError):
    """A value that does not go with that of another key."""

    def __init__(
        self,
        message: str,
        *,
        key: str,
        other: str,
        value: object = None,
        allowed: Iterable[object] = (),
    ) -> None:
        """Keeps the other key; changing either of them helps."""
        super().__init__(message, key=key, value=value, allowed=allowed)
        self.other = other


Fault = Literal[
    "form",
    "dashes",
    "twice",
    "size",
    "syntax",
    "alias",
    "depth",
    "missing",
    "encoding",
    "mapping",
    "damaged",
]
"""Why a word or a file cannot be read: not of its form, such as ``key=value``; dashes before it; a
key that is there twice; too long; not YAML; an alias in it; nested too deep; no file; not UTF-8; no
mapping; damaged."""


class Unreadable(UsageError):
    """A word of the command line, or a file, that cannot be read."""

    def __init__(
        self,
        message: str,
        fault: Fault,
        *,
        key: str = "",
        value: object = None,
        path: Path | None = None,
    ) -> None:
        """Keeps why; the other arguments are those of every ``UsageError``."""
        super().__init__(message, key=key, value=value, path=path)
        self.fault: Fault = fault


class Misfit(UsageError):
    """A file, such as a checkpoint, that is not of the agent or the task it is given to."""


class Unavailable(UsageError):
    """A value that this machine cannot take until something is installed or set up."""

    def __init__(
        self, reason: str, remedy: str, *, key: str, value: object, allowed: Iterable[object] = ()
    ) -> None:
        """Makes the sentence of its parts.

        Args:
            reason: What is missing.
            remedy: What to do.
            key: What was refused, as in every ``UsageError``.
            value: What was given for it.
            allowed: What this machine takes as it is.
        """
        said = f"{key}={shown(value)}: {reason}; {remedy}"
        super().__init__(said, key=key, value=value, allowed=allowed)
        self.reason, self.remedy = reason, remedy


Cause = Literal["diverged", "gradients", "engine", "task", "memory", "unsaved", ""]
"""Why training stops: too many worlds diverge; no gradient is finite; the engine fails; the task's
code fails or returns something that cannot be used; the memory does not suffice; the last
checkpoint cannot be saved."""


class TrainingFailed(Exception):
    """Training cannot continue; the message names the last good checkpoint."""

    def __init__(
        self,
        message: str,
        cause: Cause = "",
        *,
        iteration: int | None = None,
        sources: Iterable[str] = (),
        checkpoint: Path | None = None,
    ) -> None:
        """Keeps what is known of the failure; an error that led to it is its ``__cause__``.

        Args:
            message: The sentence.
            cause: Why training stops.
            iteration: The iteration in which it shows.
            sources: The methods or reported values that are not finite, if they are known.
            checkpoint: The last good checkpoint, if there is one.
        """
        super().__init__(message)
        self.cause: Cause = cause
        self.iteration, self.sources, self.checkpoint = iteration, tuple(sources), checkpoint


Failure = Literal["memory", "timeout", "died", "ended", "error", "broken", ""]
"""How an engine fails: the system has no memory or process for it; it does not answer in time; its
process dies; is asked after its end; raises an error; says itself that its numbers are wrong."""


class EngineFailed(RuntimeError):
    """An engine stopped working, such as a process of it that died; the message says why."""

    def __init__(
        self,
        message: str,
        reason: Failure = "",
        *,
        command: str = "",
        fault: str = "",
        raised: str = "",
        exit_code: int | None = None,
    ) -> None:
        """Keeps what is known of the failure.

        Args:
            message: The sentence.
            reason: How it failed.
            command: What it was asked to do.
            fault: Name of the fault, where it is a known one.
            raised: The type of the error that its process raised.
            exit_code: How its process ended, if it did; minus the number of a signal.
        """
        super().__init__(message)
        self.reason: Failure = reason
        self.command, self.fault, self.raised = command, fault, raised
        self.exit_code = exit_code


class TaskError(ValueError):
    """A task returned something in a step that its environments cannot use."""


class UnknownName(ValueError):
    """A name that is not one of a tuple of names."""

    def __init__(
        self, name: str, known: Sequence[str], message: str = "", *, kind: str = ""
    ) -> None:
        """Keeps the names.

        Args:
            name: The unknown one.
            known: Those that are known.
            message: The sentence, if it says more than that.
            kind: What it should have been a name of, such as an argument.
        """
        super().__init__(message or f"{name!r} is not in {list(known)}")
        self.name, self.known, self.kind = name, tuple(known), kind


class WrongShape(ValueError):
    """A tensor whose shape is not the one that is wanted."""

    def __init__(
        self, message: str, *, name: str, found: tuple[int, ...] | None, wanted: tuple[int, ...]
    ) -> None:
        """Keeps its name and both shapes; None if there is no such tensor."""
        super().__init__(message)
        self.name, self.found, self.wanted = name, found, wanted


class Reason(str):
    """A phrase that says why a scene is not simulated, and what kind of reason it is."""

    kind: str

    def __new__(cls, phrase: str, kind: str) -> Reason:
        """Returns a phrase of a kind."""
        reason = super().__new__(cls, phrase)
        reason.kind = kind
        return reason


class UnsupportedModel(ValueError):
    """A scene that an engine, or any, does not simulate."""

    def __init__(self, message: str, reasons: Iterable[str]) -> None:
        """Keeps why, a phrase for each reason."""
        super().__init__(message)
        self.reasons = tuple(reasons)


class MalformedModel(ValueError):
    """A file of a robot that makes no sense."""

    def __init__(self, message: str, fault: str, *named: str, file: str = "") -> None:
        """Keeps what is wrong.

        Args:
            message: The sentence, without the file.
            fault: The kind of fault, such as ``twice``, ``missing`` or ``negative``.
            *named: Elements, names and values that it is about.
            file: The file's name, if it is known already.
        """
        super().__init__(f"{file}: {message}" if file else message)
        self.fault, self.named, self.file = fault, named, file

    def set_file(self, file: str) -> None:
        """Says which file it is, unless that is known already."""
        if not self.file:
            self.file, self.args = file, (f"{file}: {self}",)


class NoGpu(ValueError):
    """Tensors are wanted on a GPU, and torch finds none."""


LONGEST_MESSAGE = 290


def shown(value: object) -> str:
    """Returns a value as a message quotes it: on one line, at most 60 characters."""
    text = _printable(str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def one_line(error: Exception) -> str:
    """Returns an error's message on one line, shortened in the middle to at most 290 characters."""
    text = _printable(" ".join(str(error).split()))
    if len(text) <= LONGEST_MESSAGE:
        return text
    end = 100  # where the remedy is
    return f"{text[: LONGEST_MESSAGE - end - 5]} ... {text[-end:]}"


def usable_path(key: str, text: str) -> Path:
    """Returns the path that a word names, with ``~`` replaced.

    Raises:
        UsageError: No file can have that path.
    """
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)[:80]
        said = f"{key}={shown(text)}: it cannot be a path: {reason}"
        raise UsageError(said, key=key, value=text) from error
    return path


def closest(name: str, known: Iterable[str]) -> str:
    """Returns the known name that resembles a name most, or an empty string."""
    return next(iter(difflib.get_close_matches(name[:100], list(known), n=1, cutoff=0.5)), "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean X?"`` for the closest known name, or an empty string."""
    match = closest(name, known)
    return f"; did you mean {match}?" if match else ""


def first_line(error: BaseException) -> str:
    """Returns the first line of what an error says, or its type's name if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _frames_in(error: BaseException, file: Path) -> list[traceback.FrameSummary]:
    """Returns the frames of an error's stack that are in a file, under whichever of its names."""
    ours = file.resolve()
    stack = traceback.extract_tb(error.__traceback__)
    return [frame for frame in stack if Path(frame.filename).resolve() == ours]


def passed_through(error: BaseException, file: Path) -> bool:
    """Returns whether an error arose in a file, or in what the file called."""
    return bool(_frames_in(error, file))


def line_in(error: BaseException, file: Path) -> str:
    """Returns an error and the line of a user's file in which it arose, without the stack.

    Args:
        error: What was raised.
        file: The user's file; if the error did not pass through it, the innermost line is named.
    """
    kind, said = type(error).__name__, first_line(error)
    what = kind if said == kind else f"{kind}: {said}"
    if isinstance(error, SyntaxError) and error.lineno:
        text = (error.text or "").strip()
        return f"{Path(error.filename or file).name}, line {error.lineno}: {error.msg}: {text}"
    frames = traceback.extract_tb(error.__traceback__)
    mine = _frames_in(error, file)
    if not (mine or frames):
        return what
    frame = (mine or frames)[-1]
    text = linecache.getline(frame.filename, frame.lineno or 0).strip()
    return f"{Path(frame.filename).name}, line {frame.lineno}: {what}: {text}"


def list_some(names: Sequence[str], most: int = 8) -> str:
    """Returns the first names of a list that may be long, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
