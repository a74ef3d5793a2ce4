"""Fingerprints: copies of a picture look alike, other lesions do not."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from amfzoo.data.checking.check import NEAR_BITS
from amfzoo.data.checking.fingerprints import near_pairs, perceptual_hash


def bits(one, other):
    return int(np.unpackbits(np.frombuffer(one, np.uint8) ^ np.frombuffer(other, np.uint8)).sum())


def test_copies_look_alike_and_lesions_do_not(drawn):
    pictures = [image for seed in range(30) for image in drawn(seed)]
    looks = [perceptual_hash(image) for image in pictures]
    assert not near_pairs(looks, NEAR_BITS)
    for image, look in zip(pictures, looks):
        changed = ImageEnhance.Brightness(image.resize((100, 80), Image.Resampling.BICUBIC)).enhance(0.85)
        assert bits(look, perceptual_hash(changed)) <= NEAR_BITS


def test_near_pairs_counts_bits():
    rng = np.random.default_rng(0)
    looks = [rng.bytes(32) for _ in range(600)]  # more than one block
    looks[590] = bytes([looks[3][0] ^ 0b101, *looks[3][1:]])
    assert near_pairs(looks, 2) == [(3, 590, 2)] and near_pairs(looks, 1) == []
    expected = [
        (i, j, bits(looks[i], looks[j])) for i in range(600) for j in range(i) if bits(looks[i], looks[j]) <= 100
    ]
    assert sorted(near_pairs(looks, 100)) == sorted((j, i, n) for i, j, n in expected) and len(expected) > 10
    assert near_pairs([], 5) == [] and near_pairs(looks[:1], 5) == []
