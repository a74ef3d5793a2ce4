"""The attention blocks against the formula, written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from amfzoo.models.fusion import AsymmetricFusion, CrossAttention, MutualFusion, NoFusion

DIM, HEADS = 12, 3
QUERY, CONTEXT = (3, 6, 2, 5), (3, 4, 3, 1)  # maps of different size and width: 10 queries, 3 keys
PRESENT = torch.ones(3, dtype=torch.bool)


def trained(block: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return block


def maps(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def layer_norm(vector: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    centred = (vector - vector.mean()) / np.sqrt(vector.var() + norm.eps)
    return centred * norm.weight.detach().double().numpy() + norm.bias.detach().double().numpy()


def reference(block: CrossAttention, query_map: torch.Tensor, context_map: torch.Tensor) -> np.ndarray:
    """query + W_o concat_heads(softmax(Q K^T / sqrt(d)) V) + b_o, one image and one pixel at a time."""
    weights = {name: p.detach().double().numpy() for name, p in block.named_parameters()}
    width = DIM // HEADS
    out = query_map.double().numpy().copy()
    for image in range(len(out)):
        context = context_map[image].double().numpy()
        pixels = [layer_norm(context[:, y, x], block.norm_context) for y, x in np.ndindex(context.shape[1:])]
        keys = np.stack([weights["to_key.weight"] @ pixel for pixel in pixels])
        values = np.stack([weights["to_value.weight"] @ pixel for pixel in pixels])
        for y, x in np.ndindex(out.shape[2:]):
            pixel = query_map[image, :, y, x].double().numpy()
            query = weights["to_query.weight"] @ layer_norm(pixel, block.norm_query)
            heads = []
            for head in range(HEADS):
                own = slice(head * width, (head + 1) * width)
                scores = np.exp(keys[:, own] @ query[own] / np.sqrt(width))
                heads.append(scores / scores.sum() @ values[:, own])
            out[image, :, y, x] += weights["to_out.weight"] @ np.concatenate(heads) + weights["to_out.bias"]
    return out


@pytest.fixture
def block() -> CrossAttention:
    return trained(CrossAttention(QUERY[1], CONTEXT[1], dim=DIM, heads=HEADS))


def test_attention_is_the_formula(block):
    query, context = maps(QUERY, CONTEXT)
    found = block(query, context, PRESENT)
    assert found.shape == QUERY
    np.testing.assert_allclose(found.detach().numpy(), reference(block, query, context), rtol=1e-4, atol=1e-5)


def test_untrained_attention_is_the_identity():
    query, context = maps(QUERY, CONTEXT)
    untrained = CrossAttention(QUERY[1], CONTEXT[1], dim=DIM, heads=HEADS)
    assert torch.equal(untrained(query, context, PRESENT), query)


def test_rows_without_context_pass_unchanged(block):
    query, context = maps(QUERY, CONTEXT)
    present = torch.tensor([True, False, True])
    found = block(query, context, present)
    assert torch.equal(found[1], query[1])
    whole = block(query, context, PRESENT)
    assert torch.equal(found[present], whole[present])
    assert not torch.allclose(whole[1], query[1])


def test_the_order_of_context_pixels_does_not_matter(block):
    query, context = maps(QUERY, (3, 4, 4, 2))
    torch.testing.assert_close(
        block(query, context, PRESENT), block(query, context.flip(2, 3), PRESENT), rtol=1e-4, atol=1e-5
    )


def test_asymmetric_fusion_works_stride_by_stride():
    clinical, dermoscopy = maps(CONTEXT, (3, 8, 1, 1)), maps(QUERY, (3, 5, 2, 2))
    fusion = trained(AsymmetricFusion([4, 8], [6, 5], dim=DIM, heads=HEADS))
    present = torch.tensor([(True, True), (False, True), (True, False)])
    same, enhanced = fusion(clinical, dermoscopy, present)
    assert same is clinical
    for block, own, other, found in zip(fusion.enhance, dermoscopy, clinical, enhanced, strict=True):
        expected = torch.from_numpy(reference(block, own, other))
        expected[1] = own[1]  # no clinical image
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_mutual_fusion_reads_the_original_maps_on_both_sides():
    clinical, dermoscopy = maps(CONTEXT), maps(QUERY)
    fusion = trained(MutualFusion([4], [6], dim=DIM, heads=HEADS))
    present = torch.tensor([(True, True), (False, True), (True, False)])
    found_clinical, found_dermoscopy = fusion(clinical, dermoscopy, present)
    to_dermoscopy = torch.from_numpy(reference(fusion.to_dermoscopy.enhance[0], dermoscopy[0], clinical[0]))
    to_clinical = torch.from_numpy(reference(fusion.to_clinical.enhance[0], clinical[0], dermoscopy[0]))
    to_dermoscopy[1], to_clinical[2] = dermoscopy[0][1], clinical[0][2]
    torch.testing.assert_close(found_dermoscopy[0].double(), to_dermoscopy, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found_clinical[0].double(), to_clinical, rtol=1e-4, atol=1e-5)


def test_no_fusion_passes_both():
    clinical, dermoscopy = maps(CONTEXT), maps(QUERY)
    found = NoFusion()(clinical, dermoscopy, torch.ones(3, 2, dtype=torch.bool))
    assert found[0] is clinical and found[1] is dermoscopy


def test_both_lists_of_widths_must_pair_up():
    with pytest.raises(ValueError):
        AsymmetricFusion([4, 8], [6], dim=DIM, heads=HEADS)
