"""The layers below the retrieval layer: fused projections where the family allows, the stock modules otherwise; compiled on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval import position_tables, sliding_window

FUSABLE = {"llama", "mistral", "qwen2", "qwen3"}


def share(parts: list[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """One matrix for several projections; the stock modules become views of it, so nothing is held twice."""
    weight = torch.cat([p.weight.data for p in parts])
    bias = torch.cat([p.bias.data for p in parts]) if parts[0].bias is not None else None
    at = 0
    for p in parts:
        size = p.weight.shape[0]
        p.weight.data = weight[at : at + size]
        if bias is not None:
            p.bias.data = bias[at : at + size]
        at += size
    return weight, bias


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """FP8 (e4m3) with a scale for each output channel."""
    scale = weight.float().abs().amax(1, keepdim=True).clamp(min=1e-12) / 448
    return (weight.float() / scale).to(torch.float8_e4m3fn), scale.t().contiguous()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, eight: tuple[Tensor, Tensor] | None) -> Tensor:
    """x Wᵀ + b, in FP8 where `eight` holds the quantized weight: each row of x then gets its own scale too."""
    if eight is None:
        return F.linear(x, weight, bias)
    flat = x.flatten(0, -2)
    scale = flat.float().abs().amax(1, keepdim=True).clamp(min=1e-12) / 448
    small = (flat.float() / scale).to(torch.float8_e4m3fn)
    out = torch._scaled_mm(small, eight[0].t(), scale_a=scale, scale_b=eight[1], out_dtype=torch.bfloat16, use_fast_accum=True)
    out = out.to(x.dtype).unflatten(0, x.shape[:-1])
    return out if bias is None else out + bias


@torch.library.custom_op("sluice::add_product", mutates_args={"total"})
def add_product(total: Tensor, x: Tensor, weight: Tensor) -> None:
    """total += x Wᵀ where it lies, in the matmul itself: a compiler alone would write the product and read it again."""
    total.view(-1, total.shape[-1]).addmm_(x.flatten(0, -2), weight.t())


def signed(sin: Tensor) -> Tensor:
    """The first half negated, for `half_turn`."""
    a, b = sin.chunk(2, -1)
    return torch.cat((-a, b), -1)


def half_turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions, `sin` signed. Halves that change places are an index to a compiler; halves put together are a tensor to write."""
    return x * cos + x.unflatten(-1, (2, -1)).flip(-2).flatten(-2) * sin


class FusedLayer(nn.Module):
    """
    A pre-norm decoder layer (Llama, Mistral, Qwen) with one matrix for Q, K and V and one for gate and up. FP8 is for the gated MLP alone:
    seven eighths of the arithmetic, and a fifth of the sentences that FP8 in every matrix would lose.
    """

    def __init__(self, layer: Any, config: Any, fp8: bool = False) -> None:
        super().__init__()
        attention = layer.self_attn
        self.norm1, self.norm2 = layer.input_layernorm, layer.post_attention_layernorm
        self.q_norm, self.k_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        self.heads, self.kv, self.dim = config.num_attention_heads, config.num_key_value_heads, attention.head_dim
        self.scaling, self.act = attention.scaling, layer.mlp.act_fn
        self.qkv = share([attention.q_proj, attention.k_proj, attention.v_proj])
        self.gate_up = share([layer.mlp.gate_proj, layer.mlp.up_proj])
        self.out, self.down = share([attention.o_proj]), share([layer.mlp.down_proj])
        self.eight = [quantize(m[0]) if fp8 else None for m in (self.gate_up, self.down)]

    def forward(self, hidden: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = F.linear(self.norm1(hidden), *self.qkv).unflatten(-1, (-1, self.dim))
        q, k, v = x.split((self.heads, self.kv, self.kv), 2)
        if self.q_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        q, k = half_turn(q, cos[:, None], sin[:, None]), half_turn(k, cos[:, None], sin[:, None])
        a = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=self.scaling, enable_gqa=self.heads != self.kv
        )
        hidden = self.add(hidden, a.transpose(1, 2).flatten(2), *self.out)
        gate, up = linear(self.norm2(hidden), *self.gate_up, self.eight[0]).chunk(2, -1)
        if self.eight[1] is None:
            return self.add(hidden, self.act(gate) * up, *self.down)
        return hidden + linear(self.act(gate) * up, *self.down, self.eight[1])

    @staticmethod
    def add(hidden: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The residual; `hidden` is written over."""
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


def fastest_attention(config: Any, device: torch.device, dtype: torch.dtype) -> str:
    """Times cuDNN's attention against the flash kernel on the model's shape, once, and leaves the faster one on."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    heads, dim = config.num_attention_heads, getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    q = torch.randn(8, 1536, heads, dim, device=device, dtype=dtype).transpose(1, 2)
    k = torch.randn(8, 1536, config.num_key_value_heads, dim, device=device, dtype=dtype).transpose(1, 2)
    times: dict[str, float] = {}
    for name, backend in (("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION)):
        try:
            with sdpa_kernel(backend), torch.inference_mode():
                for i in range(13):
                    if i == 3:
                        torch.cuda.synchronize()
                        start = torch.cuda.Event(enable_timing=True)
                        start.record()
                    F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True)
                end = torch.cuda.Event(enable_timing=True)
                end.record()
                torch.cuda.synchronize()
                times[name] = start.elapsed_time(end) / 10
        except RuntimeError:
            continue
    best = min(times, key=times.get) if times else "flash"  # type: ignore[arg-type]
    torch.backends.cuda.enable_flash_sdp(best == "flash")
    torch.backends.cuda.enable_cudnn_sdp(best == "cudnn")
    return best


class Trunk:
    """Runs the layers below a chosen one over right-padded windows, where the causal mask alone keeps padding out."""

    def __init__(self, model: Any, base: Any, fuse: bool = True, compiled: bool = False, fp8: bool = False) -> None:
        self.base, self.config = base, base.config
        # sdpa has no soft-capping of logits: those models (Gemma 2) run their own eager attention with an explicit mask
        self.eager = getattr(self.config, "attn_logit_softcapping", None) is not None
        model.set_attn_implementation("eager" if self.eager else "sdpa")
        fuse = fuse and self.config.model_type in FUSABLE
        self.fused = fuse
        self.layers = [FusedLayer(x, self.config, fp8) if fuse else StockLayer(x) for x in base.layers]
        self.step = self.layers
        self.attention = "default"
        if compiled:
            self.attention = fastest_attention(self.config, next(model.parameters()).device, model.dtype)
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
