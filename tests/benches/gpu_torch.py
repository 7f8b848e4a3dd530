"""The peer of `cargo xtask bench gpu`: makes a model of SmolVLM-256M's shape with random weights, or times PyTorch on it.

`gpu_torch.py make FIXTURE FOLDER` takes tokenizer and settings from the fixture, a model of the same family. `gpu_torch.py time FOLDER
DEVICE DTYPE SECONDS` prints one JSON object like that of `gpu-bench`: eager f32 or bf16, TF32 as said, weights and cache on the device.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import torch
import transformers
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

PROMPT, TOKENS, TILES, INDEX, NEAREST, SHOWN = 128, 64, (1, 17), (100_000, 512), 5, 64
TEXT = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "vocab_size": 49280,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
}
VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12, "image_size": 512, "patch_size": 16}


def make(fixture, folder):
    """A folder that both engines read. Rows of words that the tokenizer does not know, and of the end, are zero: never the likeliest."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in fixture.iterdir():
        if path.suffix in (".json", ".jinja"):
            shutil.copy(path, folder)
    config = json.loads((fixture / "config.json").read_text())
    known = config["text_config"]["vocab_size"]
    end = config["text_config"]["eos_token_id"]
    config["scale_factor"] = 4
    config["text_config"].update(TEXT)
    config["vision_config"].update(VISION)
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration(Idefics3Config(**{k: v for k, v in config.items() if k not in ("torch_dtype", "architectures")}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2:
                weight.normal_(std=(weight.numel() / weight.shape[0]) ** -0.5)
        for rows in (model.lm_head.weight, model.model.text_model.embed_tokens.weight):
            rows[known:] = 0
            rows[end] = 0
    model.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    side, patch = VISION["image_size"], VISION["patch_size"]
    edit(folder / "processor_config.json", image_seq_len=(side // patch // config["scale_factor"]) ** 2)
    edit(folder / "preprocessor_config.json", max_image_size={"longest_edge": side}, size={"longest_edge": 4 * side})


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=1))


class Clock:
    """Seconds of a piece of work, over and over after a first time that is left out."""

    def __init__(self, device, seconds):
        self.cuda, self.seconds = device.startswith("cuda"), seconds

    def now(self):
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def __call__(self, work):
        work()
        start, taken = self.now(), []
        while self.now() - start < self.seconds or len(taken) < 3:
            before = self.now()
            last = work()
            taken.append(self.now() - before)
        return taken, last


def features(seen):
    """Visual tokens, one after the other; versions of transformers wrap them differently."""
    seen = getattr(seen, "pooler_output", seen)
    return torch.cat([tile.flatten(0, -2) for tile in seen])


@torch.inference_mode()
def measure(folder, device, dtype, seconds):
    tf32 = dtype == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=kind).to(device).eval()
    clock = Clock(device, seconds)
    told = {"device": f"torch {device} {dtype}", "torch": torch.__version__, "transformers": transformers.__version__}
    prompt = torch.tensor([[3 + at % 97 for at in range(PROMPT)]], device=device)

    def read():
        out = model(input_ids=prompt, use_cache=True, logits_to_keep=1)
        return out.logits[0, -1].float().cpu(), out.past_key_values

    told["prefill_seconds"], (logits, _) = clock(read)
    told["logits"] = logits[:SHOWN].tolist()
    steps = []

    def write():
        logits, cache = read()
        before, tokens = clock.now(), [int(logits.argmax())]
        while len(tokens) < TOKENS:
            out = model(input_ids=torch.tensor([[tokens[-1]]], device=device), past_key_values=cache, use_cache=True)
            # Each token is told as it comes, as a page would show it.
            tokens.append(int(out.logits[0, -1].argmax()))
        steps.append((clock.now() - before) / (TOKENS - 1))
        return tokens

    _, told["greedy"] = clock(write)
    told["token_seconds"] = steps[1:]
    side = VISION["image_size"]
    for tiles in TILES:
        values = (torch.arange(tiles * 3 * side * side) * 7919 % 255).float() / 127.5 - 1
        pixels = values.reshape(1, tiles, 3, side, side).to(device, kind)
        see = lambda: features(model.model.get_image_features(pixels))
        told[f"tower_{tiles}_seconds"], _ = clock(lambda: see().float().sum().item())
        told[f"tower_{tiles}"] = see().float().flatten()[:SHOWN].tolist()
    index = torch.rand(INDEX, device=device, dtype=kind) * 2 - 1
    query = torch.rand(INDEX[1], device=device, dtype=kind)
    # Rows of length 1 here; ours takes the norm of each row as it passes.
    index /= index.norm(dim=1, keepdim=True)
    told["nearest_seconds"], _ = clock(lambda: torch.topk(index @ query, NEAREST).indices.tolist())
    return told


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", fixture, folder]:
            make(Path(fixture), Path(folder))
        case ["time", folder, device, dtype, seconds]:
            print(json.dumps(measure(Path(folder), device, dtype, float(seconds))))
        case _:
            sys.exit(__doc__)
