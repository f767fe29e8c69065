"""What the answer model is trained for: masked words, then the first and last token of the answer and the tokens of the evidence."""
import os
import torch, torch.nn.functional as F
from answerer import SHAPE, TRAINING_ONLY, Answerer, load
from build import MASK, VOCAB
from model import Cfg, dev, save
from windows import END, EVIDENCE, START

NAME, TO_ANSWER = "answer", True
SIZES = {384: 1.0}
TOKENS = 147456
HIDDEN = 0.18     # of a window's tokens are guessed
READS_UNTIL = float(os.environ.get("READS", 0.75))   # of the time: then questions take over


def mix(progress):
    return "read" if progress < READS_UNTIL else "answer"


def whole_words():
    """Which tokens begin a word, [VOCAB]: words are hidden as a whole."""
    from windows import G
    v = G["tok"].get_vocab()
    starts = torch.zeros(VOCAB, dtype=torch.bool)
    for t, i in v.items(): starts[i] = not (t[0].isascii() and t[0].isalpha())   # a space is "Ġ" here
    return starts.to(dev)


def token_loss(logits, tgt, m):
    ce = F.cross_entropy(logits.float(), tgt, reduction="none")
    return (ce * m).sum() / m.sum().clamp(min=1)


class Task:
    def __init__(s, init, compiled):
        if init:
            s.model = load(init)
            s.model.train()
        else:
            s.model = Answerer(Cfg(vocab=VOCAB, **SHAPE)).to(dev)
        s.starts = whole_words()
        s.trunk, s.guess = s.model.trunk, s.guesses
        if compiled:
            s.trunk, s.guess = torch.compile(s.trunk, dynamic=False), torch.compile(s.guesses, dynamic=False)

    def guesses(s, h, tgt, m):
        return token_loss(s.model.words(h), tgt, m)

    def warm(s, T):
        B = TOKENS // T
        meta = torch.tensor([[T, 0, T, 20, 1, 1]], device=dev).repeat(B, 1)
        return [torch.randint(10, VOCAB, (B, T), device=dev), torch.full((B, T), 7, dtype=torch.uint8, device=dev), meta]

    def hide(s, ids, context, whole):
        """Some words of the windows in `whole` [B] are hidden: -> ids as the model reads them, places [B, K], their share of the loss [B, K]."""
        B, T = ids.shape
        word = s.starts[ids].long().cumsum(1)
        noise = torch.rand(B, T, device=ids.device).gather(1, word.clamp(max=T - 1)).masked_fill(~context, 2.0)
        order, at = noise.topk(int(T * HIDDEN), largest=False)
        m = (order < 0.25) & whole[:, None]
        old = ids.gather(1, at)
        x = torch.rand(at.shape, device=ids.device)
        new = torch.where(x < 0.8, MASK, torch.where(x < 0.9, torch.randint_like(old, 6, VOCAB), old))
        return ids.scatter(1, at, torch.where(m, new, old)), at, old, m

    def loss(s, batch, progress):
        ids, key, meta = batch
        B, T = ids.shape
        _, _, n, cs, known, there = meta.unbind(1)
        pos = torch.arange(T, device=ids.device)[None]
        context = (pos >= cs[:, None]) & (pos < n[:, None])
        reads = progress < READS_UNTIL
        whole = there == 0
        if reads: whole = whole | (torch.rand(B, device=ids.device) < 0.4)
        seen, at, old, m = s.hide(ids, context, whole)
        keep = torch.tensor(1.0 if reads else 0.85, device=ids.device)
        h = s.trunk(seen, pos < n[:, None], keep)
        lm = s.guess(h.gather(1, at[..., None].expand(-1, -1, h.shape[-1])).flatten(0, 1), old.flatten(), m.flatten().float())
        lg = s.model.head(h).float().masked_fill(~(context | (pos == 0))[..., None], -1e9)
        logp = lg.log_softmax(1)
        def on(row, bit, weight):
            """-log of the mass on the positions that have the bit."""
            hit = (key & bit) > 0
            lp = torch.logsumexp(logp[..., row].masked_fill(~hit, -1e9), 1)
            w = (weight & hit.any(1)).float()
            return (-lp * w).sum() / w.sum().clamp(min=1)
        span = 0.5 * (on(0, START, (known > 0) & (there > 0)) + on(1, END, (known > 0) & (there > 0)))
        ev = on(2, EVIDENCE, there > 0)
        ph = min(1.0, progress / 0.3)
        return (1.0 if reads else 0.3) * lm + (0.1 + 0.9 * ph) * span + (0.1 + 0.4 * ph) * ev, dict(masked=lm, span=span, evidence=ev)

    @torch.no_grad()
    def held(s, batch):
        """Questions kept out of training: loss of the span, share of exact spans, of right evidence, and of windows rightly called without an answer."""
        ids, key, meta = batch
        n, cs = meta[:, 2], meta[:, 3]
        pos = torch.arange(ids.shape[1], device=ids.device)[None]
        ok = (pos >= cs[:, None]) & (pos < n[:, None]) | (pos == 0)
        s.model.eval()
        with torch.autocast(dev, torch.bfloat16):
            lg = s.model(ids, pos < n[:, None])
        s.model.train()
        logp = lg.masked_fill(~ok[..., None], -1e9).log_softmax(1)
        known = meta[:, 4] > 0
        ids, key, logp = ids[known], key[known], logp[known]
        some = (key[:, 0] & START) == 0
        right = lambda row, bit: ((key & bit) > 0).gather(1, logp[:, 1:, row].argmax(1, keepdim=True) + 1)[:, 0]
        null = logp[:, 0, 0] + logp[:, 0, 1] - logp[:, 1:, 0].amax(1) - logp[:, 1:, 1].amax(1)
        empty = logp[:, 0, 2].exp()
        span = -torch.logsumexp(logp[..., 0].masked_fill((key & START) == 0, -1e9), 1)
        auc = lambda v: (v[~some][:, None] > v[some][None]).float().mean().item()
        return dict(start_loss=span.mean().item(), exact=(right(0, START) & right(1, END))[some].float().mean().item(), evidence=right(2, EVIDENCE)[some].float().mean().item(), auroc_span=auc(null), auroc_evidence=auc(empty))

    def save(s, out):
        save(s.model, f"{out}/answer.safetensors", TRAINING_ONLY)
