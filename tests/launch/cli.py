"""What the tests of the command line share: running the program, the files they need, checks that count."""
import json, os, subprocess, sys

GEMTUNE = os.environ["GEMTUNE"]
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.environ.get("GT_GOLDEN", os.path.join(SOURCE, "../shared/golden"))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gemtune")
checks = 0


def write(path, value):
    with open(path, "w") as f:
        f.write(value if isinstance(value, str) else json.dumps(value))
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def skip(reason):
    print("SKIP:", reason)
    sys.exit(77)


def golden(name):
    path = os.path.join(GOLDEN, name)
    return path if os.path.exists(path) else skip(path + " is absent")


def real_270m():
    path = os.path.join(CACHE, "gemma3-270m-q4_k_m.gguf")
    return path if os.path.exists(path) else skip(path + " is absent (tests/util/reference-env makes it)")


def run(*words, input=None, env=None, timeout=120, stdout=subprocess.PIPE):
    """(exit code, standard output, standard error) of gemtune with these words."""
    result = subprocess.run([GEMTUNE, *map(str, words)], input=input, env=dict(os.environ, **(env or {})),
                            stdout=stdout, stderr=subprocess.PIPE, timeout=timeout, encoding="utf-8")
    return result.returncode, result.stdout or "", result.stderr


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def check(condition, *what):
    global checks
    checks += 1
    if not condition:
        print("FAILED:", *what, "(line %d)" % sys._getframe(1).f_lineno)
        sys.exit(1)


def check_fails(code, words, *command, partly=False, **more):
    """The command leaves with this code, says these words on standard error, after "gemtune:", and nothing else. partly:
    it may have answered on standard output before."""
    got, out, err = run(*command, **more)
    check(got == code, command, "left with", got, "expected", code, err)
    check(words in err, command, "said", repr(err), "expected", repr(words))
    check(err.startswith("gemtune: ") and err.endswith("\n"), command, "said", repr(err))
    check(partly or not out, command, "answered", repr(out))
    check("Sanitizer" not in err, err)


def done():
    print(checks, "checks passed")
