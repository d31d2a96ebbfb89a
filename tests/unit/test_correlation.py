"""The matrix-product correlation functions against double loops, an FFT, and what a random choice must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lammps_topo.accumulate.correlation import Correlations
from lammps_topo.accumulate.flux import FluxFrame
from lammps_topo.accumulate.origins import MAXIMUM_BATCHES, PIECE, OriginRing
from lammps_topo.accumulate.tagged import FEWEST_ATOMS, TaggedMotion, affordable, random_order
from lammps_topo.stream.block import Block, Totals
from lammps_topo.stream.communicator import Alone
from lammps_topo.stream.ownership import Ownership

GROUPS = [slice(0, 3), slice(3, 7)]
POPULATION = np.array([3, 4])
PAIRS = ("vv", "ff", "vf", "fv")


def motion(samples: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {letter: rng.normal(size=(3, samples, 7)) for letter in "vf"}


def observe(quantities, lengths, **shape) -> Correlations:
    found = Correlations(GROUPS, POPULATION, **{"pairs": PAIRS, "precision": "double", **shape})
    samples, first = quantities["v"].shape[1], 0
    while first < samples:
        last = min(samples, first + next(lengths))
        found.observe(first, **{name: values[:, first:last] for name, values in quantities.items()})
        first = last
    return found


def of_length(length):
    while True:
        yield length


def at_random(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(1, 150))


def double_loop(earlier, later, lags, every):
    sums, counts = np.zeros((len(GROUPS), lags)), np.zeros(lags)
    for lag in range(lags):
        for origin in range(0, earlier.shape[1] - lag, every):
            counts[lag] += 1
            product = (earlier[:, origin] * later[:, origin + lag]).sum(axis=0)
            for g, group in enumerate(GROUPS):
                sums[g, lag] += product[group].mean()
    return sums, counts


@pytest.mark.parametrize("lengths", [of_length(64), of_length(1), of_length(7), at_random(3)])
@pytest.mark.parametrize(("lags", "every"), [(40, 1), (40, 8), (37, 5), (200, 3)])
def test_equals_double_loop(lengths, lags, every):
    quantities = motion(290)
    found = observe(quantities, lengths, lags=lags, every=every)
    for p, (earlier, later) in enumerate(PAIRS):
        sums, counts = double_loop(quantities[earlier], quantities[later], lags, every)
        assert np.array_equal(found.counts.sum(axis=0), counts)
        assert np.abs(found.sums.sum(axis=0)[p] - sums).max() < 1e-10 * np.abs(sums).max()


def test_equals_fft_over_all_origins():
    quantities = motion(500)
    found = observe(quantities, at_random(5), lags=100, every=1)
    for p, (earlier, later) in enumerate(PAIRS):
        spectra = [np.fft.rfft(quantities[letter], 1024, axis=1) for letter in (earlier, later)]
        full = np.fft.irfft(spectra[0].conj() * spectra[1], 1024, axis=1)[:, :100].sum(axis=0)
        for g, group in enumerate(GROUPS):
            expected = full[:, group].mean(axis=1)
            assert np.abs(found.sums.sum(axis=0)[p, g] - expected).max() < 1e-10 * np.abs(expected).max()


def test_single_precision_is_enough():
    quantities = motion(400)
    single, double = (observe(quantities, of_length(64), lags=50, every=4, precision=name)
                      for name in ("single", "double"))  # fmt: skip
    variance = double.sums.sum(axis=0)[:2, :, 0]
    assert np.abs(single.sums - double.sums).sum(axis=0).max() < 1e-6 * variance.min()


def test_only_the_wanted_pairs():
    quantities = motion(100)
    whole = observe(quantities, of_length(64), lags=20, every=2)
    part = observe(quantities, of_length(64), lags=20, every=2, pairs=("ff",))
    assert np.array_equal(part.sums[:, 0], whole.sums[:, 1])


def test_a_new_stretch_forgets_origins_and_batches_go_on():
    quantities = motion(120)
    found = Correlations(GROUPS, POPULATION, pairs=("vv",), lags=30, every=4, precision="double")
    for part in (slice(0, 50), slice(50, 120)):
        found.observe(0, v=quantities["v"][:, part])
    expected = [double_loop(*[quantities["v"][:, part]] * 2, 30, 4) for part in (slice(0, 50), slice(50, 120))]
    assert np.array_equal(found.counts.sum(axis=0), expected[0][1] + expected[1][1])
    assert np.allclose(found.sums.sum(axis=0)[0], expected[0][0] + expected[1][0], rtol=1e-12, atol=1e-12)


def test_batches_are_merged_and_keep_their_sum():
    quantities = motion(64 * MAXIMUM_BATCHES * 3 + 5)
    found = observe(quantities, at_random(2), lags=16, every=8, pairs=("vv",))
    assert found.batch == 64 * 4
    assert len(found.sums) == -(-quantities["v"].shape[1] // found.batch)
    sums, counts = double_loop(*[quantities["v"]] * 2, 16, 8)
    assert np.array_equal(found.counts.sum(axis=0), counts)
    assert np.allclose(found.sums.sum(axis=0)[0], sums, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(("lags", "every"), [(40, 8), (200, 3)])
def test_batches_hold_all_lags_of_their_origins(lags, every):
    """Else the memory kernel, a second derivative, shows every lag at which the set of origins changes."""
    quantities, samples = motion(900), 900
    found = observe(quantities, at_random(4), lags=lags, every=every)
    for batch, (sums, counts) in enumerate(zip(found.sums, found.counts, strict=True)):
        origins = [o for o in range(0, samples, every) if o // found.batch == batch]
        for lag in (0, 1, lags // 2, lags - 1):
            complete = [o for o in origins if o + lag < samples]
            assert counts[lag] == len(complete)
            products = [quantities["v"][:, o] * quantities["f"][:, o + lag] for o in complete]
            expected = sum(product.sum(axis=0)[GROUPS[1]].mean() for product in products)
            assert sums[2, 1, lag] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_norm_is_the_mean_square_of_both_ends():
    quantities = motion(300)
    found = observe(quantities, at_random(6), lags=40, every=8)
    assert found.pairs == (*PAIRS, "norm")
    v, sums = quantities["v"], found.sums.sum(axis=0)
    for lag in (0, 1, 17, 39):
        origins = np.arange(0, 300 - lag, 8)
        both = 0.5 * (v[:, origins] ** 2 + v[:, origins + lag] ** 2).sum(axis=(0, 1))
        expected = [both[group].mean() for group in GROUPS]
        assert np.allclose(sums[-1, :, lag], expected, rtol=1e-10)
    assert np.allclose(sums[-1, :, 0], sums[0, :, 0], rtol=1e-12)


def test_a_rank_without_atoms_of_a_species_adds_nothing():
    found = Correlations([slice(0, 0), slice(0, 2)], POPULATION, pairs=("vv",), lags=8, every=1)
    found.observe(0, v=np.ones((3, 20, 2)))
    assert not found.sums[:, 0, 0].any()
    assert found.sums.sum(axis=0)[0, 1, 0] == pytest.approx(20 * 6 / 4)


@settings(max_examples=60, deadline=None)
@given(
    lags=st.integers(2, 90), every=st.integers(1, 20), lengths=st.lists(st.integers(1, PIECE), min_size=1, max_size=9)
)
def test_the_ring_counts_every_pair_once(lags, every, lengths):
    """Whatever blocks come in, lag by lag: as many products as pairs of an origin and a frame."""
    ring, counts, sums = OriginRing(lags, every), np.zeros(lags), np.zeros(lags)
    stored, begin = np.full(ring.slots, -1.0), 0
    for length in lengths:
        index = begin + np.arange(length)
        new, slots = ring.claim(index)
        stored[slots] = index[new]
        # the product is the lag itself: its sum tells which products came to which lag
        products = index[None, :] - stored[: ring.filled, None]
        ring.add_by_lag(products, begin, sums, counts)
        begin += length
    frames, origins = np.arange(begin)[None, :], np.arange(0, begin, every)[:, None]
    lag = (frames - origins)[(frames >= origins) & (frames - origins < lags)]
    expected = np.bincount(lag, minlength=lags)
    assert np.array_equal(counts, expected)
    assert np.array_equal(sums, expected * np.arange(lags))


def test_the_budget_holds_and_is_shared():
    population, everyone = np.array([10_000, 300, 0]), np.full(3, 1 << 62)
    shape = {"pairs": 4, "letters": 2, "lags": 1000, "every": 8}
    assert affordable(population, everyone, memory=1e12, work=1e12, **shape).tolist() == [10_000, 300, 0]
    slots = OriginRing(1000, 8).slots
    by_memory = affordable(population, everyone, memory=2000 * slots * 24.0, work=1e12, **shape)
    assert by_memory.tolist() == [1700, 300, 0]
    by_work = affordable(population, everyone, memory=1e12, work=2000 * slots * 24.0, **shape)
    assert by_work.tolist() == [1700, 300, 0]
    fewest = affordable(population, everyone, memory=1e12, work=1.0, **shape)
    assert fewest.tolist() == [FEWEST_ATOMS, FEWEST_ATOMS, 0]
    assert affordable(population, np.array([7, 0, 0]), memory=1e12, work=1e12, **shape).tolist() == [7, 0, 0]


def test_random_choice_is_even_and_always_the_same():
    order = random_order(np.arange(1, 100_001))
    assert len(np.unique(order)) == 100_000
    lowest = np.sort(np.argsort(order)[:10_000])
    # every tenth of the tags has its share, within five binomial errors
    assert np.abs(np.histogram(lowest, bins=10, range=(0, 100_000))[0] - 1000).max() < 5 * 30
    # known numbers: runs before and after an update follow the same atoms
    assert random_order(np.array([1, 2])).tolist() == [order[0], order[1]]


def test_followed_atoms_are_those_of_their_species():
    tags = np.arange(1, 101)
    species = (tags % 3 == 0).astype(np.int64)
    ownership = Ownership(Alone(), tags, species, 2)
    followed = np.array([5, 8])
    tagged = TaggedMotion(Alone(), ownership, followed, None, np.ones(2), whole=True)
    chosen = np.concatenate(tagged.tags)
    assert [group.stop - group.start for group in tagged.groups] == [5, 8]
    assert (chosen[tagged.groups[0]] % 3 != 0).all()
    assert (chosen[tagged.groups[1]] % 3 == 0).all()


@pytest.mark.parametrize("host", [None, [], [1]])
@pytest.mark.parametrize("followed", [[60, 40], [5, 8]])
def test_followed_atoms_move_relative_to_the_frame(followed, host):
    """And the block, which others read too, stays as it is."""
    tags = np.arange(1, 101)
    ownership = Ownership(Alone(), tags, (tags > 60).astype(np.int64), 2)
    mass, each = np.array([2.0, 3.0]), np.repeat([2.0, 3.0], [60, 40])
    velocity, force = np.random.default_rng(1).normal(size=(2, 3, 4, 100))
    if host is None:
        drift, pull = np.zeros((2, 3, 4))
    elif not host:
        drift, pull = velocity @ each / each.sum(), force.sum(axis=2) / each.sum()
    else:
        drift, pull = velocity[:, :, 60:].mean(axis=2), force[:, :, 60:].mean(axis=2) / 3.0

    def by_species(vectors):
        return np.stack([vectors[:, :, atoms].sum(axis=2).T for atoms in ownership.species], axis=1)

    block = Block(
        steps=np.arange(4), first=0, displacement=np.zeros((3, 4, 100)), velocity=velocity.copy(), charge=None,
        species=ownership.species, force=force.copy(),
        totals=Totals(
            displacement=np.zeros((4, 2, 3)), velocity=by_species(velocity), current=None,
            dipole_step=np.zeros((4, 0, 2, 3)), charge=np.zeros((4, 0, 2, 3, 3)),
            centre=np.zeros((4, 3)), centre_velocity=(velocity @ each / each.sum()).T,
            kinetic=np.zeros(4), force=by_species(force),
        ),
    )  # fmt: skip
    frame = FluxFrame(ownership.population, host, 1.0)
    tagged = TaggedMotion(Alone(), ownership, np.array(followed), frame, mass, whole=True)
    found, chosen = tagged.observe(block), np.concatenate(tagged.tags) - 1
    np.testing.assert_allclose(found["v"], (velocity - drift[:, :, None])[:, :, chosen], atol=1e-12)
    np.testing.assert_allclose(found["f"], (force - pull[:, :, None] * each)[:, :, chosen], atol=1e-12)
    assert np.array_equal(block.velocity, velocity)
    assert np.array_equal(block.force, force)
