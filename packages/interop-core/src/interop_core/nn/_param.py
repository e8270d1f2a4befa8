"""Parameters that are trained in transformed form, and constants."""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import numpy as jnp

from .. import environ
from .._abstract import ABSTRACT
from ..state import ParamState, State
from ._initializers import param as init_param
from ._module import Module
from ._quantity import clip, split, with_unit
from ._regularization import Regularization
from ._transform import IdentityT, Transform

__all__ = ["Const", "Param"]

_logger = logging.getLogger(__name__)


class Param(Module):
    """A parameter with an optional transformation and an optional penalty.

    What is stored and trained is ``t.inverse(value)``, in the state `val`. `value` gives
    ``t.forward`` of it, passed through ``precompute``.

    Args:
        value: the initial value, in the space of values.
        t: the transformation.
        reg: a penalty on the value, counted by `reg_loss`.
        precompute: a function applied to the transformed value.
        fit: whether the parameter is trained. If not, `val` is a plain array and no state.
        enable_cache_logging: whether what happens to the cache is logged, at level INFO.

    Raises:
        TypeError: if ``t`` is no transformation, or ``value`` no array.
        ValueError: if ``reg`` is no regularisation.

    Example:
        >>> from ._transform_half_bounded import SoftplusT
        >>> rate = Param(jnp.array([1.0, 2.0]), t=SoftplusT(0.0))
        >>> [round(x, 3) for x in rate.value().tolist()]
        [1.0, 2.0]
        >>> [round(x, 3) for x in rate.val.value.tolist()]
        [0.541, 1.855]
    """

    # Beside the attributes, so that a cached array is no part of the pytree, of copies or pickles.
    __slots__ = ("_cached",)
    _cached: _Cached | None

    def __init__(
        self,
        value: Any,
        t: Transform = IdentityT(),  # noqa: B008 - immutable
        reg: Regularization | None = None,
        precompute: Callable[[Any], Any] | None = None,
        fit: bool = True,
        enable_cache_logging: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(t, Transform):
            raise TypeError(f"t must be a Transform, not {t!r}.")
        if reg is not None and not isinstance(reg, Regularization):
            raise ValueError(f"reg must be a Regularization or None, not {reg!r}.")
        self.fit = fit
        self.t = t
        self.reg = reg
        self.precompute = precompute
        self.enable_cache_logging = enable_cache_logging
        raw = None if value is None else _raw(value, t)
        self.val: Any = ParamState(raw) if fit else raw

    @classmethod
    def init(
        cls,
        data: Any,
        sizes: int | Sequence[int] | None = None,
        allow_none: bool = True,
        **param_kwargs: Any,
    ) -> Param | None:
        """Make a constant of an initializer or array; a `Param` is taken as it is.

        Args:
            data: an initializer, a function of a shape, an array, a number, a `Param`, or None.
            sizes: the shape; None for that of the data.
            allow_none: whether None is accepted, and given back.
            **param_kwargs: arguments of `Const`.

        Raises:
            ValueError: if the data does not fit the shape.
        """
        if isinstance(data, Param):
            return data
        value = data if sizes is None else init_param(data, sizes, allow_none=allow_none)
        return None if value is None else Const(value, **param_kwargs)

    # -- the value -------------------------------------------------------------------------------

    def _stored(self) -> Any:
        """Give what is stored: the value before the transformation."""
        return self.val.value if isinstance(self.val, State) else self.val

    def _sources(self) -> tuple[Any, Any, Any]:
        """Give all that the value is computed from."""
        return self._stored(), self.t, self.precompute

    def value(self) -> Any:
        """Give the value: transformed, precomputed, and cached if `cache` was called."""
        entry = getattr(self, "_cached", None)
        if entry is not None:
            if entry.holds(self._sources()):
                self._log("hit")
                return entry.value
            self._log("invalidated")
            self._cached = None
        return self._compute()

    def _compute(self) -> Any:
        """Transform and precompute."""
        value = self.t.forward(self._stored())
        return value if self.precompute is None else self.precompute(value)

    def set_value(self, value: Any) -> None:
        """Replace the value.

        Args:
            value: the new value, in the space of values.
        """
        raw = _raw(value, self.t)
        if isinstance(self.val, State):
            self.val.value = raw
        else:
            self.val = raw

    def clip(self, min_val: Any = None, max_val: Any = None) -> None:
        """Bring the value, as it is before ``precompute``, between bounds.

        Args:
            min_val: the lower bound; None for none.
            max_val: the upper bound; None for none.
        """
        if min_val is not None or max_val is not None:
            self.set_value(clip(self.t.forward(self._stored()), min_val, max_val))

    # -- the cache -------------------------------------------------------------------------------

    def cache(self) -> Any:
        """Compute the value now and keep it until the parameter is written or `clear_cache`.

        Returns:
            The value.
        """
        with _lock:
            entry = getattr(self, "_cached", None)
            sources = self._sources()
            if entry is None or not entry.holds(sources):
                entry = _Cached(sources, self._compute())
                self._cached = entry
                self._log("filled")
        return entry.value

    def clear_cache(self) -> None:
        """Forget the cached value."""
        with _lock:
            self._cached = None
        self._log("cleared")

    @property
    def cache_stats(self) -> dict[str, bool]:
        """Whether there is a cached value, and whether it is valid."""
        entry = getattr(self, "_cached", None)
        valid = entry is not None and entry.holds(self._sources())
        return {"valid": valid, "has_cached_value": valid}

    def _log(self, event: str) -> None:
        if self.enable_cache_logging:
            _logger.info("cache of %s at %#x: %s", type(self).__name__, id(self), event)

    def __getstate__(self) -> dict[str, Any]:
        # Without the cache.
        return dict(self.__dict__)

    # -- the penalty -----------------------------------------------------------------------------

    def reg_loss(self, *filters: Any) -> Any:
        """Compute the penalty on the value; 0.0 without one, or if the parameter is not trained."""
        if self.reg is None or not self.fit:
            return 0.0
        return self.reg.loss(self.value())

    def reset_to_prior(self) -> None:
        """Set every entry to the value that the penalty pulls to; nothing happens without one."""
        if self.reg is not None:
            now, present = split(self.t.forward(self._stored()))
            plain, unit = split(self.reg.reset_value())
            reset = jnp.broadcast_to(plain, jnp.shape(now))
            self.set_value(with_unit(reset, present if unit is None else unit))


# One lock for all: it is held only while a cache is filled or cleared.
_lock = threading.RLock()


class _Cached:
    """A transformed value, with what it was computed from and in which trace."""

    __slots__ = ("sources", "trace", "value")

    def __init__(self, sources: tuple[Any, ...], value: Any) -> None:
        self.sources = sources
        self.value = value
        self.trace = _trace() if _traced(value) else None

    def holds(self, sources: tuple[Any, ...]) -> bool:
        """Tell whether the value can be used here: nothing was written, and no trace was left."""
        unchanged = all(map(operator.is_, sources, self.sources))
        return unchanged and (self.trace is None or self.trace == _trace())


def _traced(value: Any) -> bool:
    """Tell whether a value belongs to a trace."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))


def _trace() -> Any:
    """Identify the trace that is going on in this thread."""
    # Here, because only cached traced values need it and the import takes time.
    from jax.extend import core

    state: Any = core.get_opaque_trace_state
    return state(convention="flax")


def _raw(value: Any, t: Transform) -> Any:
    """Turn a value into what is stored."""
    if isinstance(value, State | Module | dict) or callable(value):
        raise TypeError(f"A Param holds an array, not {value!r}.")
    if isinstance(value, jax.ShapeDtypeStruct) or ABSTRACT.get():
        return jax.eval_shape(lambda x: t.inverse(_floating(x)), value)
    return t.inverse(_floating(value))


def _floating(value: Any) -> jax.Array:
    """Make an array of the default floating-point type; complex numbers keep theirs, units stay."""
    plain, unit = split(value)
    array = jnp.asarray(plain)
    array = array if jnp.iscomplexobj(array) else array.astype(environ.dftype())
    return with_unit(array, unit)


class Const(Param):
    """A value in the form of a `Param` that is not trained.

    Args:
        value: the value.
        **param_kwargs: arguments of `Param`, but for ``fit``.

    Raises:
        ValueError: if ``fit=True`` is given.

    Example:
        >>> Const(2.0).value().item()
        2.0
    """

    __slots__ = ()

    def __init__(self, value: Any, **param_kwargs: Any) -> None:
        if param_kwargs.pop("fit", False):
            raise ValueError("A Const is not trained: fit=True is for Param.")
        super().__init__(value, fit=False, **param_kwargs)
