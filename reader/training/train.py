"""train.py scan|answer: one run from nothing, or from finished weights (INIT), to weights. Pools of fresh windows, Muon and AdamW, limited by time."""
import glob, importlib, json, math, os, random, sys, time
import numpy as np, torch
import build, frames, windows
from model import dev
from multiprocessing import Pool
from muon import Muon

torch.set_float32_matmul_precision("high")
SMOKE = bool(os.environ.get("SMOKE"))


def tokenizer(root, out, docs):
    """That of OUT, or a new one: trained on text, passages and questions, Chinese ones twice, since there are few."""
    from tokenizers import Tokenizer
    path = f"{out}/tokenizer.json"
    if os.path.exists(path):
        return Tokenizer.from_file(path)
    rs = random.Random(0); sample = docs[:]; rs.shuffle(sample)
    total, take = 0, []
    for d in sample:
        take.append(d); total += len(d)
        if total > 40e6: break
    questions, contexts = [], set()
    for p in sorted(glob.glob(f"{root}/qa/*.jsonl*")):
        if "babi" in p: continue
        for l in build.read(p).splitlines()[::20 if SMOKE else 1]:
            r = json.loads(l); questions.append(r["question"]); contexts.add(r["context"])
            if r.get("lang", "en") != "en": questions.append(r["question"]); contexts.add(r["context"] + "\n")
    tok = build.train_tokenizer(take + questions + sorted(contexts))
    tok.save(path)
    return tok


def prepare(root, out, log, procs):
    """Text, tokenizer and questions, where the worker processes find them."""
    docs = build.load(root)
    if SMOKE: docs = docs[::40]
    log("docs", len(docs), "MB", sum(map(len, docs)) / 1e6)
    tok = tokenizer(root, out, docs)
    log("tokenizer", tok.get_vocab_size())
    windows.G.update(tok=tok, corpus=build.Corpus(tok, docs, procs), qa=build.load_qa(root, tok), held=build.load_qa(root, tok, held=True))
    windows.G.update({"frames": frames.load(), "held-frames": frames.load(held=True)})
    log("sentences", windows.G["corpus"].n, "tokens", sum(map(len, windows.G["corpus"].ids)), "questions", {k: len(v) for k, v in windows.G["qa"]["groups"].items()}, "held out", len(windows.G["held"]["rows"]), "facts", len(windows.G["frames"][0]), "held out", len(windows.G["held-frames"][0]))


class Pools:
    """Windows of every size on the device, replaced as soon as the next are built, so that hardly one is seen twice."""
    def __init__(s, task, workers, count, seed, log):
        s.task, s.workers, s.count, s.seed, s.log = task, workers, count, seed, log
        s.data, s.order, s.at, s.seen, s.generation = {}, {}, {}, {}, dict.fromkeys(task.SIZES, 0)
        s.jobs = {z: s.begin(z, 0.0) for z in task.SIZES}

    def begin(s, z, progress):
        s.generation[z] += 1
        return windows.pool_samples(s.workers, int(s.count * s.task.SIZES[z] * 1024 / z), z, s.task.TO_ANSWER, s.task.mix(progress), seed=s.seed + 2000 * s.generation[z], per=50 if SMOKE else 500)

    def take(s, z, progress):
        s.data[z] = on_device(windows.join(s.jobs[z].get()))
        s.order[z], s.seen[z] = None, False
        s.log("pool", z, len(s.data[z][0]), "fill", round(s.data[z][2][:, 2].float().mean().item() / z, 3), "answer known", round(s.data[z][2][:, 4].float().mean().item(), 3), "without", round((s.data[z][1][:, 0] > 0).float().mean().item(), 3))
        s.jobs[z] = s.begin(z, progress)

    def batch(s, z, progress):
        if z not in s.data or s.seen[z] and s.jobs[z].ready() and progress < 0.97: s.take(z, progress)
        n = len(s.data[z][0]); b = min(s.task.TOKENS // z, n)
        if s.order[z] is None or s.at[z] + b > n:
            s.seen[z] = s.order[z] is not None
            s.order[z] = torch.randperm(n, device=dev); s.at[z] = 0
        ix = s.order[z][s.at[z]:s.at[z] + b]; s.at[z] += b
        return unpacked([x[ix] for x in s.data[z]])


def on_device(parts):
    return [torch.from_numpy(x.astype(np.int16) if x.dtype == np.uint16 else x).to(dev) for x in parts]


def unpacked(parts):
    ids, key, meta, *rest = parts
    return [ids.long() & 0xFFFF, key, meta.long(), *rest]


def main():
    t0 = time.time()
    kind = importlib.import_module(sys.argv[1] + "_task")
    kind.TOKENS = 2048 if SMOKE else int(os.environ.get("TOKENS", kind.TOKENS))   # SMOKE: does every part run? On a CPU, in a minute
    root, out, init = os.environ["DATA"], os.environ["OUT"], os.environ.get("INIT")
    os.makedirs(out, exist_ok=True)
    logf = open(f"{out}/train-{kind.NAME}.log", "w")
    def log(*a):
        line = f"[{time.time()-t0:6.1f}] " + " ".join(map(str, a))
        print(line, flush=True); logf.write(line + "\n"); logf.flush()
    stop = float(os.environ.get("STOP", 480))   # seconds from the start of the script to the end of training
    procs, seed = int(os.environ.get("PROCS", 14)), int(os.environ.get("SEED", 0))
    prepare(root, out, log, procs)
    workers = Pool(procs)   # before the first use of the device
    pools = Pools(kind, workers, int(os.environ.get("POOL", 200000)), seed, log)
    longest, few = list(kind.SIZES)[-1], 20 if SMOKE else 500
    held = {mix: windows.pool_samples(workers, few, longest, kind.TO_ANSWER, mix, seed=77, per=20 if SMOKE else 50) for mix in ("held", "held-frames")}
    torch.manual_seed(seed)
    task = kind.Task(init, not SMOKE)
    log("parameters", sum(p.numel() for p in task.model.parameters()) / 1e6)
    trained = [p for p in task.model.parameters() if p.requires_grad]
    within = {id(p) for p in task.model.blocks.parameters() if p.dim() == 2}
    hidden = [p for p in trained if id(p) in within]
    other = [p for p in trained if id(p) not in within]
    muon = Muon(hidden, lr=float(os.environ.get("MLR", 0.02)))
    lr = float(os.environ.get("LR", 3e-3))
    opt = torch.optim.AdamW(other, lr=lr, betas=(0.9, 0.95), weight_decay=0.0, fused=dev == "cuda")

    def losses(batch, progress):
        with torch.autocast(dev, torch.bfloat16):
            return task.loss(batch, progress)

    def zero():
        opt.zero_grad(set_to_none=True)
        for p in hidden: p.grad = None

    for z in kind.SIZES:   # compile every shape on made-up windows while the real ones are being built
        losses(task.warm(z), 0.0)[0].backward()
        zero()
        log("compiled", z)
    held = {mix: unpacked(on_device(windows.join(j.get()))) for mix, j in held.items()}
    def kept_out(when=""):
        for mix, batch in held.items(): log(f"  {mix}{when}:", {k: round(v, 3) for k, v in task.held(batch).items()})
    for z in kind.SIZES: pools.take(z, 0.0)
    if init: kept_out(", before")
    begin = time.time(); budget = max(stop - (begin - t0), 10 if SMOKE else 60); step = tokens = 0
    rz = random.Random(seed); mean = {}; checked = begin
    while True:
        progress = (time.time() - begin) / budget
        if progress > 1: break
        hold = 0.1 if init else 0.4
        f = min(1, (step + 1) / 100) * (1 if progress < hold else max(0.01, 1 - (progress - hold) / (1 - hold)))
        for g in opt.param_groups: g["lr"] = lr * f
        muon.lr = muon.lr0 * f
        z = rz.choices(list(kind.SIZES), list(kind.SIZES.values()))[0]
        batch = pools.batch(z, progress)
        loss, parts = losses(batch, progress)
        zero()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(other, 1.0)
        opt.step(); muon.step()
        step += 1; tokens += batch[0].numel()
        if step % (25 if dev == "cuda" else 5) == 0 or SMOKE:
            for k, v in parts.items():
                v = v.item()
                assert math.isfinite(v), k
                mean[k] = v if k not in mean else 0.8 * mean[k] + 0.2 * v
        if step % (400 if dev == "cuda" else 20) == 0 or SMOKE:
            log(f"step {step} " + " ".join(f"{k} {v:.3f}" for k, v in mean.items()) + f" lr {f:.2f} {tokens/(time.time()-begin)/1e6:.2f}M tok/s")
        if time.time() - checked > (5 if SMOKE else 60 if dev == "cuda" else 600):
            checked = time.time()
            kept_out()
    log("trained", step, "steps,", round(tokens / 1e9, 3), "billion tokens,", round(time.time() - begin), "s")
    workers.terminate()
    kept_out()
    task.save(out)
    log("saved")


if __name__ == "__main__":
    main()
