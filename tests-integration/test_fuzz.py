"""Any layer with anything in any of its parameters, alone and in stacks: right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fuzz
import fuzz_draw
import fuzz_judge
from fuzz_evaluation import evaluate
from fuzz_kinds import CORE_KIND, KINDS
from interop_core import nn
from interop_core.convert import execute, plan_from
from interop_core.testing import quick_compilation
from interop_equinox.companions import ConvLSTMCell

FIRST, ENOUGH, MOST = 20, 10, 100
"""The first seed, how many a test run has time for, and after how many all should have been seen.

``scripts/fuzz`` draws as many as wanted.
"""


@pytest.mark.parametrize("lane", fuzz.lanes(), ids=str)
def test_whatever_a_constructor_accepts_converts_rightly_or_not_at_all(lane: fuzz.Lane) -> None:
    tally = fuzz.Tally()
    for seed, finding in fuzz.examples(lane, FIRST, MOST):
        assert not finding.verdict.bad, f"{lane} --only {seed}: {finding.verdict}\n{finding}"
        tally.add(finding)
        seen = tally.verdicts["agrees"] and tally.refused.total() and tally.stacks
        if seed >= FIRST + ENOUGH and seen:
            return
    raise AssertionError(f"no stack, nothing that agrees, or nothing odd: {tally.line()}")


def drawn(target: Any = nn.Linear, **options: Any) -> fuzz_draw.Layer:
    return fuzz_draw.Layer(target, options, 0, np.ones((2, 3), np.float32))


def asked(*layers: fuzz_draw.Layer) -> fuzz_judge.Question:
    for layer in layers:
        layer.model = fuzz_draw.made(CORE_KIND, layer)
    models = [layer.model for layer in layers]
    model = models[0] if len(models) == 1 else nn.Sequential(*models)
    return fuzz_judge.Question(CORE_KIND, KINDS["nnx"], model, layers[0].x, len(layers))


LINEAR = drawn(in_size=3, out_size=3)


def test_one_seed_always_draws_the_same() -> None:
    lane = fuzz.Lane("linen", "into")
    first, again = ([str(f) for _, f in fuzz.examples(lane, 3, 2)] for _ in range(2))
    assert first == again != []


def test_a_wrong_model_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:

    def spoiled(plan: Any) -> Any:
        model = execute(plan)
        for layer in getattr(model, "layers", [model]):
            if hasattr(layer, "kernel"):
                layer.kernel = nnx.Param(layer.kernel.get_value() * 1.01)
        return model

    monkeypatch.setattr(fuzz_judge, "execute", spoiled)
    layers = [drawn(nn.ReLU), drawn(in_size=3, out_size=3, precision="highest"), drawn(nn.Tanh)]
    question = asked(*layers)
    finding = fuzz_draw.Finding(fuzz_judge.judge(question), layers, question)
    assert finding.verdict.kind == fuzz_judge.WRONG
    assert str(fuzz_draw.shrunk(finding)).startswith(
        "Linear(in_size=3, out_size=3) on float32(2, 3)"
    )


def test_an_exception_of_another_kind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("in_size")

    monkeypatch.setattr(fuzz_judge, "plan_to", broken)
    assert fuzz_judge.judge(asked(LINEAR)).kind == fuzz_judge.FOREIGN


def test_other_bits_are_found() -> None:
    same, other = asked(LINEAR).model, nn.Linear(3, 3)
    fuzz_judge._same_arrays(CORE_KIND.bridge, same, same)
    with pytest.raises(fuzz_judge.Wrong, match="other bits"):
        fuzz_judge._same_arrays(CORE_KIND.bridge, same, other)


def test_a_cell_over_images_gets_its_carry_as_its_framework_has_it() -> None:
    cell = ConvLSTMCell((2, 4), 3, (2,), padding=((1, 0),), key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(2, 2, 4)).astype(np.float32)
    kind = KINDS["equinox"]
    question = fuzz_judge.Question(kind, kind, cell, x, sized=False, by_jax=True)
    assert fuzz_judge.judge(question).kind == fuzz_judge.AGREES


@pytest.mark.parametrize("norm", [False, True])
def test_other_types_of_whole_numbers_are_let_through_behind_a_norm_alone(norm: bool) -> None:
    rotary = eqx.nn.RotaryPositionalEmbedding(4)
    model = eqx.nn.Sequential([rotary, eqx.nn.LayerNorm((3, 4))] if norm else [rotary])
    x, kind = np.ones((2, 3, 4), np.int32), KINDS["equinox"]
    plan = plan_from(kind.bridge, model, sample_input=(3, 4))
    question = fuzz_judge.Question(kind, kind, model, x)
    assert fuzz_judge._rounded(question, plan, x.astype(np.float32), x) is norm


def test_layers_that_never_agreed_are_holes() -> None:
    tally, lane = fuzz.Tally(), fuzz.Lane("nnx", "out")
    assert "Linear" in tally.holes(lane)
    tally.add(fuzz_draw.Finding(fuzz_judge.Verdict(fuzz_judge.AGREES), [LINEAR]))
    assert "Linear" not in tally.holes(lane)
    assert tally.configurations == 1


X = np.random.default_rng(0).normal(size=(2, 5, 4, 6)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(2, 3, 3, 4)).astype(np.float32)
LAYOUT = ("NHWC", "HWIO", "NHWC")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jax.lax.conv_general_dilated(
            x, jnp.asarray(W), (2, 1), ((1, 2), (0, -1)), (1, 2), (2, 1), LAYOUT, 2
        ),
        lambda x: jax.lax.reduce_window(
            x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 1, 1), ((0, 0), (1, 0), (0, 1), (0, 0))
        ),
        lambda x: jax.lax.pad(x, 2.0, ((0, 0, 0), (1, -2, 1), (-1, 1, 0), (0, 0, 2))),
        lambda x: jnp.einsum("bijc,bkjc->bik", x, x[:, :2]),
        lambda x: jax.nn.softmax(x.astype(jnp.bfloat16), (1, 2)),
        lambda x: jax.lax.scan(lambda c, y: (c + y, c * y), x[0], x, reverse=True),
        lambda x: jax.nn.gelu(x, approximate=False) + jax.nn.silu(-x) ** 3,
        lambda x: jnp.take(x, jnp.array([[1, 0], [0, 0]]), axis=0),
        lambda x: jnp.cumsum(x, 2)[:, ::-1, 1:3] > jnp.round(x[:, :, 1:3]),
    ],
)  # fmt: skip
def test_evaluating_without_compiling_gives_what_jax_gives(function: Callable[..., Any]) -> None:
    with quick_compilation():
        expected = function(jnp.asarray(X))
    found = evaluate(function, X)
    for here, there in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (here.shape, here.dtype) == (there.shape, there.dtype)
        near = 2e-2 if there.dtype == jnp.bfloat16 else 1e-5
        np.testing.assert_allclose(
            here.astype(np.float32), np.asarray(there, np.float32), near, near
        )
