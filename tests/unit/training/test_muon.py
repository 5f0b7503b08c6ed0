import pytest
import torch

from hdrgen.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 8), (16, 40), (40, 16)])
def test_directions_are_kept_and_all_taken_equally_far(shape):
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(shape, generator=generator) * torch.logspace(0, -1.5, shape[1])
    left, values, right = torch.linalg.svd(orthogonalised(matrix[None])[0], full_matrices=False)
    assert values.min() > 0.6
    assert values.max() < 1.25
    wanted_left, _, wanted_right = torch.linalg.svd(matrix, full_matrices=False)
    torch.testing.assert_close(
        torch.trace((left @ right).T @ (wanted_left @ wanted_right)),
        torch.tensor(float(min(shape))),
        rtol=0.01,
        atol=0,
    )


@pytest.mark.parametrize("shape", [(12, 30), (6, 4, 3, 3)])
def test_a_step_is_as_large_as_one_of_adam(shape):
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(2)) * 1e-4
    Muon([weight], lr=0.01).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.15)


def test_matrices_of_one_size_step_as_they_would_alone():
    generator = torch.Generator().manual_seed(4)
    start, gradients = torch.randn(3, 6, 20, generator=generator), torch.randn(3, 6, 20, generator=generator)
    together, alone = ([torch.nn.Parameter(one.clone()) for one in start] for _ in range(2))
    for weights in (together, alone):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()
    Muon(together, lr=0.1).step()
    for weight in alone:
        Muon([weight], lr=0.1).step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_biases_are_left_to_adam():
    torch.manual_seed(3)
    start, gradients = torch.randn(7), torch.randn(4, 7)
    weights = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    optimizers = (
        Muon([weights[0]], lr=0.01, weight_decay=0.1),
        torch.optim.AdamW([weights[1]], lr=0.01, weight_decay=0.1, betas=(0.9, 0.97)),
    )
    for gradient in gradients:
        for weight, optimizer in zip(weights, optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1])
