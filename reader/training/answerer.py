"""The answer model: reads a question and the evidence in both directions and scores every token as the answer's first, its last, and as evidence."""
import json
import torch.nn as nn, torch.nn.functional as F
from model import Block, Cfg, initialise, restore, rope_tables

START, END, EVIDENCE = 0, 1, 2   # rows of the head


class Answerer(nn.Module):
    """`emb` wide embeddings, brought to the width of the layers; ids [B, T] -> logits [B, T, 3] (see START, END, EVIDENCE)."""
    def __init__(s, c, emb=256, positions=512):
        super().__init__()
        s.c = c
        s.emb = nn.Embedding(c.vocab, emb)
        s.up = nn.Linear(emb, c.d, bias=False)
        s.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        s.nf = nn.RMSNorm(c.d, eps=1e-5)
        s.head = nn.Linear(c.d, 3, bias=False)
        s.guess = nn.Linear(c.d, emb, bias=False)   # masked words, in training alone
        s.gn = nn.RMSNorm(emb, eps=1e-5)
        initialise(s, c.layers)
        nn.init.normal_(s.up.weight, std=emb ** -0.5)
        cos, sin = rope_tables(positions, c.hd, c.theta)
        s.register_buffer("cos", cos, persistent=False); s.register_buffer("sin", sin, persistent=False)

    def trunk(s, ids, mask, keep=None):
        """States of all positions [B, T, width]. mask [B, T]: what may be attended to."""
        x = s.up(s.emb(ids))
        T = ids.shape[1]
        seen = mask[:, None, None, :].expand(-1, 1, T, -1)
        for b in s.blocks:
            x = b(x, s.cos[:T], s.sin[:T], seen, keep)
        return s.nf(x)

    def forward(s, ids, mask):
        return s.head(s.trunk(ids, mask)).float()

    def words(s, h):
        """Logits over the vocabulary of masked positions [N, width]."""
        return F.linear(s.gn(F.gelu(s.guess(h))), s.emb.weight)


SHAPE = dict(d=256, layers=12, heads=4, ff=704)   # as config.json says
TRAINING_ONLY = ("guess.", "gn.")


def load(folder):
    """The answer model of a folder of finished files, in float32."""
    a = json.load(open(f"{folder}/config.json"))["reader"]["answer_model"]
    c = Cfg(d=a["hidden_size"], layers=a["num_hidden_layers"], heads=a["num_attention_heads"], ff=a["intermediate_size"], theta=a["rope_theta"])
    return restore(Answerer(c, a["embedding_size"]), f"{folder}/answer.safetensors")
