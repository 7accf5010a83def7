import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from episodes.errors import UserError
from fewshot_sla.backbones import DropBlock, dropblock, set_training_progress
from fewshot_sla.backbones.dropblock import expand_seeds

# Height, width, block: MetaOptNet's maps at 84x84 and 32x32, 28x28's, and some that are not square.
MAPS = [(10, 10, 5), (5, 5, 5), (4, 4, 2), (2, 2, 2), (3, 3, 2), (1, 1, 2), (7, 4, 3), (3, 9, 5), (6, 6, 1)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gamma_of(height: int, width: int, block: int, keep_rate: float) -> float:
    """Equation 1 of Ghiasi et al., 2018, for a map that need not be square."""
    return (1 - keep_rate) / block**2 * height * width / ((height - block + 1) * (width - block + 1))


def slow_dropblock(x: torch.Tensor, seeds: torch.Tensor, block: int) -> torch.Tensor:
    """Algorithm 1 of Ghiasi et al., 2018, one entry at a time, for given seeds (upper left corners)."""
    mask = torch.ones_like(x)
    for image, channel, row, column in seeds.nonzero().tolist():
        for i in range(row, row + block):
            for j in range(column, column + block):
                mask[image, channel, i, j] = 0
    kept = sum(mask.flatten().tolist())
    return x * mask * (mask.numel() / kept) if kept else x * 0


def covering_seeds(size: int, block: int) -> list[int]:
    """How many of the block positions along one axis cover each entry."""
    return [sum(start <= i < start + block for start in range(size - block + 1)) for i in range(size)]


@pytest.mark.parametrize(("height", "width", "block_size"), MAPS)
@pytest.mark.parametrize("keep_rate", [0.9, 0.5])
def test_equals_slow_version(height: int, width: int, block_size: int, keep_rate: float) -> None:
    x = torch.randn(3, 4, height, width, dtype=torch.float64, generator=generator(1))
    block = min(block_size, height, width)
    gamma = gamma_of(height, width, block, keep_rate)
    seeds = torch.rand(3, 4, height - block + 1, width - block + 1, generator=generator(2)) < gamma
    actual = dropblock(x, keep_rate, block_size, generator=generator(2))
    torch.testing.assert_close(actual, slow_dropblock(x, seeds, block))
    # The schedule's 0-dim tensor gives the same as a number.
    torch.testing.assert_close(dropblock(x, torch.tensor(keep_rate), block_size, generator=generator(2)), actual)


def test_gamma_is_metaoptnets() -> None:
    """On a square map: (1 - keep) / block^2 * size^2 / (size - block + 1)^2; a whole map is dropped with 1 - keep."""
    assert gamma_of(10, 10, 5, 0.9) == pytest.approx(0.1 / 25 * 100 / 36)
    assert gamma_of(5, 5, 5, 0.9) == pytest.approx(0.1)


@pytest.mark.parametrize(("height", "width", "block_size"), MAPS)
def test_kept_share_and_mean(height: int, width: int, block_size: int) -> None:
    draws, keep_rate = 40_000 // (height * width) + 4000, 0.9
    y = dropblock(torch.ones(draws, 1, height, width), keep_rate, block_size, generator=generator())
    block = min(block_size, height, width)
    gamma = gamma_of(height, width, block, keep_rate)
    covers = torch.outer(
        torch.tensor(covering_seeds(height, block)).double(), torch.tensor(covering_seeds(width, block)).double()
    )
    expected = (1 - gamma) ** covers  # an entry is kept if none of the blocks that would cover it falls
    share = (y != 0).double().mean(0)[0]
    torch.testing.assert_close(share, expected, rtol=0, atol=5 * 0.3 / draws**0.5)  # 5 standard deviations
    assert keep_rate - 1e-9 <= expected.mean().item() <= keep_rate + 0.1
    # Scaled by all / kept, the mean over everything is 1 in every draw.
    assert y.double().mean().item() == pytest.approx(1, abs=1e-6)


def test_dropped_entries_are_blocks() -> None:
    y = dropblock(torch.ones(200, 1, 10, 10), 0.98, 5, generator=generator())
    areas = (y == 0).sum((1, 2, 3))
    assert areas[areas > 0].min() == 25


def test_expand_seeds() -> None:
    seeds = torch.zeros(1, 1, 3, 2, dtype=torch.bool)
    seeds[0, 0, 2, 1] = True
    expected = torch.zeros(1, 1, 4, 3, dtype=torch.bool)
    expected[0, 0, 2:, 1:] = True
    assert torch.equal(expand_seeds(seeds, 2), expected)
    assert torch.equal(expand_seeds(seeds, 1), seeds)


def test_identity_in_evaluation() -> None:
    x = torch.randn(2, 3, 5, 5)
    assert dropblock(x, 0.5, 3, training=False) is x
    layer = DropBlock(0.5, 3, ramp=0).eval()
    assert layer(x) is x


@pytest.mark.parametrize("keep_rate", [1.0, torch.tensor(1.0)])
def test_identity_at_keep_rate_one(keep_rate: float | torch.Tensor) -> None:
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(dropblock(x, keep_rate, 3), x)


def test_everything_dropped_gives_zeros_not_nan() -> None:
    assert torch.equal(dropblock(torch.ones(2, 2, 3, 3), 0.0, 3), torch.zeros(2, 2, 3, 3))


def test_gradient_is_zero_where_dropped() -> None:
    x = torch.randn(4, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    y = dropblock(x, 0.7, 2, generator=generator())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    dropped = y == 0
    assert dropped.any()
    assert (gradient[dropped] == 0).all()
    scale = dropped.numel() / (~dropped).sum()
    torch.testing.assert_close(gradient[~dropped], scale.double().expand(int((~dropped).sum())))
    assert torch.autograd.gradcheck(lambda x: dropblock(x, 0.7, 2, generator=generator()), x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtype_is_kept_and_the_mask_does_not_depend_on_it(dtype: torch.dtype) -> None:
    y = dropblock(torch.ones(50, 4, 10, 10, dtype=dtype), torch.tensor(0.99), 5, generator=generator())
    reference = dropblock(torch.ones(50, 4, 10, 10), 0.99, 5, generator=generator())
    assert y.dtype == dtype
    assert torch.equal(y == 0, reference == 0)
    torch.testing.assert_close(y.float(), reference, rtol=1e-2, atol=0)


def test_memory_format_changes_nothing() -> None:
    x = torch.randn(2, 3, 6, 6)
    y = dropblock(x.to(memory_format=torch.channels_last), 0.5, 2, generator=generator())
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, dropblock(x, 0.5, 2, generator=generator()))


def test_empty_batch() -> None:
    assert dropblock(torch.ones(0, 3, 5, 5), 0.5, 2).shape == (0, 3, 5, 5)


@pytest.mark.parametrize(("done", "keep_rate"), [(0, 1.0), (1 / 6, 0.95), (1 / 3, 0.9), (5 / 6, 0.9), (1, 0.9)])
def test_schedule(done: float, keep_rate: float) -> None:
    layer = DropBlock(drop_rate=0.1, ramp=1 / 3)
    set_training_progress(layer, done)
    assert layer.keep_rate().item() == pytest.approx(keep_rate)
    assert 1 - layer.strength(done) == pytest.approx(keep_rate)


def test_a_ramp_of_nothing_is_constant() -> None:
    assert DropBlock(drop_rate=0.2, ramp=0).keep_rate().item() == pytest.approx(0.8)


def test_the_layer_uses_its_schedule() -> None:
    layer = DropBlock(drop_rate=0.3, block_size=2, ramp=0.5)
    x = torch.ones(2000, 1, 6, 6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(layer(x), x)
        set_training_progress(layer, 0.25)
        half = (layer(x) == 0).float().mean().item()
        set_training_progress(layer, 0.5)
        full = (layer(x) == 0).float().mean().item()
    assert half == pytest.approx(0.15, abs=0.02)
    assert full == pytest.approx(0.3, abs=0.05)


def test_the_rate_survives_checkpoints() -> None:
    layer = DropBlock()
    set_training_progress(layer, 0.123456)
    resumed = DropBlock()
    resumed.load_state_dict(layer.state_dict())
    assert torch.equal(resumed.keep_rate(), layer.keep_rate())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"drop_rate": 1.0}, "less than 1, got 1.0"),
        ({"drop_rate": -0.1}, "got -0.1"),
        ({"block_size": 0}, "block_size must be at least 1, got 0"),
        ({"ramp": 20_000}, "ramp must be a share of the training, 0 to 1, got 20000"),
    ],
)
def test_impossible_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DropBlock(**arguments)


def test_impossible_arguments_of_the_function() -> None:
    x = torch.ones(1, 1, 4, 4)
    with pytest.raises(UserError, match="block_size must be at least 1"):
        dropblock(x, 0.9, 0)
    with pytest.raises(UserError, match="keep_rate must be from 0 to 1"):
        dropblock(x, 1.5, 2)


def test_nothing_is_read_back_from_the_device() -> None:
    """Fake tensors have no values: whatever needs one on the host, or a shape that depends on one, raises here."""
    with FakeTensorMode():
        with pytest.raises(Exception, match="nonzero"):  # index lists would be noticed
            (torch.rand(4, 4) < 0.5).nonzero()
        layer = DropBlock(block_size=2)
        set_training_progress(layer, 0.1)
        x = torch.randn(2, 3, 5, 5, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        assert y.shape == (2, 3, 5, 5)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_synchronisation_on_cuda() -> None:
    layer = DropBlock(block_size=2).cuda()
    x = torch.randn(2, 3, 5, 5, device="cuda", requires_grad=True)
    layer(x).sum().backward()  # warm-up: the first kernels may synchronise
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        set_training_progress(layer, 0.1)
        layer(x).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
