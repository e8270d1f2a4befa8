"""The linear layer with a sparse weight matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .._abstract import ABSTRACT
from ..state import ParamState, State
from . import init
from ._last_axis import LastAxis
from ._parameters import as_array, parameter, remembered
from ._sparsity import Sparsity

__all__ = ["SparseLinear"]


class SparseLinear(LastAxis):
    """Multiply the last axis by a sparse matrix and add a bias: ``y = x @ M + b``.

    The entries of ``M`` are trained, its zeros stay zeros; work and memory grow with the number of
    entries. The state ``weight`` holds ``{"weight": values, "bias": b}``, without ``"bias"`` where
    ``b_init`` is None. The values are those of ``spar_mat``, of shape ``(entries,)`` in its order;
    or one value without axes, or with one of length 1, that all entries share.

    Args:
        spar_mat: the sparse matrix, of shape ``(in, out)``: one of `jax.experimental.sparse` or
            another object with ``data``, ``shape``, and either ``row`` and ``col`` or ``indices``
            and ``indptr``; see `Sparsity`. Reads back as its `Sparsity`: the values are in the
            state alone, and a layer can be made of it only inside `init.abstract`.
        b_init: initializer of ``b``, of shape ``(out,)``; None for no bias.
        in_size: number of input features, where it is to be checked.
        name: a label for the user.
        param_type: the state type that holds the parameters.

    Raises:
        TypeError: if ``spar_mat`` is no sparse matrix.
        ValueError: if it is malformed, or ``in_size`` is not its number of rows.

    Example:
        >>> from jax.experimental import sparse
        >>> layer = SparseLinear(sparse.BCOO.fromdense(jnp.array([[0.0, 2.0], [3.0, 0.0]])))
        >>> layer.weight.value["weight"].tolist(), layer.in_size, layer.out_size
        ([2.0, 3.0], (2,), (2,))
        >>> layer(jnp.array([10.0, 1.0])).tolist()
        [3.0, 20.0]
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        spar_mat: Any,
        b_init: Any = None,
        in_size: int | Sequence[int] | None = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        self.spar_mat = Sparsity(spar_mat)
        rows, columns = self.spar_mat.shape
        if in_size is not None and init.to_size(in_size) != (rows,):
            raise ValueError(
                f"A sparse matrix of shape {(rows, columns)} takes inputs of {rows} features, but "
                f"in_size is {in_size}."
            )
        self._set_sizes(rows, columns)
        self.b_init = remembered(b_init)
        self.param_type = param_type
        if isinstance(spar_mat, Sparsity):
            if not ABSTRACT.get():
                raise ValueError(f"{spar_mat!r} says where entries are and not what they are.")
            values: Any = jax.ShapeDtypeStruct(spar_mat.values, np.dtype(np.float32))
        else:
            values = spar_mat.data
        stored = self.spar_mat.stored
        if np.shape(values) not in ((), (1,), (stored,)):
            raise ValueError(
                f"A sparse matrix that stores {stored} positions needs as many values, or one, "
                f"got shape {np.shape(values)}."
            )
        weight = {"weight": parameter(values, np.shape(values))}
        if b_init is not None:
            weight["bias"] = parameter(b_init, (columns,))
        self.weight = param_type(weight)

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``x @ M + b``.

        Args:
            x: input of shape ``(..., in)``.

        Returns:
            Output of shape ``(..., out)``.

        Raises:
            ValueError: if the last axis has another length.
        """
        x = as_array(x)
        if x.shape[-1:] != self.in_size:
            self.output_size(x.shape)
        parameters = self.weight.value
        values = as_array(parameters["weight"])
        places = self.spar_mat
        if places.kept is not None and values.size != 1:
            values = values[places.kept]
        # Features first: then each entry moves a whole row of the batch, which is contiguous.
        features = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).T
        terms = features.at[places.row].get(mode="promise_in_bounds") * values.reshape(-1, 1)
        y = jnp.zeros((self.out_size[0], features.shape[1]), terms.dtype)
        y = y.at[places.col].add(terms, mode="promise_in_bounds")
        y = y.T.reshape(*x.shape[:-1], self.out_size[0])
        bias = parameters.get("bias")
        return y if bias is None else y + bias
