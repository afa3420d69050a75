#!/usr/bin/env python3
"""The keys that pick modules mean what they mean to PEFT: for the same config it makes adapters beside the same modules, with the
same ranks and scalings, and computes the same logits, loss and gradient norm; what it refuses is refused. Also what we write of
these keys is read by PEFT as the same adapter."""
import copy, json, os, random, shutil, subprocess, sys, tempfile, warnings

try:
    import torch
    import transformers
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.tuners.tuners_utils import check_target_module_exists
    from peft.utils.other import get_pattern_key
    from safetensors.torch import load_file
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

gemtune = os.environ["GEMTUNE"]
golden = os.environ["GT_GOLDEN"]
if not os.path.isdir(golden):
    print(f"SKIP: {golden} is absent")
    sys.exit(77)
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
warnings.simplefilter("ignore")  # PEFT warns of patterns without effect, as we do

BASE = f"{golden}/tiny/mqa_short"
ROWS = [([2, 5, 9, 300, 17, 41, 8, 77], 3), ([2, 7, 7, 190, 60], 1)]
model = transformers.AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager").eval()
LAYERS = model.config.num_hidden_layers


def run(*words):
    return subprocess.run([gemtune, *words], capture_output=True, text=True)


def adapters(m):
    """{module: (rank, scaling)} of a PEFT model."""
    return {n.removeprefix("base_model.model."): (l.r["default"], l.scaling["default"])
            for n, l in m.named_modules() if hasattr(l, "lora_A") and "default" in l.lora_A}


def written(folder):
    """{module: rank} of a folder's tensors."""
    rank = {}
    for key, value in load_file(folder + "/adapter_model.safetensors").items():
        module, half = key.removeprefix("base_model.model.").removesuffix(".weight").rsplit(".lora_", 1)
        assert rank.setdefault(module, value.shape[half == "B"]) == value.shape[half == "B"], key
    return rank


def loss_and_norm(m):
    """As a training step has them: mean over the supervised tokens of all rows, norm over the adapter's parameters."""
    total, count = 0, 0
    for ids, prompt in ROWS:
        logits = m(torch.tensor([ids])).logits[0, prompt - 1:-1]
        total = total + torch.nn.functional.cross_entropy(logits, torch.tensor(ids[prompt:]), reduction="sum")
        count += len(ids) - prompt
    m.zero_grad()
    (total / count).backward()
    grads = [p.grad for n, p in m.named_parameters() if "lora_" in n]
    return float(total / count), float(torch.sqrt(sum((g.double() ** 2).sum() for g in grads)))


def near(name, got, want, relative):
    assert abs(got - want) <= relative * abs(want), f"{name}: {got!r}, PEFT has {want!r}"


def train(work, keys, base=BASE):
    """One step that changes nothing, so that `final` is what the run began with and its metrics are that adapter's."""
    out, rows = os.path.join(work, "run"), os.path.join(work, "rows.jsonl")
    shutil.rmtree(out, ignore_errors=True)
    with open(rows, "w") as f:
        for ids, prompt in ROWS:
            f.write(json.dumps({"ids": ids, "prompt_tokens": prompt}) + "\n")
    recipe = os.path.join(work, "recipe.json")
    with open(recipe, "w") as f:
        json.dump({"model_name_or_path": base, "train_files": [rows], "output_dir": out, "max_steps": 1, "learning_rate": 0,
                   "per_device_train_batch_size": len(ROWS), "compute_dtype": "float32", "lora_dropout": 0, "max_grad_norm": 0,
                   "logging_first_step": True, "init_lora_weights": False, **keys}, f)
    return run("train", recipe), out


def same(work, keys, of_peft=None):
    """Runs one config through both. True when both took it, False when both refused it."""
    peft_keys = {k: v for k, v in (of_peft or keys).items()}
    try:
        want = adapters(get_peft_model(copy.deepcopy(model), LoraConfig(task_type="CAUSAL_LM", **copy.deepcopy(peft_keys))))
    except (ValueError, TypeError) as e:
        done, _ = train(work, keys)
        assert done.returncode == 78, (keys, "PEFT:", str(e)[:200], done.returncode, done.stderr)
        return False
    done, out = train(work, keys)
    assert done.returncode == 0, (keys, done.stderr)
    final = out + "/final"
    assert written(final) == {n: r for n, (r, _) in want.items()}, (keys, written(final), want)

    read = PeftModel.from_pretrained(copy.deepcopy(model), final, is_trainable=True).eval()
    assert adapters(read) == want, (keys, adapters(read), want)
    assert read.peft_config["default"].init_lora_weights is False
    loss, norm = loss_and_norm(read)
    ours = json.loads(open(out + "/metrics.jsonl").readline())
    near(f"{keys}: loss", ours["loss"], loss, 1e-5)
    near(f"{keys}: grad_norm", ours["grad_norm"], norm, 1e-3)

    path = os.path.join(work, "logits.safetensors")
    done = run("score", BASE, "--rows", os.path.join(work, "rows.jsonl"), "--adapter", final, "--compute-dtype", "float32",
               "--logits", path)
    assert done.returncode == 0, done.stderr
    got = load_file(path)
    with torch.no_grad():
        for i, (ids, _) in enumerate(ROWS):
            theirs = read(torch.tensor([ids])).logits[0]
            worst, moved = (float((x - theirs).abs().max()) for x in (got[f"row.{i}"], model(torch.tensor([ids])).logits[0]))
            assert worst <= 1e-4 and moved > 1e-3, (keys, worst, moved)
    return True


LISTED = [
    {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"q_proj": 2}},
    {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}, "use_rslora": True},
    # the first pattern that matches wins, in the order given, which is not the alphabet's
    {"target_modules": ["q_proj", "k_proj"], "rank_pattern": {"self_attn.*": 3, "q_proj": 2}, "alpha_pattern": {"q_.*": 5, "k_.*": 7}},
    {"target_modules": ["q_proj", "k_proj"], "rank_pattern": {"q_proj": 2, "self_attn.*": 3, ".*": 4}},
    {"target_modules": "all-linear", "rank_pattern": {"(up|down)_proj": 2, r"layers\.1\..*": 6}, "alpha_pattern": {"mlp.*": 1.5}},
    {"target_modules": r".*\.[01]\.(self_attn|mlp)\.[a-o]+_proj", "exclude_modules": r".*\.0\.mlp\..*"},
    {"target_modules": ["q_proj", "up_proj"], "exclude_modules": ["layers.1.self_attn.q_proj", "nothing"]},
    {"target_modules": ["q_proj", "up_proj"], "exclude_modules": ["proj"]},
    {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": 1},
    {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [0, LAYERS + 3], "layers_pattern": "layers"},
    {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "layers"]},
    {"target_modules": ["q_proj", "model.layers.0.mlp.up_proj"], "layers_to_transform": [1]},
    {"target_modules": ["q_proj", "up_proj"], "layers_to_transform": []},
    {"target_modules": ["q_proj"], "rank_pattern": {"^model.layers.0.*": 2, "^q_proj": 3, "layers": 4, "_proj": 5}},
    # refused by both
    {"target_modules": ["q_proj"], "layers_to_transform": [LAYERS]},
    {"target_modules": ["q_proj"], "exclude_modules": ["q_proj"]},
    {"target_modules": ["q_proj"], "exclude_modules": ".*"},
    {"target_modules": ".*q_proj", "layers_to_transform": 0},
    {"target_modules": "all-linear", "layers_to_transform": 0},
    {"target_modules": ["q_proj"], "layers_pattern": "layers"},
    {"target_modules": ["q_proj"], "layers_to_transform": 0, "layers_pattern": "h"},
    {"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 0}},
]

NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "proj", "r_proj", "layers.0.mlp.up_proj",
         "self_attn.k_proj", "model.layers.1.self_attn.o_proj"]
PATTERNS = ["q_proj", "up_proj", r"self_attn\..*", "layers.0.*", "model.layers.1.mlp.down_proj", r"^model\.layers\.[01]\..*",
            ".*k_proj", "(up|down)_proj", "proj", "gate_proj|v_proj", r"layers\.\d\.mlp\.\w+", "nothing"]


def drawn(rng):
    some = lambda of, most: rng.sample(of, rng.randint(1, most))
    keys = {"target_modules": some(NAMES, 4), "r": rng.choice([1, 4, 8]), "lora_alpha": rng.choice([1, 8, 32]),
            "use_rslora": rng.random() < 0.3}
    if rng.random() < 0.6: keys["rank_pattern"] = {p: rng.randint(1, 12) for p in some(PATTERNS, 4)}
    if rng.random() < 0.6: keys["alpha_pattern"] = {p: rng.choice([1, 2.5, 16]) for p in some(PATTERNS, 4)}
    if rng.random() < 0.4: keys["exclude_modules"] = rng.choice([some(NAMES, 2), r".*\.1\..*", r".*\.[kq]_proj"])
    if rng.random() < 0.4: keys["layers_to_transform"] = rng.choice([0, 1, [0, 1], [1, 40]])
    if "layers_to_transform" in keys and rng.random() < 0.5:
        keys["layers_pattern"] = rng.choice(["layers", "l.yers", ["h", "model.layers"], ["ayers"]])
    return keys


def multimodal(work):
    """Beside a vision tower: PEFT's rules over the paths of its module tree pick our modules and ranks, and none of the tower's."""
    keys = {"target_modules": ["q_proj", "up_proj", "fc1"], "exclude_modules": ["layers.1.mlp.up_proj"], "layers_to_transform": [0, 1],
            "rank_pattern": {"model.language_model.layers.0.*": 2, "q_proj": 3}, "alpha_pattern": {"up_proj": 9}}
    done, out = train(work, keys, f"{BASE}/layout_multimodal_old")
    assert done.returncode == 0, done.stderr
    parts = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]
    text = [f"model.language_model.layers.{l}.{p}" for l in range(LAYERS) for p in parts]
    asked = LoraConfig(**keys)
    want = {n: keys["rank_pattern"].get(get_pattern_key(keys["rank_pattern"], n), 16) for n in text if check_target_module_exists(asked, n) is True}
    assert written(out + "/final") == want, (written(out + "/final"), want)
    kept = LoraConfig.from_pretrained(out + "/final")
    tower = [f"model.vision_tower.vision_model.encoder.layers.{l}.{p}" for l in range(2) for p in ("self_attn.q_proj", "mlp.fc1")]
    assert {n for n in text + tower if check_target_module_exists(kept, n)} == set(want)
    assert kept.rank_pattern == keys["rank_pattern"] and kept.alpha_pattern == keys["alpha_pattern"]


work = tempfile.mkdtemp(prefix="gemtune-parity-")
try:
    took = [same(work, dict({"r": 8, "lora_alpha": 16}, **keys)) for keys in LISTED]
    assert took == [True] * 7 + [True] * 7 + [False] * 8, took
    rng = random.Random(20)
    took = [same(work, drawn(rng)) for _ in range(24)]
    assert 8 <= sum(took) <= 23, took  # both verdicts were seen
    multimodal(work)
finally:
    shutil.rmtree(work)
print(f"{len(LISTED)} configs and {len(took)} drawn by lot, {sum(took)} of these taken")
