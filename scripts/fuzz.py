"""Draws configurations of the frameworks' own layers, converts them, and looks for a wrong model.

Every parameter of every exported layer class may be off its default, alone or in a stack. What a
framework's constructor or call refuses is drawn anew. The rest is converted into the core: the core
model must compute the same, and so must the model that it becomes when it is converted back; or an
`InteropError` is raised. Anything else is printed with the seed that draws it again:

    python scripts/fuzz.py --framework nnx --seed 17 --examples 1
"""

from __future__ import annotations

import argparse
import inspect
import os
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

import interop_equinox
import interop_linen
import interop_nnx
from fuzz_values import value_for
from interop_core import InteropError, environ
from interop_core.convert import execute, plan_from, plan_to
from interop_core.options import REQUIRED, parameters
from interop_core.testing import quick_compilation

BATCH = 2
RANKS = (1, 2, 3, 4)
TRIES = 12
"""How often an input is drawn for a layer before the layer is given up."""

TOLERANCE = {2: 3e-2, 4: 2e-4, 8: 2e-4}
"""By the bytes of the coarsest number in the model: a few roundings in another order; norms divide
by small roots, which magnifies what single precision leaves."""


@dataclass(frozen=True)
class Kind:
    """How one framework's layers are drawn and called.

    Attributes:
        bridge: its bridge.
        layers: the exported classes.
        construct: makes one: class, options, an input batch, seed.
        call: evaluates a model on a batch in the framework's own convention.
        stack: puts layers one after the other.
    """

    bridge: Any
    layers: tuple[type, ...]
    construct: Callable[[type, dict[str, Any], Any, int], Any]
    call: Callable[[Any, Any], Any]
    stack: Callable[[list[Any]], Any]


def classes(module: Any, base: type, leave_out: set[str]) -> tuple[type, ...]:
    """The layer classes that a framework exports, by name."""
    found = (getattr(module, name) for name in sorted(dir(module)) if name not in leave_out)
    return tuple(cls for cls in found if inspect.isclass(cls) and issubclass(cls, base))


# --- frameworks -----------------------------------------------------------------------------------


def make_nnx(cls: type, options: dict[str, Any], x: Any, seed: int) -> Any:
    """An NNX layer in evaluation mode."""
    rngs = {"rngs": nnx.Rngs(seed)} if "rngs" in parameters(cls) else {}
    layer: Any = cls(**options, **rngs)
    layer.eval()
    return layer


def make_linen(cls: type, options: dict[str, Any], x: Any, seed: int) -> Any:
    """A Linen module in evaluation mode, with the variables that it starts with."""
    flags = {"deterministic": True, "use_running_average": True}
    known = parameters(cls)
    module: Any = cls(**{**options, **{n: v for n, v in flags.items() if n in known}})
    return module, module.init(jax.random.key(seed), x)


def stack_linen(pairs: list[Any]) -> Any:
    """A `linen.Sequential` with the variables of its layers."""
    variables: dict[str, Any] = {}
    for index, (_, held) in enumerate(pairs):
        for collection, tree in held.items():
            variables.setdefault(collection, {})[f"layers_{index}"] = tree
    return linen.Sequential([module for module, _ in pairs]), variables


def make_equinox(cls: type, options: dict[str, Any], x: Any, seed: int) -> Any:
    """An Equinox layer in inference mode, with a state in the middle of its training if any."""
    key = {"key": jax.random.key(seed)} if "key" in parameters(cls) else {}
    model, state = eqx.nn.make_with_state(cls)(**options, **key)
    model = eqx.nn.inference_mode(model)
    if not jax.tree.leaves(state):
        return model
    steps = seed % 7 * (1 + 99 * (seed % 2))
    counted = [a + steps if a.dtype == jnp.int32 else a for a in jax.tree.leaves(state)]
    return model, jax.tree.unflatten(jax.tree.structure(state), counted)


def call_equinox(model: Any, x: Any) -> Any:
    """The output for a batch."""
    if isinstance(model, tuple):
        layer, state = model
        return jax.vmap(layer, in_axes=(0, None), out_axes=(0, None))(x, state)[0]
    return jax.vmap(model)(x)


def stack_equinox(layers: list[Any]) -> Any:
    """An `eqx.nn.Sequential`, with one state for all its layers."""
    bridge = interop_equinox.BRIDGE
    return bridge.lend(bridge.stack([bridge.adopt(layer) for layer in layers]))


KINDS: dict[str, Kind] = {
    "nnx": Kind(
        interop_nnx.BRIDGE,
        classes(nnx, nnx.Module, {"Module", "Sequential", "List", "Dict", "RNNCellBase", "Pytree"}),
        make_nnx,
        lambda model, x: model(x),
        lambda layers: nnx.Sequential(*layers),
    ),
    "linen": Kind(
        interop_linen.BRIDGE,
        classes(linen, linen.Module, {"Module", "Sequential", "RNNCellBase"}),
        make_linen,
        lambda model, x: model[0].apply(model[1], x),
        stack_linen,
    ),
    "equinox": Kind(
        interop_equinox.BRIDGE,
        classes(eqx.nn, eqx.Module, {"Sequential", "StatefulLayer", "StateIndex"}),
        make_equinox,
        call_equinox,
        stack_equinox,
    ),
}


# --- one example ----------------------------------------------------------------------------------


def shape_drawn(draw: random.Random) -> tuple[int, ...]:
    """Shape of one input: up to four axes of few entries."""
    return tuple(draw.choice((1, 2, 3, 4, 6)) for _ in range(draw.choice(RANKS)))


def options_drawn(cls: type, shape: tuple[int, ...], draw: random.Random) -> dict[str, Any]:
    """Values for the required parameters, and for a few of the others."""
    options: dict[str, Any] = {}
    eagerness = draw.choice((0.0, 0.1, 0.3, 0.6))
    for name, default in parameters(cls).items():
        if name in ("rngs", "key", "parent", "name"):
            continue
        if default is REQUIRED or draw.random() < eagerness:
            options[name] = value_for(name, default, shape, draw)
    return options


def input_drawn(shape: tuple[int, ...], draw: random.Random, *, whole: bool) -> Any:
    """A batch of inputs: numbers, or positions in a table."""
    numbers = np.random.default_rng(draw.randrange(2**32))
    size = (BATCH, *shape)
    if whole:
        return jnp.asarray(numbers.integers(0, 2, size))
    return jnp.asarray(numbers.normal(size=size).astype(np.float32))


def layer_drawn(kind: Kind, draw: random.Random, x: Any) -> tuple[Any, Any, str] | None:
    """A layer that takes the input, with its output; None where none was found."""
    rows = tuple(row.foreign for row in kind.bridge.rows if row.foreign in kind.layers)
    cls = draw.choice(rows if draw.random() < 0.7 else kind.layers)
    for _ in range(TRIES):
        options = options_drawn(cls, tuple(x.shape[1:]), draw)
        try:
            model = kind.construct(cls, options, x, draw.randrange(1000))
            model = with_other_numbers(model, draw)
            y = kind.call(model, x)
        except Exception:
            continue
        if isinstance(y, jax.Array) and jnp.issubdtype(y.dtype, jnp.inexact):
            return model, y, f"{cls.__name__}({options})"
    return None


def with_other_numbers(model: Any, draw: random.Random) -> Any:
    """The model with random numbers in place of the zeros and ones that it starts with."""
    numbers = np.random.default_rng(draw.randrange(2**32))

    def other(a: Any) -> Any:
        if isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jnp.floating):
            # Near what it was and positive where that was, for variances.
            return (a * (1 + 0.3 * numbers.uniform(-1, 1, a.shape))).astype(a.dtype) + jnp.asarray(
                0.1 * numbers.uniform(0, 1, a.shape), a.dtype
            )
        return a

    return jax.tree.map(other, model)


@dataclass(frozen=True)
class Example:
    """One model that its framework accepts, with what it computes."""

    model: Any
    x: Any
    y: Any
    text: str


def example_drawn(kind: Kind, draw: random.Random) -> Example | None:
    """A layer, or a stack of up to four."""
    whole = draw.random() < 0.1
    x = input_drawn(shape_drawn(draw), draw, whole=whole)
    first = layer_drawn(kind, draw, x)
    if first is None:
        return None
    layers, y, texts = [first[0]], first[1], [first[2]]
    for _ in range(draw.choice((0, 0, 0, 1, 2, 3))):
        more = layer_drawn(kind, draw, y)
        if more is not None:
            layers.append(more[0])
            y = more[1]
            texts.append(more[2])
    if len(layers) == 1 and draw.random() < 0.7:
        return Example(layers[0], x, y, texts[0])
    model = kind.stack(layers)
    try:
        y = kind.call(model, x)
    except Exception:
        return None
    return Example(model, x, y, " -> ".join(texts))


def coarseness(kind: Kind, example: Example) -> float:
    """The tolerance for a model, by the coarsest numbers that it may compute with."""
    text = example.text
    half = "float16" in text or "bfloat16" in text
    return TOLERANCE[2 if half else 4]


def agree(a: Any, b: Any, tolerance: float) -> bool:
    """Whether two outputs are the same but for rounding; what is not finite must be alike."""
    if a.shape != b.shape:
        return False
    x, y = (np.asarray(v, np.float64) for v in (a, b))
    finite = np.isfinite(y)
    if not (np.isfinite(x) == finite).all():
        return False
    scale = max(1.0, np.abs(y[finite]).max(initial=0.0))
    return bool((np.abs(x - y)[finite] <= tolerance * scale).all())


def moved(x: Any, *, last: bool) -> Any:
    """A batch with its channels last instead of first, or the other way round."""
    return jnp.moveaxis(x, 1, -1) if last else jnp.moveaxis(x, -1, 1)


def judge(kind: Kind, example: Example) -> str:
    """Convert and compare: "agrees", "refused", "wrong" or "foreign exception"."""
    bridge = kind.bridge
    model, x = example.model, example.x
    first = bridge.channels_first
    candidates = [tuple(x.shape[1:])]
    if first and x.ndim > 2:
        candidates.insert(0, (*x.shape[2:], x.shape[1]))
    for sample in candidates:
        try:
            plan = plan_from(bridge, bridge.adopt(model), sample_input=sample).require()
        except InteropError:
            continue
        if (
            plan.channels_first_in != (first and x.ndim > 2 and sample == candidates[0])
            and x.ndim > 2
        ):
            continue
        core = execute(plan)
        tolerance = coarseness(kind, example)
        x_core = moved(x, last=True) if plan.channels_first_in and x.ndim > 2 else x
        with environ.context(fit=False):
            try:
                y = core(x_core)
            except Exception as error:
                return f"wrong: the core model raises {error!r}"
        if plan.channels_first_out and y.ndim > 2:
            y = moved(y, last=False)
        if not agree(y, example.y, tolerance):
            return "wrong: the core model computes something else"
        if y.dtype != example.y.dtype:
            return f"wrong: {example.y.dtype} became {y.dtype}"
        return there_and_back(kind, example, core, sample, tolerance)
    return "refused"


def there_and_back(kind: Kind, example: Example, core: Any, sample: Any, tolerance: float) -> str:
    """Convert the core model back and compare once more."""
    bridge = kind.bridge
    try:
        plan = plan_to(bridge, core, sample_input=sample).require()
    except InteropError:
        return "agrees one way"
    back = bridge.lend(execute(plan))
    x = example.x
    if (
        plan.channels_first_in
        != plan_from(bridge, bridge.adopt(example.model), sample_input=sample).channels_first_in
    ):
        return "agrees one way"
    try:
        y = kind.call(back, x)
    except Exception as error:
        return f"wrong: converted back it raises {error!r}"
    return "agrees" if agree(y, example.y, tolerance) else "wrong: converted back it differs"


def run_one(framework: str, seed: int) -> tuple[str, str]:
    """Draw one example by its seed and judge it; the verdict and what was drawn."""
    kind = KINDS[framework]
    draw = random.Random(seed)
    with warnings.catch_warnings(), quick_compilation():
        warnings.simplefilter("ignore")
        example = example_drawn(kind, draw)
        if example is None:
            return "not drawn", ""
        try:
            return judge(kind, example), example.text
        except InteropError as error:
            return f"wrong: raised while carried out: {error}", example.text
        except Exception:
            return f"foreign exception: {traceback.format_exc(limit=-3)}", example.text


def bad(verdict: str) -> bool:
    """Whether a verdict is one that must not be."""
    return verdict.startswith(("wrong", "foreign exception"))


def examples(framework: str, seed: int, count: int) -> Iterator[tuple[int, str, str]]:
    """Seed, verdict and text of each example."""
    for number in range(seed, seed + count):
        yield number, *run_one(framework, number)


def main() -> int:
    """Draw as many examples as asked for; exit status 1 where one went wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--framework", choices=KINDS, action="append")
    parser.add_argument("--examples", type=int, default=200, help="for each framework")
    parser.add_argument("--seed", type=int, default=0, help="of the first example")
    options = parser.parse_args()
    wrong = 0
    for framework in options.framework or KINDS:
        started, seen = time.monotonic(), Counter[str]()
        for seed, verdict, text in examples(framework, options.seed, options.examples):
            seen[verdict.split(":")[0]] += 1
            if bad(verdict):
                print(f"{framework} --seed {seed}: {verdict}\n    {text}", flush=True)
            if sum(seen.values()) % 200 == 0:
                jax.clear_caches()
        wrong += seen["wrong"] + seen["foreign exception"]
        minutes = (time.monotonic() - started) / 60
        print(f"{framework}: seeds {options.seed} to {options.seed + options.examples - 1}, "
              f"{minutes:.1f} min: {dict(seen)}", flush=True)  # fmt: skip
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
