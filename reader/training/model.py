"""The reader: the stock Qwen3 shape with local attention below the retrieval layer, and two pointers for the answer."""
import math
import torch, torch.nn as nn, torch.nn.functional as F

dev = "cuda" if torch.cuda.is_available() else "cpu"


class Cfg:
    def __init__(s, vocab=16384, d=256, layers=8, heads=4, kv=4, ff=704, theta=10000.0, rlayer=2, rheads=4):
        s.vocab, s.d, s.layers, s.heads, s.kv, s.ff, s.theta, s.rlayer, s.rheads = vocab, d, layers, heads, kv, ff, theta, rlayer, rheads
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
END = 1   # the end pointer sits on the token after the answer: a causal state cannot know at a token that it is the last one


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
    def __init__(s, c, local=0):
        super().__init__()
        s.c = c
        s.local = local
        s.n1 = nn.RMSNorm(c.d, eps=1e-5); s.n2 = nn.RMSNorm(c.d, eps=1e-5)
        s.q = nn.Linear(c.d, c.heads * c.hd, bias=False); s.k = nn.Linear(c.d, c.kv * c.hd, bias=False); s.v = nn.Linear(c.d, c.kv * c.hd, bias=False)
        s.qn = nn.RMSNorm(c.hd, eps=1e-5); s.kn = nn.RMSNorm(c.hd, eps=1e-5)
        s.o = nn.Linear(c.heads * c.hd, c.d, bias=False)
        s.g = nn.Linear(c.d, c.ff, bias=False); s.u = nn.Linear(c.d, c.ff, bias=False); s.w = nn.Linear(c.ff, c.d, bias=False)

    def forward(s, x, cos, sin):
        B, T, _ = x.shape
        h = s.n1(x)
        q = s.q(h).view(B, T, s.c.heads, s.c.hd).transpose(1, 2)
        k = s.k(h).view(B, T, s.c.kv, s.c.hd).transpose(1, 2)
        v = s.v(h).view(B, T, s.c.kv, s.c.hd).transpose(1, 2)
        q, k = s.qn(q), s.kn(k)
        q = (q * cos + rot(q) * sin).to(v.dtype); k = (k * cos + rot(k) * sin).to(v.dtype)
        y = local_attention(q, k, v, s.local) if s.local and T > s.local else F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=s.c.heads != s.c.kv)
        x = x + s.o(y.transpose(1, 2).reshape(B, T, -1))
        h = s.n2(x)
        return x + s.w(F.silu(s.g(h)) * s.u(h)), q, k


class Reader(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.c = c
        s.emb = nn.Embedding(c.vocab, c.d)
        s.blocks = nn.ModuleList(Block(c, LOCAL if i < c.rlayer else 0) for i in range(c.layers))
        s.nf = nn.RMSNorm(c.d, eps=1e-5)
        s.pq = nn.Linear(c.d, 2 * c.d, bias=False); s.pk = nn.Linear(c.d, c.d, bias=False)
        for n, p in s.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=(0.02 if 'emb' in n else 0.4 / math.sqrt(p.shape[1])) / (math.sqrt(2 * c.layers) if n.endswith(("o.weight", "w.weight")) else 1))

    def trunk(s, ids, cos, sin):
        x = s.emb(ids)
        rq = rk = None
        for i, b in enumerate(s.blocks):
            x, q, k = b(x, cos, sin)
            if i == s.c.rlayer:
                rq, rk = q, k
        return s.nf(x), rq, rk


def retrieval_probs(rq, rk, rows, c):
    """rows: [B, M] row positions (or -1). Returns probs [B, M, T] averaged over the retrieval heads."""
    B, H, T, D = rq.shape
    idx = rows.clamp(min=0)
    q = torch.gather(rq[:, :c.rheads], 2, idx[:, None, :, None].expand(B, c.rheads, idx.shape[1], D))
    k = rk
    if c.kv != c.heads:
        k = k.repeat_interleave(c.heads // c.kv, 1)
    k = k[:, :c.rheads]
    s = (q.float() @ k.float().transpose(-1, -2)) / math.sqrt(D)
    causal = torch.arange(T, device=rq.device)[None, None, :] <= idx[..., None]
    s = s.masked_fill(~causal[:, None], -1e9)
    return s.softmax(-1).mean(1)


def pointers(model, h, last):
    """start/end logits over positions: [B, 2, T]."""
    B, T, d = h.shape
    q = model.pq(h[torch.arange(B, device=h.device), last]).view(B, 2, d)
    return (q.float() @ model.pk(h).float().transpose(1, 2)) / math.sqrt(d)


HF = {"n1": "input_layernorm", "n2": "post_attention_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "qn": "self_attn.q_norm",
      "kn": "self_attn.k_norm", "o": "self_attn.o_proj", "g": "mlp.gate_proj", "u": "mlp.up_proj", "w": "mlp.down_proj"}
TOP = {"emb.weight": "model.embed_tokens.weight", "nf.weight": "model.norm.weight", "pq.weight": "span.query.weight", "pk.weight": "span.key.weight"}


def hf_name(k):
    if k in TOP:
        return TOP[k]
    _, i, x, _w = k.split(".")
    return f"model.layers.{i}.{HF[x]}.weight"


def save(model, out):
    """bf16 weights under their Hugging Face names, in two files: the embedding and the rest (join.py makes one of them)."""
    from safetensors.torch import save_file
    sd = {hf_name(k): v.detach().to(torch.bfloat16).cpu().contiguous() for k, v in model.state_dict().items()}
    emb = {k: sd.pop(k) for k in ["model.embed_tokens.weight"]}
    save_file(emb, f"{out}/embedding.safetensors", metadata={"format": "pt"})
    save_file(sd, f"{out}/layers.safetensors", metadata={"format": "pt"})


def load(folder):
    """The model of a folder of finished files, in float32."""
    import json
    from safetensors.torch import load_file
    sd = load_file(f"{folder}/model.safetensors")
    config = json.load(open(f"{folder}/config.json"))
    c = Cfg(layers=config["num_hidden_layers"]); m = Reader(c)
    m.load_state_dict({k: sd[hf_name(k)].float() for k in m.state_dict()})
    return m.to(dev).float().eval(), c
