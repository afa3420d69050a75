#!/usr/bin/env python3
"""Commands, options, help and exit codes, as a user meets them."""
import os, subprocess, tempfile
from cli import SOURCE, check, check_fails, done, run

code, help_text, _ = run("--help")
check(code == 0 and "usage: gemtune" in help_text)
commands = [line.split()[0] for line in help_text.split("commands:\n")[1].split("\n\n")[0].splitlines()]
check(set(commands) == {"train", "quantize", "export", "generate", "score", "tokenize", "inspect", "version"}, commands)
check(run("-h")[1] == run("help")[1] == help_text)
for command in commands:
    code, out, err = run(command, "--help")
    check(code == 0 and out.startswith("usage: gemtune " + command) and "--help" in out and not err, command, out, err)
    check(run("help", command)[1] == out, command)
    check(run(command, "--nonsense", "-h")[1] == out, command)
    check(all(len(line) <= 120 for line in out.splitlines()), command, "has a line of help that is too wide")
    check_fails(64, "no option '--nonsense'", command, "--nonsense")
check(run("--version")[1] == run("version")[1] and run("version")[1].startswith("gemtune "))

code, out, err = run()
check(code == 64 and not out and "usage" in err)
check_fails(64, "did you mean 'tokenize'?", "tokenise")
check_fails(64, "no command 'nonsensical'", "nonsensical")
check_fails(64, "one word too many", "version", "word")
check_fails(64, "MODEL is missing", "generate")
check_fails(64, "--prompt TEXT is missing", "generate", "model")
check_fails(64, "--rows FILE is missing", "score", "model")
check_fails(64, "did you mean --temperature?", "generate", "m", "--temprature", "1")
check_fails(64, "--threads is '0'; allowed: a whole number from 1", "score", "m", "--threads", "0")
check_fails(64, "--threads is '1.5'", "score", "m", "--threads=1.5")
check_fails(64, "--threads is 'two'", "score", "m", "--threads", "two")
check_fails(64, "--threads needs N", "score", "m", "--threads")
check_fails(64, "--backend is 'gpu'; allowed: auto, cpu, ref", "score", "m", "--backend", "gpu")
check_fails(64, "--base-dtype is 'int8'; allowed: native, bf16", "score", "m", "--base-dtype", "int8")
check_fails(64, "--compute-dtype is 'fp16'", "generate", "m", "--compute-dtype", "fp16")
check_fails(64, "--top-p is '1.5'", "generate", "m", "--prompt", "x", "--top-p", "1.5")
check_fails(64, "--temperature is 'nan'", "generate", "m", "--prompt", "x", "--temperature", "nan")
check_fails(64, "--chat takes no value", "generate", "m", "--chat=yes")
check_fails(64, "--rows is empty", "score", "m", "--rows", "")
check_fails(64, "exclude each other", "tokenize", "m", "--chat", "--decode")
check_fails(64, "goes with --chat", "tokenize", "m", "--add-generation-prompt")

# Models that are not there, or none.
with tempfile.TemporaryDirectory() as folder:
    empty, rows = os.path.join(folder, "empty.gguf"), os.path.join(folder, "rows.jsonl")
    open(empty, "w").close()
    with open(rows, "w") as f:
        f.write('{"ids": [2, 5, 6], "prompt_tokens": 1}\n')
    nowhere = {"HF_HUB_CACHE": folder}
    for command in ["tokenize"], ["generate", "--prompt", "x"], ["score", "--rows", rows]:
        name, more = command[0], command[1:]
        check_fails(65, "hf download google/gemma-3-270m-not", name, "google/gemma-3-270m-not", *more, env=nowhere)
        code, out, err = run(name, empty, *more)
        check(code == 65 and empty in err and not out, name, code, err)
        code, out, err = run(name, os.path.join(folder, "absent.gguf"), *more)
        check(code in (65, 74) and "absent.gguf" in err, name, code, err)

# Output that cannot be written.
if os.path.exists("/dev/full"):
    with open("/dev/full", "w") as full:
        code, _, err = run("--help", stdout=full)
        check(code == 74 and "standard output" in err, code, err)
        code, _, err = run("version", stdout=full)
        check(code == 74, code, err)

# The recipes that come with the program are read.
for name in sorted(os.listdir(SOURCE + "/launch/recipes")):
    code, out, err = run("train", SOURCE + "/launch/recipes/" + name, "--dry-run", "--set", "model_name_or_path=nobody/nothing",
                         env={"HF_HUB_CACHE": "/nonexistent"})
    check(code == 65 and "nobody/nothing" in err, name, code, err)  # past the recipe, at the model
# launch/quickstart says what it does and refuses what it cannot, before it does anything.
for words, expected, said in (["--help"], 0, "usage: launch/quickstart"), (["--modell"], 64, "no option '--modell'"), \
        (["--ranks", "two"], 64, "--ranks is 'two'"), (["--model", "/nonexistent"], 65, "/nonexistent does not exist"):
    result = subprocess.run([SOURCE + "/launch/quickstart", *words], capture_output=True, encoding="utf-8", timeout=20)
    check(result.returncode == expected and said in result.stdout + result.stderr, words, result)
done()
