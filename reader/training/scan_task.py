"""What the scan model is trained for: attention of the question's rows on the sentence that answers, within a window and across windows."""
import math
import torch, torch.nn.functional as F
from build import VOCAB
from model import Cfg, Reader, dev, load_scan, retrieval_probs, rope_tables, save
from keep import FLOOR
from windows import EVIDENCE, NOBODY

NAME, TO_ANSWER = "scan", False
SIZES = {512: 0.5, 1024: 0.5}   # window lengths and their shares of the tokens
TOKENS = 262144                             # a step
GROUP, ROWS, MOST_ROWS = 32, 6, 60
LEXICAL_WEIGHT = 0.5   # what the product adds of BM25, about (config.json)


def mix(progress):
    return "scan"


def lm_loss(h, w, tgt, m):
    ce = F.cross_entropy(F.linear(h, w).float().view(-1, w.shape[0]), tgt.view(-1), reduction="none").view(tgt.shape)
    return (ce * m).sum() / m.sum().clamp(min=1)


class Task:
    def __init__(s, init, compiled):
        s.reads = not init   # a finished model knows the words
        if init:
            s.model, s.c = load_scan(init)
            s.model.train()
            for name, p in [*s.model.blocks[-1].named_parameters(), *s.model.nf.named_parameters()]:
                p.requires_grad_(name.split(".")[0] in ("n1", "q", "k", "qn", "kn"))   # a scan runs no more of that layer
        else:
            s.c = Cfg(vocab=VOCAB); s.model = Reader(s.c).to(dev)
        s.cos, s.sin = [t.to(dev) for t in rope_tables(1024, s.c.hd, s.c.theta)]
        s.trunk, s.lm = s.model.trunk, lm_loss
        if compiled:
            s.trunk, s.lm = torch.compile(s.trunk, dynamic=False), torch.compile(lm_loss, dynamic=False)

    def warm(s, T):
        meta = torch.tensor([[T - 20, 20, T, 1, 0, 1]], device=dev).repeat(TOKENS // T, 1)
        B = TOKENS // T
        return [torch.randint(10, VOCAB, (B, T), device=dev), torch.ones(B, T, dtype=torch.uint8, device=dev), meta, torch.zeros(B, T, dtype=torch.uint8, device=dev), torch.zeros(B, T, device=dev)]

    def loss(s, batch, progress):
        """-> loss, parts to log. The language model teaches the words first and then steps back."""
        ids, key, meta, owner, bm25 = batch
        B, T = ids.shape
        row0, nrow, n, cs, _, there = meta.unbind(1)
        h, rq, rk = s.trunk(ids, s.cos[:T], s.sin[:T], s.reads)
        pos = torch.arange(T, device=ids.device)[None]
        cend = torch.where(nrow > 0, row0, n)
        lm = torch.zeros((), device=ids.device)
        if s.reads:
            m = (pos >= cs[:, None] - 1) & (pos < cend[:, None] - 1)
            L = max(1, B // 4)
            lm = s.lm(h[:L], s.model.emb.weight, torch.roll(ids, -1, 1)[:L], m[:L])
        off = torch.arange(MOST_ROWS, device=ids.device)[None]
        rows = torch.where(off < nrow[:, None], row0[:, None] + off, -1)
        p = retrieval_probs(rq, rk, rows, s.c)
        rm = (rows >= 0).float()
        scan = (there > 0).float()
        last = p[torch.arange(B, device=ids.device), (nrow - 1).clamp(min=0)]
        pooled = (p * rm[..., None]).sum(1) / rm.sum(1).clamp(min=1)[:, None]
        g = (key & EVIDENCE).float()
        mean = lambda mass: (-((mass * g).sum(1) + 1e-6).log() * scan).sum() / scan.sum().clamp(min=1)
        rp, rl = mean(pooled), mean(last)
        rank, _ = s.ranked(pooled, g, owner, bm25, scan)
        ac = across(rq, rk, rows, g, scan, cs, cend)
        ph = min(1.0, progress / 0.5)
        return (1 - 0.7 * ph) * lm + (0.1 + 0.3 * ph) * rp + 0.05 * rl + (0.05 + 0.3 * ph) * ac + 0.3 * ph * rank, dict(lm=lm, retrieval=rp, last=rl, across=ac, rank=rank)

    @staticmethod
    def ranked(p, gold, owner, bm25, weight):
        """
        The sentence that answers against the others of its window, by what the product ranks by: log attention and BM25 together, so that
        attention learns what the words alone don't tell. p, gold, owner, bm25: [B, T], weight [B] -> loss, share of hits.
        """
        B = p.shape[0]
        owner = owner.long()
        zero = torch.zeros(B, NOBODY + 1, device=p.device)
        mass = zero.scatter_add(1, owner, p.float())
        words = zero.scatter(1, owner, bm25.float())
        right = zero.scatter_reduce(1, owner, gold, "amax") > 0
        there = zero.scatter_add(1, owner, torch.ones_like(p, dtype=torch.float)) > 0
        there[:, NOBODY] = False
        right &= there
        score = (torch.log(mass + FLOOR) + LEXICAL_WEIGHT * words).masked_fill(~there, -1e9)
        weight = weight * right.any(1)
        lp = torch.logsumexp(score.log_softmax(1).masked_fill(~right, -1e9), 1)
        share = lambda x: (x * weight).sum() / weight.sum().clamp(min=1)
        return share(-lp), share(right.gather(1, score.argmax(1, keepdim=True))[:, 0].float())

    @torch.no_grad()
    def held(s, batch):
        """Mass on the evidence of questions kept out of training, how often the best token is of it, and the best sentence with BM25 counted in."""
        ids, key, meta, owner, bm25 = batch
        T = ids.shape[1]
        row0, nrow = meta[:, 0], meta[:, 1]
        off = torch.arange(MOST_ROWS, device=ids.device)[None]
        rows = torch.where(off < nrow[:, None], row0[:, None] + off, -1)
        with torch.autocast(dev, torch.bfloat16):
            _, rq, rk = s.model.trunk(ids, s.cos[:T], s.sin[:T], False)
        p = retrieval_probs(rq, rk, rows, s.c).float()
        rm = (rows >= 0).float()
        p = (p * rm[..., None]).sum(1) / rm.sum(1)[:, None]
        g = (key & EVIDENCE).float()
        some = g[:, 0] == 0
        q = p.clone(); q[:, 0] = 0
        _, first = s.ranked(p, g, owner, bm25, torch.ones(len(p), device=p.device))
        return dict(first=first.item(), mass=(p * g).sum(1)[some].mean().item(), hit=g.gather(1, q.argmax(1, keepdim=True))[some].mean().item())

    def save(s, out):
        save(s.model, f"{out}/model.safetensors")


def across(rq, rk, rows, gold, scan, cs, cend):
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
