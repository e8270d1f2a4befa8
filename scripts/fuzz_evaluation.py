"""Evaluates programs that JAX has traced, operation by operation, with NumPy.

A fuzzer runs each of its programs once, and compiling it takes a hundred times as long as running
it. What has no rule here runs as JAX runs it. The fuzzer has JAX run a share of the examples as a
whole, so that a rule that is wrong does not stay unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from numpy.lib.stride_tricks import sliding_window_view

special: Any = import_module("scipy.special")  # published without types
Array = Any
Rule = Callable[..., Any]


def evaluate(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function of arrays, with NumPy arrays in it.

    Example:
        >>> evaluate(lambda x: jnp.tanh(x @ x.T).sum(), np.zeros((2, 3), np.float32)).item()
        0.0
    """
    program, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    flat = [host(a) for a in jax.tree.leaves(arguments)]
    with np.errstate(all="ignore"):
        results = run(program.jaxpr, [host(c) for c in program.consts], flat)
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def host(array: Any) -> Any:
    """An array of NumPy; keys of random streams, which it cannot say, as they are."""
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return array
    return array if isinstance(array, np.ndarray) else np.asarray(array)


def run(program: Any, constants: Sequence[Array], arguments: Sequence[Array]) -> list[Array]:
    """The results of a traced program."""
    known: dict[Any, Array] = dict(zip(program.constvars, constants, strict=True))
    known.update(zip(program.invars, arguments, strict=True))

    def read(atom: Any) -> Array:
        if not isinstance(atom, core.Literal):
            return known[atom]
        aval: Any = atom.aval
        return np.asarray(atom.val, aval.dtype)

    for equation in program.eqns:
        given = [read(atom) for atom in equation.invars]
        name = equation.primitive.name
        if name in INSIDE:
            made: Any = _inside(equation.params, given)
        elif not _says_all(equation) or any(not isinstance(a, np.ndarray) for a in given):
            made = equation.primitive.bind(*given, **equation.params)
            made = [host(m) for m in made] if equation.primitive.multiple_results else host(made)
        else:
            made = RULES[name](equation, *given, **equation.params)
        outputs = made if equation.primitive.multiple_results else [made]
        for variable, value in zip(equation.outvars, outputs, strict=True):
            if isinstance(value, np.ndarray | np.generic):
                value = np.asarray(value).astype(variable.aval.dtype, copy=False)
            known[variable] = value
    return [read(atom) for atom in program.outvars]


def _says_all(equation: Any) -> bool:
    """Whether there is a rule here for an operation as this release of jax writes it."""
    # From 0.12 on a loop says in a tree of its own what it carries: jax runs it.
    loop = equation.primitive.name == "scan"
    return equation.primitive.name in RULES and (not loop or "num_carry" in equation.params)


# --- programs inside ------------------------------------------------------------------------------

INSIDE = {"pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call",
          "custom_vjp_call_jaxpr", "remat", "checkpoint"}  # fmt: skip


def _inside(params: dict[str, Any], given: list[Array]) -> list[Array]:
    program = params.get("jaxpr") or params.get("call_jaxpr") or params.get("fun_jaxpr")
    return _closed(program, given)


def _closed(program: Any, given: Sequence[Array]) -> list[Array]:
    if isinstance(program, core.ClosedJaxpr):
        return run(program.jaxpr, [host(c) for c in program.consts], given)
    return run(program, (), given)


def _scan(_: Any, *given: Array, jaxpr: Any, length: int, num_consts: int, num_carry: int,
          reverse: bool, **__: Any) -> list[Array]:  # fmt: skip
    constants, carry = list(given[:num_consts]), list(given[num_consts : num_consts + num_carry])
    sequences = given[num_consts + num_carry :]
    collected: list[list[Array]] = []
    for step in reversed(range(length)) if reverse else range(length):
        out = _closed(jaxpr, [*constants, *carry, *(np.asarray(s[step]) for s in sequences)])
        carry = out[:num_carry]
        collected.append(out[num_carry:])
    if reverse:
        collected.reverse()
    outputs = jaxpr.out_avals[num_carry:]
    stacked = [
        np.stack([step[i] for step in collected])
        if length
        else np.zeros((0, *aval.shape), aval.dtype)
        for i, aval in enumerate(outputs)
    ]
    return [*carry, *stacked]


def _while(_: Any, *given: Array, cond_jaxpr: Any, body_jaxpr: Any, cond_nconsts: int,
           body_nconsts: int, **__: Any) -> list[Array]:  # fmt: skip
    condition = list(given[:cond_nconsts])
    body = list(given[cond_nconsts : cond_nconsts + body_nconsts])
    carry = list(given[cond_nconsts + body_nconsts :])
    while bool(_closed(cond_jaxpr, [*condition, *carry])[0]):
        carry = _closed(body_jaxpr, [*body, *carry])
    return carry


def _cond(_: Any, index: Array, *given: Array, branches: Any, **__: Any) -> list[Array]:
    return _closed(branches[int(np.clip(int(index), 0, len(branches) - 1))], given)


# --- element by element ---------------------------------------------------------------------------


def _each(function: Callable[..., Any]) -> Rule:
    return lambda equation, *given, **params: function(*given)


def _wide(function: Callable[..., Any]) -> Rule:
    """Of half precision, what single precision gives, rounded."""

    def rule(equation: Any, *given: Array, **params: Any) -> Array:
        return function(*(_single(a) for a in given))

    return rule


def _single(a: Array) -> Array:
    return a.astype(np.float32) if a.dtype.itemsize < 4 and a.dtype.kind in "fV" else a


def _divide(a: Array, b: Array) -> Array:
    if np.issubdtype(a.dtype, np.integer):
        return np.trunc(a / b)
    return a / b


def _select(which: Array, *cases: Array) -> Array:
    return (
        np.choose(which.astype(np.int32), cases)
        if len(cases) > 2
        else np.where(which, cases[1], cases[0])
    )


def _round(_: Any, a: Array, rounding_method: Any) -> Array:
    if int(rounding_method) == 1:
        return np.round(_single(a))
    return np.trunc(_single(a) + np.copysign(0.5, _single(a)))


def _reduce(function: Callable[..., Any]) -> Rule:
    return lambda equation, a, axes, **params: function(_single(a), axis=tuple(axes))


def _cumulative(function: Callable[..., Any]) -> Rule:
    def rule(_: Any, a: Array, axis: int, reverse: bool) -> Array:
        turned = np.flip(_single(a), axis) if reverse else _single(a)
        made = function(turned, axis=axis)
        return np.flip(made, axis) if reverse else made

    return rule


# --- shapes ---------------------------------------------------------------------------------------


def _broadcast(
    _: Any, a: Array, *__: Array, shape: Any, broadcast_dimensions: Any, **___: Any
) -> Array:
    inserted = [1] * len(shape)
    for axis, size in zip(broadcast_dimensions, a.shape, strict=True):
        inserted[axis] = size
    return np.broadcast_to(a.reshape(inserted), shape)


def _pad(_: Any, a: Array, value: Array, padding_config: Any) -> Array:
    return padded(a, padding_config, value)


def padded(a: Array, config: Any, value: Any = 0) -> Array:
    """An array with a margin, and holes, for each axis: low, high and interior; any may crop."""
    sizes = [
        size + max(size - 1, 0) * hole for size, (_, _, hole) in zip(a.shape, config, strict=True)
    ]
    spread = np.full(sizes, value, a.dtype)
    spread[tuple(slice(None, None, hole + 1) for _, _, hole in config)] = a
    margins = [(max(low, 0), max(high, 0)) for low, high, _ in config]
    wide = np.full(
        [n + low + high for n, (low, high) in zip(sizes, margins, strict=True)], value, a.dtype
    )
    wide[tuple(slice(low, low + n) for n, (low, _) in zip(sizes, margins, strict=True))] = spread
    return wide[
        tuple(slice(max(-low, 0), n + min(high, 0) if high < 0 else None)
              for n, (low, high, _) in zip(wide.shape, config, strict=True))
    ]  # fmt: skip


def _slice(_: Any, a: Array, start_indices: Any, limit_indices: Any, strides: Any) -> Array:
    steps = strides or (1,) * a.ndim
    return a[tuple(map(slice, start_indices, limit_indices, steps))]


def _dynamic_slice(_: Any, a: Array, *starts: Array, slice_sizes: Any, **__: Any) -> Array:
    places = [
        int(np.clip(int(s), 0, n - size))
        for s, n, size in zip(starts, a.shape, slice_sizes, strict=True)
    ]
    return a[tuple(slice(s, s + size) for s, size in zip(places, slice_sizes, strict=True))]


def _dynamic_update_slice(_: Any, a: Array, part: Array, *starts: Array, **__: Any) -> Array:
    made = np.array(a)
    places = [
        int(np.clip(int(s), 0, n - m)) for s, n, m in zip(starts, a.shape, part.shape, strict=True)
    ]
    made[tuple(slice(s, s + m) for s, m in zip(places, part.shape, strict=True))] = part
    return made


def _split(_: Any, a: Array, sizes: Any, axis: int) -> list[Array]:
    return np.split(a, np.cumsum(sizes)[:-1], axis)


def _iota(_: Any, *__: Array, dtype: Any, shape: Any, dimension: int, **___: Any) -> Array:
    along = [1] * len(shape)
    along[dimension] = shape[dimension]
    return np.broadcast_to(np.arange(shape[dimension]).reshape(along), shape).astype(dtype)


def _take(equation: Any, a: Array, at: Array, *, dimension_numbers: Any, slice_sizes: Any,
          mode: Any, fill_value: Any, **params: Any) -> Array:  # fmt: skip
    """Gathers along collapsed axes alone, as indexing does; all others are JAX's."""
    names = dimension_numbers
    whole = all(
        size == (1 if axis in names.collapsed_slice_dims else a.shape[axis])
        for axis, size in enumerate(slice_sizes)
    )
    batch = at.ndim - 1
    last = tuple(range(batch, batch + a.ndim - len(names.collapsed_slice_dims)))
    simple = (
        whole
        and not names.operand_batching_dims
        and tuple(names.start_index_map) == tuple(names.collapsed_slice_dims) == (0,)
        and tuple(names.offset_dims) == last
        and at.size
        and 0 <= at.min() <= at.max() < a.shape[0]
    )
    if simple:
        return a[at[..., 0]]
    bound = equation.primitive.bind(
        a,
        at,
        dimension_numbers=names,
        slice_sizes=slice_sizes,
        mode=mode,
        fill_value=fill_value,
        **params,
    )
    return np.asarray(bound)


# --- sums of products -----------------------------------------------------------------------------


def _dot(equation: Any, a: Array, b: Array, *, dimension_numbers: Any, **_: Any) -> Array:
    (contract_a, contract_b), (batch_a, batch_b) = dimension_numbers
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    names_a = [next(letters) for _ in a.shape]
    names_b = [next(letters) for _ in b.shape]
    for here, there in (
        *zip(contract_a, contract_b, strict=True),
        *zip(batch_a, batch_b, strict=True),
    ):
        names_b[there] = names_a[here]
    free_a = [n for i, n in enumerate(names_a) if i not in (*contract_a, *batch_a)]
    free_b = [n for i, n in enumerate(names_b) if i not in (*contract_b, *batch_b)]
    out = [*(names_a[i] for i in batch_a), *free_a, *free_b]
    return np.einsum(
        f"{''.join(names_a)},{''.join(names_b)}->{''.join(out)}", _single(a), _single(b)
    )


def _convolution(equation: Any, x: Array, w: Array, *, window_strides: Any, padding: Any,
                 lhs_dilation: Any, rhs_dilation: Any, dimension_numbers: Any,
                 feature_group_count: int, batch_group_count: int, **_: Any) -> Array:  # fmt: skip
    if batch_group_count != 1:
        return np.asarray(equation.primitive.bind(x, w, **equation.params))
    x = np.transpose(_single(x), dimension_numbers.lhs_spec)
    w = np.transpose(_single(w), dimension_numbers.rhs_spec)
    spread = padded(w, [(0, 0, 0), (0, 0, 0), *((0, 0, d - 1) for d in rhs_dilation)])
    margins = [(0, 0, 0), (0, 0, 0)]
    margins += [(*pad, d - 1) for pad, d in zip(padding, lhs_dilation, strict=True)]
    x = padded(x, margins)
    axes = tuple(range(2, x.ndim))
    shape = [equation.outvars[0].aval.shape[i] for i in dimension_numbers.out_spec]
    if any(x.shape[i] < spread.shape[i] for i in axes):
        out = np.zeros(shape, x.dtype)
    else:
        windows = sliding_window_view(x, spread.shape[2:], axes)
        steps = tuple(slice(None, None, s) for s in window_strides)
        windows = windows[(slice(None), slice(None), *steps)]
        groups, each = feature_group_count, w.shape[0] // feature_group_count
        parts = []
        for group in range(groups):
            here = windows[:, group * w.shape[1] : (group + 1) * w.shape[1]]
            summed = (1, *range(2 + len(axes), 2 + 2 * len(axes)))
            kernel = spread[group * each : (group + 1) * each]
            parts.append(np.tensordot(here, kernel, (summed, (1, *axes))))
        out = np.moveaxis(np.concatenate(parts, -1), -1, 1)
    back = np.argsort(dimension_numbers.out_spec)
    return np.transpose(out, back)


def _window(function: Callable[..., Any], start: Callable[[Any], Any]) -> Rule:
    def rule(_: Any, x: Array, *, window_dimensions: Any, window_strides: Any, padding: Any,
             base_dilation: Any, window_dilation: Any, **__: Any) -> Array:  # fmt: skip
        config = [(*pad, hole - 1) for pad, hole in zip(padding, base_dilation, strict=True)]
        wide = padded(_single(x), config, start(x.dtype))
        reach = [(n - 1) * d + 1 for n, d in zip(window_dimensions, window_dilation, strict=True)]
        windows = sliding_window_view(wide, reach)
        steps = tuple(slice(None, None, s) for s in window_strides)
        holes = tuple(slice(None, None, d) for d in window_dilation)
        return function(windows[(*steps, *holes)], axis=tuple(range(x.ndim, 2 * x.ndim)))

    return rule


def _reduce_window(equation: Any, *given: Array, **params: Any) -> Any:
    """Where a window is reduced by a program: by what the program does, if it is one operation."""
    program = params["jaxpr"]
    inner = [e.primitive.name for e in program.eqns]
    known: dict[str, Callable[..., Any]] = {"add": np.sum, "max": np.max, "min": np.min}
    if len(given) == 2 and len(inner) == 1 and inner[0] in known:
        rule = _window(known[inner[0]], lambda _: given[1])
        windows = {k: v for k, v in params.items() if k not in ("jaxpr", "consts")}
        return [rule(equation, given[0], **windows)]
    return [np.asarray(a) for a in equation.primitive.bind(*given, **params)]


def _lowest(dtype: Any) -> Any:
    return -np.inf if jnp.issubdtype(dtype, np.floating) else np.iinfo(dtype).min


def _highest(dtype: Any) -> Any:
    return np.inf if jnp.issubdtype(dtype, np.floating) else np.iinfo(dtype).max


RULES: dict[str, Rule] = {
    **{name: _each(getattr(np, name)) for name in ("sign", "abs", "floor", "ceil", "square")},
    **{
        name: _wide(getattr(np, name))
        for name in ("exp", "exp2", "log", "log1p", "expm1", "tanh", "sqrt", "cbrt", "sin", "cos",
                     "tan", "sinh", "cosh")
    },
    "add": _each(np.add),
    "add_any": _each(np.add),
    "sub": _each(np.subtract),
    "mul": _each(np.multiply),
    "div": _each(_divide),
    "rem": _each(np.fmod),
    "neg": _each(np.negative),
    "max": _each(np.maximum),
    "min": _each(np.minimum),
    "pow": _wide(np.power),
    "integer_pow": lambda _, a, y: _single(a) ** y if y >= 0 else 1 / _single(a) ** -y,
    "rsqrt": _wide(lambda a: 1 / np.sqrt(a)),
    "logistic": _wide(special.expit),
    "erf": _wide(special.erf),
    "erfc": _wide(special.erfc),
    "atan2": _wide(np.arctan2),
    "is_finite": _wide(np.isfinite),
    "eq": _each(np.equal),
    "ne": _each(np.not_equal),
    "lt": _each(np.less),
    "le": _each(np.less_equal),
    "gt": _each(np.greater),
    "ge": _each(np.greater_equal),
    "and": _each(np.bitwise_and),
    "or": _each(np.bitwise_or),
    "xor": _each(np.bitwise_xor),
    "not": _each(np.invert),
    "round": _round,
    "clamp": _each(lambda low, a, high: np.minimum(np.maximum(a, low), high)),
    "select_n": _each(_select),
    "convert_element_type": lambda _, a, new_dtype, **__: a.astype(new_dtype),
    "copy": _each(lambda a: a),
    "copy_p": _each(lambda a: a),
    "stop_gradient": _each(lambda a: a),
    "optimization_barrier": lambda _, *given: list(given),
    "reduce_sum": _reduce(np.sum),
    "reduce_max": _reduce(np.max),
    "reduce_min": _reduce(np.min),
    "reduce_prod": _reduce(np.prod),
    "reduce_and": _reduce(np.all),
    "reduce_or": _reduce(np.any),
    "cumsum": _cumulative(np.cumsum),
    "cummax": _cumulative(np.maximum.accumulate),
    "broadcast_in_dim": _broadcast,
    "reshape": lambda _, a, *__, new_sizes, **___: a.reshape(new_sizes),
    "transpose": lambda _, a, permutation: np.transpose(a, permutation),
    "squeeze": lambda _, a, dimensions: np.squeeze(a, tuple(dimensions)),
    "expand_dims": lambda _, a, dimensions: np.expand_dims(a, tuple(dimensions)),
    "concatenate": lambda _, *given, dimension: np.concatenate(given, dimension),
    "rev": lambda _, a, dimensions: np.flip(a, tuple(dimensions)),
    "pad": _pad,
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "split": _split,
    "iota": _iota,
    "gather": _take,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "reduce_window": _reduce_window,
    "reduce_window_sum": _window(np.sum, lambda _: 0),
    "reduce_window_max": _window(np.max, _lowest),
    "reduce_window_min": _window(np.min, _highest),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}  # fmt: skip
"""What each operation does; each rule gets its equation, the arrays and the parameters by name."""
