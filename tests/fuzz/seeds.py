"""Puts small real files into the corpora, in the form each target takes; `cargo fuzz cmin` then keeps what matters."""

import hashlib
import json
import struct
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
CHECKPOINTS = FIXTURES / "checkpoints"
MODEL = HERE.parent.parent / "models/playroom"


def seed(target, data):
    """Writes one input under the name libFuzzer gives it."""
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(data, str):
        data = data.encode()
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def head_of(path, tensors):
    """The first tensors of a safetensors file as a file of its own; those of over 64 bytes are emptied."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    entries = sorted(
        (item for item in header.items() if item[0] != "__metadata__"), key=lambda item: item[1]["data_offsets"]
    )
    kept, end = {"__metadata__": header.get("__metadata__", {})}, 0
    for name, entry in entries[:tensors]:
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        if size <= 64:
            kept[name] = {**entry, "data_offsets": [end, end + size]}
            end += size
        else:
            kept[name] = {**entry, "shape": [0, *entry["shape"][1:]], "data_offsets": [end, end]}
    text = json.dumps(kept).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def compact(path):
    return json.dumps(json.loads(path.read_text()), separators=(",", ":"))


def strings(value):
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from strings(inner)


def main():
    for name in ["reference", "tokenizer_default", "tokenizer_qwen2"]:
        seed("gguf", (FIXTURES / f"gguf/{name}.gguf").read_bytes())
    for path in sorted((FIXTURES / "gguf").glob("tokenizer_*.gguf")):
        seed("tokenizer_gguf", path.read_bytes())
    for path in sorted(CHECKPOINTS.glob("*/model*.safetensors")):
        seed("safetensors_header", head_of(path, 4))
    for path in sorted(CHECKPOINTS.glob("*/*.index.json")):
        index = json.loads(path.read_text())
        index["weight_map"] = dict(list(index["weight_map"].items())[:4])
        seed("safetensors_header", bytes(8) + json.dumps(index).encode())
    configs = [*CHECKPOINTS.glob("*/config.json"), *CHECKPOINTS.glob("*/legacy/config.json"), *MODEL.glob("**/config.json")]
    for path in sorted(configs):
        seed("config", compact(path))
    tokenizers = [*CHECKPOINTS.glob("*/tokenizer.json"), *(FIXTURES / "text").glob("*okenizer.json")]
    for path in sorted(tokenizers):
        seed("tokenizer", compact(path) + "\0Bo's mug <image> \u00fc 12\n")
    templates = {path.read_text() for path in CHECKPOINTS.glob("*/chat_template.jinja")}
    for path in (FIXTURES / "text").glob("*.json"):
        templates |= {text for text in strings(json.loads(path.read_text())) if "{%" in text}
    for template in sorted(templates):
        seed("chat_template", template)
    processors = [*CHECKPOINTS.glob("**/p*processor_config.json"), *MODEL.glob("preprocessor_config.json")]
    for at, path in enumerate(sorted(processors)):
        seed("image_processor", compact(path).encode() + bytes([0, 20 + 7 * at, 33]))
    for path in sorted((FIXTURES / "image").glob("**/*")):
        if path.suffix in {".jpg", ".png", ".webp"} and path.name != "shown.png":
            seed("photo", path.read_bytes())
    for folder in sorted(CHECKPOINTS.glob("*/adapters/*/")):
        weights = head_of(folder / "adapter_model.safetensors", 4)
        seed("peft", compact(folder / "adapter_config.json").encode() + bytes(1) + weights)


if __name__ == "__main__":
    main()
