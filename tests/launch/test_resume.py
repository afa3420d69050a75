#!/usr/bin/env python3
"""A run that is killed, stopped, asked to leave, or moved to another number of ranks ends in the same bytes.

usage: test_resume.py [ranks|leave|evaluate|full|kill|refuse ...]   (all by default; KILLS=1000 for the nightly number of kills)
Needs GEMTUNE (the binary) and GT_GOLDEN (the golden tiny models)."""
import hashlib, json, os, random, re, resource, signal, subprocess, sys, tempfile, time
from pathlib import Path

GEMTUNE = os.environ.get("GEMTUNE", "build/gemtune")
GOLDEN = Path(os.environ.get("GT_GOLDEN", "../shared/golden"))
MODEL = GOLDEN / "tiny" / "mqa_short"
MPI = (Path(__file__).parents[1] / "util/mpi-env").read_text().splitlines()
ENV = dict(os.environ, **dict(line.split("=", 1) for line in MPI if line[:1] != "#"))
if not MODEL.exists():
    print(f"SKIP: {MODEL} is absent")
    sys.exit(77)

HOME = tempfile.TemporaryDirectory(prefix="gemtune-resume-")
ROOT = Path(HOME.name)
random.seed(20)


def make_recipe(**changes):
    rows = ROOT / "rows.jsonl"
    if not rows.exists():
        with rows.open("w") as f:
            for _ in range(36):
                n = random.randrange(8, 28)
                ids = [2] + [random.randrange(10, 500) for _ in range(n)]
                f.write(json.dumps({"ids": ids, "prompt_tokens": max(1, n // 2)}) + "\n")
    recipe = dict(model_name_or_path=str(MODEL), load_in_4bit=False, lora_r=4, lora_alpha=8, lora_dropout=0.1,
                  lora_target_modules="all-linear", train_files=[str(rows)], eval_files=[str(rows)],
                  per_device_train_batch_size=2, gradient_accumulation_steps=6, num_train_epochs=2, learning_rate=1e-2,
                  logging_steps=1, eval_steps=3, save_steps=2, output_dir="unset")
    recipe.update(changes)
    path = ROOT / f"recipe-{hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]}.json"
    path.write_text(json.dumps(recipe))
    return path


def command(recipe, out, ranks=1, *more):
    words = [GEMTUNE, "train", str(recipe), "--output-dir", str(out), *more]
    return words if ranks == 1 else ["mpirun", "-n", str(ranks), *words]


def run(recipe, out, ranks=1, *more, expect=0, timeout=120):
    p = subprocess.run(command(recipe, out, ranks, *more), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    if expect is not None and p.returncode != expect:
        fail(f"{' '.join(p.args)}\nexit {p.returncode}, expected {expect}\n{p.stdout[-3000:]}")
    return p.stdout


def fail(text):
    print("FAILED:", text)
    sys.exit(1)


def final(out):
    return hashlib.sha256((out / "final" / "adapter_model.safetensors").read_bytes()).hexdigest()


def steps_logged(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def losses(out):
    return [(m["step"], m["loss"], m["grad_norm"]) for m in steps_logged(out) if "loss" in m]


class Truth:
    """The uninterrupted run on one rank."""

    def __init__(self):
        self.recipe = make_recipe()
        self.out = ROOT / "truth"
        run(self.recipe, self.out)
        self.final, self.losses = final(self.out), losses(self.out)

    def check(self, out, what):
        if final(out) != self.final:
            fail(f"{what}: another final adapter")
        if losses(out) != self.losses:
            fail(f"{what}: other losses\n{losses(out)}\n{self.losses}")


def ranks(truth):
    for n, threads in ((1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (4, 1)):
        out = ROOT / f"ranks-{n}-{threads}"
        run(truth.recipe, out, n, "--threads", str(threads))
        truth.check(out, f"{n} ranks of {threads} threads")
        print(f"ok: {n} ranks x {threads} threads: the same bits")


def start(recipe, out, n):
    return subprocess.Popen(command(recipe, out, n, "--threads", "1"), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, start_new_session=True)


def all_ranks(popen):
    """pids of the gemtune processes under a launcher, or the process itself."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        name, rest = re.search(r"\((.*)\) . (.*)", text).groups()
        pid = int(stat.parent.name)
        if name == "gemtune" and ") Z " not in text:
            try:
                session = int(text.rsplit(")", 1)[1].split()[3])
            except (OSError, IndexError):
                continue
            if session == popen.pid:
                found.append(pid)
    return found


def wait_for_step(out, popen, step):
    """Until metrics.jsonl has that step or the process is gone."""
    end = time.monotonic() + 60
    while popen.poll() is None and time.monotonic() < end:
        try:
            if any(m["step"] >= step for m in steps_logged(out)):
                return
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.005)


def leave(truth):
    """Asked to leave at random instants (mid-window too), then continued on another number of ranks."""
    for i, (sig, before, after) in enumerate(((signal.SIGUSR1, 2, 1), (signal.SIGTERM, 1, 3), (signal.SIGUSR1, 1, 2),
                                              (signal.SIGTERM, 2, 2), (signal.SIGINT, 1, 1), (signal.SIGTERM, 3, 1))):
        out = ROOT / f"leave-{i}"
        p = start(truth.recipe, out, before)
        wait_for_step(out, p, random.randrange(1, 5))
        time.sleep(random.random() * 0.05)
        asked = time.monotonic()
        for pid in all_ranks(p):
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        text = p.communicate(timeout=30)[0]
        took = time.monotonic() - asked
        if (out / "done.json").exists():
            print(f"   (run {i} was over before its signal)")
        elif sig == signal.SIGUSR1 and p.returncode != 0:
            fail(f"SIGUSR1: exit {p.returncode}\n{text[-2000:]}")
        elif sig != signal.SIGUSR1 and (p.returncode == 0 or took > 5):
            fail(f"signal {sig}: exit {p.returncode} after {took:.1f} s\n{text[-2000:]}")
        kept = sorted(x.name for x in out.glob("checkpoint-*")) + sorted(x.name for x in out.glob("window-*"))
        text = run(truth.recipe, out, after)
        truth.check(out, f"signal {sig} on {before} ranks, continued on {after}")
        print(f"ok: {signal.Signals(sig).name} on {before} ranks, left in {took:.2f} s with {kept}, continued on {after}")


def evaluate(truth):
    """Asked to leave in the middle of a long evaluation: the step before it is kept, and the next life evaluates once."""
    rows = ROOT / "many.jsonl"
    rows.write_text("".join(json.dumps({"ids": [2] + [random.randrange(10, 500) for _ in range(40)]}) + "\n" for _ in range(1500)))
    ends = set()
    recipe = make_recipe(eval_files=[str(rows)], eval_steps=3, max_steps=4, save_steps=500)
    for sig, ranks_before in ((signal.SIGTERM, 1), (signal.SIGUSR1, 1), (signal.SIGTERM, 2), (signal.SIGUSR1, 2)):
        out = ROOT / f"evaluate-{sig}-{ranks_before}"
        p = start(recipe, out, ranks_before)
        wait_for_step(out, p, 3)
        time.sleep(0.3)
        asked = time.monotonic()
        for pid in all_ranks(p):
            os.kill(pid, sig)
        text = p.communicate(timeout=30)[0]
        took = time.monotonic() - asked
        if any("eval_loss" in m for m in steps_logged(out)):
            fail(f"the evaluation was over before its signal; give it more rows\n{text}")
        if (p.returncode == 0) != (sig == signal.SIGUSR1) or took > 4:
            fail(f"{sig} in an evaluation: exit {p.returncode} after {took:.1f} s\n{text}")
        if not (out / "checkpoint-3" / "manifest.json").exists():
            fail(f"{sig} in an evaluation: step 3 is lost, there are {sorted(x.name for x in out.iterdir())}\n{text}")
        run(recipe, out, 3 - ranks_before)
        evaluated = [m["step"] for m in steps_logged(out) if "eval_loss" in m]
        if evaluated != [3, 4]:
            fail(f"{sig} in an evaluation: then evaluated at {evaluated}, not at 3 and 4")
        ends.add((final(out), str(losses(out)), (out / "best" / "adapter_model.safetensors").read_bytes()))
        if len(ends) != 1:
            fail(f"{sig} in an evaluation: another end than after other signals")
        print(f"ok: {sig.name} in an evaluation on {ranks_before} ranks, left in {took:.2f} s")


def full(truth):
    """Nothing can be written for a while (a limit on files' sizes stands for the full disk): training goes on and ends in
    the same bytes. A disk that stays full ends the run with 74."""
    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
    for ends in True, False:
        out = ROOT / f"full-{ends}"
        p = subprocess.Popen(command(truth.recipe, out, 1, "--set", "save_steps=1" if not ends else "save_steps=2"), env=ENV,
                             preexec_fn=no_room, restore_signals=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        for line in p.stdout:
            said.append(line)
            if ends and "could not write the best adapter" in line:
                resource.prlimit(p.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        p.wait(timeout=60)
        text = "".join(said)
        left = [x.name for x in out.iterdir() if ".tmp" in x.name]
        if left:
            fail(f"a save without room left {left}\n{text}")
        if ends:
            if p.returncode != 0 or final(out) != truth.final:
                fail(f"a disk that was full for a while: exit {p.returncode}\n{text}")
            if "could not save" not in text or "metrics are written again" not in text:
                fail(f"a disk that was full for a while: not said\n{text}")
        elif p.returncode != 74 or "5 saves in a row failed" not in text or "File too large" not in text:
            fail(f"a disk that stays full: exit {p.returncode}, expected 74\n{text}")
    print("ok: full for a while, and for good")


def kill(truth):
    """SIGKILL at random instants until the run is over; then the same bytes."""
    kills = int(os.environ.get("KILLS", "50"))
    done = rounds = 0
    while done < kills:
        out = ROOT / f"kill-{rounds}"
        rounds += 1
        for life in range(1000):
            if life >= 12 or done >= kills:
                run(truth.recipe, out, random.choice((1, 2)))
                break
            n = random.choice((1, 1, 2))
            p = start(truth.recipe, out, n)
            time.sleep(random.random() * (1.2 if n == 1 else 2.0))
            victims = all_ranks(p)
            if p.poll() is None and victims:
                try:
                    os.kill(random.choice(victims), signal.SIGKILL)
                    done += 1
                except ProcessLookupError:  # it ended by itself just now
                    pass
            try:
                p.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                alive = all_ranks(p)
                os.killpg(p.pid, signal.SIGKILL)
                if alive:
                    fail("a killed run hangs")
                p.communicate()  # mpirun alone: Open MPI's own, when a rank dies while it is connecting to its launcher
                print("note: mpirun waited for ranks that were gone")
            end = time.monotonic() + 10  # a dead rank: the others are gone within ten seconds
            while all_ranks(p) and time.monotonic() < end:
                time.sleep(0.05)
            if all_ranks(p):
                fail("orphan ranks")
            if (out / "done.json").exists():
                break
        truth.check(out, f"after kills in {out.name}")
        print(f"ok: {out.name}: {life + 1} lives, {done} kills in all, the same bits")


def refuse(truth):
    out = ROOT / "truth"
    text = run(truth.recipe, out)
    if "finished already" not in text:
        fail(f"a finished run started again:\n{text}")
    text = run(truth.recipe, out, 1, "--set", "learning_rate=0.02", expect=78)
    if "learning_rate" not in text or "0.02" not in text or "0.01" not in text:
        fail(f"a changed recipe is not named with both values:\n{text}")
    text = run(truth.recipe, out, 1, "--resume", "never", expect=78)
    if "overwrite" not in text:
        fail(f"a folder in use is not refused:\n{text}")
    run(truth.recipe, out, 1, "--resume", "never", "--overwrite-output-dir")
    truth.check(out, "overwritten")
    p = start(make_recipe(max_steps=400), ROOT / "locked", 1)
    wait_for_step(ROOT / "locked", p, 1)
    text = run(truth.recipe, ROOT / "locked", expect=78)
    if str(p.pid) not in text:
        fail(f"the lock does not name its holder {p.pid}:\n{text}")
    p.terminate()
    p.wait()
    text = run(make_recipe(lora_target_modules=["r_proj"]), ROOT / "nothing", expect=78)
    if "q_proj" not in text:
        fail(f"targets that match nothing: the valid names are not listed\n{text}")
    text = run(make_recipe(lora_target_modules=["q_proj", "k_proj", "r_proj", "out_proj"], max_steps=1), ROOT / "some")
    if "r_proj" not in text or "NOTHING" not in text:
        fail(f"names that match nothing are not loud\n{text}")
    env = dict(ENV, SLURM_NTASKS="2", SLURM_JOB_ID="7", SLURM_PROCID="0")
    p = subprocess.run(command(truth.recipe, ROOT / "slurm"), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode != 78 or "--mpi=pmix" not in p.stdout:
        fail(f"two SLURM tasks, each alone: exit {p.returncode}\n{p.stdout}")
    out = ROOT / "dry"
    text = run(truth.recipe, out, 1, "--dry-run")
    if out.exists() or "acts.layer_inputs" not in text:
        fail(f"--dry-run wrote something, or did not name the memory\n{text}")
    print("ok: finished, changed, overwritten, locked, unmatched, SLURM without pmix, dry run")


if __name__ == "__main__":
    truth = Truth()
    print(f"the truth: {len(truth.losses)} steps")
    for name in sys.argv[1:] or ["ranks", "leave", "evaluate", "full", "refuse", "kill"]:
        dict(ranks=ranks, leave=leave, evaluate=evaluate, full=full, kill=kill, refuse=refuse)[name](truth)
    print("ok: all")
