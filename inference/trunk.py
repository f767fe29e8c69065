"""The layers below the retrieval layer: fused projections where the family allows, the stock modules otherwise; compiled on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from choose import fastest_attention, one_kernel_pays
from gated import by_row, gated, gated_eight, in_blocks, times
from retrieval import position_tables, sliding_window

FUSABLE = {"llama", "mistral", "qwen2", "qwen3"}


def share(parts: list[nn.Linear], alternate: bool = False) -> tuple[Tensor, Tensor | None]:
    """
    One matrix for several projections, their rows one after the other or in turns; the stock modules become views of it, so nothing is
    held twice.
    """

    def joined(each: list[Tensor]) -> Tensor:
        return torch.stack(each, 1).flatten(0, 1) if alternate else torch.cat(each)

    weight = joined([p.weight.data for p in parts])
    bias = joined([p.bias.data for p in parts]) if parts[0].bias is not None else None
    at = 0
    for n, p in enumerate(parts):
        size = p.weight.shape[0]
        mine = slice(n, None, len(parts)) if alternate else slice(at, at + size)
        p.weight.data = weight[mine]
        if bias is not None:
            p.bias.data = bias[mine]
        at += size
    return weight, bias


@torch.library.custom_op("sluice::add_product", mutates_args={"total"})
def add_product(total: Tensor, x: Tensor, weight: Tensor) -> None:
    """total += x Wᵀ where it lies, in the matmul itself: a compiler alone would write the product and read it again."""
    total.view(-1, total.shape[-1]).addmm_(x.flatten(0, -2), weight.t())


def signed(sin: Tensor) -> Tensor:
    """The first half negated, for `half_turn`."""
    a, b = sin.chunk(2, -1)
    return torch.cat((-a, b), -1)


def half_turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """
    Rotary positions, `sin` signed. Halves that change places are an index to a compiler; halves put together are a tensor to write.
    (`unflatten` would break the graph in torch 2.11.)
    """
    return x * cos + x.view(*x.shape[:-1], 2, -1).flip(-2).flatten(-2) * sin


class FusedLayer(nn.Module):
    """
    A pre-norm decoder layer (Llama, Mistral, Qwen) with one matrix for Q, K and V and one for gate and up. FP8 is for the gated MLP alone:
    seven eighths of the arithmetic, and a fifth of the sentences that FP8 in every matrix would lose. `hidden` is written over.
    `one_kernel`: gate, up and SwiGLU by gated.py.
    """

    def __init__(self, layer: Any, config: Any, fp8: bool = False, one_kernel: bool = False) -> None:
        super().__init__()
        attention = layer.self_attn
        self.norm1, self.norm2 = layer.input_layernorm, layer.post_attention_layernorm
        self.q_norm, self.k_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        self.heads, self.kv, self.dim = config.num_attention_heads, config.num_key_value_heads, attention.head_dim
        self.scaling, self.act = attention.scaling, layer.mlp.act_fn
        self.one_kernel, self.fp8 = one_kernel, fp8
        self.qkv = share([attention.q_proj, attention.k_proj, attention.v_proj])
        self.gate_up = share([layer.mlp.gate_proj, layer.mlp.up_proj], one_kernel)
        self.out, self.down = share([attention.o_proj]), share([layer.mlp.down_proj])
        if fp8:
            self.gate_up_eight = by_row(self.gate_up[0])
            self.down_eight = (in_blocks if one_kernel else by_row)(self.down[0])

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = F.linear(self.norm1(hidden), *self.qkv)
        x = x.view(*x.shape[:-1], -1, self.dim)
        q, k, v = x.split((self.heads, self.kv, self.kv), 2)
        if self.q_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        q, k = half_turn(q, cos[:, None], sin[:, None]), half_turn(k, cos[:, None], sin[:, None])
        a = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=self.scaling, enable_gqa=self.heads != self.kv
        )
        hidden = self.add(hidden, a.transpose(1, 2).flatten(2), *self.out)
        x = self.norm2(hidden)
        if self.fp8:
            return hidden + self.mlp_eight(x.flatten(0, -2)).view(hidden.shape).to(hidden.dtype)
        if self.one_kernel:
            return self.add(hidden, gated(x.flatten(0, -2), self.gate_up[0]), *self.down)
        gate, up = F.linear(x, *self.gate_up).chunk(2, -1)
        return self.add(hidden, self.act(gate) * up, *self.down)

    def mlp_eight(self, x: Tensor) -> Tensor:
        small, scale = by_row(x)
        weight, weight_scale = self.gate_up_eight
        if self.one_kernel:
            y, scale = gated_eight(small, scale, weight, weight_scale)
            out = times(y, scale.t(), *self.down_eight, fast=False)
        else:
            both = times(small, scale, weight, weight_scale.t())
            gate, up = (both if self.gate_up[1] is None else both + self.gate_up[1]).chunk(2, -1)
            weight, weight_scale = self.down_eight
            out = times(*by_row(self.act(gate) * up), weight, weight_scale.t())
        return out if self.down[1] is None else out + self.down[1]

    @staticmethod
    def add(hidden: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        add_product(hidden, x, weight)
        return hidden if bias is None else hidden + bias


class StockLayer(nn.Module):
    """Any other family: the model's own layer."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        out = self.layer(hidden, attention_mask=mask, position_embeddings=(cos, sin), use_cache=False)
        return out[0] if isinstance(out, tuple) else out


class Trunk:
    """Runs the layers below a chosen one over right-padded windows, where the causal mask alone keeps padding out."""

    def __init__(
        self, model: Any, base: Any, fuse: bool = True, compiled: bool = False, fp8: bool = False, one_kernel: bool | None = None
    ) -> None:
        self.base, self.config = base, base.config
        # sdpa has no soft-capping of logits: those models (Gemma 2) run their own eager attention with an explicit mask
        self.eager = getattr(self.config, "attn_logit_softcapping", None) is not None
        model.set_attn_implementation("eager" if self.eager else "sdpa")
        fuse = fuse and self.config.model_type in FUSABLE
        self.fused = fuse
        device, dtype = next(model.parameters()).device, model.dtype
        self.attention = fastest_attention(self.config, device, dtype) if compiled else "default"
        if one_kernel is None:
            one_kernel = fuse and compiled and one_kernel_pays(self.config, device, dtype, fp8)
        self.one_kernel = one_kernel
        self.layers = [FusedLayer(x, self.config, fp8, one_kernel) if fuse else StockLayer(x) for x in base.layers]
        self.step = self.layers
        if compiled:
            import torch._dynamo

            torch._dynamo.config.recompile_limit = 256
            torch._dynamo.config.accumulated_recompile_limit = 4096
            self.step = [torch.compile(x, dynamic=False) for x in self.layers]

    def mask(self, layer: int, hidden: Tensor) -> Tensor | None:
        length, window = hidden.shape[1], sliding_window(self.config, layer)
        if not self.eager and (window is None or length <= window):
            return None
        at = torch.arange(length, device=hidden.device)
        seen = at[:, None] >= at
        if window is not None:
            seen = seen & (at > at[:, None] - window)
        if self.eager:
            return torch.zeros((), dtype=hidden.dtype, device=hidden.device).masked_fill(
                ~seen, torch.finfo(hidden.dtype).min
            )[None, None]
        return seen[None, None]

    def tables(self, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """cos, sin and mask as layer `layer` takes them."""
        cos, sin = position_tables(self.base, hidden, layer)
        return cos, signed(sin) if self.fused else sin, self.mask(layer, hidden)

    def inputs(self, ids: Tensor, layers: list[int]) -> Iterator[Tensor]:
        """The inputs of these layers, given in rising order; none above is computed."""
        hidden = self.base.embed_tokens(ids)
        tables: dict[Any, Any] = {}
        for i in range(layers[-1] + 1):
            if i in layers:
                yield hidden
            if i == layers[-1]:
                return
            kind = sliding_window(self.config, i)
            if kind not in tables:
                tables[kind] = self.tables(i, hidden)
            hidden = self.step[i](hidden, *tables[kind])
