#!/usr/bin/env python3
"""Opens a checkpoint with h5py and finds what docs/checkpoint-format.md promises: names, shapes, types, sums, texts."""
import hashlib, json, os, subprocess, sys, tempfile

try:
    import h5py
    import numpy as np
except ImportError as e:
    print(f"SKIP: {e}")
    sys.exit(77)

tool = os.path.join(os.path.dirname(os.environ["GEMTUNE"]), "tests", "ckpt_tool")
shapes = {"l0.q_proj.lora_A": (4, 24), "l0.q_proj.lora_B": (16, 4), "l0.k_proj.lora_A": (4, 24),
          "l0.k_proj.lora_B": (8, 4), "one": (1,), "wide": (2, 3, 5, 7)}
elements = sum(int(np.prod(s)) for s in shapes.values())

with tempfile.TemporaryDirectory() as work:
    subprocess.run([tool, "alone", work, "5"], check=True)
    folders = sorted(os.listdir(work))
    assert len(folders) == 2 and folders[0] == "checkpoint-5" and folders[1].startswith("window-5.0."), folders
    manifests = {}
    for folder in folders:
        path = os.path.join(work, folder)
        raw = open(os.path.join(path, "manifest.json"), "rb").read()
        m = manifests[folder] = json.loads(raw)
        seal = m["self"].encode()
        assert hashlib.sha256(raw.replace(seal, b"0" * 64, 1)).hexdigest().encode() == seal
        assert sorted(os.listdir(path)) == sorted([f["name"] for f in m["files"]] + ["manifest.json"])
        for f in m["files"]:
            data = open(os.path.join(path, f["name"]), "rb").read()
            assert len(data) == f["bytes"] and hashlib.sha256(data).hexdigest() == f["sha256"], f

    state = manifests[folders[0]]["state"]
    assert state["step"] == 5 and state["seed"] == str(0xFEDCBA9876543210) and state["recipe"]["lora_r"] == 16
    with h5py.File(os.path.join(work, folders[0], "state.h5"), "r") as f:
        assert f.attrs["format"].decode() == "gemtune state" and f.attrs["version"] == 1 and f.attrs["step"] == 5
        assert f.attrs["id"].decode() == state["id"]
        assert json.loads(f["state"][0]) == state
        for group in ("adapter", "moment1", "moment2"):
            assert list(f[group]) and set(f[group]) == set(shapes)
            for name, shape in shapes.items():
                d = f[group][name]
                assert d.shape == shape and d.dtype == np.dtype("<f4") and d.fletcher32 and d.chunks, (name, d)
                assert np.isfinite(d[()]).all()
        a = f["adapter/l0.q_proj.lora_A"][()]
        assert a[0, 0] == 0 and np.signbit(a[0, 0]) and 0 < a[0, 1] < 1e-41

    part = manifests[folders[1]]["parts"][0]
    assert part["finished"] == [0, 3] and part["names"] == "loss,supervised,bad" and part["shift"] == 43
    with h5py.File(os.path.join(work, folders[1], "part-0.h5"), "r") as f:
        assert f["sum"].shape == (elements,) and f["sum"].dtype == np.dtype("<i8") and f["sum"].fletcher32
        assert f["numbers"].shape == (3,) and f["finished"][()].tolist() == [0, 3]
        assert f.attrs["id"].decode() == state["id"] and json.loads(f["part"][0])["rank"] == 0
print("h5py", h5py.__version__, "reads states and parts")
