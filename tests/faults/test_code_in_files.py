"""No file that is read runs code: nothing in ser/ unpickles, evaluates or loads tagged YAML, save where told.

The syntax tree is searched, so that a comment or a doctest is none, and a keyword on the next line is one.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Where the user has said that code may run: --allow-pickle of 'ser units', allow_unsafe of ArkReader.
ALLOWED = {
    ("ser/papt/released_kmeans.py", "joblib.load"),
    ("ser/data/arks.py", "kaldiio.load_mat"),
}
NEVER = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "cloudpickle.load", "joblib.load",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load",
    "yaml.full_load_all", "eval", "exec", "marshal.load", "marshal.loads", "shelve.open",
    "kaldiio.load_mat", "kaldiio.load_scp", "kaldiio.load_ark", "pandas.read_pickle", "torch.jit.load",
    "torch.hub.load", "os.system", "os.popen",
}  # fmt: skip
MODULES_NEVER = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}


def offences(source: str) -> list[str]:
    """Calls of ``source`` that would run what is in a file, as ``name`` or ``name(keyword)``, and imports."""
    tree, found = ast.parse(source), []
    known = {}  # local name -> full name
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {
                item.asname or item.name.partition(".")[0]: item.name
                if item.asname
                else item.name.partition(".")[0]
                for item in node.names
            }
            found += [
                f"import {item.name}" for item in node.names if item.name.partition(".")[0] in MODULES_NEVER
            ]
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
            if node.module.partition(".")[0] in MODULES_NEVER:
                found.append(f"import {node.module}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        name = known.get(first, first) + dot + rest
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in NEVER:
            found.append(name)
        if name in ("torch.load", "torch.serialization.load") and given.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if name in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
            found.append("numpy.load with allow_pickle")
        if given.get("trust_remote_code", "False") != "False":
            found.append(f"{name} with trust_remote_code")
        if given.get("shell", "False") != "False":
            found.append(f"{name} with shell")
    return found


def test_nothing_in_the_package_does():
    found = {
        (str(path.relative_to(ROOT)), offence)
        for path in sorted((ROOT / "ser").rglob("*.py"))
        for offence in offences(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x')",
        "import torch as t\nt.load('x',\n weights_only=False)",
        "from torch import load as get\nget('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import pickle",
        "from pickle import loads",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "from transformers import AutoModel\nAutoModel.from_pretrained('x', trust_remote_code=True)",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "eval(text)",
        "import kaldiio\nkaldiio.load_scp('x')",
    ],
)
def test_each_would_be_seen(source):
    assert offences(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x', map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load('x')",
        "import yaml\nyaml.safe_load(text)",
        "model.eval()",
        '"""Never torch.load(path)."""',
    ],
)
def test_what_is_safe_is_left_alone(source):
    assert not offences(source)
