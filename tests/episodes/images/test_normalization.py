import torch

from episodes.images.normalization import Normalization


def test_bytes_are_normalised_as_floats_are() -> None:
    pixels = torch.randint(0, 256, (7, 2, 3, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalization = Normalization(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 1.0, 0.05]))
    expected = normalization(pixels.float() / 255)
    torch.testing.assert_close(normalization(pixels), expected, rtol=1e-6, atol=2e-6)
    assert normalization.double()(pixels).dtype == torch.float64
