#!/usr/bin/env python3
"""PEFT loads our adapter folders, transformers our merged, hf and bnb folders: each gives the logits that gemtune gives on that
same folder, and those of the public libraries' own way to the same model."""
import json, os, re, shutil, subprocess, sys, tempfile

try:
    import bitsandbytes
    import torch
    import transformers
    from peft import PeftModel
    from safetensors.torch import load_file
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

gemtune = os.environ["GEMTUNE"]
golden = os.environ["GT_GOLDEN"]
if not os.path.isdir(golden):
    print(f"SKIP: {golden} is absent")
    sys.exit(77)
torch.set_num_threads(2)
cache = tempfile.TemporaryDirectory(prefix="gemtune-cache-")
os.environ["GEMTUNE_CACHE"] = cache.name
transformers.logging.set_verbosity_error()
checks = 0


def run(*words):
    done = subprocess.run([gemtune, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"gemtune {' '.join(words)}: {done.stderr}"
    return done.stdout


def within(name, got, want, limit):
    global checks
    worst = float((got - want).abs().max())
    assert worst <= limit, f"{name}: {worst:.3g} from it, at most {limit:g}"
    checks += 1
    print(f"ok {name}: {worst:.2g}")


def load(folder, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model, rows):
    return torch.cat([model(torch.tensor([r])).logits[0].float() for r in rows])


def ours(work, folder, rows, *more):
    path, out = os.path.join(work, "rows.jsonl"), os.path.join(work, "logits.safetensors")
    with open(path, "w") as f:
        for r in rows:
            f.write(json.dumps({"ids": r, "prompt_tokens": len(r) - 1}) + "\n")
    run("score", folder, "--rows", path, "--compute-dtype", "float32", "--logits", out, *more)
    t = load_file(out)
    return torch.cat([t[f"row.{i}"] for i in range(len(rows))])


def tiny(work, variant, case):
    base, adapter = f"{golden}/tiny/{variant}", f"{golden}/tiny/{variant}/adapter_{case}"
    forward = load_file(f"{base}/forward.safetensors")
    rows = [forward["input_ids"][b, : forward["lengths"][b]].tolist() for b in range(3)]
    at = lambda name: os.path.join(work, f"{variant}-{case}-{name}")
    original = load(base)
    plain = logits(original, rows)

    # hf: the weights were bf16 already, so nothing may change
    run("export", base, "-o", at("hf"), "--format", "hf")
    within(f"{variant} hf in transformers", logits(load(at("hf")), rows), plain, 0)
    within(f"{variant} hf in gemtune", ours(work, at("hf"), rows), plain, 1e-4)

    # a packed base: the reference's NF4 function in float32, and as a plain folder its bf16
    run("quantize", base, "-o", at("base.gtq"))
    run("export", at("base.gtq"), "-o", at("hf_nf4"), "--format", "hf")
    nf4 = load_file(f"{base}/forward_nf4.safetensors")
    want = torch.cat([nf4[f"logits_f32.{b}"] for b in range(3)])
    within(f"{variant} packed base in gemtune", ours(work, at("base.gtq"), rows), want, 1e-4)
    rounded = logits(load(at("hf_nf4")), rows)
    within(f"{variant} dequantized hf in gemtune", ours(work, at("hf_nf4"), rows), rounded, 1e-4)

    # bnb: transformers takes it as 4-bit weights, which bitsandbytes dequantizes to the very values of the plain folder
    # (its CPU kernel takes wrong scales where a row is no multiple of 64: such models cannot be compared)
    whole_rows = json.load(open(f"{base}/config.json"))["hidden_size"] % 64 == 0
    for flag, nested in (((), True), (("--no-double-quant",), False)) if whole_rows else ():
        folder = at(f"bnb_{nested}")
        run("quantize", base, "--format", "bnb", "-o", folder, *flag)
        model = load(folder, torch.bfloat16)
        weight = model.model.layers[0].mlp.up_proj.weight
        assert type(model.model.layers[0].mlp.up_proj).__name__ == "Linear4bit" and weight.quant_state.nested == nested
        if not nested:
            run("export", folder, "-o", at("hf_plain"), "--format", "hf")
        plain_folder = at("hf_nf4" if nested else "hf_plain")
        value = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
        assert torch.equal(value, load_file(plain_folder + "/model.safetensors")["model.layers.0.mlp.up_proj.weight"])
        # float32 mode decodes 4-bit values without a rounding of their own (docs/numerics.md): so do we ask bitsandbytes to
        unrounded = load(base)
        for block, packed in zip(unrounded.model.layers, model.model.layers):
            for part in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"):
                holder = "self_attn" if part[0] in "qkvo" else "mlp"
                codes = getattr(getattr(packed, holder), part).weight
                codes.quant_state.dtype = torch.float32
                getattr(getattr(block, holder), part).weight.data = bitsandbytes.functional.dequantize_4bit(codes.data, codes.quant_state)
                codes.quant_state.dtype = torch.bfloat16
        exact = logits(unrounded, rows)
        within(f"{variant} bnb nested={nested} in gemtune", ours(work, folder, rows), exact, 1e-4)
        # transformers computes it in bf16: as near to the float32 truth as it computes the same weights unpacked
        spread = (logits(load(plain_folder, torch.bfloat16), rows) - exact).abs()
        error = (logits(model, rows) - exact).abs()
        within(f"{variant} bnb nested={nested} in transformers, mean", error.mean(), 0 * error.mean(), 1.5 * float(spread.mean()))

    # peft: the copy of an adapter is that adapter
    run("export", adapter, "-o", at("peft"), "--format", "peft", "--base", base)
    theirs = logits(PeftModel.from_pretrained(load(base), adapter).eval(), rows)
    within(f"{variant} {case} peft in PEFT", logits(PeftModel.from_pretrained(load(base), at("peft")).eval(), rows), theirs, 0)
    within(f"{variant} {case} peft in gemtune", ours(work, base, rows, "--adapter", at("peft")), theirs, 1e-4)

    # merged, into the original and into the dequantized weights: PEFT's own merge, rounded to bf16
    for name, onto, packed in (("original", base, base), ("dequantized", at("hf_nf4"), at("base.gtq"))):
        run("export", adapter, "-o", at(f"merged_{name}"), "--format", "merged", "--base", packed)
        merged = PeftModel.from_pretrained(load(onto), adapter).merge_and_unload()
        mine = load_file(at(f"merged_{name}") + "/model.safetensors")
        for key, value in merged.state_dict().items():
            if key not in mine: continue
            # ours sums the rank in ascending order, theirs is a matrix product: one bf16 ulp where a rounding is near
            ulp = torch.clamp(value.abs(), min=1e-6) * 2.0**-7
            assert (mine[key].float() - value.bfloat16().float()).abs().le(ulp).all(), key
        folder = logits(load(at(f"merged_{name}")), rows)
        within(f"{variant} {case} merged {name} in gemtune", ours(work, at(f"merged_{name}"), rows), folder, 1e-4)
        unrounded = logits(merged.eval(), rows)
        spread = (unrounded - plain).abs().max()  # what the adapter does; bf16 weights must stay near
        assert (folder - unrounded).abs().max() < 0.1 * spread + 0.05, (variant, case, name)


def multimodal(work):
    """The adapter of a multimodal base touches its text tower alone, under the names that transformers' module tree has."""
    base = f"{golden}/tiny/mqa_short/layout_multimodal_old"
    text = f"{golden}/tiny/mqa_short"
    out = os.path.join(work, "mm")
    run("export", f"{text}/adapter_qk_final", "-o", out, "--format", "peft", "--base", base)
    config = json.load(open(out + "/adapter_config.json"))
    assert isinstance(config["target_modules"], str) and "language_model" in config["target_modules"]
    keys = list(load_file(out + "/adapter_model.safetensors"))
    assert all(k.startswith("base_model.model.model.language_model.layers.") for k in keys), keys[:2]
    names = {k[len("base_model.model."):].rsplit(".lora_", 1)[0] for k in keys}
    assert all(re.fullmatch(config["target_modules"], n) for n in names)
    assert not re.fullmatch(config["target_modules"], "model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj")


def trained(work):
    """A run's output folder as SOURCE: its last checkpoint, and only beside the base it was trained on."""
    base, out = f"{golden}/tiny/wide_head", os.path.join(work, "run")
    rows, recipe = os.path.join(work, "train.jsonl"), os.path.join(work, "recipe.json")
    with open(rows, "w") as f:
        for i in range(12):
            f.write(json.dumps({"ids": [2] + [(37 * i + 11 * k) % 1000 + 4 for k in range(20)], "prompt_tokens": 8}) + "\n")
    json.dump({"model_name_or_path": base, "load_in_4bit": True, "lora_r": 4, "lora_target_modules": ["q_proj", "down_proj"],
               "train_files": [rows], "output_dir": out, "max_steps": 3, "per_device_train_batch_size": 2,
               "gradient_accumulation_steps": 2, "learning_rate": 0.05, "compute_dtype": "float32"}, open(recipe, "w"))
    run("train", recipe)
    at = lambda name: os.path.join(work, f"run-{name}")
    run("export", out, "-o", at("peft"), "--format", "peft")
    a, b = (load_file(f + "/adapter_model.safetensors") for f in (at("peft"), out + "/final"))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    ids = [[2, 5, 9, 300, 17, 41], [2, 7, 7, 800]]
    run("quantize", base, "-o", at("base.gtq"))
    trained_function = ours(work, at("base.gtq"), ids, "--adapter", at("peft"))
    run("export", out, "-o", at("merged"), "--format", "merged")
    run("export", out, "-o", at("original"), "--format", "merged", "--merge-into", "original")
    near = float((ours(work, at("merged"), ids) - trained_function).abs().mean())
    far = float((ours(work, at("original"), ids) - trained_function).abs().mean())
    assert near < far / 3, (near, far)  # bf16 rounding against quantization error
    print(f"ok merged: {near:.2g} from the trained function, into the original {far:.2g}")
    for word, folder in (("dequantized", "merged"), ("original", "original")):
        assert json.load(open(at(folder) + "/config.json"))["gemtune"]["merge_into"] == word
    wrong = subprocess.run([gemtune, "export", out, "-o", at("no"), "--format", "merged", "--base", f"{golden}/tiny/gqa_scaled"],
                           capture_output=True, text=True)
    assert wrong.returncode == 78 and "not the base" in wrong.stderr and not os.path.exists(at("no")), wrong


def real(work):
    gguf = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", "~/.cache")) + "/gemtune/gemma3-270m-q4_k_m.gguf"
    if not os.path.exists(gguf):
        print(f"SKIP of the 270M: {gguf} is absent")
        return
    out = os.path.join(work, "270m")
    run("export", gguf, "-o", out, "--format", "hf")
    t = transformers.AutoTokenizer.from_pretrained(out)
    cases = [json.loads(l) for l in open(f"{golden}/tokenizer/cases.jsonl", encoding="utf-8")]
    wrong = [c["text"] for c in cases if t(c["text"])["input_ids"] != c["ids"]]
    assert not wrong, f"{len(wrong)} of {len(cases)} texts differ, the first: {wrong[0]!r}"
    wrong = [c["text"] for c in cases if t.decode(c["ids"][1:], clean_up_tokenization_spaces=False) != c["decoded"]]
    assert not wrong, f"{len(wrong)} of {len(cases)} ids decode differently, the first: {wrong[0]!r}"
    print(f"ok tokenizer.json from the GGUF in transformers: {len(cases)} of {len(cases)}")
    rows = [t("The patient has a fever and a cough.")["input_ids"], t("고혈압의 치료")["input_ids"]]
    want = logits(load(out), rows)
    within("270M hf in gemtune", ours(work, out, rows), want, 2e-3)


work = tempfile.mkdtemp(prefix="gemtune-parity-")
try:
    tiny(work, "wide_head", "all_final")
    tiny(work, "gqa_scaled", "qk_nf4_final")
    multimodal(work)
    trained(work)
    real(work)
finally:
    shutil.rmtree(work)
print(f"{checks} comparisons")
