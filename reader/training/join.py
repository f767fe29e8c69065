"""join.py FOLDER: embedding.safetensors + layers.safetensors -> model.safetensors (standard library only)."""
import json, struct, sys


def read(path):
    b = open(path, "rb").read()
    n = struct.unpack("<Q", b[:8])[0]
    h = json.loads(b[8:8 + n]); h.pop("__metadata__", None)
    return {k: (v["dtype"], v["shape"], b[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in h.items()}


def main(d, out=None):
    ts = {**read(f"{d}/embedding.safetensors"), **read(f"{d}/layers.safetensors")}
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for k in sorted(ts):
        t, shape, b = ts[k]
        head[k] = {"dtype": t, "shape": shape, "data_offsets": [at, at + len(b)]}
        at += len(b)
    h = json.dumps(head, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(f"{out or d}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h)
        for k in sorted(ts):
            f.write(ts[k][2])
    print(len(ts), "tensors", at, "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
