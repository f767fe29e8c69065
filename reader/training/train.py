"""Train the reader: LM + answer loss + retrieval loss on the question rows of one layer's attention."""
import json, math, os, sys, time
import numpy as np, torch, torch.nn.functional as F
from model import END, Cfg, Reader, dev, load, pointers, retrieval_probs, rope_tables, save

torch.set_float32_matmul_precision("high")
SMOKE = bool(os.environ.get("SMOKE"))


def lm_loss(h, w, tgt, m):
    ce = F.cross_entropy(F.linear(h, w).float().view(-1, w.shape[0]), tgt.view(-1), reduction="none").view(tgt.shape)
    return (ce * m).sum() / m.sum().clamp(min=1)


def losses(model, batch, cos, sin, c, lm_share=1, lm_fn=lm_loss):
    ids, key, meta = batch
    B, T = ids.shape
    row0, nrow, ps, pe, n, cs, haspan, first = meta.unbind(1)
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
    scan = ((nrow > 0) & (first == 0)).float()
    lastrow = (nrow - 1).clamp(min=0)
    last = p[torch.arange(B, device=ids.device), lastrow]
    pooled = (p * rm[..., None]).sum(1) / rm.sum(1).clamp(min=1)[:, None]
    g = key.float()
    cnt = scan.sum().clamp(min=1)
    rp = (-((pooled * g).sum(1) + 1e-6).log() * scan).sum() / cnt
    rl = (-((last * g).sum(1) + 1e-6).log() * scan).sum() / cnt
    lg = pointers(model, h, (n - 1).clamp(min=0))
    ok = (pos >= cs[:, None]) & (pos < cend[:, None]) | (pos == 0)
    ok = torch.stack([ok, ok | (pos == cend[:, None])], 1)
    lg = lg.masked_fill(~ok, -1e9)
    pe = pe + END * (pe > 0)
    hs = (haspan > 0).float() * (first > 0)
    pl = ((F.cross_entropy(lg[:, 0], ps, reduction="none") + F.cross_entropy(lg[:, 1], pe, reduction="none")) * hs).sum() / hs.sum().clamp(min=1)
    return lm, pl, rp, rl, across(rq, rk, rows, g, scan, cs, cend, c)


GROUP, ROWS = 16, 6


def across(rq, rk, rows, gold, scan, cs, cend, c):
    """
    Contrast between windows: some question rows of each window against the keys of a group of windows, so that a sentence outweighs those
    of texts it was never read beside. rq, rk: [B, H, T, D]; rows: [B, M]; gold, over the window itself: [B, T].
    """
    B, H, T, D = rq.shape
    if B % GROUP:
        return rq.sum() * 0
    n = (rows >= 0).sum(1).clamp(min=1)
    pick = (torch.rand(B, ROWS, device=rq.device) * n[:, None]).long()
    at = torch.gather(rows, 1, pick).clamp(min=0)
    q = torch.gather(rq, 2, at[:, None, :, None].expand(B, H, ROWS, D)).view(B // GROUP, GROUP, H, ROWS, D)
    k = rk.view(B // GROUP, GROUP, H, T, D)
    s = torch.einsum("gihrd,gjhtd->gihrjt", q, k).float() / math.sqrt(D)
    pos = torch.arange(T, device=rq.device)[None]
    context = ((pos >= cs[:, None]) & (pos < cend[:, None]) & (scan[:, None] > 0)).view(B // GROUP, 1, 1, 1, GROUP, T)
    own = torch.eye(GROUP, device=rq.device, dtype=torch.bool).view(1, GROUP, 1, 1, GROUP, 1)
    sink = (pos == 0).view(1, 1, 1, 1, 1, T) & own
    p = s.masked_fill(~(context | sink), -1e9).flatten(-2).softmax(-1).view_as(s)
    mine = p.diagonal(dim1=1, dim2=4).mean((1, 2))            # [groups, T, window]
    mass = (mine.permute(0, 2, 1).reshape(B, T) * gold).sum(1)
    return (-(mass + 1e-6).log() * scan).sum() / scan.sum().clamp(min=1)


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


def main():
    import build, evaluate, golden, random, shutil
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
    sizes = {256: 0.35, 512: 0.35, 1024: 0.30}
    workers = Pool(2 if SMOKE else 14)   # before the first use of the device
    seed = int(os.environ.get("SEED", 0))

    def begin_pool(z, generation):
        return build.pool_samples(workers, int(npool * sizes[z] * 1024 / z), z, seed=seed + 2000 * generation, per=50 if SMOKE else 500)

    jobs = {z: begin_pool(z, 0) for z in sizes}
    c = Cfg(vocab=build.VOCAB)
    torch.manual_seed(0)
    if init:
        model, c = load(init)
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
            lm, an, rp, rl, ac = losses(model, batch, cos, sin, c, share, fn)
        return (1 - 0.5 * ph) * lm + (0.02 + 0.33 * ph) * an + (0.1 + 0.25 * ph) * rp + 0.05 * rl + (0.05 + 0.25 * ph) * ac, lm, an, rp, rl, ac

    def zero():
        opt.zero_grad(set_to_none=True)
        for p in hidden: p.grad = None

    for z in sizes:   # compile every shape on made-up windows while the real ones are being built
        bz = tokens // z
        meta = torch.tensor([[z - 20, 20, 5, 6, z, 1, 1, 0]], device=dev).repeat(bz, 1)
        for share in ((2,) if init else (1, 2)):
            step_loss((torch.randint(10, build.VOCAB, (bz, z), device=dev), torch.ones(bz, z, dtype=torch.uint8, device=dev), meta), 0.0, share)[0].backward()
            zero()
        log("compiled", z)
    pools, generation = {}, dict.fromkeys(sizes, 0)

    def take(z):
        """The finished pool goes to the device; the next is begun, so that hardly a window is seen twice."""
        O, K, Mt = build.join(jobs[z].get())
        none = (Mt[:, 1] > 0) & (K[:, 0] == 1)
        log("pool", O.shape, "fill", round(float(Mt[:, 4].mean() / z), 3), "spans", round(float((Mt[:, 6] > 0).mean()), 3), "without answer", round(float(none.mean()), 3))
        pools[z] = [torch.from_numpy(x.astype(np.int16) if x.dtype == np.uint16 else x).to(dev) for x in (O, K, Mt)]
        generation[z] += 1
        jobs[z] = begin_pool(z, generation[z])

    for z in sizes: take(z)
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
        if jobs[z].ready() and prog < 0.95: take(z); order[z] = None
        n = pools[z][0].shape[0]; bz = min(tokens // z, n)
        if order[z] is None or at[z] + bz > n: order[z] = torch.randperm(n, device=dev); at[z] = 0
        ix = order[z][at[z]:at[z] + bz]; at[z] += bz
        batch = [(pools[z][0][ix].long() & 0xFFFF), pools[z][1][ix], pools[z][2][ix].long()]
        loss, lm, an, rp, rl, ac = step_loss(batch, 1.0 if init else min(1.0, prog / 0.5), 1 if prog < 0.35 and not init else 2)
        zero()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(other, 1.0)
        opt.step(); muon.step()
        step += 1
        if step % 25 == 0 or SMOKE:
            for k_, v_ in (("lm", lm), ("span", an), ("retrieval", rp), ("last", rl), ("across", ac)):
                v_ = v_.item()
                assert math.isfinite(v_), k_
                ema[k_] = v_ if k_ not in ema else 0.8 * ema[k_] + 0.2 * v_
        if step % 200 == 0 or SMOKE:
            log(f"step {step} " + " ".join(f"{k_} {v_:.3f}" for k_, v_ in ema.items()) + f" lr {f:.2f} {step*tokens/(time.time()-begin)/1e6:.2f}M tok/s")
    log("trained", step, "steps,", round(step * tokens / 1e9, 3), "billion tokens,", round(time.time() - begin), "s")
    workers.terminate()
    save(model, out)
    log("saved")
    model.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in model.state_dict().items()})   # what is measured is what ships
    if "trunk" in model.__dict__: del model.__dict__["trunk"]
    golden.run(model, c, tok, out, log)
    evaluate.run(model, c, tok, root, log)


if __name__ == "__main__":
    main()
