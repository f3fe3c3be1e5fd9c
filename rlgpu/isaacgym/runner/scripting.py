"""Rewrites the graphs of scripted functions as they are compiled."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

Rewrite = Callable[[torch.Graph], None]
"""Changes a graph in place, before it first runs."""


def rewrite_scripts(rewrite: Rewrite) -> None:
    """Applies a rewrite to each function that ``torch.jit.script`` compiles from now on.

    A scripted function that another one calls is compiled by ``torch.jit.script`` as well.
    """
    compile_script = torch.jit.script

    @functools.wraps(compile_script)
    def script(*args: Any, **kwargs: Any) -> Any:
        compiled = compile_script(*args, **kwargs)
        graph = getattr(compiled, "graph", None)
        if isinstance(graph, torch.Graph):
            rewrite(graph)
        return compiled

    torch.jit.script = script


def replace_function(name: str, function: Callable[..., Any]) -> None:
    """Replaces a function of torch; scripts compiled from now on still find its operator.

    Args:
        name: A function that is an operator, such as ``zeros``.
        function: Takes its place in Python code.
    """
    builtins = importlib.import_module("torch.jit._builtins")
    operator = builtins._find_builtin(getattr(torch, name))
    setattr(torch, name, function)
    if operator is not None:
        builtins._register_builtin(function, operator)


def nodes_of(block: torch.Graph | torch.Block) -> Iterator[torch.Node]:
    """Yields all nodes of a graph or block, those of inner blocks as well."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from nodes_of(inner)


def use_numbers_as_conditions() -> None:
    """Has ``torch.where`` take numbers as its condition: every number but 0 is true.

    Fused kernels of old torch did so on GPUs.
    """
    where = torch.where

    @functools.wraps(where)
    def choose(condition: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if isinstance(condition, torch.Tensor) and condition.dtype != torch.bool:
            condition = condition != 0
        return where(condition, *args, **kwargs)

    replace_function("where", choose)
    rewrite_scripts(_compare_conditions)


def _compare_conditions(graph: torch.Graph) -> None:
    """Compares the condition of each ``where`` of a graph with 0."""
    for node in list(nodes_of(graph)):
        inputs = list(node.inputs())
        if node.kind() != "aten::where" or len(inputs) == 1:
            continue
        zero = graph.create("prim::Constant", [], 1).insertBefore(node)
        zero.i_("value", 0)
        zero.output().setType(torch._C.IntType.get())
        comparison = graph.create("aten::ne", [inputs[0], zero.output()], 1).insertBefore(node)
        node.replaceInput(0, comparison.output())
