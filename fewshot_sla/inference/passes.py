"""How many images go through a network at once when nothing is learnt: what memory can hold, whatever their size."""

from collections.abc import Sequence

PIXELS_PER_PASS = 2**22  # of one channel: 1024 views of 64 x 64, 83 of 224 x 224


def images_at_once(
    image_shape: Sequence[int],  # (C, H, W)
    views_of_one: int,
    most_views: int,
) -> int:
    """As many whole images as have at most so many views and ``PIXELS_PER_PASS`` pixels, at least one.

    Small images go by the number of views: more at once would not be faster. Large ones go by their pixels, for a
    network's feature maps grow with these.

    >>> images_at_once((3, 32, 32), views_of_one=4, most_views=1024)
    256
    >>> images_at_once((3, 224, 224), views_of_one=4, most_views=1024)
    20

    Args:
        image_shape: of the images.
        views_of_one: views of an image, of all its crops.
        most_views: at once, however small they are.
    """
    _, height, width = image_shape
    return max(1, min(most_views, PIXELS_PER_PASS // (height * width)) // views_of_one)
