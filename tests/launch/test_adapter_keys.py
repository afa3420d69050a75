#!/usr/bin/env python3
"""PEFT's keys that pick modules and set ranks for some of them, from a recipe of conversations to train, resume, score, generate
and export of a tiny model."""
import json, os, subprocess, tempfile
from cli import GEMTUNE, check, check_fails, done, golden, lines, read, run, write

base = golden("tiny/mqa_short")  # 7 layers
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>"]


def tokenizer():
    """Bytes and what a chat needs: enough for a model that has no vocabulary of its own."""
    pieces = SPECIAL + ["<0x%02X>" % b for b in range(256)] + ["\u2581"]
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": i, "content": c, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                              "special": True} for i, c in enumerate(SPECIAL)],
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}, "pre_tokenizer": None,
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}},
                                                                        {"Sequence": {"id": "A", "type_id": 0}}]},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                                                         {"type": "ByteFallback"}, {"type": "Fuse"}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                      "ignore_merges": False, "vocab": {p: i for i, p in enumerate(pieces)}, "merges": []}}


def tensors(path):
    """{name: shape} of a safetensors file."""
    data = read(path)
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    return {name: value["shape"] for name, value in header.items() if name != "__metadata__"}


with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    model = at("model")
    os.mkdir(model)
    for name in "config.json", "model.safetensors":
        os.symlink(os.path.join(base, name), os.path.join(model, name))
    write(os.path.join(model, "tokenizer.json"), tokenizer())
    rows = write(at("rows.jsonl"), "".join(json.dumps({"conversations": [{"from": "system", "value": "ab"},
                                                                         {"from": "human", "value": "say %d" % (i % 3)},
                                                                         {"from": "gpt", "value": "zzzz"}]}) + "\n" for i in range(12)))
    keys = {"target_modules": ["q_proj", "up_proj"], "exclude_modules": ["layers.1.mlp.up_proj"], "layers_to_transform": [0, 1, 5],
            "layers_pattern": "layers", "rank_pattern": {"layers.5.*": 6, "q_proj": 2}, "alpha_pattern": {"up_proj": 3}}
    recipe = {"model_name_or_path": model, "train_files": rows, "lora_r": 4, "max_steps": 6, "per_device_train_batch_size": 2,
              "gradient_accumulation_steps": 2, "learning_rate": 0.05, "save_steps": 3, "output_dir": at("run"),
              "init_lora_weights": False, **keys}
    path = write(at("recipe.json"), recipe)

    # What is wrong is said before anything is written; what changes nothing is told.
    check_fails(78, 'rank_pattern is {"q_proj": 0}; allowed: an object of regular expressions', "train", path, "--set",
                'rank_pattern={"q_proj": 0}')
    check_fails(78, "layers_to_transform goes with a list", "train", path, "--set", "target_modules=all-linear")
    check_fails(78, "PiSSA", "train", path, "--set", "init_lora_weights=pissa")
    check(not os.path.exists(at("run")), "a refused run left its folder")
    code, out, err = run("train", path, "--dry-run", "--set", 'rank_pattern={"v_proj": 3}', "--set", "layers_to_transform=[0, 7]")
    check(code == 0 and "rank_pattern: 'v_proj' sets nothing" in err and "7 is no layer of this model (0 to 6)" in err, code, err)
    check("exclude_modules: excludes nothing" in err, err)

    # The run, the same by two ranks, and the same when it is stopped half-way: equal bytes.
    code, out, err = run("train", path)
    check(code == 0 and "1 of them excluded, ranks 2 to 6" in err and "sets nothing" not in err, code, err)
    weights = read(at("run/final/adapter_model.safetensors"))
    shapes = tensors(at("run/final/adapter_model.safetensors"))
    rank = {n.split("model.layers.")[1].rsplit(".lora_A", 1)[0]: s[0] for n, s in shapes.items() if ".lora_A" in n}
    check(rank == {"0.self_attn.q_proj": 2, "1.self_attn.q_proj": 2, "5.self_attn.q_proj": 6, "0.mlp.up_proj": 4,
                   "5.mlp.up_proj": 6}, rank)
    config = json.loads(read(at("run/final/adapter_config.json")))
    check(all(config[k] == v for k, v in keys.items() if k != "layers_pattern") and config["layers_pattern"] == ["layers"], config)
    check(list(config["rank_pattern"]) == ["layers.5.*", "q_proj"] and config["init_lora_weights"] is False, config)
    two = subprocess.run(["mpirun", "-n", "2", GEMTUNE, "train", path, "-o", at("two")], capture_output=True, timeout=120)
    check(two.returncode == 0 and read(at("two/final/adapter_model.safetensors")) == weights, "two ranks gave another adapter", two.stderr)
    os.mkdir(at("half"))
    os.rename(at("two/checkpoint-3"), at("half/checkpoint-3"))
    for change, words in {"rank_pattern": '{"q_proj": 2, "layers.5.*": 6}', "alpha_pattern": "{}", "exclude_modules": "null",
                          "layers_to_transform": "[0, 1]", "init_lora_weights": "gaussian"}.items():
        code, out, err = run("train", path, "-o", at("half"), "--set", change + "=" + words)
        check(code == 78 and change + " was " in err, change, code, err)
    code, out, err = run("train", path, "-o", at("half"))
    check(code == 0 and "resumed" in err and read(at("half/final/adapter_model.safetensors")) == weights, code, err)

    # The adapter elsewhere: an export is the run's, a run may start from it, a recipe that says otherwise may not.
    check(run("export", at("run"), "-o", at("peft"), "--format", "peft")[0] == 0)
    check(read(at("peft/adapter_model.safetensors")) == weights, "the exported adapter is not the run's last")
    check(json.loads(read(at("peft/adapter_config.json"))) == config, "the exported config is not the run's")
    code, out, err = run("train", path, "-o", at("more"), "--set", "init_adapter=" + at("peft"), "--set", "max_steps=1")
    check(code == 0, code, err)
    code, out, err = run("train", path, "-o", at("other"), "--set", "init_adapter=" + at("peft"), "--set", "rank_pattern={}")
    check(code == 78 and "layer 0 q_proj has rank 2" in err and "rank_pattern" in err, code, err)
    code, out, err = run("train", path, "-o", at("other"), "--set", "init_adapter=" + at("peft"), "--set", "alpha_pattern={}")
    check(code == 78 and "scaling" in err, code, err)

    # It has learnt, it is what a merged model computes, and it speaks; on a packed base too.
    check(run("export", at("run"), "-o", at("merged"), "--format", "merged")[0] == 0)
    check(run("quantize", model, "-o", at("base.gtq"))[0] == 0)
    total = {}
    for name, words in {"base": [model], "adapter": [model, "--adapter", at("run/final")], "merged": [at("merged")],
                        "packed": [at("base.gtq"), "--adapter", at("run/final")]}.items():
        code, out, err = run("score", *words, "--rows", rows, "--compute-dtype", "float32")
        check(code == 0 and len(lines(out)) == 12, name, code, err)
        total[name] = sum(line["sum"] for line in lines(out)) / sum(len(line["nll"]) for line in lines(out))
    check(total["adapter"] < total["base"] - 1 and abs(total["adapter"] - total["merged"]) < 0.05, total)
    check(total["packed"] < total["base"] - 1, total)
    spoken = {}
    for name, words in {"adapter": [model, "--adapter", at("run/final")], "merged": [at("merged")], "base": [model]}.items():
        code, out, err = run("generate", *words, "--prompt", "ab\n\nsay 1", "--chat", "--max-new-tokens", "4", "--compute-dtype", "float32")
        check(code == 0, name, code, err)
        spoken[name] = out
    check(spoken["adapter"] == spoken["merged"] != spoken["base"] and "z" in spoken["adapter"], spoken)
    code, out, err = run("inspect", at("run/final"), rows)
    check(code == 0 and "LoRA adapter" in out and "12: conversations (ShareGPT)" in out, code, out, err)
done()
