"""Rows of the companions of event-based layers and of sparse connections.

A companion holds the connections as arrays of integers among its options: they are drawn once, by
the core or by nobody. Imports `companion_rows` and the layers of `nn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import nn
from .companion_linear_rows import SIZES, biased
from .companion_rows import Option, companion
from .errors import Refusal
from .layout import IDENTITY, Layout
from .mapping import HAS, Case, Config, Iso, LayerMap, Opt, Refused, case, ignored, leaf
from .nn._event_connections import Connections
from .nn._sparsity import Sparsity


@dataclass(frozen=True, slots=True)
class Words:
    """How the companions of one framework say what the layers of the core say.

    Attributes:
        sizes: its words for ``in_size`` and ``out_size``.
        prefix: what stands in front of ``kernel`` and ``bias``.
        matrix: the layout of a full kernel ``(in, out)``.
        sizes_of: the number of inputs and of outputs, given the companion's configuration.
    """

    sizes: tuple[Option, ...] = SIZES
    prefix: str = ""
    matrix: Layout = IDENTITY

    def sizes_of(self, config: Config) -> tuple[int, int]:
        """The numbers of inputs and of outputs of a companion."""
        return int(config["in_features"]), int(config["out_features"])


def _is_number(weight: Any) -> bool:
    return not callable(weight) and not np.shape(weight)


def _shared(name: str) -> Opt:
    """The option of a weight that all connections share, which is then a number."""

    def to(weight: Any, config: Config) -> bool:
        shape = config.get("weight.shape", ())
        if shape == (1,):
            raise Refusal("its connections share one weight in an array", "share a number")
        return bool(shape == ())

    def back(shared: bool, _: Config) -> Any:
        return 1.0 if shared else nn.init.Normal()

    return Opt(name, "shared_weight", Iso(to, back, "is a number"))


_HOW_DRAWN = ignored(
    "core",
    "seed conn_init allow_multi_conn afferent_ratio",
    "how the connections were drawn, which are converted themselves",
)


def _connected(config: Config) -> bool:
    return bool(config["conn_num"])


def _connections(words: Words) -> tuple[Opt, ...]:
    def back(_: Any, config: Config) -> Connections:
        rows = config["rows"]
        if rows is not None and len(np.unique(rows)) != np.size(rows):
            raise Refusal("one neuron stands several times in rows", "join what it owns in one row")
        shape = words.sizes_of(config)
        return Connections(config["indices"], shape, config["efferent_target"], rows)

    return (
        Opt("conn", "indices", Iso(lambda conn, _: conn.indices, back, "their other ends")),
        Opt("conn", "rows", Iso(lambda conn, _: conn.rows, back, "the neurons that have some")),
        Opt(
            "conn_num",
            "indices",
            Iso(
                lambda _, config: config["conn"].indices,
                lambda indices, _: int(np.shape(indices)[1]),
                "length of a row",
            ),
        ),
    )


def event_companions(companions: Any, words: Words) -> tuple[LayerMap, ...]:
    """The rows of `nn.EventLinear` and of the layers with drawn connections.

    A companion takes ``shared_weight``: whether all its connections have one weight, a number; and
    the connections as ``indices`` of shape ``(owners, number)``, with ``rows`` where not all
    neurons own some, and ``efferent_target``.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework says things.
    """
    normal = nn.init.Normal()
    kernel = f"{words.prefix}kernel"

    def full(config: Config) -> Layout:
        weight = config["weight"]  # the state itself, where the layer is one of the core
        return IDENTITY if _is_number(getattr(weight, "value", weight)) else words.matrix

    rows = [
        companion(
            nn.EventLinear,
            companions.EventLinear,
            *words.sizes,
            _shared("weight"),
            ignored("core", "block_size", "of no effect"),
            leaves=(leaf("weight", kernel, full),),
            cases=(
                case(in_size=4, out_size=3, weight=normal),
                case(in_size=4, out_size=3, weight=normal, float_as_event=False, input=(2, 4)),
                case(in_size=4, out_size=3, weight=0.5),
            ),
            refusals=(
                Refused("core", case(in_size=4, out_size=3, weight=np.ones(1)), "in an array"),
            ),
        )
    ]
    for core in (nn.FixedNumConn, nn.EventFixedNumConn, nn.EventFixedProb):
        cases: tuple[Case, ...] = (
            case(in_size=4, out_size=5, conn_num=2, conn_weight=normal, input=(2, 4)),
        )
        if core is nn.FixedNumConn:
            some = Connections([[0, 4], [2, 2], [3, 1]], (5, 4), "pre", [0, 1, 3])
            several: dict[str, Any] = {
                "in_size": 5,
                "out_size": 4,
                "conn_num": 2,
                "conn_weight": normal,
            }
            cases += (
                case(in_size=4, out_size=5, conn_num=0.5, conn_weight=0.5),
                case(**several, efferent_target="pre", conn=some),
                case(in_size=4, out_size=5, conn_num=0, conn_weight=0.5),
            )
        rows.append(
            companion(
                core,
                getattr(companions, core.__name__),
                *words.sizes,
                *_connections(words),
                _shared("conn_weight"),
                _HOW_DRAWN,
                leaves=(leaf("weight", kernel, when=_connected),),
                cases=cases,
            )
        )
    return tuple(rows)


class _Entries:
    """A sparse matrix of a companion's positions, as `nn.SparseLinear` reads one."""

    def __init__(self, row: Any, col: Any, shape: tuple[int, int], shared: bool) -> None:
        self.row, self.col, self.shape = np.asarray(row), np.asarray(col), shape
        self.data = np.ones(() if shared else self.row.shape, np.float32)


def _plain(positions: Sparsity) -> Sparsity:
    if positions.kept is not None:
        raise Refusal(
            "its matrix has places for entries that are not there", "build it of one without"
        )
    if positions.values == (1,) != positions.row.shape:
        raise Refusal("its entries share one weight in an array", "share a number: data=0.5")
    return positions


def sparse_companion(companions: Any, words: Words) -> LayerMap:
    """The row of `nn.SparseLinear`.

    A companion takes the positions as ``row`` and ``col``, and ``shared_weight``.

    Args:
        companions: where the companions are, each under its layer's name.
        words: how the framework says things.
    """

    def back(_: Any, config: Config) -> Sparsity:
        shape = words.sizes_of(config)
        shared = bool(config["shared_weight"])
        # A position outside of the matrix is none to the core, and the last one to jax.
        return _plain(Sparsity(_Entries(config["row"], config["col"], shape, shared)))

    def option(foreign: str, read: Any, doc: str) -> Opt:
        to = lambda positions, _: read(_plain(positions))  # noqa: E731
        return Opt("spar_mat", foreign, Iso(to, back, doc))

    entries = _Entries([0, 1, 1, 2, 3], [1, 0, 1, 2, 0], (4, 3), shared=False)
    shared = _Entries([0, 1, 1], [2, 0, 2], (4, 3), shared=True)
    return companion(
        nn.SparseLinear,
        companions.SparseLinear,
        option("row", lambda positions: positions.row, "of each entry"),
        option("col", lambda positions: positions.col, "of each entry"),
        option("in_features", lambda positions: positions.shape[0], "rows"),
        option("out_features", lambda positions: positions.shape[1], "columns"),
        option("shared_weight", lambda positions: positions.values == (), "is a number"),
        ignored("core", "in_size", "a declared size, which the matrix says as well"),
        Opt("b_init", "use_bias", HAS),
        leaves=(
            leaf("weight.weight", f"{words.prefix}kernel"),
            leaf("weight.bias", f"{words.prefix}bias", when=biased),
        ),
        cases=(
            case(spar_mat=entries, b_init=nn.init.ZeroInit(), input=(2, 4)),
            case(spar_mat=shared),
        ),
    )
