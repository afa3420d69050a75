#!/usr/bin/env python3
"""usage: results.py FILE < ROWS: merges rows "bench,case,path,threads,unit,ours,peer,floor" into the table FILE, which
tests/bench/results.csv is one of.

A row is found by bench, case, processor, path and threads: one that is there is replaced, rows of other processors and paths
stay. Rows are sorted by those columns, so a drift is a line of a diff. `peer` is what another library reached in the same
run, `floor` what the machine allows (docs/performance.md); of_peer and of_floor are turned so that more is better. A figure
that could not be had is left empty."""
import csv, io, sys
from pathlib import Path

KEY = ["bench", "case", "processor", "path", "threads"]
COLUMNS = KEY + ["unit", "ours", "peer", "floor", "of_peer", "of_floor"]
LESS_IS_BETTER = {"s", "GiB"}


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def figure(value):
    """A number as it is written, three digits; empty for one that is absent (None, nan, 0)."""
    value = float(value or "nan")
    return f"{value:.3g}" if value > 0 else ""


def ratio(ours, other, unit):
    if not (float(ours or 0) > 0 and float(other or 0) > 0):
        return ""
    of = float(ours) / float(other)
    return f"{1 / of if unit in LESS_IS_BETTER else of:.2f}"


def whole(row, of_processor):
    """A row of eight values as a line of the table."""
    bench, case, path, threads, unit, ours, peer, floor = row
    return dict(zip(COLUMNS, [bench, case, of_processor, path, str(threads), unit, figure(ours), figure(peer), figure(floor),
                              ratio(ours, peer, unit), ratio(ours, floor, unit)]))


def merged(text, rows, of_processor):
    """The table's new text."""
    table = {tuple(r[k] for k in KEY): r for r in csv.DictReader(io.StringIO(text))}
    for row in rows:
        line = whole(row, of_processor)
        table[tuple(line[k] for k in KEY)] = line
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table[k] for k in sorted(table))
    return out.getvalue()


def merge(path, rows):
    path = Path(path)
    path.write_text(merged(path.read_text() if path.exists() else "", rows, processor()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    merge(sys.argv[1], list(csv.reader(sys.stdin)))
