"""`eqx.nn.MLP` as the stack that it is: linear layers with functions between them."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from interop_core.errors import Refusal, UnsupportedStructureError
from interop_core.functions import function_of, name_of
from interop_core.mapping import LayerMap
from interop_core.options import parameters

from ._state import ARRAYS


def mlp_layers(mlp: eqx.nn.MLP, rows: tuple[LayerMap, ...]) -> list[Any]:
    """The layers of a perceptron in the order in which it calls them.

    Args:
        mlp: the perceptron.
        rows: the bridge's rows, which say what functions work entry by entry.

    Raises:
        Refusal: where its hidden layers are one array, its activation has weights, works along
            an axis, or has an array for a number: a perceptron calls it on single numbers.

    Example:
        >>> import jax
        >>> mlp = eqx.nn.MLP(2, 3, 4, 1, key=jax.random.key(0))
        >>> [type(layer).__name__ for layer in mlp_layers(mlp, ())]
        ['Linear', 'Lambda', 'Linear']
    """
    if mlp.scan:
        raise Refusal(
            "holds its hidden layers in one array (scan=True)",
            "make it with scan=False and put the layers of that array into it one by one",
            UnsupportedStructureError,
        )
    if not mlp.depth:  # then no function is called
        return list(mlp.layers)
    last = len(mlp.layers) - 1
    found: list[Any] = []
    for index, layer in enumerate(mlp.layers):
        found.append(layer)
        name = "final_activation" if index == last else "activation"
        function = getattr(mlp, name)
        if index == last and function is parameters(eqx.nn.MLP)[name]:
            continue
        _check(name, function, rows)
        found.append(function if isinstance(function, eqx.Module) else eqx.nn.Lambda(function))
    return found


def _check(name: str, function: Any, rows: tuple[LayerMap, ...]) -> None:
    if isinstance(function, eqx.Module) and type(function) is not eqx.nn.Lambda:
        raise Refusal(
            f"{name} is a {type(function).__name__}, which has weights of its own for every unit",
            "use a function without weights, or an eqx.nn.Sequential",
            UnsupportedStructureError,
        )
    called = function.fn if isinstance(function, eqx.nn.Lambda) else function
    row = next((row for row in rows if row.foreign is function_of(called)), None)
    along = any(isinstance(v, ARRAYS) and v.ndim for v in getattr(called, "keywords", {}).values())
    if along or (row is not None and row.channels != "any"):
        raise Refusal(
            f"{name}={name_of(called)} works along an axis, and is called on single numbers",
            "use a function that works entry by entry",
            UnsupportedStructureError,
        )
