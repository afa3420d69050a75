#!/usr/bin/env python3
"""usage: rows.py medqa|documents ROWS.jsonl OUT.jsonl: the rows that shared/bench/hf_train.py trains on (its --dump-rows), for
runs without that peer."""
import json, sys
kind, source, out = sys.argv[1:]
rows = [json.loads(line) for line in open(source)]
seqs = [(r["ids"][:1024], r["prompt_tokens"]) for r in rows]
seqs = [(s, n) for s, n in seqs if n < len(s)]
if kind == "documents":
    flat = [t for s, _ in seqs * 50 for t in s if t != 2]
    seqs = [([2] + flat[i:i + 1023], 1024 - 48) for i in range(0, len(flat) - 1024, 1023)]
with open(out, "w") as f:
    for ids, n in seqs:
        f.write(json.dumps(dict(ids=ids, prompt_tokens=n)) + "\n")
