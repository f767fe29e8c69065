"""Answers from final caches, and whether they are right."""
import re
import torch
from quantized import dev

BOS, Q, CTX = 0, 2, 5
LONGEST = 64      # tokens of an answer
AT_ONCE = 128
SPARE = 12        # words around the right answer that still count as giving it


def words_of(text):
    return re.sub(r"\b(a|an|the)\b", " ", re.sub(r"[\W_]", " ", text.lower())).split()


def right(given, answers):
    """Whether it says one of the answers word for word, and not much more."""
    has = words_of(given)
    for answer in answers:
        w = words_of(answer)
        if len(has) <= len(w) + SPARE and any(has[i:i + len(w)] == w for i in range(len(has) - len(w) + 1)):
            return True
    return False


def whole_words(tok, ids, x, y):
    """Widens a span of tokens until no word is cut."""
    t = [tok.decode([i]) for i in ids]
    while y + 1 < len(ids) and t[y][-1:].isalnum() and t[y + 1][:1].isalnum(): y += 1
    while x > 0 and t[x][:1].isalnum() and t[x - 1][-1:].isalnum(): x -= 1
    return x, y


@torch.no_grad()
def answers(model, tok, table, cache, questions, relevance_weight=0.0):
    """cache [C, S] of sentences, -1 for none; questions: C token lists -> C texts."""
    held = [[table.ids[k] for k in row if k >= 0] for row in cache.tolist()]
    out = []
    for i in range(0, len(held), AT_ONCE):
        part, asked = held[i:i + AT_ONCE], questions[i:i + AT_ONCE]
        seqs = [([BOS, Q, *q, CTX] + sum(h, []))[:model.longest] for h, q in zip(part, asked)]
        T = max(map(len, seqs))
        ids, mask = torch.zeros(len(seqs), T, dtype=torch.long), torch.zeros(len(seqs), T, dtype=torch.bool)
        for k, x in enumerate(seqs):
            ids[k, :len(x)] = torch.tensor(x)
            mask[k, :len(x)] = True
        logits = model(ids.to(dev), mask.to(dev)).float().cpu()
        for h, q, x, l in zip(part, asked, seqs, logits):
            at = len(q) + 3
            n = len(x) - at
            if n <= 0:
                out.append("")
                continue
            owner = torch.tensor([k for k, s in enumerate(h) for _ in s][:n])
            start, end = l[at:at + n, 0], l[at:at + n, 1]
            p = torch.cat([l[:1, 2], l[at:at + n, 2]]).softmax(0)[1:]
            relevance = torch.zeros(len(h)).index_add_(0, owner, p)
            score = (start + relevance_weight * relevance[owner].clamp(min=1e-9).log())[:, None] + end[None]
            allowed = torch.ones(n, n, dtype=torch.bool).triu().tril(LONGEST - 1) & (owner[None] - owner[:, None] <= 1)
            first, last = divmod(score.masked_fill(~allowed, -1e9).argmax().item(), n)
            flat = x[at:]
            first, last = whole_words(tok, flat, first, last)
            out.append(tok.decode(flat[first:last + 1]).strip())
    return out
