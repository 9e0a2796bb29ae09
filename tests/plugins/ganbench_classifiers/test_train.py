"""The script that trained the shipped classifiers, on a budget of seconds."""

import hashlib
import json
import logging

from safetensors import safe_open

from ganbench_classifiers import train
from ganbench_classifiers.networks import DIGITS
from ganbench_classifiers.training import Recipe
from ganbench_digits.data import digits


def test_the_script_writes_weights_that_state_their_accuracy(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(train.SHIPPED, "digits", train.Shipped(digits, DIGITS, Recipe(epochs=2)))
    with caplog.at_level(logging.INFO):
        train.main(["digits", "--out", str(tmp_path)])
    (path,) = tmp_path.iterdir()
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["description"])
    assert (description["n_train"], description["n_test"], description["seed"]) == (899, 898, 0)
    assert 0 < description["accuracy"] <= 1
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:8] in path.name
    assert f"{path}: accuracy {description['accuracy']:.4f} on 898 held-out images" in caplog.text
