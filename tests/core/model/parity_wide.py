#!/usr/bin/env python3
"""The whole program at the widths of Gemma 3 1B, 4B, 12B and 27B, beside transformers, PEFT and bitsandbytes. No published weights
are at hand: two layers (one sliding, one full) of random weights under the real configs' numbers, 2,048 ids for a vocabulary. One
size at a time: some 6 GB resident at most, the mapped folder of 1.7 GB included. Each folder is of another published kind: as transformers 5 writes it
(1B), multimodal with the newer prefix and the older keys (4B), multimodal with the older prefix (12B), flat with the older keys
(27B)."""
import copy, json, os, re, resource, shutil, subprocess, sys, tempfile, time, warnings

os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # torch then asks for large pages: a third of the time otherwise goes into page faults
try:
    import bitsandbytes
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

gemtune = os.environ["GEMTUNE"]
warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(2)
began = time.time()
VOCAB = 2048
LAYERS = ["sliding_attention", "full_attention"]
PROJECTIONS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]

# Two float32 engines with other orders of summation: as the tiny golden models, whose logits are of size 10, 1e-5 of the largest
# logit (found: 2e-6).
FLOAT32 = 1e-5


def numbers(hidden, inner, heads, kv, dim, scalar, window, factor):
    rope = {"full_attention": {"rope_type": "default", "rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}
    if factor: rope["full_attention"].update(rope_type="linear", factor=factor)
    return dict(hidden_size=hidden, intermediate_size=inner, num_attention_heads=heads, num_key_value_heads=kv, head_dim=dim,
                query_pre_attn_scalar=scalar, sliding_window=window, rope_parameters=rope, num_hidden_layers=2, layer_types=LAYERS,
                vocab_size=VOCAB)


# The window is the published one for 1B; the others' 1,024 is cut to 48, so that short rows cross it.
TEXT = {"1b": numbers(1152, 6912, 4, 1, 256, 256, 512, None), "4b": numbers(2560, 10240, 8, 4, 256, 256, 48, 8.0),
        "12b": numbers(3840, 15360, 16, 8, 256, 256, 48, 8.0), "27b": numbers(5376, 21504, 32, 16, 128, 168, 48, 8.0)}
VISION = dict(hidden_size=1152, intermediate_size=4304, num_attention_heads=16, num_hidden_layers=1, image_size=896, patch_size=14)


def say(*words):
    print(f"[{time.time() - began:5.1f} s]", *words, flush=True)


def run(*words):
    done = subprocess.run([gemtune, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"gemtune {' '.join(words)}: {done.stderr}"
    return done


def run_within(limit, *words):
    """The same, with at most so many bytes of memory that is no mapped file, looked at every 2 ms."""
    p, most = subprocess.Popen([gemtune, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True), 0
    while p.poll() is None:
        try:
            with open(f"/proc/{p.pid}/status") as f:
                held = re.search(r"RssAnon:\s+(\d+)", f.read())
            most = max(most, 1024 * int(held[1]) if held else 0)
        except ProcessLookupError:
            break
        time.sleep(0.002)
    assert p.wait() == 0, p.stderr.read()
    say(f"gemtune {words[0]}: {most / 2**20:.0f} MiB of its own at most (limit {limit / 2**20:.0f})")
    assert 0 < most < limit, (words, most)


# --- folders

def values(name, shape):
    """Normal values of deviation 0.02, drawn once and laid out over and over: the pool's prime length keeps rows apart. A norm's
    weights are 0.2 about 0; the embedding is small, or its square would have every id predict itself with certainty."""
    if len(shape) == 1: return (torch.randn(shape) * 0.2).bfloat16()
    if "embed_tokens" in name: return (torch.randn(shape) * 0.005).bfloat16()
    if not hasattr(values, "pool"): values.pool = (torch.randn(16777213) * 0.02).bfloat16()
    out = torch.empty(shape, dtype=torch.bfloat16)
    flat, at, from_ = out.view(-1), 0, int(torch.randint(len(values.pool), ()))
    while at < len(flat):
        n = min(len(flat) - at, len(values.pool) - from_)
        flat[at : at + n] = values.pool[from_ : from_ + n]
        at, from_ = at + n, 0
    return out


def older_keys(text, released):
    """As transformers 4 wrote them; a released multimodal config also leaves out what equals the class's default."""
    text = copy.deepcopy(text)
    rope = text.pop("rope_parameters")["full_attention"]
    text.update(model_type="gemma3_text", rope_scaling={"factor": rope["factor"], "rope_type": "linear"})
    if released:
        for key, default in (("num_attention_heads", 8), ("num_key_value_heads", 4), ("head_dim", 256), ("query_pre_attn_scalar", 256)):
            if text[key] == default: del text[key]
    else:
        text.update(rope_theta=1e6, rope_local_base_freq=1e4, max_position_embeddings=131072, rms_norm_eps=1e-6, tie_word_embeddings=True,
                    bos_token_id=2, eos_token_id=[1, 106], pad_token_id=0, hidden_activation="gelu_pytorch_tanh", torch_dtype="bfloat16",
                    architectures=["Gemma3ForCausalLM"])
    return text


def config_of(size):
    if size == "1b": return {**transformers.Gemma3TextConfig(**TEXT[size]).to_dict(), "architectures": ["Gemma3ForCausalLM"]}
    if size == "27b": return older_keys(TEXT[size], False)
    top = dict(architectures=["Gemma3ForConditionalGeneration"], model_type="gemma3", mm_tokens_per_image=256, boi_token_index=255999,
               eoi_token_index=256000, image_token_index=262144, eos_token_id=[1, 106])
    if size == "4b": return {**top, "text_config": older_keys(TEXT[size], True), "vision_config": {**VISION, "model_type": "siglip_vision_model"}}
    return {**transformers.Gemma3Config(text_config=TEXT[size], vision_config=VISION).to_dict(), **top}


def older_prefix(name):
    for new, old in (("model.language_model.", "language_model.model."), ("model.vision_tower.", "vision_tower."),
                     ("model.multi_modal_projector.", "multi_modal_projector.")):
        if name.startswith(new): return old + name[len(new) :]
    return name


def write_folder(folder, config, tensors, shards):
    """tensors: (name, function that makes it); one shard is held at a time."""
    os.mkdir(folder)
    json.dump(config, open(folder + "/config.json", "w"))
    index = {}
    for s in range(shards):
        file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
        part = tensors[s::shards]
        save_file({name: make() for name, make in part}, f"{folder}/{file}", metadata={"format": "pt"})
        index.update({name: file for name, _ in part})
    json.dump({"metadata": {}, "weight_map": index}, open(folder + "/model.safetensors.index.json", "w"))


def make(folder, size):
    """transformers' own modules say what tensors there are."""
    text = "vision_config" not in config_of(size)
    with torch.device("meta"):
        if text: model = transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**TEXT[size]))
        else: model = transformers.Gemma3ForConditionalGeneration(transformers.Gemma3Config(text_config=TEXT[size], vision_config=VISION))
    shapes = {n: t.shape for n, t in model.state_dict().items() if n != "lm_head.weight"}
    assert text or any("vision_tower" in n for n in shapes)
    name = older_prefix if size == "12b" else lambda n: n
    write_folder(folder, config_of(size), [(name(n), lambda n=n, s=s: values(n, s)) for n, s in shapes.items()], 3)


# --- both sides

def load(folder, dtype=torch.float32, **more):
    model, found = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager", output_loading_info=True, **more)
    assert not found["missing_keys"] and not found["unexpected_keys"], found
    return model.eval()


@torch.no_grad()
def logits(model, rows):
    return torch.cat([model(torch.tensor([r])).logits[0].float() for r in rows])


def write_rows(path, rows, prompt):
    with open(path, "w") as f:
        for r in rows: f.write(json.dumps({"ids": r, "prompt_tokens": prompt}) + "\n")


def ours(work, folder, rows, dtype="float32", *more):
    path, out = work + "/rows.jsonl", work + "/logits.safetensors"
    write_rows(path, rows, 1)
    told = run("score", folder, "--rows", path, "--compute-dtype", dtype, "--logits", out, *more)
    t = load_file(out)
    got = torch.cat([t[f"row.{i}"] for i in range(len(rows))])
    at, lines = 0, told.stdout.splitlines()
    for r, line in zip(rows, lines, strict=True):  # the losses belong to the logits
        nll = -torch.log_softmax(got[at : at + len(r) - 1], -1)[torch.arange(len(r) - 1), torch.tensor(r[1:])]
        assert (nll - torch.tensor(json.loads(line)["nll"])).abs().max() < 1e-4
        at += len(r)
    return got, told.stderr


def within(name, got, want, limit=FLOAT32):
    assert got.shape == want.shape and bool(torch.isfinite(got).all()), name
    worst = float((got - want).abs().max() / want.abs().max())
    assert worst <= limit, f"{name}: {worst:.3g} from it, at most {limit:g}"
    say(f"ok {name}: {worst:.2g}")


def drawn(*lengths):
    return [[2] + torch.randint(4, VOCAB, (n - 1,)).tolist() for n in lengths]


def rms(x):
    return float(x.double().pow(2).mean().sqrt())


def changed(work, folder, change):
    """The same weights under another config."""
    other = work + "/changed"
    os.mkdir(other)
    for f in os.listdir(folder):
        if f != "config.json": os.symlink(f"{folder}/{f}", f"{other}/{f}")
    config = json.load(open(folder + "/config.json"))
    change(config.get("text_config", config))
    json.dump(config, open(other + "/config.json", "w"))
    return other


def matters(work, folder, what, rows, want, change):
    """A comparison that a wrong number would pass shows nothing: this one it would not."""
    other = changed(work, folder, change)
    moved = float((ours(work, other, rows)[0] - want).abs().max() / want.abs().max())
    shutil.rmtree(other)
    assert moved > 100 * FLOAT32, f"{what}: moves the logits by {moved:.3g} only"
    say(f"ok with {what} it would differ by {moved:.2g}")


def forward(work, folder, size):
    """Float32 logits, and bf16 ones no further from them than transformers' own."""
    rows = drawn(560, 40) if size == "1b" else drawn(90, 21)
    model = load(folder)
    truth = logits(model, rows)
    del model
    got, told = ours(work, folder, rows)
    assert "ignored" not in told, told  # the vision tower is no surprise
    say(f"{size}: logits up to {float(truth.abs().max()):.1f}, of deviation {rms(truth):.2f}")
    within(f"{size} in float32", got, truth)
    model = load(folder, torch.bfloat16)
    theirs = logits(model, rows) - truth
    del model
    mine = ours(work, folder, rows, "bfloat16")[0] - truth
    say(f"{size} in bf16: rms {rms(mine):.4f}, transformers' {rms(theirs):.4f}, ratio {rms(mine) / rms(theirs):.3f}")
    short, of_short = rows[1:], truth[len(rows[0]) :]
    if size == "1b": matters(work, folder, "a window one shorter", rows, truth, lambda c: c.update(sliding_window=511))
    if size == "4b": matters(work, folder, "no rope scaling", short, of_short, lambda c: c.update(rope_scaling=None))
    if size == "12b": matters(work, folder, "the layers' kinds swapped", short, of_short, lambda c: c.update(layer_types=LAYERS[::-1]))
    if size == "27b": matters(work, folder, "head_dim for query_pre_attn_scalar", short, of_short, lambda c: c.update(query_pre_attn_scalar=128))
    return (mine, theirs)


# --- packed bases

def projections(model):
    """(name in the text tower, module) of every projection."""
    tower = model.model.language_model if hasattr(model.model, "language_model") else model.model
    for i, layer in enumerate(tower.layers):
        for p in PROJECTIONS: yield f"layers.{i}.{p}", layer.get_submodule(p)


def fourbit(folder):
    """What bitsandbytes itself makes of a folder: double quantization, computed in float32."""
    how = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32)
    model = load(folder, quantization_config=how, device_map={"": "cpu"})
    assert all(type(m).__name__ == "Linear4bit" and m.weight.quant_state.dtype == torch.float32 for _, m in projections(model))
    return model


def tensors_of(folder):
    files = [safe_open(f"{folder}/{f}", "pt") for f in sorted(os.listdir(folder)) if f.endswith(".safetensors")]
    return {name: f for f in files for name in f.keys()}


def same_codes(size, folder, packed, model):
    """Our packed folder against bitsandbytes' own quantizer. The offset is a mean: ours is the exact one's nearest float, its float32 sum
    is some ulp from it, by the number of torch's threads. Given our offset its quantizer of scales makes every byte of ours. The model
    then takes our scales, so that what is compared after this is the computation alone."""
    ours_, original = tensors_of(packed), tensors_of(folder)
    scales = moved = furthest = 0
    for name, module in projections(model):
        state, key = module.weight.quant_state, f"model.{name}.weight"
        mine = {part: ours_[key + part].get_tensor(key + part) for part in ("", ".absmax", ".nested_absmax", ".quant_state.bitsandbytes__nf4")}
        assert torch.equal(mine[""], module.weight.data), key
        offset = torch.tensor(json.loads(bytes(mine[".quant_state.bitsandbytes__nf4"].tolist()))["nested_offset"])
        there = next(n for n in original if n.endswith(f".{name}.weight") and "vision_tower" not in n)  # which has a q_proj too
        assert original[there].get_slice(there).get_shape() == list(state.shape)
        plain = original[there].get_tensor(there).view(-1, 64).abs().amax(1).float()
        exact = plain.double().mean().float()
        bits = lambda x: int(x.float().view(torch.int32))
        assert abs(bits(offset) - bits(exact)) <= 1, (key, float(offset), float(exact))
        furthest = max(furthest, abs(bits(state.offset) - bits(exact)))
        codes, nested = bitsandbytes.functional.quantize_blockwise(plain - offset, blocksize=256)
        assert torch.equal(codes, mine[".absmax"]) and torch.equal(nested.absmax, mine[".nested_absmax"]), key
        scales, moved = scales + codes.numel(), moved + int((codes != state.absmax).sum())
        state.absmax, state.state2.absmax, state.offset = codes, nested.absmax, offset
    assert moved <= scales // 10000, (moved, scales)
    say(f"ok {size} packed: {scales * 64} codes are bitsandbytes'; of {scales} scales {moved} differ, as its offsets are up to {furthest} ulp off")


def packed_logits(model, rows):
    """Through the values that bitsandbytes decodes: in float32, without a rounding of their own (docs/numerics.md), by a plain
    product, since its CPU product of codes is another function."""
    plain = torch.nn.functional.linear
    for _, m in projections(model):
        m.forward = lambda x, m=m: plain(x, bitsandbytes.functional.dequantize_4bit(m.weight.data, m.weight.quant_state).to(x.dtype))
    return logits(model, rows)


def inspected(path, *words):
    told = run("inspect", path).stdout
    for w in words: assert re.search(w, told), (w, told)


def packing(work, folder, size):
    """The other sizes, packed: 1B beside bitsandbytes, 12B by what inspect tells."""
    c, packed = TEXT[size], work + "/base.gtq"
    run("quantize", folder, "-o", packed)
    inspected(packed, f"hidden {c['hidden_size']}, inner {c['intermediate_size']}", f"down_proj +\\[{c['hidden_size']}, {c['intermediate_size']}\\] NF4")
    if size == "1b":
        run("quantize", folder, "--format", "bnb", "-o", work + "/bnb")
        model, rows = fourbit(folder), drawn(60, 21)
        same_codes(size, folder, work + "/bnb", model)
        within("1b packed, bitsandbytes' codes", ours(work, packed, rows)[0], packed_logits(model, rows))
        shutil.rmtree(work + "/bnb")
    os.remove(packed)


def other_prefix(work, folder, want, rows):
    """A folder of the same weights under the prefix of the first releases: the same bits."""
    tensors = {}
    for f in os.listdir(folder):
        if f.endswith(".safetensors"): tensors.update(load_file(f"{folder}/{f}"))
    assert all(n.startswith("model.") for n in tensors)
    older = work + "/older"
    write_folder(older, json.load(open(folder + "/config.json")), [(older_prefix(n), lambda t=t: t) for n, t in tensors.items()], 2)
    assert torch.equal(ours(work, older, rows)[0], want)
    shutil.rmtree(older)
    say("ok the older prefix: the same logits, bit for bit")


def exports(work, folder):
    """A multimodal base packed, written out again and merged with an adapter: each as transformers, PEFT and bitsandbytes have it."""
    rows = drawn(60, 21)
    own, told = ours(work, folder, rows)
    other_prefix(work, folder, own, rows)
    inspected(folder, "text part of a multimodal model", "hidden 2560, inner 10240; full attention in layers 1", "8 heads of 256 over 4", "q_proj +\\[2048, 2560\\] BF16")
    run("export", folder, "-o", work + "/plain", "--format", "hf")
    within("4b exported as hf, transformers", logits(load(work + "/plain"), rows), own)
    assert torch.equal(ours(work, work + "/plain", rows)[0], own)
    shutil.rmtree(work + "/plain")

    packed, bnb, at = work + "/base.gtq", work + "/bnb", lambda name: f"{work}/{name}"
    run("quantize", folder, "-o", packed)
    run("quantize", folder, "--format", "bnb", "-o", bnb)
    inspected(packed, "q_proj +\\[2048, 2560\\] NF4 \\(block 64, nested", "down_proj +\\[2560, 10240\\] NF4")
    reference = fourbit(folder)
    same_codes("4b", folder, bnb, reference)
    want = packed_logits(reference, rows)
    got = ours(work, packed, rows)[0]
    within("4b packed, bitsandbytes' codes", got, want)
    assert torch.equal(ours(work, bnb, rows)[0], got)
    assert float((want - own).abs().max()) > 0.05  # NF4 is another function
    bf16 = ours(work, bnb, rows, "bfloat16")[0] - got
    model = load(bnb)  # which leaves what is not packed in bf16
    for p in model.parameters():
        if p.dtype == torch.bfloat16: p.data = p.data.float()
    for _, m in projections(model): m.weight.quant_state.dtype = torch.float32
    within("4b as a bnb folder, transformers", packed_logits(model, rows), got)
    theirs = logits(load(bnb, torch.bfloat16), rows) - got  # as it is, by bitsandbytes' own product
    say(f"4b as a bnb folder in bf16: rms {rms(bf16):.4f}, transformers' {rms(theirs):.4f}")
    assert rms(bf16) <= 1.1 * rms(theirs) <= 3 * rms(bf16)
    shutil.rmtree(bnb)
    del model, theirs

    # an adapter as PEFT names it over the multimodal module tree, on the packed base; the vision tower has a q_proj too
    own_tower = r".*language_model.*\.(" + "|".join(TRAINING["target_modules"]) + ")"
    want = logits(start_adapter(reference, at("adapter"), target_modules=own_tower).eval(), rows)
    assert all(k.startswith("base_model.model.model.language_model.layers.") for k in adapter(at("adapter")))
    del reference
    within("4b packed with PEFT's adapter", ours(work, packed, rows, "float32", "--adapter", at("adapter"))[0], want)
    run("export", at("adapter"), "-o", at("merged"), "--format", "merged", "--base", packed)
    merged = logits(load(at("merged")), rows)
    within("4b merged, transformers", ours(work, at("merged"), rows)[0], merged)
    # rounding a weight once to bf16 moves it by up to 2^-9 of itself, and the logits alike: an adapter that were missing moves them by far more
    far, near = rms(want - got), rms(merged - want)
    say(f"4b merged: rms {near:.2g} from the function it was made of, the adapter's own effect is {far:.2g}")
    assert near < 2**-7 * rms(want) and near < far / 3
    for name in ("adapter", "merged"): shutil.rmtree(at(name))
    os.remove(packed)


# --- one step and another

TRAINING = dict(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=[p.split(".")[1] for p in PROJECTIONS])


def start_adapter(model, folder, **more):
    """B is random and not zero, so that A and B both have gradients at once."""
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **{**TRAINING, **more}))
    for name, p in model.named_parameters():
        if "lora_B" in name: p.data.normal_(0, 0.02)
    model.save_pretrained(folder)
    return model


def adapter(folder):
    return load_file(folder + "/adapter_model.safetensors")


def peft_steps(model, rows, prompt, out, a):
    """Optimizer steps of two rows: the sum of the losses over the tokens of the whole step, as gemtune and the Trainer divide."""
    model.train()  # else bitsandbytes multiplies what needs no gradient in bf16
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=a["learning_rate"], eps=a["adam_epsilon"], weight_decay=0.0)
    losses = []
    for of in (rows[:2], rows[2:]):
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(r) for r in of], batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(r), dtype=torch.int64) for r in of], batch_first=True)
        got = model(input_ids=ids, attention_mask=mask).logits
        loss = sum(torch.nn.functional.cross_entropy(got[i, prompt - 1 : len(r) - 1], ids[i, prompt : len(r)], reduction="sum") for i, r in enumerate(of))
        loss = loss / sum(len(r) - prompt for r in of)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append((float(loss.detach()), float(norm)))
    model.save_pretrained(out)
    return losses


def training(work, folder):
    c = TEXT["27b"]
    layer = 2 * c["hidden_size"] * (3 * c["intermediate_size"] + c["head_dim"] * (2 * c["num_attention_heads"] + 2 * c["num_key_value_heads"]))
    run_within(layer, "quantize", folder, "-o", work + "/base.gtq")
    run_within(layer, "quantize", folder, "--format", "bnb", "-o", work + "/bnb")
    inspected(work + "/base.gtq", "32 heads of 128 over 16 key/value heads, window 48, scale 168\\^-0.5", "q_proj +\\[4096, 5376\\] NF4")
    model = fourbit(folder)
    same_codes("27b", folder, work + "/bnb", model)
    shutil.rmtree(work + "/bnb")
    start, theirs, out = work + "/start", work + "/theirs", work + "/run"
    model = start_adapter(model, start)
    rows, prompt = drawn(60, 33, 48, 57), 20
    # Adam divides each element's gradient by its own size: with an epsilon of 1e-8 the sign of one that is all but zero decides, and
    # the adapters are 5e-4 apart. This epsilon is of the size of a clipped gradient's elements; the step is a smooth function of them.
    a = dict(learning_rate=0.01, adam_epsilon=1e-4)
    want = peft_steps(model, rows, prompt, theirs, a)
    del model
    write_rows(work + "/train.jsonl", rows, prompt)
    recipe = dict(model_name_or_path=work + "/base.gtq", load_in_4bit=True, init_adapter=start, train_files=[work + "/train.jsonl"], output_dir=out, max_steps=2,
                  per_device_train_batch_size=2, gradient_accumulation_steps=1, lr_scheduler_type="constant", shuffle=False, logging_steps=1,
                  max_grad_norm=1.0, compute_dtype="float32", lora_r=TRAINING["r"], lora_alpha=TRAINING["lora_alpha"], lora_dropout=0.0,
                  lora_target_modules=TRAINING["target_modules"], report_to="none", **a)
    json.dump(recipe, open(work + "/recipe.json", "w"))
    run("train", work + "/recipe.json")
    lines = [json.loads(l) for l in open(out + "/metrics.jsonl")]
    got = [(l["loss"], l["grad_norm"]) for l in lines if "loss" in l and "grad_norm" in l]
    at, x, y = adapter(start), adapter(theirs), adapter(out + "/final")
    assert x.keys() == y.keys() == at.keys() and len(x) == 2 * 2 * len(PROJECTIONS) and len(got) == len(want) == 2
    # float32 sums of other orders over the same codes: relative 1e-5 of a loss and of a gradient's norm (found: 1e-7), and of what two
    # steps changed in a tensor 1e-4 (found: 5e-6; epsilon's division by small gradients raises it)
    loss, norm = (max(abs(g[i] / w[i] - 1) for g, w in zip(got, want)) for i in (0, 1))
    step = max(float((y[k] - x[k]).norm() / (x[k] - at[k]).norm()) for k in x)
    say(f"27b QLoRA, two steps: losses {loss:.1g}, gradient norms {norm:.1g}, adapters {step:.1g} of PEFT's")
    assert loss <= 1e-5 and norm <= 1e-5 and step <= 1e-4, (got, want)
    assert all(float((x[k] - at[k]).norm()) > 0 for k in x)


def main():
    work = tempfile.mkdtemp(prefix="gemtune-wide-")
    torch.manual_seed(7)
    noise = []
    try:
        for size in sys.argv[1:] or TEXT:
            folder = f"{work}/{size}"
            make(folder, size)
            say(f"{size}: written")
            noise.append(forward(work, folder, size))
            if size in ("1b", "12b"): packing(work, folder, size)
            if size == "4b": exports(work, folder)
            if size == "27b": training(work, folder)
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(work)
    mine, theirs = (rms(torch.cat([n[i].flatten() for n in noise])) for i in (0, 1))
    say(f"bf16, all sizes: {mine / theirs:.3f} of transformers' error")
    assert mine <= 1.1 * theirs
    say(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


main()
