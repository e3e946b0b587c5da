"""The coordinates that the gamma versions are sampled in: one density, round about its middle."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from models.parts.gamma.bends import KNOTS, REACH, STEP
from models.parts.gamma.density import TYPICAL, GammaDensity, Point
from models.parts.gamma.gaussian import Curvature, Gaussian
from models.parts.gamma.mode import find_coordinates, find_mode
from models.parts.gamma.model import build_model
from models.parts.gamma.population import doublings
from models.parts.gamma.posterior import GammaPosterior
from models.parts.gamma.prior import GammaPrior
from tests.models.gamma_graph import ROUND, build_round_model
from tests.models.graphs import OfModel
from tests.models.simulate import KS, Truth, simulate

TRUTH = {
    "shape": 1.6,
    "log_typical": np.log(40.0),
    "customer_scale": 0.4,
    "product_scale": 0.6,
    "regularity": np.array([0.35, 0.3, 0.2, 0.1, 0.04, 0.01]),
    "arrival_shape": 0.8,
    "arrival_days": 50.0,
}
LAPSES = {"lapse": 0.12, "lapse_concentration": 3.0, "tilt_scale": 0.5}


class Case:
    """Histories, their density, and the coordinates found for it."""

    def __init__(self, lapse, customers=12, products=9, pairs=70):
        truth = Truth(**TRUTH | LAPSES if lapse else TRUTH)
        self.lapse = lapse
        self.data, _ = simulate(truth, customers, products, pairs, 700, np.random.default_rng(31))
        self.density = GammaDensity(self.data, GammaPrior(), lapse)
        self.coordinates = find_coordinates(self.density)

    def point(self, rng):
        """Somewhere, and scales there."""
        customers, products = len(self.data.customer_id), len(self.data.product_id)
        parts = self.density.parts
        at = Point(
            self.coordinates.theta + 0.2 * rng.standard_normal(self.density.size),
            0.4 * rng.standard_normal(customers),
            0.4 * rng.standard_normal((parts, products)),
        )
        return at, np.exp(rng.normal(-0.5, 0.3, 1 + parts))

    def raw(self, rng):
        """Coordinates drawn from N(0, 1), by name."""
        parts = self.density.parts
        shapes = (
            len(self.coordinates.theta), 1 + parts, len(self.data.customer_id),
            (parts, len(self.data.product_id)),
        )  # fmt: skip
        return {name: rng.standard_normal(shape) for name, shape in zip(ROUND, shapes, strict=True)}


CASES = {
    "pooled": lambda: Case(False),
    "lapse": lambda: Case(True),
    "one product": lambda: Case(True, customers=25, products=1, pairs=25),
    "one customer": lambda: Case(True, customers=1, products=25, pairs=25),
}
"""Functions of nothing: cases."""


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]()


def parameters(case, raw):
    """θ, log scales and effects at coordinates ``raw``, as the module's formulas have them."""
    at, data = case.coordinates, case.data
    theta = at.theta + at.root @ raw["theta_raw"]
    log_scale = at.log_scale + at.log_scale_sd * raw["scale_raw"]
    scales = np.exp(log_scale)
    E = np.diag((at.customer_known + scales[0] ** -2.0) ** -0.5)
    K = np.eye(len(E)) + at.long @ np.diag(at.stretch) @ at.long.T
    pull = at.customer_pull - at.customer_theta @ (theta - at.theta)
    customer = E @ K @ (K @ E @ pull + raw["customer_raw"])
    products, parts = len(data.product_id), case.density.parts
    product = np.empty((parts, products))
    for j in range(products):
        D = at.product_known[:, :, j] + np.diag(scales[1:] ** -2.0)
        pull = at.product_pull[:, j] - at.product_theta[:, j] @ (theta - at.theta)
        of = data.product == j
        pull -= at.pair_customer[:, of] @ (customer - at.customer)[data.customer[of]]
        L = np.linalg.cholesky(D[::-1, ::-1])[::-1, ::-1]  # from above: effect before tilt
        u = bent(at, j, raw["product_raw"][:, j])[0]
        product[:, j] = np.linalg.solve(L.T, np.linalg.solve(L, pull) + u)
    return np.concatenate([theta, log_scale, customer, product.ravel()])


def bent(at, j, z):
    """u of product j at z, and the log of the slopes, by SciPy's splines."""
    bend = at.product_bend[:, j]
    knots = KNOTS[0] + STEP * np.arange(-2, len(KNOTS) + 2)
    inside = np.clip(z[0], -REACH, REACH)
    if len(bend) == 0:
        return z, 0.0
    T, mean, log_sd = (BSpline(knots, coefficients, 3) for coefficients in bend)
    slope = float(T.derivative()(inside))
    c, sd = at.tilt_skew[j], np.exp(log_sd(inside))
    middle, scale = np.exp(c**2 / 2), np.sign(c) * np.sqrt(np.exp(c**2) - 1.0)
    w = (np.exp(c * z[1]) - middle) / (scale * middle)
    u = float(T(inside)) + (z[0] - inside) * slope, mean(inside) + sd * w
    return np.array(u), np.log(slope * sd * c * np.exp(c * z[1]) / (scale * middle))


def plain_point(case, flat, model):
    """The values of the plain model's variables at parameters, and by them log |derivative|."""
    density, data = case.density, case.data
    cuts = np.cumsum([density.size, 1 + density.parts, len(data.customer_id)])
    theta, log_scale, customer, product = np.split(flat, cuts)
    at = Point(theta, customer, product.reshape(density.parts, -1))
    means = density.means(at)
    names = ["customer", "product", "tilt"][: 1 + density.parts]
    found = {f"{name}_scale_log__": log_scale[i] for i, name in enumerate(names)}
    for i, (name, effects) in enumerate(zip(names, (customer, *at.product), strict=True)):
        found[f"{name}_raw"] = effects / np.exp(log_scale[i])
    y = theta[2 : density.lapses]
    logits = np.append(y, -y.sum()) + means[2:].sum() * doublings(KS)
    weight = np.exp(logits - logits.max())
    weight /= weight.sum()
    found |= {"shape_log__": theta[0], "log_typical": theta[TYPICAL] + means[:2].sum()}
    found["regularity_simplex__"] = (np.log(weight) - np.log(weight).mean())[:-1]
    if case.lapse:
        found |= {
            "lapse_logodds__": theta[density.lapses],
            "lapse_concentration_log__": theta[density.lapses + 1],
        }
    groups = np.array([len(customer), *[at.product.shape[1]] * density.parts])
    return {"arrival_shape_log__": 0.1, "arrival_days_log__": 4.2} | found, -groups @ log_scale


def log_jacobian(case, raw):
    """log |d parameters / d raw|: θ and scales, customers given these, products given all."""
    at = case.coordinates
    scales = np.exp(at.log_scale + at.log_scale_sd * raw["scale_raw"])
    K = np.eye(len(at.customer)) + at.long @ np.diag(at.stretch) @ at.long.T
    found = np.linalg.slogdet(at.root)[1] + np.log(at.log_scale_sd).sum() + np.linalg.slogdet(K)[1]
    found -= 0.5 * np.log(at.customer_known + scales[0] ** -2.0).sum()
    for j in range(len(case.data.product_id)):
        D = at.product_known[:, :, j] + np.diag(scales[1:] ** -2.0)
        found -= 0.5 * np.linalg.slogdet(D)[1]
        found += bent(at, j, raw["product_raw"][:, j])[1]
    return found


def test_the_jacobian_is_that_of_differences(case):
    raw, step = case.raw(np.random.default_rng(3)), 1e-5
    sizes = [np.size(raw[name]) for name in ROUND]
    flat = np.concatenate([np.ravel(raw[name]) for name in ROUND])

    def at(x):
        parts = np.split(x, np.cumsum(sizes)[:-1])
        shaped = zip(ROUND, parts, strict=True)
        return parameters(case, {name: x.reshape(raw[name].shape) for name, x in shaped})

    columns = [(at(flat + d) - at(flat - d)) / (2 * step) for d in step * np.eye(len(flat))]
    by_differences = np.linalg.slogdet(np.array(columns))[1]
    assert log_jacobian(case, raw) == pytest.approx(by_differences, abs=1e-5)


def test_the_density_is_one_whatever_the_coordinates(case):
    """Round coordinates: the plain model's density, times the Jacobian, but for a constant."""
    plain = build_model(case.data, lapse=case.lapse)
    of_plain = plain.compile_logp(mode="FAST_COMPILE")
    rounded = GammaPosterior(case.data, lapse=case.lapse, coordinates=case.coordinates)
    rng, apart = np.random.default_rng(4), []
    for _ in range(3):
        raw = case.raw(rng)
        values, by_values = plain_point(case, parameters(case, raw), plain)
        arrivals = [values[f"{name}_log__"] for name in ("arrival_shape", "arrival_days")]
        x = np.concatenate([*(raw[name].ravel() for name in ROUND), arrivals])
        in_plain = float(of_plain(values)) + by_values + log_jacobian(case, raw)
        apart.append(rounded(x)[0] - in_plain)
    assert apart == pytest.approx([apart[0]] * 3, abs=1e-10 * abs(in_plain))


@pytest.fixture(scope="module")
def graph(case):
    return OfModel(
        build_round_model(case.data, lapse=case.lapse, coordinates=case.coordinates),
        ROUND, mode="FAST_COMPILE",
    )  # fmt: skip


@pytest.fixture(scope="module")
def sampled(case):
    return GammaPosterior(case.data, lapse=case.lapse, coordinates=case.coordinates)


def far_and_near(sampled, rng):
    """Points about the middle, and some beyond the knots of the bends."""
    spreads = (0.3, 1.0, 1.0, 1.5, 4.0, 4.0)
    return [sampled.start + spread * rng.standard_normal(len(sampled.start)) for spread in spreads]


def test_what_is_sampled_is_the_density_of_the_graph_and_its_gradient(sampled, graph):
    points = far_and_near(sampled, np.random.default_rng(11))
    ours, theirs = ([density(x) for x in points] for density in (sampled, graph))
    apart = [one[0] - other[0] for one, other in zip(ours, theirs, strict=True)]
    assert apart == pytest.approx([apart[0]] * len(points), abs=1e-10 * abs(ours[0][0]))
    for (_, slope), (_, by_graph) in zip(ours, theirs, strict=True):
        assert slope == pytest.approx(by_graph, rel=1e-9, abs=1e-9)


def test_the_values_are_those_of_the_graph(sampled, graph):
    for x in far_and_near(sampled, np.random.default_rng(12)):
        values, by_graph = sampled.values(x), graph.values(x)
        assert {"x_raw"} | by_graph.keys() == {*values, *ROUND}
        for name in by_graph.keys() - set(ROUND):
            assert values[name].shape == by_graph[name].shape
            assert values[name].dtype == float
            assert values[name] == pytest.approx(by_graph[name], rel=1e-10, abs=1e-12), name
        assert np.array_equal(values["x_raw"], x)
        assert not np.shares_memory(values["x_raw"], x)


def test_it_begins_where_the_graph_does(sampled, graph):
    assert sampled.start == pytest.approx(graph.start, abs=1e-6)
    assert np.array_equal(sampled.is_round, graph.is_round)


@pytest.mark.parametrize("x", [np.nan, np.inf, 1e4, -1e4, 1e200])
def test_numbers_too_large_for_it_raise_nothing(sampled, x):
    for i in range(len(sampled.start)):
        point = sampled.start.copy()
        point[i] = x
        value, slope = sampled(point)
        assert isinstance(value, float)
        assert slope.shape == point.shape


def test_the_slope_of_the_density_is_that_of_differences(case):
    rng, step = np.random.default_rng(5), 1e-5
    for _ in range(3):
        at, scales = case.point(rng)
        direction = at.normal(rng)
        up, down = (case.density(at.along(direction, sign * step), scales) for sign in (1, -1))
        slope = case.density.gradient(at, scales)
        along = sum(float(np.sum(a * b)) for a, b in zip(slope, direction, strict=True))
        assert along == pytest.approx((up - down) / (2 * step), rel=1e-6)


def test_the_curvature_is_that_of_all_second_differences(case):
    """Of θ, customers and products together, at a point: the arrow holds every entry."""
    at, scales = find_mode(case.density)
    curvature = Curvature.of(case.density, at)
    gaussian = Gaussian.of(curvature, case.data, scales)
    sizes = [each.size for each in at]
    flat, step = np.concatenate([np.ravel(each) for each in at]), 1e-4

    def slope(x):
        parts = np.split(x, np.cumsum(sizes)[:-1])
        there = Point(*(p.reshape(e.shape) for p, e in zip(parts, at, strict=True)))
        return np.concatenate([np.ravel(e) for e in case.density.gradient(there, scales)])

    shifts = step * np.eye(len(flat))
    whole = np.array([(slope(flat - d) - slope(flat + d)) / (2 * step) for d in shifts])
    found = np.linalg.inv(whole)
    rng = np.random.default_rng(6)
    right = at.normal(rng)
    newton = np.concatenate([np.ravel(e) for e in gaussian.step(right)])
    exact = found @ np.concatenate([np.ravel(e) for e in right])
    deviation = np.sqrt(np.diag(found))
    # what is left out: the priors of the means, and all but the long directions of customers
    assert np.abs((newton - exact) / deviation).max() < 0.35
    theta = slice(0, sizes[0])
    assert gaussian.root @ gaussian.root.T == pytest.approx(found[theta, theta], rel=0.1, abs=0.02)


def test_draws_of_the_gaussian_have_its_covariance(case):
    """Its step is the covariance times the slope: E[x (x · s)] of draws x."""
    at, scales = find_mode(case.density)
    gaussian = Gaussian.of(Curvature.of(case.density, at), case.data, scales)
    units = [np.zeros(len(np.concatenate([np.ravel(e) for e in at])))]
    sizes = [each.size for each in at]
    rows = []
    for i in range(len(units[0])):
        unit = units[0].copy()
        unit[i] = 1.0
        parts = np.split(unit, np.cumsum(sizes)[:-1])
        z = Point(*(p.reshape(e.shape) for p, e in zip(parts, at, strict=True)))
        rows.append(np.concatenate([np.ravel(e) for e in gaussian.draw(z)]))
    covariance = np.array(rows).T @ np.array(rows)
    slope = at.normal(np.random.default_rng(7))
    stepped = np.concatenate([np.ravel(e) for e in gaussian.step(slope)])
    assert covariance @ np.concatenate([np.ravel(e) for e in slope]) == pytest.approx(stepped)


@pytest.mark.parametrize("lapse", [False, True])
def test_about_the_middle_the_density_falls_off_to_all_sides(lapse):
    """Its slope by θ on average over N(0, 1): near 0, and at the mode it is not."""
    case = Case(lapse, customers=40, products=30, pairs=900)
    at, scales = find_mode(case.density)
    gaussian = Gaussian.of(Curvature.of(case.density, at), case.data, scales)
    middle = Point(case.coordinates.theta, case.coordinates.customer, at.product)

    def slope(point, rng):
        found = []
        for _ in range(30):
            z = gaussian.draw(at.normal(rng))
            found += [case.density.gradient(point.along(z, d), scales).theta for d in (1.0, -1.0)]
        return gaussian.root.T @ np.mean(found, axis=0)

    middle = middle._replace(product=_products_at(case, middle, scales))
    of_mode, of_middle = (slope(point, np.random.default_rng(8)) for point in (at, middle))
    assert np.median(np.abs(of_middle)) < 0.5 * np.median(np.abs(of_mode))


def _products_at(case, at, scales):
    """Effects of products at the middle, by the coordinates."""
    products = len(case.data.product_id)
    raw = {
        "theta_raw": np.zeros(case.density.size),
        "scale_raw": np.zeros(len(scales)),
        "customer_raw": np.zeros(len(at.customer)),
        "product_raw": np.zeros((case.density.parts, products)),
    }
    return parameters(case, raw)[-case.density.parts * products :].reshape(-1, products)
