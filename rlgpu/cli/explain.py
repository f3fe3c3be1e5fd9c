"""``--help``: what can be written on the command line, from the schema itself."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict

from rlgpu.config import (
    ROBOT,
    Composed,
    Config,
    Key,
    Project,
    closest_key,
    compose,
    help_text,
    keys_of,
    leaves,
)
from rlgpu.errors import UnknownKey, UsageError, shown

_INTRODUCTION = """\
rlgpu train task=Ant headless=True                    train
rlgpu train checkpoint=latest                         continue the newest run of the Ant
rlgpu play                                            watch it
rlgpu train run=runs/Ant/FOLDER                       repeat a run from the start
rlgpu train --help KEY | WORD                         one key, or those that have a word

task=NAME or path/to/file.py:Class, train=FILE of cfg/train, sim=ENGINE choose files of values:
{tasks}
    sim: auto, {engines}
"""


def explain(words: Sequence[str], project: Project) -> None:
    """Prints the keys with default, allowed values and meaning.

    Args:
        words: Keys or parts of keys to explain, and choices such as ``task=Ant``; all keys if none.
        project: Where tasks and YAML files are.

    Raises:
        UnknownKey: No key has a word in its name or meaning.
    """
    from rlgpu.sim import ENGINES  # noqa: PLC0415  (torch is slow to import)
    from rlgpu.training.tasks import Tasks  # noqa: PLC0415

    tasks = Tasks()
    choices = [word for word in words if "=" in word]
    wanted = [word.lstrip("-") for word in words if "=" not in word]
    try:
        composed = compose(choices, tasks, ENGINES, project)
    except UsageError as error:
        if error.key == ROBOT:  # whose keys can be read before there is a robot
            composed = compose(choices, tasks, ENGINES, project, complete=False)
            _print(composed, wanted, tasks, project)
            return
        if any(word.startswith("sim_device=") for word in choices):
            raise
        # An engine's keys can be read on a machine that lacks the engine's device.
        composed = compose([*choices, "sim_device=cpu"], tasks, ENGINES, project)
    _print(composed, wanted, tasks, project)


def _print(
    composed: Composed, wanted: Sequence[str], tasks: Collection[str], project: Project
) -> None:
    from rlgpu.sim import ENGINES  # noqa: PLC0415  (torch is slow to import)

    config = composed.config
    keys = keys_of(Config)
    for group in ("task", "sim"):
        keys |= keys_of(type(getattr(config, group)), f"{group}.")
    values = leaves(asdict(config), known=keys)
    for name in ("num_envs", "max_iterations"):
        values.pop(name)  # they follow from others unless they are given
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    if not wanted:
        known = f"task: {', '.join(sorted({*tasks, *project.own_tasks()}))}"
        listed = textwrap.fill(known, width, initial_indent="    ", subsequent_indent=" " * 10)
        print(_INTRODUCTION.format(tasks=listed, engines=", ".join(ENGINES)))
        print(f"Keys, with the defaults of task={config.task.name} sim={config.sim.engine}:\n")
        print(help_text(keys, values, width))
        return
    for word in wanted:
        print(help_text(_matching(word, keys), values, width))


def _matching(word: str, keys: Mapping[str, Key]) -> dict[str, Key]:
    """Returns the keys whose names contain a word or, if none does, whose meanings do."""
    if word in keys:
        return {word: keys[word]}
    if found := {name: key for name, key in keys.items() if word in name}:
        return found
    said = word.lower()
    if found := {name: key for name, key in keys.items() if said in key.meaning().lower()}:
        return found
    near = closest_key(word, keys)
    hint = f"; did you mean {near}?" if near else ""
    said = f"--help {shown(word)}: no key has it in name or meaning{hint}"
    raise UnknownKey(said, key=word, instead=near)
