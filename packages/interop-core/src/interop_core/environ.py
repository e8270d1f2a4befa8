"""Settings that layers ask for while they run: fitting or not, time step, precision."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, cast

import jax
import numpy as np
from jax import numpy as jnp

__all__ = [
    "all",
    "context",
    "dctype",
    "dftype",
    "ditype",
    "dutype",
    "get",
    "get_dt",
    "get_precision",
    "pop",
    "reset",
    "set",
    "set_precision",
    "tolerance",
]

_PRECISIONS: tuple[int | str, ...] = (8, 16, 32, 64, "bf16")
_PROCESS_WIDE = ("platform", "host_device_count")
_MISSING: Any = object()
# JAX publishes these without types.
_config: Any = jax.config
_jax: Any = jax

_lock = threading.RLock()
# Never changed in place, so that a reader in another thread sees one consistent set of values.
_settings: Mapping[str, Any] = MappingProxyType({"precision": 32})
# What the `with context(...)` blocks around the running code say. A context variable: it follows
# the thread or task that entered the block, and no other.
_scoped: ContextVar[Mapping[str, Any]] = ContextVar("environ", default=MappingProxyType({}))


def _jit_key() -> Any:
    """Make the JAX context whose value is part of every compilation cache key, if JAX has it."""
    make = getattr(jax, "make_user_context", None)
    return None if make is None else make(None)


_jit_context = _jit_key()


@contextmanager
def context(**settings: Any) -> Iterator[dict[str, Any]]:
    """Change settings inside a ``with`` block.

    Blocks nest, the inner one wins, and each thread has its own. Functions compiled by ``jax.jit``
    are compiled again when a switch (a bool, a string, None) or the precision changes: the same
    jitted step trains under ``fit=True`` and evaluates under ``fit=False``. Numbers and arrays,
    such as a running time ``t``, do not have that effect; pass them as arguments.

    Args:
        **settings: the values by name. ``fit`` says whether the model is being fitted (dropout
            drops, batch normalisation uses the statistics of the batch); ``precision`` is 8, 16,
            32, 64 or "bf16", where 64 switches 64-bit types on inside the block; ``dt`` is the time
            step. Other names are the user's own.

    Yields:
        All settings that hold inside the block.

    Raises:
        ValueError: for an unknown precision, or a setting that holds for the whole process
            (``platform``, ``host_device_count``).

    Example:
        >>> with context(fit=True) as settings:
        ...     get("fit"), settings["precision"]
        (True, 32)
    """
    for key in _PROCESS_WIDE:
        if key in settings:
            raise ValueError(f"'{key}' holds for the whole process; use environ.set({key}=...).")
    with ExitStack() as stack:
        if "precision" in settings:
            _check_precision(settings["precision"])
            x64 = settings["precision"] == 64
            if x64 != bool(_config.jax_enable_x64):
                stack.enter_context(_enable_x64(x64))
        merged = {**_scoped.get(), **settings}
        token = _scoped.set(MappingProxyType(merged))
        stack.callback(_scoped.reset, token)
        if _jit_context is not None:
            stack.enter_context(_jit_context(_switches(merged)))
        yield all()


def _switches(settings: Mapping[str, Any]) -> frozenset[tuple[str, Any]] | None:
    """Pick the settings that select another computation, in hashable form."""
    picked = frozenset(
        (key, value)
        for key, value in settings.items()
        if key == "precision" or value is None or isinstance(value, bool | str)
    )
    return picked or None


def _enable_x64(on: bool) -> AbstractContextManager[Any]:
    """Switch 64-bit types on or off for the current thread."""
    return cast("AbstractContextManager[Any]", _jax.enable_x64(on))


def _check_precision(precision: Any) -> None:
    """Refuse what is no known precision."""
    if precision not in _PRECISIONS:
        raise ValueError(f"Precision must be one of {_PRECISIONS}, got {precision!r}")


def get(key: str, default: Any = _MISSING, desc: str | None = None) -> Any:
    """Read a setting: of the innermost `context` that has it, else the one made by `set`.

    Args:
        key: its name.
        default: what to return when it is set nowhere.
        desc: what the setting means, for the error message.

    Returns:
        The value.

    Raises:
        KeyError: if the setting is made nowhere and no default is given. The message says how to
            make it.

    Example:
        >>> get("fit", default=False)
        False
    """
    scoped = _scoped.get()
    if key in scoped:
        return scoped[key]
    value = _settings.get(key, _MISSING)
    if value is not _MISSING:
        return value
    if default is not _MISSING:
        return default
    meaning = f" It means: {desc.rstrip('.')}." if desc else ""
    raise KeyError(
        f"The setting '{key}' is needed here and is not made.{meaning} "
        f"Make it for a block with `with environ.context({key}=...):` "
        f"or for the whole process with `environ.set({key}=...)`."
    )


def set(
    platform: str | None = None,
    host_device_count: int | None = None,
    precision: int | str | None = None,
    dt: Any = None,
    **settings: Any,
) -> None:
    """Make settings for the whole process.

    A function that ``jax.jit`` has compiled already keeps the settings it was compiled under;
    inside a `context` block it does not.

    Args:
        platform: the JAX platform: "cpu", "gpu" or "tpu".
        host_device_count: the number of devices that the CPU shows as. Both of these work only
            before JAX runs its first computation.
        precision: bits of the default dtypes: 8, 16, 32, 64 or "bf16". 64 switches 64-bit types
            on, every other value switches them off.
        dt: the time step.
        **settings: further settings by name, such as ``fit``.

    Raises:
        ValueError: for an unknown precision.

    Example:
        >>> set(dt=0.1)
        >>> get("dt"), pop("dt")
        (0.1, 0.1)
    """
    global _settings
    if precision is not None:
        _check_precision(precision)
        settings["precision"] = precision
    if platform is not None:
        settings["platform"] = platform
    if host_device_count is not None:
        settings["host_device_count"] = host_device_count
    if dt is not None:
        settings["dt"] = dt
    with _lock:
        if platform is not None:
            _config.update("jax_platforms", platform)
        if host_device_count is not None:
            _config.update("jax_num_cpu_devices", host_device_count)
        if precision is not None:
            _config.update("jax_enable_x64", precision == 64)
        _settings = MappingProxyType({**_settings, **settings})


def pop(key: str, default: Any = _MISSING) -> Any:
    """Remove a setting made by `set` and return its value.

    Args:
        key: its name.
        default: what to return when there is none.

    Raises:
        KeyError: if there is none and no default is given.
        ValueError: while a `context` around the caller overrides it.
    """
    global _settings
    if key in _scoped.get():
        raise ValueError(f"'{key}' is overridden by an environ.context around this call.")
    with _lock:
        rest = dict(_settings)
        value = rest.pop(key, _MISSING)
        _settings = MappingProxyType(rest)
    if value is not _MISSING:
        return value
    if default is not _MISSING:
        return default
    raise KeyError(f"environ.set has made no setting '{key}'.")


def all() -> dict[str, Any]:
    """List every setting that holds here.

    Example:
        >>> all()
        {'precision': 32}
    """
    return {**_settings, **_scoped.get()}


def reset() -> None:
    """Forget every setting made by `set`, and go back to 32 bits."""
    global _settings
    with _lock:
        _config.update("jax_enable_x64", False)
        _settings = MappingProxyType({"precision": 32})


def get_dt() -> Any:
    """Read the time step.

    Raises:
        KeyError: if none is set.
    """
    return get("dt")


def get_precision() -> int:
    """Read the precision in bits; 16 for "bf16".

    Example:
        >>> get_precision()
        32
    """
    precision = get("precision")
    return 16 if precision == "bf16" else int(precision)


def set_precision(precision: int | str) -> None:
    """Make the precision for the whole process, as ``set(precision=...)`` does."""
    set(precision=precision)


def _pick(table: Mapping[int | str, Any]) -> Any:
    """Look the current precision up in a table of dtypes."""
    return table[get("precision")]


_FLOATS: Mapping[int | str, Any] = {
    8: jnp.float8_e5m2,
    16: np.float16,
    32: np.float32,
    64: np.float64,
    "bf16": jnp.bfloat16,
}
_INTS: Mapping[int | str, Any] = {
    8: np.int8,
    16: np.int16,
    32: np.int32,
    64: np.int64,
    "bf16": np.int16,
}
_UINTS: Mapping[int | str, Any] = {
    8: np.uint8,
    16: np.uint16,
    32: np.uint32,
    64: np.uint64,
    "bf16": np.uint16,
}


def dftype() -> Any:
    """Give the default floating-point type.

    Example:
        >>> dftype().__name__
        'float32'
    """
    return _pick(_FLOATS)


def ditype() -> Any:
    """Give the default integer type."""
    return _pick(_INTS)


def dutype() -> Any:
    """Give the default unsigned integer type."""
    return _pick(_UINTS)


def dctype() -> Any:
    """Give the default complex type: complex128 at 64 bits, else complex64."""
    return np.complex128 if get_precision() == 64 else np.complex64


def tolerance() -> builtins.float:
    """Give the relative error to expect at the current precision: 1e-2, 1e-5 or 1e-12."""
    return {64: 1e-12, 32: 1e-5}.get(get_precision(), 1e-2)
