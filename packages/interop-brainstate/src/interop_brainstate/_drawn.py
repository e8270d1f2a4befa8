"""Connections drawn at random: moved as they are, so that both libraries have one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from interop_core import nn
from interop_core.errors import Refusal
from interop_core.nn._event_connections import Connections

from ._row import Row

__all__ = ["CONNECTIONS"]

_SPARSE = ("data", "indices", "shape")


def _weight(_: Any) -> float:
    """One weight for all, until the state is moved: the constructor need not fit the network."""
    return 0.0


def _ratio(layer: Any) -> float:
    """The share of the inputs that have connections; the published layer keeps which ones."""
    selected = vars(layer).get("pre_selected")
    if selected is None:
        return 1.0
    # Below 1 even where each has some: they were drawn all the same.
    return float(min(np.mean(selected), 1 - 0.5 / len(selected)))


def _seed(layer: Any) -> Any:
    """The seed, or any where there is none: what is drawn at construction is not kept."""
    return 0 if layer.seed is None else layer.seed


def _rows(layer: Any) -> Any:
    """The inputs that have connections; None where no choice was made."""
    selected = vars(layer).get("pre_selected")
    return None if selected is None else np.flatnonzero(selected)


def _towards(given: Mapping[str, Any], _: Any) -> str | None:
    if given["efferent_target"] == "post":
        return None
    return f"efferent_target={given['efferent_target']!r} does not work there"


def _irregular(_: Mapping[str, Any], layer: Any) -> str | None:
    """Refuse connections that are not so many for each input."""
    if isinstance(layer, nn.Module) or not layer.conn_num:
        return None
    if not all(hasattr(layer.conn, name) for name in _SPARSE):
        return f"its connections are a {type(layer.conn).__name__}, which is not known"
    rows, (inputs, outputs) = _rows(layer), layer.conn.shape
    count = inputs if rows is None else len(rows)
    if (inputs, outputs) != (layer.in_size[-1], layer.out_size[-1]):
        return f"its connections are of the shape {(inputs, outputs)}"
    if np.size(layer.conn.indices) != count * layer.conn_num:
        return f"its connections are not {layer.conn_num} for each of {count} inputs"
    starts = getattr(layer.conn, "indptr", None)
    if rows is not None:
        expected = np.concatenate([[0], np.cumsum(layer.pre_selected) * layer.conn_num])
        if starts is None or not np.array_equal(np.asarray(starts), expected):
            return f"its connections are not {layer.conn_num} for each chosen input"
    return None


def _connect(layer: Any, built: Any, _: Callable[[Any], Any]) -> None:
    """Give the layer that was built the connections of the other one."""
    built.seed = layer.seed
    if not layer.conn_num:
        return
    if isinstance(built, nn.FixedNumConn):
        rows = _rows(layer)
        count = built.in_size[-1] if rows is None else len(rows)
        indices = np.asarray(layer.conn.indices).reshape(count, layer.conn_num)
        built.conn = Connections(indices, tuple(layer.conn.shape), "post", rows)
        # As after construction around an array: it is in the state, and only its dtype is kept.
        built.conn_weight = nn._parameters.remembered(built.weight.value)
        return
    sparse, weight = built.conn, built.weight.value
    indices = np.array(layer.conn.indices)
    if layer.conn.rows is None:
        places: tuple[Any, ...] = (indices,)
    else:
        selected = np.zeros(layer.conn.shape[0], bool)
        selected[layer.conn.rows] = True
        built.pre_selected = selected
        starts = np.concatenate([[0], np.cumsum(selected) * layer.conn_num])
        places = (indices.reshape(-1), starts.astype(np.int32))
    try:
        built.conn = type(sparse)((weight, *places), shape=layer.conn.shape)
    except (TypeError, ValueError) as error:
        raise Refusal(f"its connections do not fit a {type(sparse).__name__}: {error}") from error


CONNECTIONS = tuple(
    Row(
        name,
        {"conn_weight": _weight, "afferent_ratio": _ratio, "conn_init": lambda _: "vmap"}
        | {"seed": _seed},
        {"conn_weight": _weight, "conn": lambda _: None, "seed": _seed},
        unseen=frozenset({"weight", "conn", "conn_weight", "pre_selected", "seed"}),
        refusals=(_towards, _irregular),
        finish=_connect,
    )
    for name in ("FixedNumConn", "EventFixedNumConn", "EventFixedProb")
)
"""Rows of layers whose connections are drawn: these are configuration, and only weights states."""
