"""
from_causal.py OLD NEW [DEEPER]: the scan model and a start for the answer model out of the one causal model that did both.

Its layers below the retrieval layer and that layer are the scan model. All its layers are a start for the answer model, which has yet to learn
to read in both directions: `INIT=NEW train.py answer`. DEEPER layers more are copies of the others that add nothing yet: what they would add
to the stream is multiplied by zero.
"""
import json, os, shutil, sys
import torch
from safetensors.torch import load_file, save_file


def deepened(trunk, layers, more):
    """The trunk with `more` silent layers, spread evenly behind those they are copies of."""
    out = {k: v for k, v in trunk.items() if ".layers." not in k}
    order = sorted(list(range(layers)) + [(2 * i + 1) * layers // (2 * more) for i in range(more)])
    for at, i in enumerate(order):
        for k, v in trunk.items():
            if k.startswith(f"model.layers.{i}."):
                silent = at and order[at - 1] == i and k.endswith(("o_proj.weight", "down_proj.weight"))
                out[k.replace(f"layers.{i}.", f"layers.{at}.")] = torch.zeros_like(v) if silent else v.clone()
    return out


def main(old, new, more=0):
    os.makedirs(new, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    w, was, config = load_file(f"{old}/model.safetensors"), json.load(open(f"{old}/config.json")), json.load(open(f"{here}/config.json"))
    layers = was["reader"]["retrieval_layer"] + 1
    trunk = {k: v for k, v in w.items() if k.startswith("model.")}
    above = tuple(f"model.layers.{i}." for i in range(layers, was["num_hidden_layers"]))
    save_file({k: v for k, v in trunk.items() if not k.startswith(above)}, f"{new}/model.safetensors", metadata={"format": "pt"})
    width = was["hidden_size"]
    torch.manual_seed(0)
    head = {"model.embed_proj.weight": torch.eye(width), "model.head.weight": torch.randn(3, width) * 0.4 / width ** 0.5}
    save_file({**deepened(trunk, was["num_hidden_layers"], int(more)), **{k: v.to(torch.bfloat16) for k, v in head.items()}}, f"{new}/answer.safetensors", metadata={"format": "pt"})
    same = ("hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim", "intermediate_size", "rms_norm_eps", "rope_theta")
    config["num_hidden_layers"] = layers
    config["reader"]["answer_model"].update(embedding_size=width, **{k: was[k] for k in same})
    config["reader"]["answer_model"]["num_hidden_layers"] += int(more)
    json.dump(config, open(f"{new}/config.json", "w"), indent=2)
    shutil.copy(f"{old}/tokenizer.json", f"{new}/tokenizer.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
