"""Where the entries of symmetric matrices over the dofs are: rows that follow a tree's chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import mujoco

from rlgpu.sim.mujoco.fused.packing import offsets


class Pattern(NamedTuple):
    """Rows of a matrix: the diagonal, then the ancestors in a tree of the dofs, nearest first."""

    adr: list[int]
    """First entry of each row."""
    depth: list[int]
    """Entries of each row; at the root one."""
    col: list[int]
    """Dof of each entry."""


def chain_of(model: mujoco.MjModel, body: int) -> list[int]:
    """Returns the dofs that move a body, from the nearest to the root's."""
    while body > 0 and model.body_dofnum[body] == 0:
        body = int(model.body_parentid[body])
    chain = []
    dof = int(model.body_dofadr[body] + model.body_dofnum[body]) - 1 if body > 0 else -1
    while dof >= 0:
        chain.append(dof)
        dof = int(model.dof_parentid[dof])
    return chain


def relative_signs(model: mujoco.MjModel, body1: int, body2: int) -> dict[int, float]:
    """Returns the sign with which each dof moves body 2 relative to body 1, leaves first."""
    first, second = chain_of(model, body1), chain_of(model, body2)
    signs = {dof: -1.0 for dof in first if dof not in second}
    signs |= {dof: 1.0 for dof in second if dof not in first}
    return {dof: signs[dof] for dof in sorted(signs, reverse=True)}


def tree_pattern(model: mujoco.MjModel) -> Pattern:
    """Returns the pattern of the mass matrix: the kinematic tree."""
    return _chains([int(parent) for parent in model.dof_parentid])


def elimination_pattern(model: mujoco.MjModel, couplings: Iterable[list[int]]) -> Pattern:
    """Returns a pattern that holds the mass matrix, coupled dofs, and the factor of their sum.

    Eliminating a dof couples its remaining neighbours. With each dof's parent the largest smaller
    neighbour, they all lie on the chain from the dof to the root, so these chains are enough.
    Source: J. Liu, The role of elimination trees in sparse factorization, 1990.

    Args:
        model: The compiled model.
        couplings: Sets of dofs that a contact couples with each other.
    """
    smaller: list[set[int]] = [set() for _ in range(model.nv)]
    for dof in range(model.nv):
        parent = int(model.dof_parentid[dof])
        # Parents come first, so their own sets are complete already.
        smaller[dof] |= {parent, *smaller[parent]} if parent >= 0 else set()
    for dofs in couplings:
        for dof in dofs:
            smaller[dof] |= {other for other in dofs if other < dof}
    parents = []
    for dof in reversed(range(model.nv)):
        parent = max(smaller[dof], default=-1)
        if parent >= 0:
            smaller[parent] |= smaller[dof] - {parent}
        parents.append(parent)
    return _chains(parents[::-1])


def parents_of(pattern: Pattern) -> list[int]:
    """Returns each dof's parent in a pattern's tree, or -1."""
    rows = zip(pattern.adr, pattern.depth, strict=True)
    return [pattern.col[adr + 1] if depth > 1 else -1 for adr, depth in rows]


def bridge_of(pattern: Pattern, signs: Mapping[int, float]) -> tuple[int, int]:
    """Returns the dofs whose chains a contact joins, or (-1, -1) if they are one in the pattern.

    Args:
        pattern: The pattern of a matrix without contacts.
        signs: How each dof moves the contact, leaves first; the chains have opposite signs.
    """
    ends = [next((dof for dof in signs if signs[dof] == sign), -1) for sign in (-1.0, 1.0)]
    high, low = max(ends), min(ends)
    row = pattern.col[pattern.adr[high] : pattern.adr[high] + pattern.depth[high]]
    return (-1, -1) if low < 0 or low in row else (high, low)


def path_tables(pattern: Pattern, groups: Iterable[Iterable[int]]) -> dict[str, list[int]]:
    """Returns the dofs of each of several groups with all of their ancestors, leaves first."""
    parts = zip(pattern.adr, pattern.depth, strict=True)
    rows = [pattern.col[adr : adr + depth] for adr, depth in parts]
    paths = [sorted({k for dof in dofs for k in rows[dof]}, reverse=True) for dofs in groups]
    return {
        "path_adr": offsets(map(len, paths)),
        "path_dof": [dof for path in paths for dof in path],
    }


def solver_tables(
    model: mujoco.MjModel, contacts: Sequence[Mapping[int, float]], coupled: Sequence[list[int]]
) -> dict[str, Sequence[object]]:
    """Returns the pattern of the solver's matrix with all contacts, and what each adds to it.

    Args:
        model: The compiled model.
        contacts: How each dof moves a contact, leaves first, for each pair of geoms.
        coupled: Sets of dofs that constraints other than contacts couple.
    """
    full = elimination_pattern(model, [*map(list, contacts), *coupled])
    alone = elimination_pattern(model, coupled)
    return {
        "h_adr": full.adr,
        "h_depth": full.depth,
        "h_col": full.col,
        "h_parent": parents_of(alone),
        "pair_bridge": [bridge_of(alone, signs) for signs in contacts],
    }


def mass_tables(pattern: Pattern) -> dict[str, list[int]]:
    """Returns the mass matrix's pattern, and the entries in each column below the diagonal."""
    entries: list[list[tuple[int, int]]] = [[] for _ in pattern.adr]
    for dof, (adr, depth) in enumerate(zip(pattern.adr, pattern.depth, strict=True)):
        for entry in range(adr + 1, adr + depth):
            entries[pattern.col[entry]].append((entry, dof))
    return {
        "m_adr": pattern.adr,
        "m_depth": pattern.depth,
        "m_col": pattern.col,
        "below_adr": offsets(map(len, entries)),
        "below_entry": [entry for column in entries for entry, _ in column],
        "below_dof": [dof for column in entries for _, dof in column],
    }


def _chains(parents: list[int]) -> Pattern:
    adr: list[int] = []
    depth: list[int] = []
    col: list[int] = []
    for dof in range(len(parents)):
        adr.append(len(col))
        ancestor = dof
        while ancestor >= 0:
            col.append(ancestor)
            ancestor = parents[ancestor]
        depth.append(len(col) - adr[-1])
    return Pattern(adr, depth, col)
