"""Tiny random models of each family and a byte-level BPE made on the spot: no hub, no downloads."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers import Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig, Phi3Config, PhiConfig, Qwen2Config, Qwen3Config

TEXT = [
    "The harbour was quiet that evening, and the keeper wrote the names of the ships in his book.",
    "Read the book and answer the question. Be very concise in your answer.\n\nQuestion:\n\nWho came?\n\nAnswer: Nobody came.",
    "def total(values):\n    return sum(v for v in values if v > 0)\n",
    "Der Zug fuhr über die Brücke. Le café était fermé. 東京は雨です。 Москва слезам не верит.",
]


def small_tokenizer(chat: bool = False) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT * 4, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    if chat:
        fast.chat_template = (
            "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
            "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
        )
    return fast


SIZES = dict(
    vocab_size=512, hidden_size=64, intermediate_size=112, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=1024, bos_token_id=0, eos_token_id=1, pad_token_id=1,
)
CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES),
    "llama with biases": lambda: LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "qwen2": lambda: Qwen2Config(**SIZES),
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=16),
    "mistral": lambda: MistralConfig(**SIZES, sliding_window=48),
    "gemma2": lambda: Gemma2Config(**SIZES, head_dim=16, sliding_window=48, query_pre_attn_scalar=16),
    "gemma3": lambda: Gemma3TextConfig(**SIZES, head_dim=16, sliding_window=48, query_pre_attn_scalar=16),
    "phi3": lambda: Phi3Config(**SIZES, sliding_window=None),
    "phi": lambda: PhiConfig(**SIZES),
}


def small_model(family: str, seed: int = 0):
    """Weights four times as wide as the default, so that attention is far from uniform."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(CONFIGS[family]()).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                p.normal_(0, 0.12)
            elif "bias" in name:
                p.normal_(0, 0.05)
    return model


def save_reader(folder: Path, tokenizer, layers: int, extra: bool) -> None:
    """A folder as the embedded reader's is: two local layers, the third the retrieval layer; `extra` tensors belong to no layer."""
    kinds = ["sliding_attention"] * 2 + ["full_attention"] * (layers - 2)
    local = dict(use_sliding_window=True, sliding_window=48, max_window_layers=0, layer_types=kinds)
    config = Qwen3Config(**{**SIZES, "num_hidden_layers": layers}, head_dim=16, tie_word_embeddings=True, **local)
    config.reader = {
        "retrieval_layer": 2, "retrieval_heads": [0, 1, 2, 3], "tokens": {"bos": 0, "question": 2, "answer": 3},
        "max_question_tokens": 56, "max_window_tokens": 256, "settings": {"rank": "mass"},
    }
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    if extra:
        file = folder / "model.safetensors"
        tensors = {name: t.clone() for name, t in load_file(file).items()}
        save_file({**tensors, "span.key.weight": torch.zeros(64, 64)}, file, metadata={"format": "pt"})


@torch.no_grad()
def eager_importance(model, ids: list[int], rows: int, layer: int, heads=None, mean: bool = False) -> list[float]:
    """The reference: every layer eager with output_attentions, one window."""
    model.set_attn_implementation("eager")
    tokens = torch.tensor([ids], device=next(model.parameters()).device)
    attention = model(tokens, output_attentions=True).attentions[layer][0].float()
    part = attention[:, -rows:] if heads is None else attention[list(heads), -rows:]
    return (part.mean((0, 1)) if mean else part.sum((0, 1))).tolist()
