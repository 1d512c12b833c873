"""Makes state dicts as torch.save writes them, and files that only look like them. Needs torch."""
import argparse
import collections
import json
import os
import torch

torch.manual_seed(1)
state = collections.OrderedDict()
state["a.weight"] = torch.randn(3, 4)
state["a.half"] = torch.randn(5).half()
state["a.bfloat"] = torch.randn(5).bfloat16()
state["b.long"] = torch.tensor([1, -2, 2**40])
state["b.int"] = torch.tensor([7, -8], dtype=torch.int32)
state["c.channels_last"] = torch.randn(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
whole = torch.randn(4, 6)
state["d.view"] = whole[1:3, 2:5]
state["d.transposed"] = whole.t()
state["e.scalar"] = torch.tensor(3)
state["e.parameter"] = torch.nn.Parameter(torch.randn(2))
state["f.empty"] = torch.zeros(0, 3)
torch.save(state, "plain.pth")
torch.save({"epoch": 3, "best": 0.5, "args": argparse.Namespace(lr=0.1, name="x"), "model": state, "done": [True, None]}, "nested.pth")
torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
torch.jit.script(torch.nn.Linear(2, 2)).save("script.pt")


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/locus-was-here",)


torch.save({"a": state["a.weight"], "b": Evil()}, "evil.pth")
torch.save({"epoch": 3}, "none.pth")
with open("plain.json", "w") as f:
    json.dump({k: {"shape": list(v.shape), "values": v.detach().double().flatten().tolist()} for k, v in state.items()}, f)
