"""Train the reader: LM + answer loss + retrieval loss on the question rows of one layer's attention."""
import json, math, os, sys, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

torch.set_float32_matmul_precision("high")
dev = "cuda" if torch.cuda.is_available() else "cpu"
END = int(os.environ.get("END", 0))   # 0: the end pointer sits on the last token of the answer; 1 (an experiment): on the one after it
SMOKE = bool(os.environ.get("SMOKE"))


class Cfg:
    def __init__(s, vocab=16384, d=256, layers=6, heads=4, kv=4, ff=704, theta=10000.0, rlayer=2, rheads=4):
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


def lm_loss(h, w, tgt, m):
    ce = F.cross_entropy(F.linear(h, w).float().view(-1, w.shape[0]), tgt.view(-1), reduction="none").view(tgt.shape)
    return (ce * m).sum() / m.sum().clamp(min=1)


def losses(model, batch, cos, sin, c, lm_share=1, lm_fn=lm_loss):
    ids, key, meta = batch
    B, T = ids.shape
    row0, nrow, ps, pe, n, cs, haspan = meta.unbind(1)
    h, rq, rk = model.trunk(ids, cos[:T], sin[:T])
    pos = torch.arange(T, device=ids.device)[None]
    tgt = torch.roll(ids, -1, 1)
    cend = torch.where(nrow > 0, row0, n)
    m = (pos >= cs[:, None] - 1) & (pos < cend[:, None] - 1)
    L = max(1, B // lm_share)
    lm = lm_fn(h[:L], model.emb.weight, tgt[:L], m[:L])
    M = 60
    off = torch.arange(M, device=ids.device)[None]
    rows = torch.where(off < nrow[:, None], row0[:, None] + off, -1)
    p = retrieval_probs(rq, rk, rows, c)
    rm = (rows >= 0).float()
    hasq = (nrow > 0).float()
    lastrow = (nrow - 1).clamp(min=0)
    last = p[torch.arange(B, device=ids.device), lastrow]
    pooled = (p * rm[..., None]).sum(1) / rm.sum(1).clamp(min=1)[:, None]
    g = key.float()
    cnt = hasq.sum().clamp(min=1)
    rp = (-((pooled * g).sum(1) + 1e-6).log() * hasq).sum() / cnt
    rl = (-((last * g).sum(1) + 1e-6).log() * hasq).sum() / cnt
    lg = pointers(model, h, (n - 1).clamp(min=0))
    ok = (pos >= cs[:, None]) & (pos < cend[:, None]) | (pos == 0)
    ok = torch.stack([ok, ok | (pos == cend[:, None])], 1) if END else ok[:, None]
    lg = lg.masked_fill(~ok, -1e9)
    pe = pe + END * (pe > 0)
    hs = (haspan > 0).float() * hasq
    pl = ((F.cross_entropy(lg[:, 0], ps, reduction="none") + F.cross_entropy(lg[:, 1], pe, reduction="none")) * hs).sum() / hs.sum().clamp(min=1)
    return lm, pl, rp, rl


class Muon:
    """Momentum orthogonalised by Newton-Schulz, one batch per matrix shape."""
    def __init__(s, params, lr, mom=0.95, wd=0.05):
        s.lr = s.lr0 = lr; s.mom, s.wd = mom, wd
        s.groups = {}
        for p in params: s.groups.setdefault(tuple(p.shape), []).append(p)
        s.buf = {k: torch.zeros(len(v), *k, device=dev) for k, v in s.groups.items()}

    @torch.no_grad()
    def step(s):
        for k, ps in s.groups.items():
            g = torch.stack([p.grad for p in ps]).float()
            b = s.buf[k]; b.lerp_(g, 1 - s.mom); u = g.lerp(b, s.mom).bfloat16()
            t = k[0] > k[1]
            if t: u = u.transpose(1, 2)
            x = u / (u.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):
                a = x @ x.transpose(1, 2); x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            if t: x = x.transpose(1, 2)
            sc = s.lr * max(1, k[0] / k[1]) ** 0.5
            for p, d in zip(ps, x): p.mul_(1 - s.lr * s.wd).add_(d.to(p.dtype), alpha=-sc)


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


def main():
    import build, random, shutil
    from multiprocessing import Pool
    t0 = time.time()
    root = os.environ["DATA"]; out = os.environ["OUT"]
    os.makedirs(out, exist_ok=True)
    logf = open(f"{out}/train.log", "w")
    def log(*a):
        s = f"[{time.time()-t0:6.1f}] " + " ".join(map(str, a))
        print(s, flush=True); logf.write(s + "\n"); logf.flush()
    stop = float(os.environ.get("STOP", 480))   # seconds from the start of the script to the end of training
    B = int(os.environ.get("B", 256)); lr = float(os.environ.get("LR", 3e-3)); npool = int(os.environ.get("POOL", 400000))
    docs = build.load(root)
    if SMOKE: docs = docs[::4]
    log("docs", len(docs), "MB", sum(map(len, docs)) / 1e6)
    tp, init = f"{out}/tokenizer.json", os.environ.get("INIT")   # INIT: a finished model to go on from
    if init:
        from tokenizers import Tokenizer
        shutil.copy(f"{init}/tokenizer.json", tp); tok = Tokenizer.from_file(tp)
    else:
        rs = random.Random(0); sm = docs[:]; rs.shuffle(sm)
        acc, take = 0, []
        for d in sm:
            take.append(d); acc += len(d)
            if acc > 40e6: break
        import glob
        qtext, ctxs = [], set()
        for p in sorted(glob.glob(f"{root}/qa/*.jsonl*")):
            if "babi" in p: continue
            for l in build.read(p).splitlines()[::20 if SMOKE else 1]:
                r = json.loads(l); qtext.append(r["question"]); ctxs.add(r["context"])
        tok = build.train_tokenizer(take + qtext + sorted(ctxs))
        tok.save(tp)
    log("tokenizer", tok.get_vocab_size())
    shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "config.json"), f"{out}/config.json")
    build.G.update(tok=tok, p_qa=float(os.environ.get("PQA", 0.47)), p_none=float(os.environ.get("PNONE", 0.30)))
    build.G["corpus"] = build.Corpus(tok, docs, 2 if SMOKE else 16)
    log("sentences", build.G["corpus"].n, "tokens", sum(map(len, build.G["corpus"].ids)))
    build.G["qa"] = build.load_qa(root, tok)
    log("questions", {k: len(v) for k, v in build.G["qa"]["groups"].items()}, "passages", len(build.G["qa"]["ids"]))
    sizes = {512: 0.5, 1024: 0.5} if init else {256: 0.35, 512: 0.35, 1024: 0.30}
    workers = Pool(2 if SMOKE else 14)   # before the first use of the device
    jobs = {z: build.pool_samples(workers, int(npool * share * 1024 / z), z, per=50 if SMOKE else 500) for z, share in sizes.items()}
    c = Cfg(vocab=build.VOCAB)
    torch.manual_seed(0)
    if init:
        import golden
        model, c = golden.load(init)
        model.train()
    else:
        model = Reader(c).to(dev)
    log("params", sum(p.numel() for p in model.parameters()) / 1e6)
    cos, sin = [t.to(dev) for t in rope_tables(build.T, c.hd, c.theta)]
    hidden = [p for n, p in model.blocks.named_parameters() if p.dim() == 2]
    other = [p for n, p in model.named_parameters() if not any(p is h for h in hidden)]
    muon = Muon(hidden, lr=float(os.environ.get("MLR", 0.02)))
    opt = torch.optim.AdamW(other, lr=lr, betas=(0.9, 0.95), weight_decay=0.0, fused=dev == "cuda")
    tokens = B * build.T
    fn = lm_loss
    if not SMOKE:
        model.trunk = torch.compile(model.trunk, dynamic=False)
        fn = torch.compile(lm_loss, dynamic=False)

    def step_loss(batch, ph, share):
        with torch.autocast(dev, torch.bfloat16):
            lm, an, rp, rl = losses(model, batch, cos, sin, c, share, fn)
        return (1 - 0.5 * ph) * lm + (0.02 + 0.18 * ph) * an + (0.1 + 0.35 * ph) * rp + 0.05 * rl, lm, an, rp, rl

    def zero():
        opt.zero_grad(set_to_none=True)
        for p in hidden: p.grad = None

    for z in sizes:   # compile every shape on made-up windows while the real ones are being built
        bz = tokens // z
        meta = torch.tensor([[z - 20, 20, 5, 6, z, 1, 1]], device=dev).repeat(bz, 1)
        for share in ((2,) if init else (1, 2)):
            step_loss((torch.randint(10, build.VOCAB, (bz, z), device=dev), torch.ones(bz, z, dtype=torch.uint8, device=dev), meta), 0.0, share)[0].backward()
            zero()
        log("compiled", z)
    pools = {}
    for z in sizes:
        O, K, Mt = build.join(jobs[z].get())
        assert not SMOKE or (Mt[:, 4] <= z).all()
        none = (Mt[:, 1] > 0) & (K[:, 0] == 1)
        log("pool", O.shape, "fill", round(float(Mt[:, 4].mean() / z), 3), "spans", round(float((Mt[:, 6] > 0).mean()), 3), "without answer", round(float(none.mean()), 3))
        pools[z] = [torch.from_numpy(x.astype(np.int16) if x.dtype == np.uint16 else x).to(dev) for x in (O, K, Mt)]
    workers.terminate()
    begin = time.time(); budget = max(stop - (begin - t0), 10 if SMOKE else 60); step = 0
    rz = random.Random(0); order = {z: None for z in sizes}; at = {z: 0 for z in sizes}; ema = {}
    while True:
        el = time.time() - begin
        if el > budget: break
        prog = el / budget
        hold = 0.1 if init else 0.4
        f = min(1, (step + 1) / 100) * (1 if prog < hold else max(0.01, 1 - (prog - hold) / (1 - hold)))
        for g in opt.param_groups: g["lr"] = lr * f
        muon.lr = muon.lr0 * f
        z = rz.choices(list(sizes), list(sizes.values()))[0]
        n = pools[z][0].shape[0]; bz = min(tokens // z, n)
        if order[z] is None or at[z] + bz > n: order[z] = torch.randperm(n, device=dev); at[z] = 0
        ix = order[z][at[z]:at[z] + bz]; at[z] += bz
        batch = [(pools[z][0][ix].long() & 0xFFFF), pools[z][1][ix], pools[z][2][ix].long()]
        loss, lm, an, rp, rl = step_loss(batch, 1.0 if init else min(1.0, prog / 0.5), 1 if prog < 0.35 and not init else 2)
        zero()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(other, 1.0)
        opt.step(); muon.step()
        step += 1
        if step % 25 == 0 or SMOKE:
            for k_, v_ in (("lm", lm), ("span", an), ("retrieval", rp), ("last", rl)):
                v_ = v_.item()
                assert math.isfinite(v_), k_
                ema[k_] = v_ if k_ not in ema else 0.8 * ema[k_] + 0.2 * v_
        if step % 200 == 0 or SMOKE:
            log(f"step {step} " + " ".join(f"{k_} {v_:.3f}" for k_, v_ in ema.items()) + f" lr {f:.2f} {step*tokens/(time.time()-begin)/1e6:.2f}M tok/s")
    log("trained", step, "steps,", round(step * tokens / 1e9, 3), "billion tokens,", round(time.time() - begin), "s")
    save(model, out)
    log("saved")
    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})   # what is measured is what ships
    if "trunk" in model.__dict__: del model.__dict__["trunk"]
    import evaluate, golden
    golden.run(model, c, tok, out, log)
    evaluate.run(model, c, tok, root, log)


if __name__ == "__main__":
    main()
