"""Physical units on their way through layers: kept where the published layers keep them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
import saiunit
from jax import numpy as jnp

from interop_core import environ, graph, nn

VOLTAGES = jnp.array([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, -1.0, 2.0]]) * saiunit.mV
HALF = 0.5 * saiunit.mS

CASES: dict[str, Callable[[Any], Any]] = {
    "Linear": lambda n: n.Linear(4, 3, n.init.Constant(0.5), None),
    "Linear, weight with a unit": lambda n: n.Linear(4, 3, n.init.Constant(HALF), None),
    "Linear, all with units": lambda n: n.Linear(
        4, 3, n.init.Constant(HALF), n.init.Constant(2.0 * saiunit.uA)
    ),
    "Linear, masked": lambda n: n.Linear(
        4, 3, n.init.Constant(HALF), None, w_mask=np.eye(4, 3, dtype=np.float32)
    ),
    "ScaledWSLinear": lambda n: n.ScaledWSLinear(4, 3, n.init.Identity(), None),
    "SignedWLinear": lambda n: n.SignedWLinear(4, 3, n.init.Constant(-0.5)),
    "AllToAll": lambda n: n.AllToAll(4, 3, n.init.Constant(HALF)),
    "AllToAll, no self": lambda n: n.AllToAll(4, 4, n.init.Constant(0.5), include_self=False),
    "OneToOne": lambda n: n.OneToOne(4, n.init.Constant(HALF)),
    "LoRA": lambda n: n.LoRA(4, 2, 3, kernel_init=n.init.Constant(0.5)),
    "FixedNumConn": lambda n: n.FixedNumConn(4, 3, 2, 0.5, seed=0),
    "EventLinear, numbers": lambda n: n.EventLinear(
        4, 3, jnp.full((4, 3), 0.5), float_as_event=False
    ),
    "ReLU": lambda n: n.ReLU(),
    "LeakyReLU": lambda n: n.LeakyReLU(0.1),
    "PReLU": lambda n: n.PReLU(4),
    "Identity": lambda n: n.Identity(),
    "Flatten": lambda n: n.Flatten(),
    "Sequential": lambda n: n.Sequential(n.Linear(4, 3, n.init.Constant(HALF), None), n.ReLU()),
}


def agree(ours: Any, published: Any) -> None:
    """The same numbers in the same unit."""
    unit = published.unit
    assert ours.unit.has_same_dim(unit)
    np.testing.assert_allclose(ours / unit, published / unit, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", CASES.values(), ids=list(CASES))
def test_layers_keep_units(make: Callable[[Any], Any]) -> None:
    ours, published = make(nn), make(brainstate.nn)
    agree(ours(VOLTAGES), published(VOLTAGES))
    agree(jax.jit(lambda layer, x: layer(x))(ours, VOLTAGES), published(VOLTAGES))


@pytest.mark.parametrize(
    "layer",
    [
        nn.EventLinear(4, 3, HALF),
        nn.EventLinear(4, 3, jnp.ones((4, 3)) * saiunit.mS),
        nn.EventFixedNumConn(4, 3, 2, HALF, seed=0),
    ],
    ids=["EventLinear", "EventLinear, matrix", "EventFixedNumConn"],
)
def test_events_are_counted_in_the_unit_of_the_weight(layer: Any) -> None:
    assert layer(VOLTAGES).unit == saiunit.mS
    np.testing.assert_array_equal(
        layer(VOLTAGES) / saiunit.mS, layer((VOLTAGES / saiunit.mV) > 0) / saiunit.mS
    )


def test_a_kept_mask_keeps_units() -> None:
    with environ.context(fit=True), brainstate.environ.context(fit=True):
        ours, published = (n.DropoutFixed((4,), 0.5) for n in (nn, brainstate.nn))
        ours.init_state(2)
        published.init_state(2)
        published.mask.value = ours.mask.value
        agree(ours(VOLTAGES), published(VOLTAGES))


def test_a_table_with_a_unit() -> None:
    table = jnp.arange(6.0).reshape(3, 2) * saiunit.mV
    layer = nn.Embedding(3, 2, table)
    agree(layer(jnp.array([2, 0])), brainstate.nn.Embedding(3, 2, table)(jnp.array([2, 0])))
    padded = nn.Embedding(3, 2, lambda shape: table, padding_idx=0)
    assert (padded(jnp.array([1])) / saiunit.mV).tolist() == [[2.0, 3.0]]
    with pytest.raises(TypeError, match=r"max_norm=1\.0 has no unit"):
        nn.Embedding(3, 2, table, max_norm=1.0)(jnp.array([0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda i: i.Constant(2.0 * saiunit.mV),
        lambda i: i.Identity(2.0, unit=saiunit.mV),
        lambda i: i.ZeroInit(unit=saiunit.mV),
    ],
    ids=["Constant", "Identity", "ZeroInit"],
)
def test_initializers_of_one_value(make: Callable[[Any], Any]) -> None:
    agree(make(nn.init)((2, 2)), make(brainstate.nn.init)((2, 2)))


@pytest.mark.parametrize(
    "make",
    [
        lambda i, u: i.Uniform(1.0 * u, 3.0 * u, seed=0),
        lambda i, u: i.Normal(1.0 * u, 3.0 * u, seed=0),
        lambda i, u: i.Exponential(2.0 * u, seed=0),
        lambda i, u: i.Gamma(2.0, scale=2.0 * u, seed=0),
    ],
    ids=["Uniform", "Normal", "Exponential", "Gamma"],
)
def test_initializers_that_draw(make: Callable[[Any, Any], Any]) -> None:
    plain = make(nn.init, 1.0)((50,))
    np.testing.assert_allclose(make(nn.init, saiunit.mV)((50,)) / saiunit.mV, plain, rtol=1e-6)


def test_bounds_in_two_units_are_brought_to_one() -> None:
    drawn = nn.init.Uniform(1.0 * saiunit.mV, 0.002 * saiunit.volt, seed=0)((100,))
    assert 1.0 <= (drawn / saiunit.mV).min() < (drawn / saiunit.mV).max() <= 2.0
    with pytest.raises(TypeError, match="need a unit"):
        nn.init.Uniform(0.0, 1.0 * saiunit.mV)((2,))


def test_units_that_do_not_fit_are_refused() -> None:
    layer = nn.Linear(4, 3, nn.init.Constant(HALF), nn.init.Constant(2.0 * saiunit.mV))
    with pytest.raises(saiunit.UnitMismatchError):
        layer(VOLTAGES)


def test_a_parameter_keeps_its_unit() -> None:
    values = jnp.array([1.0, 2.0]) * saiunit.mV
    ours, published = nn.Param(values), brainstate.nn.Param(values)
    agree(ours.value(), published.value())
    assert ours.val.value.unit == saiunit.mV
    ours.set_value(3 * values)
    agree(ours.value(), 3 * published.value())


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "SoftplusT": lambda n: n.SoftplusT(-3.0 * saiunit.mV),
    "NegSoftplusT": lambda n: n.NegSoftplusT(4.0 * saiunit.mV),
    "ExpT": lambda n: n.ExpT(-0.003 * saiunit.volt),
    "LogT": lambda n: n.LogT(-3.0 * saiunit.mV),
    "ReluT": lambda n: n.ReluT(-2.0 * saiunit.mV),
    "ClipT": lambda n: n.ClipT(-0.001 * saiunit.volt, 1.0 * saiunit.mV),
    "SigmoidT": lambda n: n.SigmoidT(-3.0 * saiunit.mV, 0.004 * saiunit.volt),
    "ScaledSigmoidT": lambda n: n.ScaledSigmoidT(-3.0 * saiunit.mV, 4.0 * saiunit.mV, 2.0),
    "TanhT": lambda n: n.TanhT(-3.0 * saiunit.mV, 4.0 * saiunit.mV),
    "SoftsignT": lambda n: n.SoftsignT(-3.0 * saiunit.mV, 4.0 * saiunit.mV),
    "AffineT": lambda n: n.AffineT(2.0 * saiunit.mV, 1.0 * saiunit.mV),
    "ChainT": lambda n: n.ChainT(n.SoftplusT(-4.0), n.AffineT(2.0 * saiunit.mV, 0 * saiunit.mV)),
}


@pytest.mark.parametrize("make", TRANSFORMS.values(), ids=list(TRANSFORMS))
def test_bounds_of_transformations_keep_units(make: Callable[[Any], Any]) -> None:
    ours, published = (n.Param(VOLTAGES, t=make(n)) for n in (nn, brainstate.nn))
    assert ours.value().unit == published.value().unit
    agree(ours.value(), published.value())
    agree(jax.jit(lambda p: p.value())(ours), published.value())
    stored, there = (saiunit.get_mantissa(p.val.value) for p in (ours, published))
    np.testing.assert_allclose(stored, there, rtol=1e-4, atol=1e-4)
    for parameter in (ours, published):
        parameter.clip(-1.5 * saiunit.mV, 0.001 * saiunit.volt)
    agree(ours.value(), published.value())


def test_a_bound_without_the_unit_of_the_values_is_refused() -> None:
    with pytest.raises(TypeError, match="need a unit or none"):
        nn.Param(VOLTAGES, t=nn.SoftplusT(-3.0))
    assert "mV" in repr(nn.SoftplusT(0.5 * saiunit.mV))


PENALTIES: dict[str, Callable[[Any], Any]] = {
    "L1Reg": lambda n: n.L1Reg(0.5),
    "L1Reg, plain": lambda n: n.L1Reg(0.5 / saiunit.mV),
    "L2Reg": lambda n: n.L2Reg(0.5),
    "GroupLassoReg": lambda n: n.GroupLassoReg(0.5, 2),
    "TotalVariationReg": lambda n: n.TotalVariationReg(0.5),
    "ExponentialReg": lambda n: n.ExponentialReg(0.5, 2.0),
    "UniformReg": lambda n: n.UniformReg(1.0, -1.0 * saiunit.mV, 0.001 * saiunit.volt),
}


@pytest.mark.parametrize("make", PENALTIES.values(), ids=list(PENALTIES))
def test_penalties_keep_units(make: Callable[[Any], Any]) -> None:
    ours, published = make(nn), make(brainstate.nn)
    expected = saiunit.Quantity(published.loss(VOLTAGES))
    agree(saiunit.Quantity(ours.loss(VOLTAGES)), expected)
    agree(saiunit.Quantity(jax.jit(ours.loss)(VOLTAGES)), expected)
    parameter = nn.Param(VOLTAGES, reg=ours)
    parameter.reset_to_prior()
    np.testing.assert_array_equal(parameter.value() / saiunit.mV, np.zeros(VOLTAGES.shape))


def test_draws_between_bounds_with_a_unit() -> None:
    prior = nn.UniformReg(1.0, 1.0 * saiunit.mV, 2.0 * saiunit.mV)
    drawn = prior.sample_init((20,)) / saiunit.mV
    assert 1.0 <= drawn.min() < drawn.max() <= 2.0


def test_gradients_keep_units() -> None:
    layer = nn.Linear(4, 3, nn.init.Constant(HALF), None)
    grads = jax.grad(lambda layer: (layer(VOLTAGES) / saiunit.uA).sum())(layer)
    kernel = graph.states(grads)[("weight",)].value["weight"]
    np.testing.assert_allclose(
        kernel.mantissa, np.tile((VOLTAGES / saiunit.mV).sum(0)[:, None], (1, 3)), rtol=1e-6
    )
