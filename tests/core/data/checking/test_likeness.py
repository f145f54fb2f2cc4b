from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from seedbed.core.data.checking.alignment import same_but_cropped
from seedbed.core.data.checking.likeness import equal_images, fingerprint, group_rows, near_duplicates
from seedbed.core.data.checking.neighbours import frozen_neighbours
from seedbed.core.data.checking.same_picture import same_picture
from seedbed.core.data.preparing.decode import ImageForm, decode
from seedbed.core.errors import Interrupted

NONE = np.zeros((0, 2), dtype=np.int64)
COPIES = {
    "jpeg": lambda image: encoded(image, "JPEG", quality=60),
    "webp": lambda image: encoded(image, "WEBP", quality=60),
    "palette": lambda image: encoded(image.quantize(256), "PNG"),
    "smaller": lambda image: encoded(image.resize((46, 46), Image.Resampling.BICUBIC), "PNG"),
    "larger": lambda image: encoded(image.resize((50, 50), Image.Resampling.BILINEAR), "PNG"),
}


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawing(seed, mode="RGB", size=48):
    """A few shapes of random colours on white: a small sign, as emoji are."""
    rng = np.random.default_rng(seed)
    image = Image.new(mode, (4 * size, 4 * size), "white")
    pen = ImageDraw.Draw(image)
    for _ in range(5):
        left, top = (int(n) for n in rng.integers(0, 3 * size, 2))
        wide, high = (int(n) for n in rng.integers(size // 2, 2 * size, 2))
        colour = tuple(int(n) for n in rng.integers(0, 256, 3)) if mode == "RGB" else int(rng.integers(0, 220))
        pen.ellipse((left, top, left + wide, top + high), fill=colour)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def stack(*images):
    """Prepared pixels: (N, H, W, C)."""
    arrays = [np.asarray(image) for image in images]
    return np.stack([each if each.ndim == 3 else each[..., None] for each in arrays])


def near(images, **options):
    return sorted(map(tuple, near_duplicates(images, fingerprint(images), **options).tolist()))


def equal(images):
    return sorted(map(tuple, equal_images(images, fingerprint(images)).tolist()))


def test_rows_of_equal_pixels_are_linked_to_the_first_of_them():
    a, b = drawing(1), drawing(2)
    assert equal(stack(a, b, a, b, a)) == [(0, 2), (0, 4), (1, 3)]


def test_one_changed_pixel_makes_another_image():
    images = stack(drawing(1), drawing(1)).copy()
    images[1, 20, 20, 0] ^= 1
    assert equal(images) == []


def test_blank_images_are_no_duplicates_of_each_other():
    blank = Image.new("RGB", (48, 48), (200, 30, 30))
    assert equal(stack(blank, blank, blank)) == []
    assert near(stack(blank, blank, Image.new("RGB", (48, 48), (200, 31, 30)))) == []


def test_rows_may_be_some_of_all():
    a, b = drawing(1), drawing(2)
    images = stack(a, a, b, a)
    prints = fingerprint(images, np.array([1, 2, 3]))
    assert equal_images(images, prints).tolist() == [[1, 3]]


def test_no_rows_and_one_row_have_no_duplicates():
    for images in (stack(drawing(1))[:0], stack(drawing(1))):
        assert equal(images) == []
        assert near(images) == []


def test_a_user_who_stops_is_heard():
    with pytest.raises(Interrupted):
        fingerprint(stack(drawing(1)), cancelled=lambda: True)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("kind", COPIES)
def test_a_picture_encoded_anew_is_found_and_no_other_is(kind, mode):
    originals = [drawing(seed, mode) for seed in range(20)]
    form = ImageForm(height=48, width=48, channels=3 if mode == "RGB" else 1)
    copies = [decode(COPIES[kind](image), form).pixels for image in originals]
    images = np.concatenate([stack(*originals), np.stack(copies)])
    found = near(images) + equal(images)
    assert sorted(found) == [(row, row + 20) for row in range(20)]


def clock(minutes):
    image = Image.new("RGB", (192, 192), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 184, 184), outline=(150, 165, 180), width=16, fill=(225, 230, 236))
    angle = minutes * np.pi / 30
    pen.line((96, 96, 96 + 60 * np.sin(angle), 96 - 60 * np.cos(angle)), fill=(90, 100, 110), width=8)
    return image.resize((48, 48), Image.Resampling.LANCZOS)


def test_pictures_that_differ_in_one_place_are_not_the_same():
    images = stack(*[clock(minutes) for minutes in range(0, 60, 5)])
    pairs = np.stack(np.triu_indices(12, 1), axis=1)
    assert not same_picture(images, pairs).any()
    assert near(images) == []


def test_shapes_that_differ_in_colour_alone_are_not_the_same():
    grey, reddish = [150, 150, 150], [210, 119, 151]  # of one luminance
    images = np.full((2, 48, 48, 3), 255, dtype=np.uint8)
    images[0, 10:38, 10:38], images[1, 10:38, 10:38] = grey, reddish
    assert not same_picture(images, np.array([[0, 1]]))[0]


def test_faint_shapes_are_told_apart():
    square, disc = Image.new("RGB", (48, 48), "white"), Image.new("RGB", (48, 48), "white")
    ImageDraw.Draw(square).rectangle((6, 6, 42, 42), fill=(230, 232, 234))
    ImageDraw.Draw(disc).ellipse((6, 6, 42, 42), fill=(230, 232, 234))
    assert not same_picture(stack(square, disc), np.array([[0, 1]]))[0]


def test_mirror_images_are_found_on_request_only():
    images = stack(drawing(1), drawing(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT), drawing(2))
    assert near(images) == []
    assert near(images, mirrored=True) == [(0, 1)]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 10**6))
def test_images_of_any_form_are_compared(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (6, height, width, channels), dtype=np.uint8)
    images[5] = images[0]
    pairs = near(images) + near(images, mirrored=True)
    assert all(0 <= low < high < 6 for low, high in pairs)
    if height * width > 1:
        assert (0, 5) in equal(images)


def test_signatures_are_never_farther_apart_than_pixels():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 20, 30, 1), dtype=np.uint8)
    one, other = fingerprint(images).signatures
    pixels = np.sqrt(np.mean((images[0].astype(float) - images[1]) ** 2))
    assert np.linalg.norm(one - other) <= pixels


def test_a_crowd_of_look_alikes_costs_a_bounded_number_of_comparisons(monkeypatch):
    base = np.asarray(drawing(1, "L", 16), dtype=int)[None, ..., None]
    noise = np.random.default_rng(0).integers(0, 4, (1500, 16, 16, 1))
    compared = []

    def count(images, pairs, mirrored):
        compared.append(len(pairs))
        return np.ones(len(pairs), dtype=bool)

    monkeypatch.setattr("seedbed.core.data.checking.likeness.same_picture", count)
    near(np.clip(base + noise, 0, 255).astype(np.uint8))
    assert compared[0] <= 1500 * 6  # and not 1500 × 1499 / 2


@pytest.mark.parametrize("cut", [0.04, 0.1])
def test_a_cropped_copy_is_recognised_and_another_picture_is_not(cut):
    size = 48
    originals = [drawing(seed) for seed in range(12)]
    box = (cut * size, 0, size, (1 - cut) * size)
    cropped = [each.resize((size, size), Image.Resampling.BICUBIC, box=box) for each in originals]
    images = stack(*originals, *cropped)
    rows = np.arange(12)
    assert same_but_cropped(images, np.stack([rows, rows + 12], axis=1)).all()
    assert same_but_cropped(images, np.stack([rows + 12, rows], axis=1)).all()
    assert not same_but_cropped(images, np.stack([rows, np.roll(rows, 1) + 12], axis=1)).any()
    assert not same_picture(images, np.stack([rows, rows + 12], axis=1)).any()


def test_a_cropped_mirror_image_is_recognised_on_request():
    images = stack(
        drawing(3), drawing(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((48, 48), box=(0, 3, 45, 48))
    )
    assert not same_but_cropped(images, np.array([[0, 1]]))[0]
    assert same_but_cropped(images, np.array([[0, 1]]), mirrored=True)[0]


def test_frozen_neighbours_are_the_rows_with_like_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 100)).astype(np.float32) + 10  # far from zero, as behind a ReLU
    features[150] = features[20] + 0.1 * rng.normal(size=100)
    features[7] = features[199]
    assert sorted(map(tuple, frozen_neighbours(features).tolist())) == [(7, 199), (20, 150)]


def test_frozen_neighbours_of_few_or_equal_rows_are_none():
    assert frozen_neighbours(np.ones((5, 3), dtype=np.float32)).shape == (0, 2)
    assert frozen_neighbours(np.zeros((0, 3), dtype=np.float32)).shape == (0, 2)


def test_above_the_limit_a_sample_is_compared():
    features = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    features[1::2] = features[::2]
    everything = frozen_neighbours(features, count=1, least_cosine=0.9999)
    sampled = frozen_neighbours(features, count=1, least_cosine=0.9999, most_rows=40)
    assert len(everything) == 50
    assert 0 < len(sampled) < 20
    assert set(map(tuple, sampled.tolist())) <= set(map(tuple, everything.tolist()))


def test_groups_are_numbered_by_their_first_row():
    groups = group_rows(8, np.array([[5, 2], [2, 7]]), np.array([[1, 0]]))
    assert groups.tolist() == [0, 0, 1, -1, -1, 1, -1, 1]


def test_nothing_alike_is_no_group():
    assert group_rows(3, NONE, NONE).tolist() == [-1, -1, -1]


def test_a_long_chain_of_likely_links_is_cut():
    chain = np.stack([np.arange(99), np.arange(1, 100)], axis=1)
    assert (group_rows(100, NONE, chain, largest=50) == -1).all()
    assert (group_rows(100, NONE, chain, largest=100) == 0).all()
    assert (group_rows(100, chain, NONE, largest=50) == 0).all()  # equal rows are equal however many they are


def test_many_copies_of_one_picture_stay_a_group():
    rows = np.arange(80)
    copies = np.concatenate([np.stack([rows, (rows + step) % 80], axis=1) for step in (1, 2, 3)])
    assert (group_rows(80, NONE, copies, largest=50) == 0).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_groups_are_what_links_lead_to(links):
    pairs = np.array(links, dtype=np.int64).reshape(-1, 2)
    groups = group_rows(20, pairs[::2], pairs[1::2])
    reached = np.eye(20, dtype=bool)
    reached[pairs[:, 0], pairs[:, 1]] = reached[pairs[:, 1], pairs[:, 0]] = True
    for _ in range(5):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    alone = reached.sum(axis=1) == 1
    assert ((groups == -1) == alone).all()
    assert ((groups[:, None] == groups)[~alone][:, ~alone] == reached[~alone][:, ~alone]).all()
