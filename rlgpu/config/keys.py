"""The keys of a configuration: types, defaults and meanings; and the text of ``--help``."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from rlgpu.config.limits import allowed, hints_of, parts_of
from rlgpu.errors import UnknownKey, closest, list_some


@dataclass(frozen=True)
class Key:
    """One key of the command line."""

    name: str
    hint: Any
    """Annotated type, from which its allowed values follow."""
    default: Any
    schema: type
    """The dataclass that has it."""

    def meaning(self) -> str:
        """Returns the text below its field in the source, as one line."""
        return meanings(self.schema).get(self.name.rpartition(".")[2], "")


def keys_of(schema: type, prefix: str = "") -> dict[str, Key]:
    """Returns the keys of a dataclass by full name; fields that are dataclasses are followed.

    Args:
        schema: The dataclass.
        prefix: Start of the names, such as ``train.``.
    """
    found: dict[str, Key] = {}
    hints = hints_of(schema)
    for field in fields(schema):
        name, hint = f"{prefix}{field.name}", hints[field.name]
        if is_dataclass(hint):
            found |= keys_of(hint, f"{name}.")  # type: ignore[arg-type]
        elif name not in ("task", "sim"):  # whose schemas depend on what is chosen
            default = field.default
            if default is MISSING and field.default_factory is not MISSING:
                default = field.default_factory()
            found[name] = Key(name, hint, default, schema)
    return found


def closest_key(word: str, names: Iterable[str]) -> str:
    """Returns the key that a word resembles most, or an empty string.

    Its last part counts first: ``gama`` is nearer to ``train.gamma`` than to ``games``.

    Args:
        word: What was written.
        names: Full names of the keys.
    """
    full: dict[str, str] = {}
    for name in names:
        full.setdefault(name.rpartition(".")[2], name)
    short = closest(word.rpartition(".")[2], full)
    return full[short] if short else ""


def misplaced(key: str, known: Mapping[str, Key]) -> UnknownKey | None:
    """Returns the refusal of a key that is a group, is below a value or is not in its group.

    Args:
        key: An unknown key.
        known: The known keys.

    Returns:
        None if the key has nothing to do with a known group or value.
    """
    below = [name.removeprefix(f"{key}.") for name in known if name.startswith(f"{key}.")]
    if below:
        example = f"give {key}.{below[0]}=..."
        if "." not in below[0]:
            example += f", in YAML {key.rpartition('.')[2]}: {{{below[0]}: ...}}"
        said = f"{key} takes no value itself; {example}; it has {list_some(below)}"
        return UnknownKey(said, key=key, group=key, allowed=below)
    group = key.rpartition(".")[0]
    if group in known:
        hint = known[group].hint
        said = f"{group} takes {allowed(hint)}, so there is no {key}; give {group}=..."
        return UnknownKey(said, key=key, instead=group, group=group, allowed=[parts_of(hint)[0]])
    while group and not any(name.startswith(f"{group}.") for name in known):
        group = group.rpartition(".")[0]
    if not group or key.count(".") < 2:  # a key of no group is looked for in all of them
        return None
    word = key.removeprefix(f"{group}.").partition(".")[0]
    names = [name.removeprefix(f"{group}.") for name in known if name.startswith(f"{group}.")]
    parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
    near = closest(word, parts)
    instead = f"{group}.{near}" if near else ""
    hint = f"; did you mean {instead}?" if near else ""
    said = f"{key} is not a key: {group} has no {word}, but {list_some(parts)}{hint}"
    return UnknownKey(said, key=key, instead=instead, group=group, allowed=parts)


def leaves(
    values: Mapping[str, Any], prefix: str = "", known: Collection[str] = ()
) -> dict[str, Any]:
    """Returns nested values by their full names.

    Args:
        values: Values, or mappings of values, by name.
        prefix: Start of the names, such as ``train.``.
        known: Keys whose values may be mappings, which are not followed.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        follow = isinstance(value, Mapping) and key not in known
        found |= leaves(value, f"{key}.", known) if follow else {key: value}
    return found


def meanings(schema: type) -> dict[str, str]:
    """Returns the text below each field in the source of a dataclass and of those it extends."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if not is_dataclass(base):
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, SyntaxError):
            continue
        lines = body.body if isinstance(body, ast.ClassDef) else []
        for field, below in itertools.pairwise(lines):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = " ".join(str(below.value.value).replace("``", "").split())
    return found


def help_text(keys: Mapping[str, Key], defaults: Mapping[str, Any], width: int = 100) -> str:
    """Returns the list of keys with default, allowed values and meaning.

    Args:
        keys: The keys.
        defaults: Values by key that replace the schema's defaults.
        width: Characters in a line.
    """
    lines = []
    for name, key in keys.items():
        default = defaults.get(name, key.default)
        first = f"{name}={_word(default)}  ({allowed(key.hint)})"
        lines += textwrap.wrap(first, width, subsequent_indent="        ", break_long_words=False)
        lines += textwrap.wrap(
            key.meaning(), width, initial_indent="    ", subsequent_indent="    "
        )
    return "\n".join(lines)


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_word(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
