"""Reference figures for other implementations: input ids, importance and span logits of three windows in float32, from the
bf16-rounded weights; compared with the stock Hugging Face Qwen3 where transformers is installed.

golden.py MODEL_FOLDER writes MODEL_FOLDER/golden.json.
"""
import json, sys
import torch
import answerer
from model import dev, hf_name, load_scan, retrieval_probs, rope_tables

CASES = [
 ("The harbour was quiet. Marta Lindqvist was born in Bergen on March 4, 1931. Nobody came to the pier before noon. The old lantern had been green once. ", "Where was Marta Lindqvist born?"),
 ("A good deal of rain fell in the night. The invoice for the copper kettle was approved by Samuel Osei. The road to the mill was closed. ", "Who approved the invoice for the copper kettle?"),
 (" ".join(["Ships passed the lighthouse without a sound, and the keeper wrote their names in his book."] * 30) + " The password for the archive system is velvet-compass-4417. " + " ".join(["The wind turned to the north in the evening."] * 40) + " ", "What is the password for the archive system?"),
]


@torch.no_grad()
def run(m, c, a, tok, out, log):
    old = torch.get_float32_matmul_precision(); torch.set_float32_matmul_precision("highest")
    res = []
    for ctx, q in CASES:
        ci, qi = tok.encode(ctx, add_special_tokens=False).ids, tok.encode(" " + q, add_special_tokens=False).ids
        ids = [0] + ci + [2] + qi + [3]
        n = len(ids); T = (n + 127) // 128 * 128
        x = torch.zeros(1, T, dtype=torch.long, device=dev); x[0, :n] = torch.tensor(ids)
        cos, sin = [t.to(dev) for t in rope_tables(T, c.hd, c.theta)]
        h, rq, rk = m.trunk(x, cos, sin)
        rows = torch.arange(n - len(qi) - 2, n, device=dev)[None]
        pooled = retrieval_probs(rq, rk, rows, c)[0, :, :n].mean(0)
        nxt = (h[0, 1:9] @ m.emb.weight.T).argmax(-1).tolist()
        # The answer model reads 512 tokens: of the longest case, what stands around the fact.
        at = max(0, len(ci) - 440) // 2
        part = ci[at:at + 440]
        asked = [0, 2] + qi + [5] + part
        lg = a(torch.tensor([asked], device=dev), torch.ones(1, len(asked), dtype=torch.bool, device=dev))[0]
        first = len(qi) + 3
        sc = (lg[first:, 0][:, None] + lg[first:, 1][None]).masked_fill(~torch.ones(len(part), len(part), device=dev, dtype=torch.bool).triu().tril(24), -1e9)
        s, e = divmod(sc.flatten().argmax().item(), len(part))
        logits = {k: [round(v, 4) for v in lg[:, i].tolist()] for i, k in enumerate(("start_logits", "end_logits", "evidence_logits"))}
        res.append(dict(context=ctx, question=q, input_ids=ids, context_tokens=len(ci), importance=[round(v, 7) for v in pooled.tolist()], answer_input_ids=asked, **logits, answer=tok.decode(part[s:e + 1]).strip(), greedy_next_1_8=nxt))
        log("golden:", q, "->", res[-1]["answer"], "| sink", round(pooled[0].item(), 3))
    json.dump(res, open(f"{out}/golden.json", "w"))
    try:
        from transformers import AutoConfig, Qwen3ForCausalLM
        cfg = AutoConfig.from_pretrained(out); cfg._attn_implementation = "eager"
        hf = Qwen3ForCausalLM(cfg)
        miss = hf.load_state_dict({hf_name(k): v for k, v in m.state_dict().items()}, strict=False)
        hf = hf.float().to(dev).eval()
        for r in res:
            o = hf(torch.tensor([r["input_ids"]], device=dev), output_attentions=True)
            n = len(r["input_ids"]); k = n - r["context_tokens"] - 1
            pooled = o.attentions[c.rlayer][0][:, n - k:].mean((0, 1))
            log("transformers: largest difference", (pooled.cpu() - torch.tensor(r["importance"])).abs().max().item(), "next", o.logits[0, 1:9].argmax(-1).tolist() == r["greedy_next_1_8"], miss.missing_keys, miss.unexpected_keys)
    except Exception as e:   # the figures above stand without it
        log("transformers not compared:", repr(e)[:200])
    torch.set_float32_matmul_precision(old)


if __name__ == "__main__":
    from tokenizers import Tokenizer
    folder = sys.argv[1]
    scan, cfg = load_scan(folder)
    run(scan, cfg, answerer.load(folder), Tokenizer.from_file(f"{folder}/tokenizer.json"), folder, print)
