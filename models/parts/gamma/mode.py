"""Coordinates in which the gamma versions' posterior is nearly N(0, 1). Only fitting uses them.

The mode is taken of θ and all effects together, at scales that are chosen with it. The negative
Hessian there is sparse: a pair has one product and one customer,

    [ A   X   C ]   θ                    D = H_p + 1 / scales², a block of 1 or 2 per product
    [ Xᵀ  H_c M ]   customers, diagonal
    [ Cᵀ  Mᵀ  D ]   products

so that products are eliminated exactly, then customers, then θ is left (Schur's complements). What
is left of the customers, B = H_c + 1 / scale² − M D⁻¹ Mᵀ, is nearly diagonal but for a few long
directions, along which many customers move against many products: with E its diagonal, the
smallest eigenvalues λ and vectors U of E^−½ B E^−½,

    B⁻¹ ≈ E^−½ K K E^−½,   K = I + U (λ^−½ − 1) Uᵀ.

Given θ and any scales, effects are then Gaussian, customers given θ, products given both:

    e_c = E^−½ K (K E^−½ (a_c − X' (θ − θ̂)) + z_c)
    e_p = L⁻ᵀ (L⁻¹ (a_p − Cᵀ (θ − θ̂) − Mᵀ (e_c − ê_c)) + u_p),   D = L Lᵀ

with E and D at those scales, a the pulls that lead to the mode, u_p = z_p, or with lapses what
``bends.py`` makes of it (L is an upper triangle there: effect before tilt), and z near N(0, 1)
whatever θ and the scales are, be much known of a group or nothing: no funnel (the partial centring
of Papaspiliopoulos, Roberts & Sköld 2007, doi:10.1214/088342307000000014, with the share that is
right for each scale; crossed effects as in Papaspiliopoulos, Roberts & Zanella 2020,
doi:10.1093/biomet/asz058).

A scale is chosen where the Gaussian's marginal density of its log is highest, in small steps.

The mode is not the middle: at the mode the effects are all too sure, and θ was 16 of its deviations
off its posterior mean (8,000 pairs). From there Newton's steps go on with slope and curvature
averaged over the Gaussian itself, by pairs of opposite draws of it, to where the slope is 0 on
average: the Gaussian nearest to the posterior in Kullback and Leibler's sense (Opper & Archambeau
2009, doi:10.1162/neco.2008.08-07-592).
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from models.parts.gamma.bends import find_bends
from models.parts.gamma.density import SHAPE, TYPICAL, GammaDensity, Point
from models.parts.gamma.gaussian import Curvature, Gaussian, inverse_root, no_effects
from toolkit.data.tables import Floats

FIRST_SCALE = 0.4
"""Of effects, where the search begins."""
SCALES = (0.02, 4.0)
SCALE_STEP = 0.3
"""The log of a scale moves so much at most in a step."""
START_STEPS, NEWTON_STEPS = 6, 40
FEW_HALVINGS, HALVINGS = 3, 10
LARGEST_STEP = 1.0
"""A step moves no element of θ and no effect further."""
NEAR = 0.15
"""Steps of θ this small are near the mode: curvature is then taken as it is."""
SMALLEST_STEP = 0.03
MIDDLE_STEPS, SMALL_MIDDLE_STEP = 6, 0.2
SLOPES, CURVATURES = 4, 4
"""So many pairs of opposite draws for the slope's average; for the curvature so many points."""
WIDEST_LOG_SCALE = 1.0
"""Where data hardly tell a scale, steps of its log are in this unit."""


class GammaCoordinates(NamedTuple):
    """The mode and the Gaussian there: what the coordinates that are sampled are made of."""

    theta: Floats  # θ̂, [θ]
    root: Floats  # R, [θ, θ]: R Rᵀ the covariance of θ
    log_scale: Floats  # [1 + parts], of customers, products and tilts
    log_scale_sd: Floats  # [1 + parts]
    customer: Floats  # ê_c, [customers]
    customer_pull: Floats  # a_c, [customers]
    customer_known: Floats  # E without the scale, [customers]
    customer_theta: Floats  # X', [customers, θ]
    long: Floats  # U, [customers, long directions]
    stretch: Floats  # λ^−½ − 1, [long directions]
    product_pull: Floats  # a_p, [parts, products]
    product_known: Floats  # H_p, [parts, parts, products]
    product_theta: Floats  # Cᵀ, [parts, products, θ]
    pair_customer: Floats  # M's entries, [parts, pairs]
    product_bend: Floats  # of T, m and log s, [3 or none, products, knots]
    tilt_skew: Floats  # c, [products or none]


def find_coordinates(density: GammaDensity) -> GammaCoordinates:
    """About the mean of the Gaussian that is nearest to the posterior."""
    gaussian, at = _middle(density, *find_mode(density))
    curvature = gaussian.curvature
    bend, skew = find_bends(density, at, gaussian)
    return GammaCoordinates(
        theta=at.theta,
        root=gaussian.root,
        log_scale=np.log(gaussian.scales),
        log_scale_sd=_best_scales(gaussian, at, density.gradient(at, gaussian.scales), density)[1],
        customer=at.customer,
        customer_pull=gaussian.customer_pull(at.customer),
        customer_known=gaussian.customer_known,
        customer_theta=gaussian.customer_theta,
        long=gaussian.long,
        stretch=gaussian.eigenvalues**-0.5 - 1.0,
        product_pull=gaussian.product_pull(at.product),
        product_known=curvature.product,
        product_theta=curvature.product_theta,
        pair_customer=curvature.pair,
        product_bend=bend,
        tilt_skew=skew,
    )


def find_mode(density: GammaDensity) -> tuple[Point, Floats]:
    """Newton's steps, each of them uphill, and steps of the scales between them."""
    at, scales, near = _start(density), np.full(1 + density.parts, FIRST_SCALE), False
    for _ in range(NEWTON_STEPS):
        for convex in (False, True) if near else (True,):
            gaussian = Gaussian.of(Curvature.of(density, at, convex=convex), density.data, scales)
            step = gaussian.step(density.gradient(at, scales))
            moved = _uphill(density, at, step, scales, HALVINGS if convex else FEW_HALVINGS)
            if moved is not None:
                break
        moved = moved or at
        small = gaussian.distance(at, moved)
        best = _best_scales(gaussian, moved, density.gradient(moved, scales), density)[0]
        towards = np.clip(np.log(best / scales), -SCALE_STEP, SCALE_STEP)
        if near and small < SMALLEST_STEP and np.abs(towards).max() < SMALLEST_STEP:
            break
        near = float(np.abs(moved.theta - at.theta).max()) < NEAR
        scales, at = scales * np.exp(towards), moved
    return at, scales


def _middle(density: GammaDensity, at: Point, scales: Floats) -> tuple[Gaussian, Point]:
    """From the mode to where the slope is 0 on average over the Gaussian, by Newton's steps."""
    rng = np.random.default_rng(len(at.customer))
    normals = [at.normal(rng) for _ in range(SLOPES)]
    gaussian = Gaussian.of(Curvature.of(density, at), density.data, scales)
    for _ in range(MIDDLE_STEPS):
        drawn = [at.along(gaussian.draw(z), sign) for z in normals for sign in (1.0, -1.0)]
        around = [p for p in drawn if np.isfinite(density(p, scales))]
        curvature = Curvature.mean([Curvature.of(density, p) for p in around[:CURVATURES]])
        gaussian = Gaussian.of(curvature, density.data, scales)
        slope = _mean([density.gradient(p, scales) for p in around])
        step = _held(gaussian.step(slope))
        moved = at.along(step, 1.0)
        best = _best_scales(gaussian, at, slope, density)[0]
        towards = np.clip(np.log(best / scales), -SCALE_STEP, SCALE_STEP)
        small, at = gaussian.distance(at, moved), moved
        scales = scales * np.exp(towards)
        if small < SMALL_MIDDLE_STEP and np.abs(towards).max() < SMALLEST_STEP:
            break
    return gaussian, at


def _start(density: GammaDensity) -> Point:
    """No effects, and θ where it is likeliest without."""
    data, prior = density.data, density.prior
    theta = np.zeros(density.size)
    days = data.rows.interval_sum.sum() + data.rows.survived.sum()
    theta[SHAPE] = prior.shape[0]
    theta[TYPICAL] = np.log(max(days, 1.0) / (data.count.sum() + 1.0))
    if density.lapse:
        once, never = prior.lapse
        theta[density.lapses :] = np.log(once / never), prior.lapse_concentration[0]
    groups = len(data.customer_id), len(data.product_id)
    at = Point(theta, np.zeros(groups[0]), np.zeros((density.parts, groups[1])))
    for _ in range(START_STEPS):
        root, scales = inverse_root(Curvature.of(density, at).theta), np.ones(1 + density.parts)
        slope = density.gradient(at, scales).theta
        step = Point(root @ (root.T @ slope), *no_effects(at))
        at = _uphill(density, at, step, scales, HALVINGS) or at
    return at


def _uphill(
    density: GammaDensity, at: Point, step: Point, scales: Floats, halvings: int
) -> Point | None:
    """The step, or the first half, quarter, … of it that leads uphill; None if none does."""
    before = density(at, scales)
    for direction in (_held(step), step):
        for halving in range(halvings):
            moved = at.along(direction, 0.5**halving)
            if density(moved, scales) > before:
                return moved
    return None


def _held(step: Point) -> Point:
    """The step, no further than ``LARGEST_STEP`` anywhere."""
    share = min(1.0, LARGEST_STEP / max(float(np.abs(step.theta).max()), LARGEST_STEP))
    customer, product = (
        np.clip(share * e, -LARGEST_STEP, LARGEST_STEP) for e in (step.customer, step.product)
    )
    return Point(share * step.theta, customer, product)


def _mean(points: list[Point]) -> Point:
    return Point(*(np.mean(each, axis=0) for each in zip(*points, strict=True)))


def _best_scales(
    gaussian: Gaussian, at: Point, slope: Point, density: GammaDensity
) -> tuple[Floats, Floats]:
    """Where each log scale's marginal density is highest given the others, and its deviation."""
    pull = gaussian.pulls(at, slope)
    scales, sd = gaussian.scales.copy(), np.empty(len(gaussian.scales))

    def log_density(log_scale: float, which: int) -> float:
        moved = scales.copy()
        moved[which] = np.exp(log_scale)
        return _marginal(gaussian, pull, moved) + density.log_prior(moved)

    for i in range(len(scales)):
        found = minimize_scalar(
            lambda x, i=i: -log_density(x, i), bounds=tuple(np.log(SCALES)), method="bounded"
        )
        step, top = 0.05, float(found.x)
        below, here, above = (log_density(top + d * step, i) for d in (-1, 0, 1))
        curve = (2.0 * here - below - above) / step**2
        sd[i] = max(curve, WIDEST_LOG_SCALE**-2.0) ** -0.5
        scales[i] = np.exp(top)
    return scales, sd


def _marginal(gaussian: Gaussian, pull: tuple[Floats, Floats], scales: Floats) -> float:
    """Log density of scales, effects integrated out."""
    customer, product = pull
    precision = gaussian.customer_known + scales[0] ** -2.0
    value = 0.5 * (customer**2 / precision - np.log(precision)).sum()
    block = gaussian.curvature.product.transpose(2, 0, 1) + np.diag(scales[1:] ** -2.0)
    value += 0.5 * np.einsum("ap,pab,bp->", product, np.linalg.inv(block), product)
    value -= 0.5 * np.linalg.slogdet(block)[1].sum()
    groups = np.array([len(customer), *[product.shape[1]] * len(product)])
    return float(value - groups @ np.log(scales))
