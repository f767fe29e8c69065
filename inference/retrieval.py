"""The retrieval layer: K of every position, Q of the question rows, a softmax over everything before them, and nothing else."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor


def decoder(model: Any) -> Any:
    """The stack of decoder layers inside a causal model, also where it sits in a multimodal shell."""
    base = getattr(model, "model", model)
    return getattr(base, "language_model", base)


def sliding_window(config: Any, layer: int) -> int | None:
    size = getattr(config, "sliding_window", None)
    types = getattr(config, "layer_types", None)
    if not size or (types and types[layer] != "sliding_attention"):
        return None
    if types is None and getattr(config, "use_sliding_window", True) is False:
        return None
    return size


def position_tables(base: Any, hidden: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """cos and sin of every position from the model's own rotary embedding (per layer type where the model has several)."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    try:
        return base.rotary_emb(hidden, positions)
    except (TypeError, AttributeError):
        return base.rotary_emb(hidden, positions, base.config.layer_types[layer])


def rotate(attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The architecture's own rotary function; dimensions beyond the rotary ones pass."""
    apply = getattr(sys.modules[type(attention).__module__], "apply_rotary_pos_emb")
    turned = cos.shape[-1]
    out, _ = apply(x[..., :turned], x[:, :1, :, :turned], cos, sin)
    return out if turned == x.shape[-1] else torch.cat((out, x[..., turned:]), -1)


def projections(attention: Any, config: Any, x_rows: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Q of the question rows and K of all positions, before RoPE: [batch, heads, tokens, head_dim]."""
    dim = attention.head_dim
    if hasattr(attention, "qkv_proj"):
        wide = config.num_attention_heads * dim
        narrow = config.num_key_value_heads * dim
        weight, bias = attention.qkv_proj.weight, attention.qkv_proj.bias
        q = torch.nn.functional.linear(x_rows, weight[:wide], None if bias is None else bias[:wide])
        k = torch.nn.functional.linear(x, weight[wide : wide + narrow], None if bias is None else bias[wide : wide + narrow])
    else:
        q, k = attention.q_proj(x_rows), attention.k_proj(x)
    q, k = q.view(*q.shape[:-1], -1, dim), k.view(*k.shape[:-1], -1, dim)
    for name in ("q_norm", "q_layernorm"):
        if getattr(attention, name, None) is not None:
            q, k = getattr(attention, name)(q), getattr(attention, "k" + name[1:])(k)
    return q.transpose(1, 2), k.transpose(1, 2)


def row_attention(
    layer: Any, config: Any, window: int | None, hidden: Tensor, rows: Tensor, cos: Tensor, sin: Tensor, heads: Tensor | None
) -> Tensor:
    """
    Attention of the rows (positions [batch, R]) in the layer: [batch, heads, R, T], float32. Padding lies right of every row, so the
    causal mask hides it too. `window`: the layer's sliding window, where it has one (its number would compile anew for each layer).
    """
    attention = layer.self_attn
    x = layer.input_layernorm(hidden)
    x_rows = x.gather(1, rows[..., None].expand(-1, -1, x.shape[-1]))
    q, k = projections(attention, config, x_rows, x)
    k = rotate(attention, k, cos, sin)
    q = rotate(attention, q, cos[0][rows], sin[0][rows])
    groups = q.shape[1] // k.shape[1]
    if heads is not None:
        q, k = q[:, heads], k[:, heads // groups]
        scores = q @ k.transpose(-1, -2)
    else:
        batch, count, length, dim = q.shape
        stacked = q.reshape(batch, count // groups, groups * length, dim)
        scores = (stacked @ k.transpose(-1, -2)).view(batch, count, length, -1)
    scores = scores.float() * getattr(attention, "scaling", attention.head_dim**-0.5)
    cap = getattr(attention, "attn_logit_softcapping", None)
    if cap is not None:
        scores = torch.tanh(scores / cap) * cap
    columns = torch.arange(hidden.shape[1], device=hidden.device)
    hidden_from = columns > rows[..., None]
    if window is not None:
        hidden_from = hidden_from | (columns <= rows[..., None] - window)
    return scores.masked_fill(hidden_from[:, None], float("-inf")).softmax(-1)


def row_importance(
    layer: Any, config: Any, window: int | None, hidden: Tensor, rows: Tensor, valid: Tensor, cos: Tensor, sin: Tensor,
    heads: Tensor | None,
) -> Tensor:
    """The rows' attention summed over heads and valid rows: [batch, T]."""
    probabilities = row_attention(layer, config, window, hidden, rows, cos, sin, heads)
    return torch.einsum("bhrt,br->bt", probabilities, valid)
