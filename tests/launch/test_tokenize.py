#!/usr/bin/env python3
"""gemtune tokenize over the golden texts and chats, from tokenizer.json and from the GGUF's vocabulary."""
import json, lzma, os, signal, subprocess, tempfile, time
from cli import CACHE, GEMTUNE, GOLDEN, check, done, golden, lines, real_270m, run, SOURCE


def ask(model, rows, *options):
    code, out, err = run("tokenize", model, *options, input="".join(json.dumps(r) + "\n" for r in rows))
    answers = lines(out)
    check(len(answers) == len(rows), len(answers), "answers to", len(rows), err)
    check(code == (65 if any("error" in a for a in answers) else 0), code, err)
    return answers


def read(name):
    with open(golden(name), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def texts(model):
    cases = read("tokenizer/cases.jsonl")
    for case, got in zip(cases, ask(model, [{"text": c["text"]} for c in cases], "--parse-special")):
        check(got.get("ids") == case["ids"], case, got)
    for case, got in zip(cases, ask(model, [{"ids": c["ids"][1:]} for c in cases], "--decode")):
        check(got.get("text") == case["decoded"], case, got)


def chats(model):
    cases = read("chat/cases.jsonl")
    asked = [{"messages": c["messages"]} for c in cases]
    for case, got in zip(cases, ask(model, asked, "--chat", "--parse-special")):
        if "error" in case:
            check("error" in got, case, got)
        else:
            check(got.get("ids") == case["ids"] and got.get("prompt_tokens") == case.get("prompt_tokens"), case, got)
    for case, got in zip(cases, ask(model, asked, "--chat", "--parse-special", "--add-generation-prompt")):
        check("error" in got if "error" in case else got.get("ids") == case["ids_generation"], case, got)


def safety(model):
    """Without --parse-special no text becomes a control token, and it decodes to itself."""
    spelled = ["<eos>", "<bos>", "<mask>", "[multimodal]", "<unused7>", "<start_of_turn>user", "<end_of_turn>\n"]
    answers = ask(model, [{"text": s} for s in spelled])
    for text, got in zip(spelled, answers):
        check(got["ids"][0] == 2 and len(got["ids"]) > 3, text, got)
        check(not {0, 1, 2, 3, 4, 5, 13, 105, 106} & set(got["ids"][1:]), text, got)
    back = ask(model, [{"ids": a["ids"][1:]} for a in answers], "--decode")
    check([b["text"] for b in back] == spelled, back)


def wrong_lines(model):
    code, out, err = run("tokenize", model, input='{"text": "a"}\nnothing\n{"text": 3}\n{}\n\n{"text": "b"}')
    got = lines(out)
    check(code == 65 and len(got) == 6 and "4 lines" in err, code, out, err)
    check(["error" in g for g in got] == [False, True, True, True, True, False], got)
    check(run("tokenize", model, input="") == (0, "", ""))


def stopped_while_it_waits(model):
    """A signal ends the waiting for standard input, and answers come as soon as they can be given."""
    for words in ["tokenize", model], ["generate", model, "--prompt", "-"]:
        for number in signal.SIGINT, signal.SIGTERM:
            process = subprocess.Popen([GEMTUNE, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if words[0] == "tokenize":
                process.stdin.write(b'{"text": "a"}\n')
                process.stdin.flush()
                check(b"ids" in process.stdout.readline(), "no answer before the end of the input")
            else:
                time.sleep(1)
            process.send_signal(number)
            try:
                check(process.wait(10) == 128 + number, words, number, process.returncode)
            except subprocess.TimeoutExpired:
                process.kill()
                check(False, words, "waits on after signal", number)


packed = os.path.join(SOURCE, "../shared/data/gemma3-tokenizer")
if os.path.exists(packed):
    with tempfile.TemporaryDirectory() as folder:
        with lzma.open(packed + "/tokenizer.json.xz") as f, open(folder + "/tokenizer.json", "wb") as out:
            out.write(f.read())
        with open(packed + "/tokenizer_config.json") as f, open(folder + "/tokenizer_config.json", "w") as out:
            out.write(f.read())
        for judge in texts, chats, safety, wrong_lines:
            judge(folder)
    print("tokenizer.json: as the reference")
model = real_270m()
for judge in texts, chats, safety, stopped_while_it_waits:
    judge(model)
done()
