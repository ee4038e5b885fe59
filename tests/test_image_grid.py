"""Images in a grid: positions, gaps, free cells, enlargement."""

import numpy as np

from torchprimer.image_grid import enlarge, image_grid


def test_images_are_placed_row_by_row() -> None:
    images = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1).repeat(2, 1).repeat(3, 2)  # five of 2 x 3 pixels
    expected = np.full((7, 9), 200, np.uint8)
    expected[1:3, 1:4], expected[1:3, 5:8] = 1, 2
    expected[4:6, 1:4], expected[4:6, 5:8] = 3, 4
    np.testing.assert_array_equal(image_grid(images[:4], 2), expected[:, :9])
    assert image_grid(images, 2).shape == (10, 9)  # a third row, with a free cell
    assert (image_grid(images, 2)[7:9, 5:8] == 200).all()
    colour = image_grid(np.stack([images, images, images], -1), 5, gap=0)
    assert colour.shape == (2, 15, 3)
    assert colour[0, ::3, 0].tolist() == [1, 2, 3, 4, 5]


def test_enlarge_by_an_integer_factor() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(np.asarray(enlarge(pixels, 8)), pixels.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(np.asarray(enlarge(pixels, 2)), pixels)
