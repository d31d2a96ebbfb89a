"""The matrix-product MSD against the double loop it replaces."""

from __future__ import annotations

import numpy as np
import pytest

from lammps_topo.accumulate.displacement import MAXIMUM_BATCHES, Displacements

GROUPS = [slice(0, 5), slice(5, 12)]
POPULATION = np.array([5, 7])


def walk(samples: int, atoms: int = 12, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=(3, samples, atoms)), axis=1)


def observe(positions, shift=None, corrections=(), *, blocks, **shape) -> Displacements:
    """Feed ``positions`` in blocks whose lengths come from the iterator ``blocks``."""
    found = Displacements(GROUPS, POPULATION, corrections=len(corrections), **shape)
    first = 0
    positions.flags.writeable = False  # others read them, too
    while first < positions.shape[1]:
        part = slice(first, min(positions.shape[1], first + next(blocks)))
        found.observe(
            positions[:, part],
            first,
            None if shift is None else shift[part],
            [(host[part], mean[part]) for host, mean in corrections],
        )
        first = part.stop
    return found


def always(length):
    while True:
        yield length


def randomly(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(1, 90))


def naive(positions, lags, every, stride):
    """Sums and counts (groups, 3, lags) over origins every ``every`` of the samples taken every ``stride``."""
    taken = positions[:, ::stride]
    sums, counts = np.zeros((2, 3, lags)), np.zeros(lags)
    for lag in range(lags):
        for origin in range(0, taken.shape[1] - lag, every):
            counts[lag] += 1
            squares = (taken[:, origin + lag] - taken[:, origin]) ** 2
            for g, group in enumerate(GROUPS):
                sums[g, :, lag] += squares[:, group].mean(axis=1)
    return sums, counts


@pytest.mark.parametrize("blocks", [always(64), always(1), randomly(3)])
@pytest.mark.parametrize("every", [1, 4])
def test_equals_double_loop_on_all_levels(blocks, every):
    positions = walk(300)
    found = observe(positions, blocks=blocks, lags=32, every=every, levels=3, stride=4)
    for level in range(3):
        sums, counts = naive(positions, 32, every, 4**level)
        assert np.array_equal(found.counts[level].sum(axis=0), counts)
        assert np.allclose(found.sums[level].sum(axis=0)[0], sums, rtol=1e-12, atol=1e-12)


def test_frames_of_reference_equal_explicit_subtraction():
    """The host frame costs nothing per atom; it must be what subtracting the host's motion gives."""
    positions, drift = walk(200), np.cumsum(np.random.default_rng(5).normal(size=(200, 3)), axis=0)
    inner = positions - drift.T[:, :, None]
    host = inner[:, :, GROUPS[1]].mean(axis=2).T
    means = np.stack([inner[:, :, group].mean(axis=2).T for group in GROUPS], axis=1)
    shape = {"lags": 32, "every": 4, "levels": 2, "stride": 4}
    both = observe(positions, drift, [(host, means)], blocks=randomly(1), **shape)
    explicit = observe(inner - host.T[:, :, None], blocks=always(50), **shape)
    for level in range(2):
        assert np.allclose(both.sums[level][:, 1], explicit.sums[level][:, 0], rtol=1e-11, atol=1e-10)


def test_shares_of_ranks_add_up():
    positions, drift = walk(120), np.zeros((120, 3))
    shape = {"lags": 16, "every": 4, "levels": 2, "stride": 4}
    whole = observe(positions, blocks=always(17), **shape)
    parts = []
    for atoms, groups in (
        ([0, 1, 5, 6], [slice(0, 2), slice(2, 4)]),
        ([2, 3, 4, 7, 8, 9, 10, 11], [slice(0, 3), slice(3, 8)]),
    ):
        part = Displacements(groups, POPULATION, **shape)
        for first in range(0, 120, 30):
            part.observe(positions[:, first : first + 30][:, :, atoms], first, drift[first : first + 30])
        parts.append(part)
    for level in range(2):
        total = parts[0].sums[level] + parts[1].sums[level]
        assert np.allclose(total, whole.sums[level], rtol=1e-12, atol=1e-12)


def test_time_batches_are_merged_and_keep_their_sum():
    samples = 4 * MAXIMUM_BATCHES * 5 + 3
    positions = walk(samples)
    found = observe(positions, blocks=randomly(2), lags=8, every=4, levels=2, stride=4)
    assert found.batch == 4 * 8
    assert len(found.sums[0]) == -(-samples // found.batch) <= MAXIMUM_BATCHES
    sums, counts = naive(positions, 8, 4, 1)
    assert np.array_equal(found.counts[0].sum(axis=0), counts)
    assert np.allclose(found.sums[0].sum(axis=0)[0], sums, rtol=1e-12)


def test_a_new_stretch_forgets_origins():
    positions = walk(100)
    found = Displacements(GROUPS, POPULATION, lags=16, every=4, levels=1, stride=4)
    found.observe(positions[:, :50], 0)
    found.observe(positions[:, 50:], 0)
    one, two = naive(positions[:, :50], 16, 4, 1), naive(positions[:, 50:], 16, 4, 1)
    assert np.array_equal(found.counts[0].sum(axis=0), one[1] + two[1])
    assert np.allclose(found.sums[0].sum(axis=0)[0], one[0] + two[0], rtol=1e-12)


def test_no_digits_are_lost_far_from_the_start():
    """Atoms that have moved a million lengths still have an exact MSD: the base follows them."""
    steps = np.random.default_rng(7).normal(size=(3, 4000, 12)) * 1e-3
    positions = np.cumsum(steps, axis=1)
    away = positions + 1e6 * np.linspace(0, 1, 4000)[None, :, None] ** 4
    found = observe(away, (1e6 * np.linspace(0, 1, 4000) ** 4)[:, None] * np.ones(3), blocks=always(40),
                    lags=8, every=4, levels=1, stride=4)  # fmt: skip
    sums, _ = naive(positions, 8, 4, 1)
    # what remains is the rounding of the positions themselves, 1e6 * 2^-53, against steps of 1e-3
    assert np.allclose(found.sums[0].sum(axis=0)[0][:, :, 1:], sums[:, :, 1:], rtol=3e-7)
