"""Why a program cannot run a policy, and what all of them need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class NotTaken(Exception):
    """A program cannot run a policy; the message says why."""


def check_runnable(described: Mapping[str, Any], known: Collection[str]) -> None:
    """Checks what every program that drives joints needs.

    Args:
        described: The description of the policy.
        known: Terms of the observation that the program has.

    Raises:
        NotTaken: Something is missing.
    """
    if "joints" not in described:
        raise NotTaken("the task does not say how its actions drive joints")
    if len(described["inputs"]) > 1:
        raise NotTaken("it gives the network no memory")
    unknown = [term["name"] for term in described["observations"] if term["name"] not in known]
    if not unknown:
        return
    advice = ""
    if unknown[0] == "lin_vel_b":
        advice = "; train with task.hidden=[lin_vel_b] task.hidden_from=policy"
    raise NotTaken(f"it does not measure {unknown[0]}{advice}")


def scale_of(described: Mapping[str, Any], name: str) -> list[float]:
    """Returns the scales of a term's columns; empty if it is not observed."""
    terms = described["observations"]
    return next((list(term["scale"]) for term in terms if term["name"] == name), [])


def single_scale(described: Mapping[str, Any], name: str) -> float:
    """Returns the scale that all columns of a term share; 1 if it is not observed."""
    return (scale_of(described, name) or [1.0])[0]


def check_relative(described: Mapping[str, Any]) -> None:
    """Checks that joint positions are observed from the default ones.

    Raises:
        NotTaken: They are not.
    """
    for term in described["observations"]:
        if term["name"] == "joint_pos" and term["offset"] != described["default_joint_pos"]:
            raise NotTaken("it observes joint positions from the default ones")
