"""The peer of `cargo xtask bench train`: steps of GRPO with TRL's own trainer on the same model folder, prompts and settings.

Prints one JSON object: seconds of each step, mean tokens of its completions, versions. `--settings` has TRL's names.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
# Before PyTorch is read: it looks for GPUs once.
if "cuda" not in sys.argv:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
import transformers
import trl
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from transformers import AutoTokenizer, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil, Idefics3Processor, TrainerCallback
from trl import GRPOConfig, GRPOTrainer


def letters(completions, **_):
    """Share of the letters that are an `e`: cheap, and no group is without variance."""
    texts = [turns[0]["content"] if isinstance(turns, list) else turns for turns in completions]
    texts = [text if isinstance(text, str) else "".join(part.get("text", "") for part in text) for text in texts]
    return [text.count("e") / max(len(text), 1) for text in texts]


def rows_of(path):
    """Rows of our form as TRL's: a chat with photos in it."""
    rows = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        content, photos = [], iter(row["image"])
        for at, text in enumerate(row["problem"].split("<image>")):
            if at:
                content.append({"type": "image"})
            if text.strip():
                content.append({"type": "text", "text": text})
        rows.append({"prompt": [{"role": "user", "content": content}], "images": [Image.open(path.parent / p).convert("RGB") for p in photos]})
    return Dataset.from_list(rows)


class Clock(TrainerCallback):
    """Seconds from the end of one step to that of the next."""

    def __init__(self):
        self.seconds, self.lengths = [], []

    def on_train_begin(self, args, state, control, **_):
        self.last = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now

    def on_log(self, args, state, control, logs=None, **_):
        if "completions/mean_length" in (logs or {}):
            self.lengths.append(logs["completions/mean_length"])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--rows", type=Path, required=True)
    options.add_argument("--steps", type=int, required=True)
    options.add_argument("--threads", type=int, required=True)
    options.add_argument("--settings", type=json.loads, required=True)
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    settings = options.settings
    lora = LoraConfig(
        r=settings.pop("lora_r"), lora_alpha=settings.pop("lora_alpha"), lora_dropout=settings.pop("lora_dropout"), bias="none",
        target_modules=r".*text_model.*\.(" + "|".join(settings.pop("lora_target_modules")) + ")", task_type="CAUSAL_LM",
    )
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    photos = Idefics3ImageProcessorPil.from_pretrained(options.model)
    template = (options.model / "chat_template.jinja").read_text()
    side = json.loads((options.model / "config.json").read_text())
    vision, scale = side["vision_config"], side["scale_factor"]
    visual = (vision["image_size"] // vision["patch_size"] // scale) ** 2
    processor = Idefics3Processor(photos, tokenizer, image_seq_len=visual, chat_template=template)
    model = Idefics3ForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32, attn_implementation="sdpa")
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            output_dir=folder, max_steps=options.steps, logging_steps=1, save_strategy="no", report_to=[], use_cpu=options.device == "cpu", bf16=False,
            gradient_checkpointing=False, disable_tqdm=True, remove_unused_columns=False, **settings,
        )
        trainer = GRPOTrainer(
            model=model, reward_funcs=letters, args=args, train_dataset=rows_of(options.rows), processing_class=processor,
            peft_config=lora, callbacks=[clock],
        )
        trainer.train()
    print(json.dumps({
        "step_secs": clock.seconds,
        "mean_length": clock.lengths,
        "versions": {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
    }))


if __name__ == "__main__":
    main()
