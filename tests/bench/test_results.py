#!/usr/bin/env python3
"""The table of figures: a row replaces its own and no other, the order does not depend on who came first, what is absent
stays empty, and tests/bench/results.csv is such a table."""
import csv, io
from pathlib import Path

import results

GEMM, HEAD = ["k", "gemm 200", "avx2", 1, "GFLOP/s", 90, 100, 0], ["k", "head 48", "avx2", 1, "GFLOP/s", 50, "nan", 200]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


one = results.merged("", [GEMM, HEAD], "P")
assert [r["case"] for r in rows(one)] == ["gemm 200", "head 48"]
assert one == results.merged(results.merged("", [HEAD], "P"), [GEMM], "P")
gemm, head = rows(one)
assert (gemm["of_peer"], gemm["floor"], gemm["of_floor"]) == ("0.90", "", ""), gemm
assert (head["peer"], head["of_peer"], head["of_floor"]) == ("", "", "0.25"), head
slower = rows(results.merged(one, [GEMM[:5] + [45, 100, 0]], "P"))
assert [r["of_peer"] for r in slower] == ["0.45", ""], slower
assert len(rows(results.merged(one, [GEMM], "Q"))) == 3
memory = rows(results.merged("", [["t", "peak", "avx2", 2, "GiB", 1, 4, 0]], "P"))
assert memory[0]["of_peer"] == "4.00"

table = Path(__file__).with_name("results.csv").read_text()
assert table == results.merged(table, [], "P"), "tests/bench/results.csv is not as results.py writes it"
print("results: a table of", len(rows(table)), "rows")
