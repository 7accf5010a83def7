"""ProtoNet against the loop that its paper describes."""

import pytest
import torch
from torch import Tensor

from fewshot_sla.heads import ProtoNetHead, protonet
from fewshot_sla.heads.protonet import class_means, protonet_logits


def slow_protonet(support: Tensor, labels: Tensor, query: Tensor, ways: int) -> Tensor:
    """Snell et al. 2017, eq. 1-2, one distance at a time."""
    logits = torch.empty(*query.shape[:2], ways, dtype=query.dtype)
    for t in range(support.shape[0]):
        for w in range(ways):
            rows = [support[t, s] for s in range(support.shape[1]) if labels[t, s] == w]
            mean = sum(rows, torch.zeros_like(rows[0])) / len(rows)
            for r in range(query.shape[1]):
                logits[t, r, w] = -((query[t, r] - mean) ** 2).sum() / query.shape[2]
    return logits


def problem(offset: float = 0.0) -> tuple[Tensor, Tensor, Tensor, int]:
    generator = torch.Generator().manual_seed(0)
    support, query = (torch.randn(3, n, 8, generator=generator, dtype=torch.float64) + offset for n in (9, 4))
    labels = torch.tensor([[0, 1, 2, 2, 1, 0, 0, 0, 0], [2, 0, 1, 1, 1, 1, 1, 1, 2], [1, 1, 0, 2, 0, 2, 0, 2, 0]])
    return support, labels, query, 3


def test_equals_the_loop_on_uneven_shuffled_shots() -> None:
    torch.testing.assert_close(protonet_logits(*problem()), slow_protonet(*problem()))


def test_float32_does_not_cancel_far_from_the_origin() -> None:
    support, labels, query, ways = problem(offset=1e3)
    # The reference sees the features as float32 rounds them: what is tested is the arithmetic after that.
    support, query = support.float(), query.float()
    exact = slow_protonet(support.double(), labels, query.double(), ways)
    torch.testing.assert_close(protonet_logits(support, labels, query, ways).double(), exact, rtol=1e-4, atol=1e-5)


def test_gradcheck_in_float64() -> None:
    support, labels, query, ways = problem()
    inputs = (support[:2].requires_grad_(), query[:2].requires_grad_())
    assert torch.autograd.gradcheck(lambda s, q: protonet_logits(s, labels[:2], q, ways), inputs)


def test_class_means_have_the_right_class_order() -> None:
    support = torch.tensor([[[1.0], [5.0], [3.0]]])
    assert class_means(support, torch.tensor([[1, 0, 1]]), 2).tolist() == [[[5.0], [2.0]]]


def test_the_module_is_the_function_times_its_scale() -> None:
    head = ProtoNetHead(scale=3.0)
    torch.testing.assert_close(head(*problem()), 3 * protonet_logits(*problem()))
    assert [name for name, _ in head.named_parameters()] == ["scale"]


def test_a_fixed_scale_is_saved_but_not_trained() -> None:
    head = ProtoNetHead(scale=3.0, learn_scale=False)
    assert list(head.parameters()) == []
    assert head.state_dict()["scale"] == 3


def test_means_of_very_many_classes_are_the_same_means(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.stack([torch.randperm(12, generator=generator) % 4 for _ in range(3)])
    support = torch.randn(3, 12, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    usual = protonet.class_means(support, labels, 4)
    monkeypatch.setattr(protonet, "_LARGEST_INDICATOR", 0)
    summed = protonet.class_means(support, labels, 4)
    assert torch.allclose(usual, summed, rtol=1e-12, atol=1e-12)
    weight = torch.randn(usual.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((means * weight).sum(), support)[0] for means in (usual, summed)]
    assert torch.allclose(*gradients, rtol=1e-12, atol=1e-12)
