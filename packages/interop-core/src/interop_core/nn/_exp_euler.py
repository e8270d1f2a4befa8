"""One step of the exponential Euler method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .. import environ, random
from . import init
from ._parameters import as_array

__all__ = ["exp_euler_step"]

# JAX publishes it without types.
_limits: Any = jnp.finfo
_DTYPES = ("float16", "bfloat16", "float32", "float64")


def exp_euler_step(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Advance a state by one time step of the exponential Euler method.

    For ``dx/dt = f(x)``, with the time step ``dt`` of the environment and ``J`` the derivative of
    ``f`` by ``x``, entry by entry::

        x' = x + dt * phi(dt * J) * f(x)        phi(z) = (exp(z) - 1) / z

    This is exact where every entry of ``f`` is linear in its own entry of ``x`` and depends on no
    other, as in the dynamics of single neurons and synapses. Where entries act on each other, the
    derivative of the *sum* of ``f`` by each entry takes the place of ``J``: one evaluation of ``f``
    and one backward pass, whatever the size. The method is then of first order, like Euler's, and
    not exact for linear systems.

    For ``dx = f(x) dt + g(x) dW`` it adds ``g(x) * sqrt(dt)`` times standard normal noise, from a
    key of the default generator of `random`.

    States with a physical unit keep it. Then ``f`` has their unit by that of ``dt``, and ``g`` by
    the root of that.

    Args:
        fn: the drift ``f``, a function of the state and of whatever else is given.
        *args: the state, one floating-point array, and further arguments for ``fn``. A function in
            front of the state is the diffusion ``g``, which gets the same arguments.
        **kwargs: further arguments for both functions.

    Returns:
        The new state, in the dtype to which state and drift promote.

    Raises:
        KeyError: if the environment has no ``dt``.
        TypeError: if ``fn`` is no function, the state not one array, or the drift not one
            floating-point array.
        ValueError: if there is no state, its dtype is not float16, bfloat16, float32 or float64,
            or the shapes or units of drift or diffusion do not fit it.

    Example:
        >>> with environ.context(dt=0.1):
        ...     exp_euler_step(lambda x: -x, 1.0).item()
        0.9048374...
        >>> with environ.context(dt=0.1), random.seed_context(0):
        ...     exp_euler_step(
        ...         lambda x, rate: -rate * x, lambda x, rate: 0.3, jnp.ones(2), 2.0
        ...     ).shape
        (2,)
    """
    if not callable(fn):
        raise TypeError(f"The drift must be a function, not {fn!r}.")
    diffusion = None
    if args and callable(args[0]):
        diffusion, *args = args  # type: ignore[assignment]
    if not args:
        raise ValueError("There is no state to advance: give it behind the functions.")
    state, *others = args
    structure: Any
    leaves, structure = jax.tree.flatten(state)
    if len(leaves) != 1 or isinstance(state, dict | list | tuple):
        raise TypeError(f"The state must be one array, not {state!r}.")
    x = as_array(leaves[0])
    if x.dtype.name not in _DTYPES:
        raise ValueError(
            f"The state must have one of the dtypes {', '.join(_DTYPES)}, not {x.dtype}."
        )
    dt = environ.get("dt", desc="the time step of the integration")

    forms: list[Any] = []

    def drift_of(x: jax.Array) -> jax.Array:
        drift = fn(structure.unflatten([x]), *others, **kwargs)
        found, form = jax.tree.flatten(drift)
        value = as_array(found[0]) if len(found) == 1 else None
        if value is None or not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"The drift must be one floating-point array, not {drift!r}.")
        forms.append(form)
        return value

    state = structure.unflatten([x])
    drift, pull = jax.vjp(drift_of, x)
    form = forms[-1]
    _check_shape("drift", drift, x)
    (slope,) = pull(jnp.ones_like(drift))
    # Dividing one quantity by another divides their units; so does this for plain arrays.
    rate = form.unflatten([slope]) / structure.unflatten([jnp.ones((), x.dtype)])
    factor = _phi(_number(rate * dt, "drift"))
    new = _sum(state, form.unflatten([drift * factor]) * dt, "drift")
    if diffusion is None:
        return new
    spread = diffusion(state, *others, **kwargs)
    _check_shape("diffusion", spread, x)
    noise = jax.random.normal(random.split_key(), x.shape, x.dtype)
    return _sum(new, spread * (dt**0.5) * noise, "diffusion")


def _check_shape(what: str, value: Any, x: jax.Array) -> None:
    """Refuse a term that is larger than the state."""
    shape = np.shape(value)
    if not init.are_broadcastable_shapes(shape, x.shape) or (
        np.broadcast_shapes(shape, x.shape) != x.shape
    ):
        raise ValueError(f"The {what} has shape {shape} and the state {x.shape}.")


def _number(value: Any, what: str) -> jax.Array:
    """Take the scale of the units off that cancel."""
    reduce = getattr(value, "to_decimal", None)
    try:
        return as_array(value if reduce is None else reduce())
    except Exception as error:  # of a kind that the library of units decides
        raise ValueError(
            f"The unit of the {what} is not that of the state by that of dt: {error}"
        ) from error


def _sum(state: Any, change: Any, what: str) -> Any:
    """Add a change that must have the unit of the state."""
    try:
        return state + change
    except Exception as error:  # of a kind that the library of units decides
        raise ValueError(f"The {what} does not fit the unit of the state: {error}") from error


def _phi(z: jax.Array) -> jax.Array:
    """Compute ``(exp(z) - 1) / z``, and its derivatives also around zero."""
    # Its series where the quotient of small numbers would cost half of the digits.
    small = jnp.abs(z) < float(_limits(z.dtype).eps) ** 0.25
    safe = jnp.where(small, 1, z)
    series = 1 + z / 2 * (1 + z / 3 * (1 + z / 4))
    return jnp.where(small, series, jnp.expm1(safe) / safe)
