"""average.py A B OUT: the mean of the weights of two runs, of which one went on from the other, into OUT beside B's other files."""
import os, shutil, sys
import torch
from safetensors.torch import load_file, save_file


def main(a, b, out):
    os.makedirs(out, exist_ok=True)
    for name in ("config.json", "tokenizer.json"): shutil.copy(f"{b}/{name}", out)
    for name in ("model.safetensors", "answer.safetensors"):
        x, y = load_file(f"{a}/{name}"), load_file(f"{b}/{name}")
        mean = {k: ((x[k].float() + y[k].float()) / 2).to(torch.bfloat16) for k in x}
        save_file(mean, f"{out}/{name}", metadata={"format": "pt"})


if __name__ == "__main__":
    main(*sys.argv[1:])
