#!/usr/bin/env python3
"""train, inspect, export and score of a tiny model, as a user strings them together; faults with their exit codes."""
import json, os, signal, subprocess, tempfile, time
from cli import GEMTUNE, SOURCE, check, check_fails, done, golden, lines, read, run, write

model = golden("tiny/mqa_short")


with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    os.environ["GEMTUNE_CACHE"] = at("cache")
    rows = write(at("rows.jsonl"), "".join(json.dumps({"ids": [2, 10, 20 + i, 30, 40, 50 + i, 60 + i % 3], "prompt_tokens": 3})
                                           + "\n" for i in range(12)))
    recipe = {"model_name_or_path": model, "train_files": rows, "eval_files": [rows], "lora_r": 4, "lora_dropout": 0.1,
              "max_steps": 6, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "learning_rate": 0.01,
              "logging_steps": 1, "eval_steps": 3, "save_steps": 2, "output_dir": at("run"), "target_modules": "all-linear",
              "gradient_checkpointing": "none", "push_to_hub": False, "dataloader_num_workers": 2}
    path = write(at("recipe.json"), recipe)

    # What is wrong is said before anything is written.
    check_fails(64, "RECIPE.json is missing", "train")
    check_fails(64, "--set takes key=value", "train", path, "--set", "lora_r")
    check_fails(74, "absent.json", "train", at("absent.json"))
    check_fails(78, "did you mean 'lora_r'?", "train", path, "--set", "lora_rr=1")
    check_fails(78, "--set: lora_r is 0; allowed: a whole number from 1", "train", path, "--set", "lora_r=0")
    check_fails(78, "--set: fp16 is true, which is refused", "train", path, "--set", "fp16=true")
    check_fails(78, "recipe2.json: unknown key", "train", write(at("recipe2.json"), dict(recipe, modell="x")))
    check_fails(78, "invalid JSON at column 12", "train", write(at("broken.json"), '{"seed": 1,'))
    check_fails(78, "model_name_or_path is missing", "train", write(at("none.json"), {"train_files": rows}))
    check_fails(78, "train_files is missing", "train", write(at("none.json"), {"model_name_or_path": model}))
    code, out, err = run("train", path, "--set", "train_files=" + at("absent.jsonl"))
    check(code == 74 and "absent.jsonl" in err, code, err)
    code, out, err = run("train", path, "--set", 'lora_target_modules=["r_proj"]')
    check(code == 78 and "r_proj" in err and "o_proj" in err, code, err)
    bad = write(at("bad.jsonl"), '{"ids": [2, 5], "prompt_tokens": 1}\nnothing\n')
    check(run("train", path, "--set", "train_files=" + bad)[0] == 65)
    check(run("train", path, "--set", "init_adapter=" + at("absent"))[0] == 74)
    check(run("train", path, "--resume", at("absent"))[0] in (65, 74, 78))
    check(run("train", path, "--set", "train_files=" + bad, "-o", at("deep/er/run"))[0] == 65)
    mpirun = subprocess.run(["mpirun", "-n", "2", GEMTUNE, "train", path, "--set", "train_files=" + bad], capture_output=True)
    check(mpirun.returncode == 65, mpirun.returncode, mpirun.stderr)
    check(not os.path.exists(at("run")) and not os.path.exists(at("deep")), "a refused run left its folder")
    os.mkdir(at("mine"))
    check(run("train", path, "--set", "train_files=" + bad, "-o", at("mine"))[0] == 65 and os.path.isdir(at("mine")))

    code, out, err = run("train", path, "--dry-run", "-o", at("dry"))
    check(code == 0 and "optimizer steps: 6" in err and "in all" in err and not os.path.exists(at("dry")), code, out, err)
    check("dataloader_num_workers: 2 has no effect" in err, err)
    # What would stop the run later stops the dry run.
    other = write(at("other.jsonl"), json.dumps({"ids": [2, 5, 6]}) + "\n" + json.dumps({"ids": [2, 5, 100000]}) + "\n")
    for code, words, change in ((74, "absent", ["--set", "init_adapter=" + at("absent")]),
                                (74, "is no folder", ["-o", at("rows.jsonl/run")]),
                                (65, "train_files: row 2 (the first is 1, over all files): token id 100000", ["--set", "train_files=" + other]),
                                (65, "eval_files: row 2 ", ["--set", "eval_files=" + other]),
                                (78, "eval_files has no multiple-choice row", ["--set", "metric_for_best_model=eval_accuracy"])):
        for dry in ["--dry-run"], []:
            got, out, err = run("train", path, *change, *dry)
            check(got == code and (words in err or not dry and "folder cannot be made" in err), change, dry, got, err)
    if os.geteuid() != 0:
        os.mkdir(at("closed"), 0o500)
        check(run("train", path, "--dry-run", "-o", at("closed/run"))[0] == 74)
    keys = run("train", "--keys")[1]
    check("| `lora_r` |" in keys and keys in read(SOURCE + "/docs/recipe.md").decode())

    # A run, the same again, and the same by two ranks.
    code, out, err = run("train", path)
    check(code == 0 and "step 6/6" in err and "\r" not in err, code, err)
    record = [json.loads(line) for line in read(at("run/metrics.jsonl")).splitlines()]
    check([r["step"] for r in record if "loss" in r] == [1, 2, 3, 4, 5, 6], record)
    check({"epoch", "grad_norm", "learning_rate", "num_tokens"} <= set(record[0]), record[0])
    check([r["step"] for r in record if "eval_loss" in r][:2] == [3, 6], record)
    weights = read(at("run/final/adapter_model.safetensors"))
    os.mkdir(at("run/best.tmp.99"))  # as a run that was killed leaves it, and what nobody but the user can have made
    os.mkdir(at("run/mine.tmp.99"))
    code, out, err = run("train", path)
    check(code == 0 and "finished already" in err, code, err)
    check(not os.path.exists(at("run/best.tmp.99")) and os.path.exists(at("run/mine.tmp.99")))
    os.rename(rows, rows + ".away")  # what is finished needs neither rows nor model to say so
    code, out, err = run("train", path)
    check(code == 0 and "finished already (6 steps)" in err, code, err)
    os.rename(rows + ".away", rows)
    check_fails_words = "lora_alpha was 32, is now 8"
    code, out, err = run("train", path, "--set", "lora_alpha=8")
    check(code == 78 and check_fails_words in err, code, err)
    code, out, err = run("train", path, "--dry-run", "--set", "lora_alpha=8")
    check(code == 78 and check_fails_words in err, code, err)
    code, out, err = run("train", path, "--dry-run")
    check(code == 0 and "would go on from" in err and "step 6 of 6" in err, code, err)
    check(run("train", path, "--resume", "never")[0] == 78)
    bare = ["-o", at("bare"), "--set", "save_strategy=no"]
    check(run("train", path, *bare)[0] == 0 and not [n for n in os.listdir(at("bare")) if n.startswith("checkpoint")])
    code, out, err = run("train", path, *bare)
    check(code == 0 and "finished already" in err and "step 1/6" not in err, code, err)
    os.mkdir(at("notes"))
    write(at("notes/thesis.txt"), "mine")
    code, out, err = run("train", path, "--resume", "never", "-o", at("notes"))
    check(code == 78 and "thesis.txt" in err and os.listdir(at("notes")) == ["thesis.txt"], code, err)
    mpirun = subprocess.run(["mpirun", "-n", "2", GEMTUNE, "train", path, "-o", at("two")], capture_output=True, timeout=120)
    check(mpirun.returncode == 0, mpirun.stderr)
    check(read(at("two/final/adapter_model.safetensors")) == weights, "two ranks gave another adapter")
    mpirun = subprocess.run(["mpirun", "-n", "2", GEMTUNE, "train", path, "--set", "seed=x"], capture_output=True, timeout=120)
    check(mpirun.returncode == 78 and mpirun.stderr.count(b"seed is") == 1, mpirun.returncode, mpirun.stderr)

    # Signals: SIGUSR1 saves and leaves with 0, SIGTERM leaves with 143; both go on from there to the same adapter.
    for number, expected in (signal.SIGUSR1, 0), (signal.SIGTERM, 143), (signal.SIGINT, 130):
        long = ["--set", "max_steps=4000", "--set", "warmup_steps=0", "--set", "eval_strategy=no", "--set", "logging_steps=100"]
        process = subprocess.Popen([GEMTUNE, "train", path, "-o", at("signal%d" % number), *long], stderr=subprocess.PIPE)
        for line in process.stderr:
            if b"step " in line and b"/4000" in line:
                break
        process.send_signal(number)
        process.stderr.read()
        check(process.wait(20) == expected, number, process.returncode)
        check(not os.path.exists(at("signal%d/done.json" % number)), "a run that was stopped says it is done")

    # What a run holds, and what others load.
    code, out, err = run("inspect", at("run"), at("run/final"), rows, model)
    check(code == 0 and "finished" in out and "12: token ids" in out and "LoRA adapter" in out, code, out, err)
    check(run("inspect", at("nowhere/at/all"))[0] in (65, 74))
    check_fails(65, "none of its 2 lines is a row", "inspect", write(at("prose.txt"), "This is prose,\nnot rows.\n"), partly=True)
    check_fails(64, "--format is missing", "export", at("run"), "-o", at("peft"))
    check_fails(64, "--merge-into goes with", "export", at("run"), "-o", at("peft"), "--format", "peft", "--merge-into", "original")
    check(run("export", at("run"), "-o", at("peft"), "--format", "peft")[0] == 0)
    check(read(at("peft/adapter_model.safetensors")) == weights, "the exported adapter is not the run's last")
    check(run("export", at("run"), "-o", at("merged"), "--format", "merged")[0] == 0)
    check(run("export", at("run"), "-o", at("merged"), "--format", "merged")[0] == 78)

    # A base packed at the start is packed once: later runs, exports and scores map the same file.
    nf4 = ["--set", "load_in_4bit=true", "--set", "eval_strategy=no"]
    code, out, err = run("train", path, "-o", at("nf4"), *nf4)
    packed = os.listdir(at("cache/packed"))
    check(code == 0 and "quantizing" in err and len(packed) == 1, code, err, packed)
    mpirun = subprocess.run(["mpirun", "-n", "2", GEMTUNE, "train", path, "-o", at("nf4_two"), *nf4], capture_output=True)
    check(mpirun.returncode == 0 and b"quantizing" not in mpirun.stderr, mpirun.stderr)
    check(read(at("nf4_two/final/adapter_model.safetensors")) == read(at("nf4/final/adapter_model.safetensors")))
    code, out, err = run("export", at("nf4"), "-o", at("nf4_merged"), "--format", "merged")
    check(code == 0 and "dequantized" in out and "quantizing" not in err, code, out, err)
    code, out, err = run("score", model, "--base-dtype", "nf4", "--rows", rows)
    check(code == 0 and "quantizing" not in err and os.listdir(at("cache/packed")) == packed, code, err)

    # A base that bitsandbytes packed is the run's base at its export too.
    bnb = golden("tiny/wide_head/layout_bnb_nf4")
    code, out, err = run("train", path, "-o", at("bnb"), "--set", "model_name_or_path=" + bnb)
    check(code == 0, code, err)
    code, out, err = run("export", at("bnb"), "-o", at("bnb_merged"), "--format", "merged")
    check(code == 0 and "dequantized" in out, code, out, err)
    code, out, err = run("export", at("bnb"), "-o", at("other"), "--format", "merged", "--base", golden("tiny/wide_head"))
    check(code == 78 and "is not the base" in err, code, err)

    # Scores: the adapter counts, and the merged model is base and adapter within bf16's rounding of the merged weights.
    scores = {}
    for name, words in ("base", [model]), ("adapter", [model, "--adapter", at("peft")]), ("merged", [at("merged")]):
        code, out, err = run("score", *words, "--rows", rows, "--compute-dtype", "float32", "--top", "2")
        check(code == 0 and len(lines(out)) == 12, code, err)
        first = lines(out)[0]
        check(first["tokens"] == 7 and len(first["nll"]) == len(first["greedy"]) == len(first["top"]) == 4, first)
        check(abs(sum(first["nll"]) - first["sum"]) < 1e-5, first)
        scores[name] = sum(line["sum"] for line in lines(out)) / 48
    check(scores["adapter"] < scores["base"] - 0.1 and abs(scores["adapter"] - scores["merged"]) < 0.05, scores)
    code, out, err = run("score", model, "--rows", rows, "--logits", at("logits.safetensors"))
    check(code == 0 and os.path.getsize(at("logits.safetensors")) > 12 * 7 * 512 * 4, code, err)
    check(run("score", model, "--rows", write(at("bad.jsonl"), '{"ids": [2, 5]}\nnothing\n'))[0] == 65)

    # Packing.
    check_fails(64, "must end with .gtq", "quantize", model, "-o", at("base.bin"))
    check_fails(64, "-o PATH is missing", "quantize", model)
    code, out, err = run("quantize", model, "-o", at("base.gtq"))
    check(code == 0 and "identity" in out, code, err)
    check(run("quantize", model, "-o", at("base.gtq"))[0] == 78)
    first = read(at("base.gtq"))
    check(run("quantize", model, "-o", at("base.gtq"), "--force", "--threads", "2")[0] == 0)
    check(read(at("base.gtq")) == first, "packing again gave other bytes")
    code, out, err = run("train", path, "-o", at("packed"), "--set", "load_in_4bit=true", "--set",
                         "model_name_or_path=" + at("base.gtq"), "--set", "bnb_4bit_use_double_quant=false")
    check(code == 78 and "double" in err, code, err)
    check(run("quantize", model, "-o", at("rows.jsonl/base.gtq"))[0] == 74)

    # A byte of a packed base that is not what was written is found before anything is computed with it, by any rank.
    code, out, err = run("inspect", "--verify", at("base.gtq"))
    check(code == 0 and "every digest" in out, code, out, err)
    for where in range(len(first) // 9, len(first), len(first) // 9):
        damaged = bytearray(first)
        damaged[where] ^= 4
        with open(at("damaged.gtq"), "wb") as f:
            f.write(damaged)
        base = "model_name_or_path=" + at("damaged.gtq")
        commands = [["inspect", "--verify", at("damaged.gtq")], ["export", at("damaged.gtq"), "-o", at("hf"), "--format", "hf"],
                    ["train", path, "--set", base, "-o", at("of_damaged")], ["train", path, "--set", base, "-o", at("dry"), "--dry-run"]]
        for words in commands:
            code, out, err = run(*words)
            check(code == 65 and "damaged.gtq" in err, where, words, code, err)
        mpirun = subprocess.run(["mpirun", "-n", "2", GEMTUNE, *commands[2]], capture_output=True, timeout=120)
        check(mpirun.returncode == 65 and b"damaged.gtq" in mpirun.stderr, where, mpirun.returncode, mpirun.stderr)
        check(not os.path.exists(at("of_damaged/metrics.jsonl")) and not os.path.exists(at("hf")), where)
done()
