from __future__ import annotations

from dataclasses import replace

import pytest
from stated import HINGE, R1, RING, part, pictures

from ganbench.contracts import (
    adapt,
    check_contract,
    check_part,
    extractor_mismatch,
    holding,
    holds,
    metric_mismatch,
    mixes_batch,
    needs_extractor,
    needs_independent,
    shape_of,
    takes_classes,
    takes_labels,
)
from ganbench.errors import PluginError
from ganbench.rules import KEYS
from ganbench.terms import KINDS, Choice, Component, Measure

CONV = {"mixes_batch": {"norm": ("batch", "instance")}, "independent": {"norm": "layer"}}


def test_mixing_is_read_from_defaults_too():
    component = Component("conv", "nowhere:at_all", "For a test", gives=CONV)
    assert mixes_batch(component, Choice("conv", defaults=(("norm", "batch"),)))
    assert mixes_batch(component, Choice("conv", (("norm", "instance"),)))
    assert not mixes_batch(component, Choice("conv", (("norm", "layer"),)))
    assert not mixes_batch(Component("mlp", "nowhere:at_all", "", gives={"mixes_batch": False}), Choice("mlp"))


def test_adapting_sets_what_the_user_left_alone_and_nothing_else():
    component = Component("conv", "nowhere:at_all", "", gives={"independent": {"norm": "layer", "noise": False}})
    assert str(adapt(component, Choice("conv"))) == "conv(noise=false, norm=layer)"
    assert str(adapt(component, Choice("conv", (("norm", "batch"),)))) == "conv(noise=false, norm=batch)"
    assert adapt(component, Choice("conv", (("width", 3),))).get("width") == 3


def test_one_part_of_the_objective_that_needs_independent_samples_is_enough():
    assert needs_independent([HINGE, R1])
    assert not needs_independent([HINGE])


def test_the_shape_of_a_data_set_has_its_parameters_in_it():
    dataset = pictures(channels=3, resolution=16)
    assert shape_of(dataset.component, dataset.choice) == (3, 16, 16)
    assert shape_of(RING.component, RING.choice) == (2,)


@pytest.mark.parametrize("shape", [(), (0,), (2, 2), ("{resolution}",), (2.0,), "big"])
def test_a_shape_that_is_none_is_the_plugins_fault(shape):
    dataset = part("odd", {}, {"data": "points", "shape": shape}, resolution="high")
    with pytest.raises(
        PluginError, match=r"dataset odd\(resolution=high\): `gives` states the shape .*, expected one positive"
    ):
        shape_of(dataset.component, dataset.choice)


def test_an_image_has_channels_height_and_width():
    with pytest.raises(PluginError, match=r"dataset flat: `gives` states the shape \(784,\), expected .* \(C, H, W\)"):
        check_part("dataset", part("flat", {}, {"data": "images", "shape": (784,)}))


def test_a_contract_that_names_a_parameter_that_is_not_there_says_which_there_are():
    dataset = pictures(shape=(1, "{resolutoin}", 8))
    with pytest.raises(PluginError, match=r"mnist: its contract names '\{resolutoin\}'. Did you mean 'resolution'\?"):
        shape_of(dataset.component, dataset.choice)


def test_an_unknown_key_of_a_contract_is_named_with_the_nearest():
    component = Component("dcgan", "nowhere:at_all", "", needs={"power_of_to": True})
    with pytest.raises(
        PluginError, match=r"generator dcgan: `needs` has the unknown key 'power_of_to'. Did you mean 'power"
    ):
        check_contract("generator", component)


def test_a_value_of_the_wrong_type_is_refused_with_what_is_right():
    component = Component("dcgan", "nowhere:at_all", "", needs={"min_resolution": "8"})
    with pytest.raises(
        PluginError,
        match=r"`needs` has min_resolution='8', expected an integer of at least 1, or a parameter's name in b",
    ):
        check_contract("generator", component)


def test_a_data_set_must_say_what_its_data_are():
    with pytest.raises(PluginError, match="dataset mnist: `gives` lacks 'data'"):
        check_contract("dataset", Component("mnist", "nowhere:at_all", "", gives={"shape": (2,)}))


def test_a_contract_may_name_a_parameter_wherever_a_value_stands():
    check_contract("generator", Component("dcgan", "nowhere:at_all", "", needs={"min_resolution": "{smallest}"}))
    assert part("dcgan", {"min_resolution": "{smallest}"}, {}, smallest=16).need("min_resolution") == 16


def test_a_parameter_that_a_contract_names_must_hold_what_the_contract_needs():
    check_part("generator", part("dcgan", {"min_resolution": "{smallest}"}, {}, smallest=16))
    with pytest.raises(
        PluginError,
        match=r"generator dcgan\(smallest=low\): `needs` has min_resolution='low', expected an integer of at least 1$",
    ):
        check_part("generator", part("dcgan", {"min_resolution": "{smallest}"}, {}, smallest="low"))
    with pytest.raises(PluginError, match=r"`gives` has shape=\(1, 0, 0\), expected positive integers"):
        check_part("dataset", pictures(resolution=0))


REFUSED = [
    ("generator", "needs", "driver", "vectorized", "'eager', 'vectorised', 'graph' or a tuple of them"),
    ("generator", "needs", "driver", "vectorised+graph", "'eager', 'vectorised', 'graph' or a tuple of them"),
    ("discriminator", "needs", "driver", (), "'eager', 'vectorised', 'graph' or a tuple of them"),
    ("loss", "needs", "driver", True, "'eager', 'vectorised', 'graph' or a tuple of them"),
    ("penalty", "needs", "driver", ("eager", "jit"), "'eager', 'vectorised', 'graph' or a tuple of them"),
    ("generator", "needs", "data", ("points", "sounds"), "'points', 'images' or a tuple of both"),
    ("generator", "needs", "data", (), "'points', 'images' or a tuple of both"),
    ("generator", "needs", "min_resolution", True, "an integer of at least 1"),
    ("generator", "needs", "power_of_two", 1, "True or False"),
    ("discriminator", "gives", "logits", True, "a kind of logits, as 'scalar'"),
    ("discriminator", "gives", "independent", True, "a mapping of parameters to values"),
    ("discriminator", "gives", "mixes_batch", {1: "batch"}, "True, False or a mapping of parameters to values"),
    ("loss", "needs", "independent", {"norm": "layer"}, "True or False"),
    ("dataset", "gives", "data", "sounds", "'points' or 'images'"),
    ("dataset", "gives", "data", ("points", "images"), "'points' or 'images'"),
    ("dataset", "gives", "shape", (1, "big", 8), "positive integers (D,) or (C, H, W)"),
    ("dataset", "gives", "shape", 2, "positive integers (D,) or (C, H, W)"),
    ("dataset", "gives", "splits", (1, 2, "x"), "two integers (train, heldout) of at least 0"),
    ("dataset", "gives", "splits", (1, -2), "two integers (train, heldout) of at least 0"),
    ("dataset", "gives", "splits", (1, True), "two integers (train, heldout) of at least 0"),
    ("dataset", "gives", "samples", 0, "an integer of at least 1"),
    ("dataset", "gives", "samples", True, "an integer of at least 1"),
    ("dataset", "gives", "samples", 10.0, "an integer of at least 1"),
    ("dataset", "gives", "classes", True, "an integer of at least 0"),
    ("dataset", "gives", "classes", -1, "an integer of at least 0"),
    ("dataset", "gives", "modes", True, "an integer of at least 0"),
    ("dataset", "gives", "vocabulary", ("zero", "one"), "text"),
    ("metric", "needs", "features", "points", "True, False or 'images'"),
    ("metric", "needs", "modes", 8, "True or False"),
    ("metric", "needs", "logits", "scalar", "True or False"),
    ("extractor", "needs", "channels", (1, 0), "an integer of at least 1 or a tuple of them"),
    ("extractor", "needs", "channels", (), "an integer of at least 1 or a tuple of them"),
    ("extractor", "gives", "logits", "scalar", "True or False"),
    ("extractor", "gives", "classes", -1, "an integer of at least 0"),
]


def stating(kind, side, key, value, /, **parameters):
    """A component with that under a key, and what its kind must state besides."""
    required = {"data": "points", "shape": (2,)} if (kind, side) == ("dataset", "gives") else {}
    sides = {side: {**required, key: value}}
    return part("any", sides.get("needs"), sides.get("gives"), **parameters)


@pytest.mark.parametrize(("kind", "side", "key", "value", "expected"), REFUSED)
def test_what_a_contract_may_not_state_is_refused_where_it_stands_and_where_a_parameter_holds_it(
    kind, side, key, value, expected
):
    problem = f"any: `{side}` has {key}={value!r}, expected {expected}"
    with pytest.raises(PluginError) as caught:
        check_contract(kind, stating(kind, side, key, value).component)
    assert str(caught.value) == f"{kind} {problem}, or a parameter's name in braces"
    named = stating(kind, side, key, "{held}", held=value)
    with pytest.raises(PluginError) as caught:
        check_part(kind, named)
    assert str(caught.value) == f"{kind} {named}: {problem.removeprefix('any: ')}"


ALLOWED = [
    ("generator", "needs", "driver", "eager"),
    ("loss", "needs", "driver", ("eager", "vectorised", "graph")),
    ("generator", "needs", "data", ["points", "images"]),
    ("generator", "needs", "data", "points"),
    ("discriminator", "gives", "logits", "vector"),
    ("discriminator", "gives", "mixes_batch", {"norm": ("batch",)}),
    ("discriminator", "gives", "outputs", 4),
    ("generator", "gives", "codes", (10, 2)),
    ("loss", "needs", "codes", (0, 0)),
    ("loss", "needs", "heads", ("features", "classes")),
    ("penalty", "needs", "heads", "features"),
    ("loss", "needs", "labels", True),
    ("method", "needs", "encoder", True),
    ("method", "gives", "alone", False),
    ("augmentation", "needs", "driver", ("eager", "graph")),
    ("dataset", "gives", "splits", (0, 50)),
    ("dataset", "gives", "samples", 1),
    ("dataset", "gives", "classes", 0),
    ("dataset", "gives", "extractor", ""),
    ("metric", "needs", "features", "images"),
    ("extractor", "needs", "channels", 3),
    ("extractor", "needs", "channels", (1, 3)),
]


@pytest.mark.parametrize(("kind", "side", "key", "value"), ALLOWED)
def test_what_a_contract_may_state_may_be_a_parameters_too(kind, side, key, value):
    measures = (Measure("share", "higher", "A share.", "k/N"),) if kind == "metric" else ()
    for stated in (value, "{held}"):
        checked = stating(kind, side, key, stated, held=value)
        check_contract(kind, replace(checked.component, measures=measures))
        check_part(kind, checked)


@pytest.mark.parametrize(
    ("kind", "side", "key", "value", "expected"),
    [
        ("discriminator", "gives", "outputs", 0, "an integer of at least 1"),
        ("discriminator", "gives", "heads", ("features",), "a mapping of heads to True or to the parameters"),
        ("discriminator", "gives", "heads", {"features": "always"}, "a mapping of heads to True or to the parameters"),
        ("generator", "gives", "codes", 10, "two integers"),
        ("loss", "needs", "codes", (10, -1), "two integers"),
        ("loss", "needs", "codes", (10, 1, 1), "two integers"),
        ("loss", "needs", "labels", {"conditional": (True,)}, "True or False"),
        ("generator", "needs", "labels", "conditional", "True, False or a mapping of parameters to values"),
        ("loss", "needs", "heads", (), "a word or a tuple of words"),
        ("method", "gives", "alone", "yes", "True or False"),
    ],
)
def test_what_is_stated_of_labels_heads_and_codes_has_a_form(kind, side, key, value, expected):
    with pytest.raises(PluginError) as caught:
        check_contract(kind, Component("any", "nowhere:at_all", "", **{side: {key: value}}))
    assert f"{kind} any: `{side}` has {key}={value!r}, expected {expected}" in str(caught.value)


@pytest.mark.parametrize(("kind", "side", "key"), [("augmentation", "needs", "heads"), ("method", "needs", "labels")])
def test_what_a_kind_cannot_state_is_unknown(kind, side, key):
    with pytest.raises(PluginError, match=f"{kind} any: `{side}` has the unknown key '{key}'"):
        check_contract(kind, Component("any", "nowhere:at_all", "", **{side: {key: True}}))


def test_a_condition_holds_where_it_is_true_or_where_one_of_its_parameters_has_one_of_the_values():
    condition = {"conditioning": ("concat", "projection"), "always": True}
    for chosen, expected in (
        ({"conditioning": "concat"}, ["conditioning=concat"]),
        ({"conditioning": "none"}, []),
        ({"conditioning": "projection", "always": True}, ["conditioning=projection", "always=True"]),
        ({}, []),
    ):
        choice = part("any", {}, {}, **chosen).choice
        assert holding(condition, choice) == expected
        assert holds(condition, choice) is bool(expected)
    anything = part("any").choice
    assert holds(True, anything)  # noqa: FBT003 - what a contract may state
    assert [holds(stated, anything) for stated in (False, None, "yes", {})] == [False] * 4


def test_a_network_takes_classes_if_it_could_use_labels_and_labels_if_it_does():
    needs = {"labels": {"conditioning": ("concat",)}, "classes": {"conditioning": ("auxiliary",)}}
    for chosen, labels in (("concat", True), ("auxiliary", False), ("none", False)):
        critic = part("mlp", needs, {}, conditioning=chosen)
        assert takes_classes(critic.component)
        assert takes_labels(critic.component, critic.choice) is labels
    assert takes_classes(part("aux", {"classes": True}).component)
    assert not takes_classes(part("plain").component)
    assert not takes_labels(part("plain").component, part("plain").choice)


def test_parameters_may_stand_inside_a_tuple():
    named = {"data": "points", "shape": ("{dimension}",), "splits": ("{train}", 50)}
    check_contract("dataset", part("cloud", {}, named).component)
    check_part("dataset", part("cloud", {}, named, dimension=2, train=100))
    with pytest.raises(PluginError, match=r"`gives` has splits=\(-1, 50\), expected two integers"):
        check_part("dataset", part("cloud", {}, named, dimension=2, train=-1))


def test_a_parameter_may_say_whether_the_batch_is_mixed():
    for mixed in (True, False):
        critic = part("conv", {}, {"mixes_batch": "{batch_norm}"}, batch_norm=mixed)
        check_part("discriminator", critic)
        assert mixes_batch(critic.component, critic.choice) is mixed


def test_a_key_that_is_not_text_is_unknown():
    with pytest.raises(PluginError, match="generator any: `needs` has the unknown key '3'"):
        check_contract("generator", part("any", {3: True}).component)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_contract_has_a_type(kind):
    for side in ("needs", "gives"):
        for key in KEYS[kind][side]:
            with pytest.raises(PluginError, match="expected"):
                check_contract(kind, Component("any", "nowhere:at_all", "", **{side: {key: object()}}))


def test_an_extractor_for_colour_refuses_grey_images():
    colour = part("inception", {"channels": (3,)})
    assert extractor_mismatch(colour, pictures(channels=3)) is None
    assert extractor_mismatch(colour, pictures(channels=1)) == (
        "extractor inception needs images with 3 channels, mnist(resolution=32) has 1"
    )
    assert extractor_mismatch(part("any"), pictures()) is None


DIGITS = pictures("digits", classes=10)
CLASSIFIER = part("classifier", {}, {"classes": 10})
FEATURES = part("inception", {}, {"classes": 0})


def test_a_metric_of_points_does_not_apply_to_images():
    modes = part("modes", {"data": "points", "modes": True})
    assert metric_mismatch(modes, RING, None) is None
    assert metric_mismatch(modes, DIGITS, None) == "metric modes needs points, digits(resolution=32) has images"


def test_a_metric_of_modes_needs_them_to_be_known():
    cloud = part("cloud", {}, {"data": "points", "shape": (2,)})
    assert (
        metric_mismatch(part("modes", {"modes": True}), cloud, None) == "metric modes needs known modes, cloud has none"
    )


def test_a_metric_of_features_needs_an_extractor():
    frechet = part("frechet", {"features": True})
    assert needs_extractor(frechet)
    assert metric_mismatch(frechet, DIGITS, FEATURES) is None
    assert metric_mismatch(frechet, RING, None) == "metric frechet needs a feature extractor, ring8 has none"


def test_a_metric_of_classes_needs_an_extractor_that_knows_those_of_the_data_set():
    classes = part("classes", {"classes": True})
    assert metric_mismatch(classes, DIGITS, CLASSIFIER) is None
    expected = "metric classes needs an extractor that knows the classes of digits(resolution=32), inception does not"
    assert metric_mismatch(classes, DIGITS, FEATURES) == expected
    assert metric_mismatch(classes, pictures("letters", classes=26), CLASSIFIER) is not None
    assert metric_mismatch(classes, pictures("faces", classes=0), FEATURES) is not None


def test_as_many_classes_are_the_same_only_where_they_are_called_the_same():
    classes = part("classes", {"classes": True})
    known = part("mnist", {}, {"classes": 10, "vocabulary": "handwritten digits"})
    unknown = "metric classes needs an extractor that knows the classes of {}, mnist does not"
    assert metric_mismatch(classes, pictures("digits", classes=10, vocabulary="handwritten digits"), known) is None
    for words in ({}, {"vocabulary": "things"}):
        things = pictures("cifar10", 3, classes=10, **words)
        assert metric_mismatch(classes, things, known) == unknown.format("cifar10(resolution=32)")
    fewer = pictures("few", classes=5, vocabulary="handwritten digits")
    assert metric_mismatch(classes, fewer, known) == unknown.format("few(resolution=32)")


def test_an_extractor_that_is_trained_on_the_labels_calls_the_classes_what_the_data_set_does():
    trained = part("classifier", {"labels": True}, {"vocabulary": "letters"})
    things = pictures("cifar10", 3, classes=10, vocabulary="things")
    assert metric_mismatch(part("classes", {"classes": True}), things, trained) is None


def test_a_metric_of_logits_takes_classes_by_another_name():
    named = part("mnist", {}, {"classes": 10, "vocabulary": "handwritten digits"})
    assert metric_mismatch(part("inception-score", {"logits": True}), pictures("cifar10", 3, classes=10), named) is None


def test_a_metric_of_logits_takes_any_classifier():
    score = part("inception-score", {"logits": True})
    assert metric_mismatch(score, pictures("faces"), CLASSIFIER) is None
    assert metric_mismatch(score, DIGITS, FEATURES) == (
        "metric inception-score needs class logits, extractor inception has none"
    )


def test_a_metric_that_needs_nothing_needs_no_extractor():
    assert not needs_extractor(part("sharpness"))
    assert metric_mismatch(part("sharpness"), DIGITS, None) is None


def test_a_metric_of_a_density_needs_it_to_be_known():
    known = part("ring8", {}, {"data": "points", "shape": (2,), "density": True})
    likelihood = part("log-likelihood", {"data": "points", "density": True})
    assert metric_mismatch(likelihood, known, None) is None
    assert metric_mismatch(likelihood, RING, None) == "metric log-likelihood needs a known density, ring8 has none"


def test_a_metric_of_images_features_takes_points_as_they_are():
    detectability = part("detectability", {"features": "images"})
    assert metric_mismatch(detectability, RING, None) is None
    assert metric_mismatch(detectability, DIGITS, FEATURES) is None
    assert metric_mismatch(detectability, DIGITS, None) is not None
    assert needs_extractor(detectability)


def test_a_metric_of_labels_needs_data_with_classes():
    accuracy = part("conditional-accuracy", {"labels": True, "classes": True})
    assert metric_mismatch(accuracy, DIGITS, CLASSIFIER) is None
    faces = pictures("faces", classes=0)
    assert metric_mismatch(accuracy, faces, CLASSIFIER) == (
        "metric conditional-accuracy needs classes, faces(resolution=32) has none"
    )


def test_an_extractor_that_trains_on_labels_knows_the_classes_of_whatever_has_some():
    trained = part("classifier", {"labels": True})
    letters = pictures("letters", classes=26)
    assert extractor_mismatch(trained, letters) is None
    assert metric_mismatch(part("classes", {"classes": True}), letters, trained) is None
    assert extractor_mismatch(trained, pictures("faces")) == (
        "extractor classifier is trained on the data set's own classes, faces(resolution=32) has none"
    )


def test_a_metric_must_declare_its_scores_and_nothing_else_may():
    measure = Measure("share", "higher", "A share.", "k/N")
    check_contract("metric", Component("near", "nowhere:at_all", "", measures=(measure,)))
    with pytest.raises(PluginError, match="metric near: states no measures: expected a Measure for each score"):
        check_contract("metric", Component("near", "nowhere:at_all", ""))
    with pytest.raises(
        PluginError, match="loss near: states `measures`, which belong to metrics only: a loss has none"
    ):
        check_contract("loss", Component("near", "nowhere:at_all", "", measures=(measure,)))
