"""The exported graphs in PyTorch, many windows at a time: int8 as reader/export/layers.ts writes it and onnxruntime runs it.

Weights have one symmetric int8 scale a column, the norm before them folded in, and the embedding one a row. Of activations each row is
brought to its own maximum, then the whole is uint8 with one scale, which is 2/255 around 127 as soon as some row has its maximum above zero
and some below. Sums of integer products are exact. Attention of the local layers is in half precision here and in single precision there.
"""
import json, math
import torch, torch.nn.functional as F

dev = "cuda" if torch.cuda.is_available() else "cpu"
half = torch.float16 if dev == "cuda" else torch.float32

STEPS = 127.49999   # from 0 to a row's maximum: 255 / 2 in float32


def weights(path):
    from safetensors.torch import load_file
    return {k: v.float().to(dev) for k, v in load_file(path).items()}


class Linear:
    """x [..., inputs] -> [..., outputs], int8 times uint8."""

    def __init__(s, matrices, norm=None):
        w = torch.cat(matrices)
        if norm is not None:
            w = w * norm
        scale = w.abs().amax(1) / 127
        s.scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        s.q = (w / s.scale[:, None]).round().to(torch.int8).contiguous()

    def __call__(s, x):
        largest = x.abs().amax(-1, keepdim=True).clamp_min(1e-9)
        q = (x / largest * STEPS).round()
        rows = q.reshape(-1, x.shape[-1])
        product = torch._int_mm(rows.to(torch.int8), s.q.t()).float() if dev == "cuda" else rows @ s.q.float().t()
        return product.view(*x.shape[:-1], -1) * s.scale * (largest / STEPS)


class Embedding:
    """ids -> rows; each row has its own int8 scale."""

    def __init__(s, w):
        scale = w.abs().amax(1, keepdim=True) / 127
        s.w = (w / torch.where(scale > 0, scale, torch.ones_like(scale))).round() * scale

    def __call__(s, ids):
        return s.w[ids]


def norm(x, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Shape:
    """Sizes of one model and its rotary tables."""

    def __init__(s, width, heads, size, eps, theta, longest):
        s.width, s.heads, s.size, s.eps = width, heads, size, eps
        angle = torch.outer(torch.arange(longest).float(), 1 / theta ** (torch.arange(0, size, 2).float() / size))
        s.cos, s.sin = angle.cos().to(dev), angle.sin().to(dev)


class Layer:
    """One layer with its residuals: x [B, T, width] -> the same. `attend(q, k, v)` takes and gives [B, heads, T, size]."""

    def __init__(s, w, at, shape, attend):
        s.shape, s.attend = shape, attend
        p = lambda name: w[f"{at}.{name}.weight"]
        s.qkv = Linear([p(f"self_attn.{x}_proj") for x in "qkv"], p("input_layernorm"))
        s.qn, s.kn = p("self_attn.q_norm") / math.sqrt(shape.size), p("self_attn.k_norm")
        s.o = Linear([p("self_attn.o_proj")])
        s.both = Linear([p("mlp.gate_proj"), p("mlp.up_proj")], p("post_attention_layernorm"))
        s.down = Linear([p("mlp.down_proj")])

    def __call__(s, x):
        B, T, _ = x.shape
        h, cos, sin = s.shape, s.shape.cos[:T], s.shape.sin[:T]
        q, k, v = s.qkv(norm(x, h.eps)).view(B, T, 3, h.heads, h.size).permute(2, 0, 3, 1, 4)
        q = rotate(norm(q, h.eps) * s.qn, cos, sin).to(half)
        k = rotate(norm(k, h.eps) * s.kn, cos, sin).to(half)
        y = s.attend(q, k, v.to(half)).float()
        x = x + s.o(y.transpose(1, 2).reshape(B, T, -1))
        gate, up = s.both(norm(x, h.eps)).chunk(2, -1)
        return x + s.down(F.silu(gate) * up)


class Scan:
    """Layers below the retrieval layer, then its keys and queries in float32."""

    def __init__(s, folder, longest=1024):
        c = json.load(open(f"{folder}/config.json"))
        r = c["reader"]
        w = weights(f"{folder}/model.safetensors")
        s.window = r["local_window"]
        s.shape = Shape(c["hidden_size"], c["num_attention_heads"], c["head_dim"], c["rms_norm_eps"], c["rope_theta"], longest)
        s.embed = Embedding(w["model.embed_tokens.weight"])
        s.layers = [Layer(w, f"model.layers.{i}", s.shape, s.local) for i in range(r["retrieval_layer"])]
        assert r["local_layers"] == list(range(r["retrieval_layer"])) and r["retrieval_heads"] == list(range(s.shape.heads))
        at = f"model.layers.{r['retrieval_layer']}"
        fold = w[f"{at}.input_layernorm.weight"]
        s.wq, s.wk = (w[f"{at}.self_attn.{x}_proj.weight"] * fold for x in "qk")
        s.qn, s.kn = w[f"{at}.self_attn.q_norm.weight"] / math.sqrt(s.shape.size), w[f"{at}.self_attn.k_norm.weight"]
        n, b = longest // s.window, s.window
        i, j = torch.arange(b)[:, None] + b, torch.arange(2 * b)[None]
        near = (j <= i) & (j > i - b)
        first = near & (j >= b)
        # [1, blocks * heads, b, 2b]: the blocks of a window are taken for heads, so that one mask serves the whole batch.
        s.mask = torch.stack([first] + [near] * (n - 1)).repeat_interleave(s.shape.heads, 0)[None].to(dev)

    def local(s, q, k, v):
        """Causal attention over the `window` positions up to each: blocks of that size, each beside the block before it."""
        B, H, T, D = q.shape
        b = s.window
        n = T // b
        blocks = lambda x: x.reshape(B, H, n, b, D).transpose(1, 2)
        before = lambda x: torch.cat([F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1], x], 3).reshape(B, n * H, 2 * b, D)
        y = F.scaled_dot_product_attention(
            blocks(q).reshape(B, n * H, b, D), before(blocks(k)), before(blocks(v)), attn_mask=s.mask[:, :n * H], scale=1.0)
        return y.view(B, n, H, b, D).transpose(1, 2).reshape(B, H, T, D)

    def __call__(s, ids, rows):
        """ids [B, T] padded with 0, T a multiple of the local window; rows [B, R] positions of the question's rows, -1 behind the last.
        -> importance [B, T]: attention of the retrieval layer, mean over heads and rows."""
        B, T = ids.shape
        R, h = rows.shape[1], s.shape
        x = s.embed(ids)
        for layer in s.layers:
            x = layer(x)
        x = norm(x, h.eps)
        at = rows.clamp(min=0)
        asked = torch.gather(x, 1, at[..., None].expand(B, R, h.width))
        k = norm((x @ s.wk.t()).view(B, T, h.heads, h.size), h.eps) * s.kn
        k = rotate(k.transpose(1, 2), h.cos[:T], h.sin[:T])
        q = norm((asked @ s.wq.t()).view(B, R, h.heads, h.size), h.eps) * s.qn
        q = rotate(q.transpose(1, 2), h.cos[at][:, None], h.sin[at][:, None])
        later = torch.arange(T, device=ids.device)[None, None] > at[..., None]
        p = (q @ k.transpose(-1, -2)).masked_fill(later[:, None], -1e9).softmax(-1).mean(1)
        real = (rows >= 0).float()
        return (p * real[..., None]).sum(1) / real.sum(1, keepdim=True).clamp_min(1)


class Answer:
    """The bidirectional encoder: ids [B, T] and mask [B, T] (true where there is a token) -> logits [B, T, 3]: start, end, evidence."""

    def __init__(s, folder):
        c = json.load(open(f"{folder}/config.json"))["reader"]["answer_model"]
        w = weights(f"{folder}/answer.safetensors")
        s.longest = c["max_tokens"]
        s.shape = Shape(c["hidden_size"], c["num_attention_heads"], c["head_dim"], c["rms_norm_eps"], c["rope_theta"], s.longest)
        s.embed, s.project = Embedding(w["model.embed_tokens.weight"]), Linear([w["model.embed_proj.weight"]])
        s.layers = [Layer(w, f"model.layers.{i}", s.shape, s.attend) for i in range(c["num_hidden_layers"])]
        s.norm, s.head = w["model.norm.weight"], w["model.head.weight"]

    def attend(s, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=s.mask, scale=1.0)

    def __call__(s, ids, mask):
        s.mask = mask[:, None, None]
        x = s.project(s.embed(ids))
        for layer in s.layers:
            x = layer(x)
        return norm(x, s.shape.eps) * s.norm @ s.head.t()
