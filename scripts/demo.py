"""The main job: trains a digit classifier in Flax NNX, converts it everywhere and compares.

The way is NNX -> core -> Linen and Equinox, back to the core from each, and on to NNX. Every model
sees the same test digits. The exit status is 1 if one of them predicts another digit than the
trained model, or if its logits are further off than rounding explains.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from _table import show_table
from brainstate_interop import (
    environ,
    from_equinox,
    from_linen,
    from_nnx,
    nn,
    to_equinox,
    to_linen,
    to_nnx,
)
from demo_picture import draw

SEED = 0
EXAMPLE = (8, 8, 1)
"""Shape of one digit: height, width, one channel."""

ACCURACY_TO_REACH = 0.95

TOLERANCE = 1e-4
"""Largest difference between two frameworks' logits that counts as rounding.

Logits reach about 10, where neighbouring float32 numbers lie 1e-6 apart. Frameworks may add the
up to 288 products behind each value in another order, and five such sums follow one another, with
a normalisation between them that can enlarge a difference a few times. That makes some 1e-5;
a wrong epsilon or gate, or one transposed weight, makes 1e-2 and more.
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Digits:
    """The handwritten digits, images as ``(n, 8, 8, 1)`` in 0 to 1, split for training and test."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True)
class Result:
    """What one model makes of the test digits.

    Attributes:
        name: which model.
        layers: how many layers its stack has; Equinox has axis moves more.
        parameters: how many trainable numbers it holds.
        logits: ``(n, 10)``.
        first: seconds for the conversion that made it, the first of its kind in this process;
            ``None`` for the model that was trained.
        again: seconds for the same conversion a second time.
    """

    name: str
    layers: int
    parameters: int
    logits: np.ndarray
    first: float | None = None
    again: float | None = None

    @property
    def predictions(self) -> np.ndarray:
        """The digit that each image is taken for."""
        digits: np.ndarray = self.logits.argmax(axis=-1)
        return digits

    def differences(self, original: Result) -> np.ndarray:
        """How far each logit is from the original's."""
        apart: np.ndarray = np.abs(self.logits - original.logits)
        return apart


# --- training -----------------------------------------------------------------------------------


def load() -> Digits:
    """Read the digits that ship inside scikit-learn and keep a quarter of them for the test."""
    bundle = load_digits()
    images = (bundle.images[..., None] / 16).astype(np.float32)
    parts = train_test_split(
        images, bundle.target, test_size=0.25, random_state=SEED, stratify=bundle.target
    )
    train_images, test_images, train_labels, test_labels = parts
    return Digits(train_images, train_labels, test_images, test_labels)


def network(rngs: nnx.Rngs) -> nnx.Sequential:
    """Two convolutions and two dense layers, with random weights."""
    pool = partial(nnx.max_pool, window_shape=(2, 2), strides=(2, 2))
    return nnx.Sequential(
        nnx.Conv(1, 16, kernel_size=(3, 3), rngs=rngs),
        nnx.GroupNorm(16, num_groups=4, rngs=rngs),
        nnx.relu,
        pool,
        nnx.Conv(16, 32, kernel_size=(3, 3), rngs=rngs),
        nnx.GroupNorm(32, num_groups=8, rngs=rngs),
        nnx.relu,
        pool,
        partial(jax.lax.collapse, start_dimension=-3),
        nnx.Linear(128, 64, rngs=rngs),
        nnx.LayerNorm(64, rngs=rngs),
        nnx.relu,
        nnx.Dropout(0.3, rngs=rngs),
        nnx.Linear(64, 10, rngs=rngs),
    )


@nnx.jit
def training_step(
    model: nnx.Sequential, optimizer: nnx.Optimizer[Any], images: jax.Array, labels: jax.Array
) -> jax.Array:
    """Take one step down the cross entropy of a batch, and return it."""

    def loss(model: nnx.Sequential) -> jax.Array:
        losses = optax.softmax_cross_entropy_with_integer_labels(model(images), labels)
        return jnp.mean(losses)

    value, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return jnp.asarray(value)


def train(digits: Digits, *, epochs: int = 12, batch: int = 64) -> nnx.Sequential:
    """Train a network with AdamW and a falling learning rate; it is left in evaluation mode."""
    model = network(nnx.Rngs(SEED))
    count = len(digits.train_labels)
    schedule = optax.cosine_decay_schedule(3e-3, epochs * (count // batch))
    optimizer = nnx.Optimizer(model, optax.adamw(schedule, weight_decay=1e-3), wrt=nnx.Param)
    shuffle = np.random.default_rng(SEED)
    model.train()
    for _ in range(epochs):
        order = shuffle.permutation(count)
        for start in range(0, count - batch + 1, batch):
            chosen = order[start : start + batch]
            images, labels = digits.train_images[chosen], digits.train_labels[chosen]
            training_step(model, optimizer, jnp.asarray(images), jnp.asarray(labels))
    model.eval()
    return model


# --- each framework's own way to look at a model ------------------------------------------------


def count(tree: Any) -> int:
    """How many numbers the arrays of a tree hold."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def look_nnx(name: str, model: nnx.Sequential, images: jax.Array) -> Result:
    """Run an NNX model."""
    logits = nnx.jit(lambda model, x: model(x))(model, images)
    return Result(name, len(model.layers), count(nnx.state(model, nnx.Param)), np.asarray(logits))


def look_core(name: str, model: nn.Sequential, images: jax.Array) -> Result:
    """Run a core model, which is a pytree, with dropout off."""
    with environ.context(fit=False):
        logits = jax.jit(lambda model, x: model(x))(model, images)
    return Result(name, len(model.layers), count(model), np.asarray(logits))


def look_linen(name: str, pair: tuple[Any, dict[str, Any]], images: jax.Array) -> Result:
    """Run a Linen module with its variables."""
    module, variables = pair
    logits = jax.jit(module.apply)(variables, images)
    return Result(name, len(module.layers), count(variables["params"]), np.asarray(logits))


def look_equinox(name: str, model: eqx.nn.Sequential, images: jax.Array) -> Result:
    """Run an Equinox model: one example at a time, channels first."""
    run = eqx.filter_jit(lambda model, x: jax.vmap(model)(x))
    logits = run(model, jnp.moveaxis(images, -1, 1))
    weights = eqx.filter(model, eqx.is_inexact_array)
    return Result(name, len(model.layers), count(weights), np.asarray(logits))


# --- converting and comparing -------------------------------------------------------------------


def timed(convert: Callable[[], T]) -> tuple[T, float, float]:
    """Convert twice: the result, the seconds of the first call and those of the second."""
    started = time.perf_counter()
    convert()
    between = time.perf_counter()
    result = convert()
    return result, between - started, time.perf_counter() - between


def convert_all(trained: nnx.Sequential, images: jax.Array) -> tuple[list[Result], nnx.Sequential]:
    """Convert the trained model everywhere and back, and run every model on the images.

    Returns:
        A result for each model, the trained one first; and the NNX model at the end of the way.
    """
    results = [look_nnx("Flax NNX, as trained", trained, images)]

    def step(
        name: str, look: Callable[[str, Any, jax.Array], Result], convert: Callable[[], T]
    ) -> T:
        model, first, again = timed(convert)
        seen = look(name, model, images)
        results.append(Result(seen.name, seen.layers, seen.parameters, seen.logits, first, again))
        return model

    core = step("core, from NNX", look_core, lambda: from_nnx(trained, sample_input=EXAMPLE))
    linen = step("Flax Linen, from core", look_linen, lambda: to_linen(core))
    equinox = step("Equinox, from core", look_equinox, lambda: to_equinox(core))
    step("core, from Linen", look_core, lambda: from_linen(*linen, sample_input=EXAMPLE))
    back = step(
        "core, from Equinox", look_core, lambda: from_equinox(equinox, sample_input=EXAMPLE)
    )
    returned = step("Flax NNX, from that core", look_nnx, lambda: to_nnx(back))
    return results, returned


def same_weights(one: nnx.Module, other: nnx.Module) -> bool:
    """Whether two NNX models hold the same parameters, bit for bit."""
    weights = [jax.tree.leaves(nnx.state(model, nnx.Param)) for model in (one, other)]
    return len(weights[0]) == len(weights[1]) and all(
        np.array_equal(a, b) for a, b in zip(*weights, strict=True)
    )


def complaints(results: list[Result], digits: Digits) -> list[str]:
    """What is not as it should be, a sentence each; nothing where all frameworks agree."""
    original = results[0]
    found = []
    accuracy = np.mean(original.predictions == digits.test_labels)
    if accuracy < ACCURACY_TO_REACH:
        found.append(f"the trained model reaches {accuracy:.1%}, not {ACCURACY_TO_REACH:.0%}")
    for result in results[1:]:
        others = int(np.sum(result.predictions != original.predictions))
        if others:
            found.append(f"{result.name}: predicts {others} digits otherwise")
        largest = result.differences(original).max()
        if not largest <= TOLERANCE:  # a NaN is a complaint too
            found.append(f"{result.name}: a logit is off by {largest:.1e}, above {TOLERANCE:g}")
    return found


# --- showing ------------------------------------------------------------------------------------


def report(results: list[Result], digits: Digits) -> None:
    """Print the table."""
    headers = (
        "model",
        "layers",
        "parameters",
        "test accuracy",
        "largest logit difference",
        "conversion, first / again (ms)",
    )
    rows = []
    for result in results:
        times = "-"
        if result.first is not None and result.again is not None:
            times = f"{result.first * 1e3:.1f} / {result.again * 1e3:.1f}"
        rows.append(
            (
                result.name,
                str(result.layers),
                f"{result.parameters:,}",
                f"{np.mean(result.predictions == digits.test_labels):.2%}",
                f"{result.differences(results[0]).max():.1e}" if result is not results[0] else "-",
                times,
            )
        )
    show_table(f"{len(digits.test_labels)} test digits", headers, rows)


def main(words: list[str] | None = None) -> int:
    """Train, convert, compare, draw; 1 if a framework disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out/demo.png"), metavar="FILE")
    parser.add_argument("--epochs", type=int, default=12, metavar="N", help="12 by default")
    arguments = parser.parse_args(words)

    digits = load()
    started = time.perf_counter()
    # Some devices multiply float32 with fewer digits unless told otherwise.
    with jax.default_matmul_precision("highest"):
        trained = train(digits, epochs=arguments.epochs)
        print(f"Trained in Flax NNX in {time.perf_counter() - started:.0f} s", flush=True)
        results, returned = convert_all(trained, jnp.asarray(digits.test_images))
    report(results, digits)
    found = complaints(results, digits)
    if not same_weights(trained, returned):
        found.append("NNX -> core -> Equinox -> core -> NNX does not give back the same weights")
    draw(arguments.output, digits.test_images, digits.test_labels, results, TOLERANCE)
    print(f"Drew {arguments.output}")
    if found:
        print(
            "\n".join(["Not as it should be:", *(f"  - {line}" for line in found)]), file=sys.stderr
        )
        return 1
    print(
        f"All agree: the same digit from every model, logits within {TOLERANCE:g} "
        "(float32 rounding), and weights back in NNX bit for bit."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
