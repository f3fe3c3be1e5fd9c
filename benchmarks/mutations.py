"""Draws mutants for mutants.py: one operator, number, condition or loop changed by cosmic-ray."""

from __future__ import annotations

import ast
import difflib
import itertools
import random
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

__all__ = ["Mutant", "draw", "find", "mutate", "statement"]

# Other replacements of binary operators and comparisons nearly always raise.
_SWAPS = "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul BitOr_BitAnd BitAnd_BitOr"
OPERATORS = sorted(
    name
    for name in operator_names()
    if not any(word in name for word in ("Variable", "Decorator", "Exception", "UAdd"))
    and ("BinaryOperator" not in name or name.split("Operator_")[1] in _SWAPS.split())
    and ("Comparison" not in name or name.count("Is") in (0, 2))
)
Position: TypeAlias = tuple[int, int]


class Mutant(NamedTuple):
    """One change of one file."""

    path: str
    line: int
    operator: str
    occurrence: int


def draw(code: str, seed: int, count: int) -> list[Mutant]:
    """Returns a random sample of a room's mutants, each of another place."""
    found = [place for path in sorted(Path(code).rglob("*.py")) for place in places(str(path))]
    generator = random.Random(seed)
    return [generator.choice(p) for p in generator.sample(found, min(count, len(found)))]


def mutate(mutant: Mutant) -> tuple[str, list[str]]:
    """Returns the changed text of the file, and the lines that differ; empty without the place."""
    source = Path(mutant.path).read_text()
    changed = mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence) or ""
    lines = difflib.ndiff(source.splitlines(), changed.splitlines())
    return changed, [line for line in lines if line[0] in "+-"]


def find(record: Mapping[str, Any]) -> Mutant | None:
    """Returns the mutant of an earlier run, if need be at another place; None if it is gone."""
    for occurrence in itertools.chain([record["occurrence"]], itertools.count()):
        mutant = Mutant(record["path"], record["line"], record["operator"], occurrence)
        changed, diff = mutate(mutant)
        if diff == record["diff"]:
            return mutant
        if not changed and occurrence != record["occurrence"]:
            return None
    raise AssertionError


def silent(tree: ast.AST) -> list[tuple[Position, Position]]:
    """Returns the spans of annotations, ``raise`` statements and formatted strings."""
    nodes: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Raise, ast.JoinedStr)):
            nodes.append(node)
        nodes += [getattr(node, name, None) for name in ("annotation", "returns")]
        if isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
            nodes.append(node)
    found = [node for node in nodes if node is not None]
    return [((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset)) for n in found]  # type: ignore


def places(path: str) -> list[list[Mutant]]:
    """Returns the mutants of a file, a list for each place."""
    source = Path(path).read_text()
    nodes, skipped = list(ast_nodes(get_ast(source))), silent(ast.parse(source))
    found = defaultdict(list)
    for name in OPERATORS:
        operator = get_operator(name)()
        positions = [p for node in nodes for p in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(positions):
            if not any(a <= start and end <= b for a, b in skipped):
                found[start, end].append(Mutant(path, start[0], name, occurrence))
    return [found[place] for place in sorted(found)]


def statement(path: str, line: int) -> range:
    """Returns the lines of the innermost statement, those of its body left out."""
    best = range(line, line + 1)
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            lines = range(node.lineno, body[0].lineno if body else (node.end_lineno or 0) + 1)
            best = lines if line in lines else best  # outer statements come first
    return best
