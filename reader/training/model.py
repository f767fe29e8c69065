"""The scan model: the stock Qwen3 shape, local attention below the retrieval layer, which is the last. Its blocks serve the answer model, too."""
import json, math
import torch, torch.nn as nn, torch.nn.functional as F

dev = "cuda" if torch.cuda.is_available() else "cpu"


class Cfg:
    def __init__(s, vocab=16384, d=256, layers=3, heads=4, ff=704, theta=10000.0):
        s.vocab, s.d, s.layers, s.heads, s.ff, s.theta = vocab, d, layers, heads, ff, theta
        s.rlayer, s.rheads = layers - 1, heads
        s.hd = d // heads


def rope_tables(T, hd, theta):
    inv = 1.0 / theta ** (torch.arange(0, hd, 2).float() / hd)
    f = torch.outer(torch.arange(T).float(), inv)
    f = torch.cat([f, f], -1)
    return f.cos(), f.sin()


def rot(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


LOCAL = 128


def local_attention(q, k, v, w):
    """Causal attention over the current and the previous block of w positions."""
    B, H, T, D = q.shape
    n = T // w
    qb = q.reshape(B, H, n, w, D)
    def two(x):
        x = x.reshape(B, H, n, w, D)
        return torch.cat([F.pad(x, (0, 0, 0, 0, 1, 0))[:, :, :-1], x], 3)
    i = torch.arange(w, device=q.device)[:, None] + w
    j = torch.arange(2 * w, device=q.device)[None]
    m = (j <= i) & (j > i - w)
    first = torch.arange(n, device=q.device)[:, None, None] > 0
    m = m[None] & (first | (j >= w)[None])
    y = F.scaled_dot_product_attention(qb.transpose(1, 2).reshape(B * n, H, w, D), two(k).transpose(1, 2).reshape(B * n, H, 2 * w, D), two(v).transpose(1, 2).reshape(B * n, H, 2 * w, D), attn_mask=m.repeat(B, 1, 1)[:, None])
    return y.reshape(B, n, H, w, D).transpose(1, 2).reshape(B, H, T, D)


class Block(nn.Module):
    """Pre-norm attention and gated feed-forward layer: causal, over a local window where `local` says so; or over all that `seen` [B, 1, 1, T] allows."""
    def __init__(s, c, local=0):
        super().__init__()
        s.c = c
        s.local = local
        s.n1 = nn.RMSNorm(c.d, eps=1e-5); s.n2 = nn.RMSNorm(c.d, eps=1e-5)
        s.q = nn.Linear(c.d, c.heads * c.hd, bias=False); s.k = nn.Linear(c.d, c.heads * c.hd, bias=False); s.v = nn.Linear(c.d, c.heads * c.hd, bias=False)
        s.qn = nn.RMSNorm(c.hd, eps=1e-5); s.kn = nn.RMSNorm(c.hd, eps=1e-5)
        s.o = nn.Linear(c.heads * c.hd, c.d, bias=False)
        s.g = nn.Linear(c.d, c.ff, bias=False); s.u = nn.Linear(c.d, c.ff, bias=False); s.w = nn.Linear(c.ff, c.d, bias=False)

    def projected(s, x, cos, sin):
        """-> queries, keys, values [B, heads, T, size]."""
        B, T, _ = x.shape
        h = s.n1(x)
        q, k, v = (w(h).view(B, T, s.c.heads, s.c.hd).transpose(1, 2) for w in (s.q, s.k, s.v))
        q, k = s.qn(q), s.kn(k)
        return (q * cos + rot(q) * sin).to(v.dtype), (k * cos + rot(k) * sin).to(v.dtype), v

    def forward(s, x, cos, sin, seen=None, keep=None):
        """-> the states behind it [B, T, width]."""
        B, T, _ = x.shape
        q, k, v = s.projected(x, cos, sin)
        if seen is not None: y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        elif s.local and T > s.local: y = local_attention(q, k, v, s.local)
        else: y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + dropped(s.o(y.transpose(1, 2).reshape(B, T, -1)), keep)
        h = s.n2(x)
        return x + dropped(s.w(F.silu(s.g(h)) * s.u(h)), keep)


def dropped(x, keep):
    """Dropout whose rate is a tensor (`keep`, the share kept), so that a change of it compiles nothing again."""
    return x if keep is None else x * (torch.rand_like(x) < keep) / keep.to(x.dtype)


def initialise(model, layers):
    for n, p in model.named_parameters():
        if p.dim() == 2:
            nn.init.normal_(p, std=(0.02 if n.startswith("emb.") else 0.4 / math.sqrt(p.shape[1])) / (math.sqrt(2 * layers) if n.endswith((".o.weight", ".w.weight")) else 1))


class Reader(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.c = c
        s.emb = nn.Embedding(c.vocab, c.d)
        s.blocks = nn.ModuleList(Block(c, LOCAL if i < c.rlayer else 0) for i in range(c.layers))
        s.nf = nn.RMSNorm(c.d, eps=1e-5)
        initialise(s, c.layers)

    def trunk(s, ids, cos, sin, whole=True):
        """-> states behind the last layer (None unless `whole`: a scan needs none), queries and keys of the retrieval layer [B, heads, T, size]."""
        x = s.emb(ids)
        for b in s.blocks[:-1]:
            x = b(x, cos, sin)
        q, k, _ = s.blocks[-1].projected(x, cos, sin)
        return s.nf(s.blocks[-1](x, cos, sin)) if whole else None, q, k


def retrieval_probs(rq, rk, rows, c):
    """rows: [B, M] row positions (or -1). Returns probs [B, M, T] averaged over the retrieval heads."""
    B, H, T, D = rq.shape
    idx = rows.clamp(min=0)
    q = torch.gather(rq[:, :c.rheads], 2, idx[:, None, :, None].expand(B, c.rheads, idx.shape[1], D))
    k = rk[:, :c.rheads]
    s = (q.float() @ k.float().transpose(-1, -2)) / math.sqrt(D)
    causal = torch.arange(T, device=rq.device)[None, None, :] <= idx[..., None]
    s = s.masked_fill(~causal[:, None], -1e9)
    return s.softmax(-1).mean(1)


HF = {"n1": "input_layernorm", "n2": "post_attention_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "qn": "self_attn.q_norm",
      "kn": "self_attn.k_norm", "o": "self_attn.o_proj", "g": "mlp.gate_proj", "u": "mlp.up_proj", "w": "mlp.down_proj"}
TOP = {"emb.weight": "model.embed_tokens.weight", "up.weight": "model.embed_proj.weight", "nf.weight": "model.norm.weight", "head.weight": "model.head.weight",
       "guess.weight": "guess.weight", "gn.weight": "gn.weight"}   # the last two are in no file: only training has them


def hf_name(k):
    if k in TOP:
        return TOP[k]
    _, i, x, _w = k.split(".")
    return f"model.layers.{i}.{HF[x]}.weight"


def save(model, path, leave=()):
    """bf16 weights under their Hugging Face names; `leave` names what only training needs."""
    from safetensors.torch import save_file
    save_file({hf_name(k): v.detach().to(torch.bfloat16).cpu().contiguous() for k, v in model.state_dict().items() if not k.startswith(tuple(leave))}, path, metadata={"format": "pt"})


def restore(model, path):
    from safetensors.torch import load_file
    sd = load_file(path)
    model.load_state_dict({k: sd[hf_name(k)].float() for k in model.state_dict() if hf_name(k) in sd}, strict=False)
    return model.to(dev).float().eval()


def load_scan(folder):
    """The scan model of a folder of finished files, in float32."""
    c = Cfg(layers=json.load(open(f"{folder}/config.json"))["num_hidden_layers"])
    return restore(Reader(c), f"{folder}/model.safetensors"), c
