from __future__ import annotations

import pytest
from stated import CRITIC, HINGE, MLP, R1, RING, part, pictures

from ganbench.compatibility import Combination, incompatibility, logits_of, refused_drivers
from ganbench.contracts import check_part
from ganbench.terms import Training

IMAGES = {"data": "images", "power_of_two": True, "min_resolution": 8}
CONV = {"mixes_batch": {"norm": ("batch", "instance")}, "independent": {"norm": "layer"}}
DCGAN = part("dcgan", IMAGES)
WGAN_GP = part("wgan-gp", {"independent": True}, {}, weight=10.0)
DIGITS = pictures("digits", resolution=8, classes=10)
CONDITIONAL = {"labels": {"conditional": (True,)}}
CONDITIONING = {"labels": {"conditioning": ("concat", "projection")}, "classes": {"conditioning": ("auxiliary",)}}
HEADS = {"features": True, "code": False, "classes": {"conditioning": ("auxiliary", "both"), "classifier": (True,)}}
CODES = {"codes": ("{categories}", "{continuous}")}


def reason(
    dataset=RING, generator=MLP, discriminator=CRITIC, objective=(HINGE,), augmentation=None, method=None, **training
):
    combination = Combination(dataset, generator, discriminator, objective, augmentation, method)
    return incompatibility(combination, Training(**training))


def test_what_needs_nothing_goes_with_everything():
    assert reason() is None
    assert reason(dataset=pictures()) is None


def test_a_network_for_images_does_not_train_on_points():
    assert reason(generator=DCGAN) == "generator dcgan needs images, ring8 has points"
    assert reason(discriminator=DCGAN) == "discriminator dcgan needs images, ring8 has points"


def test_a_network_for_several_kinds_of_data_names_them_all():
    neither = part("sounds", {}, {"data": "sounds", "shape": (16_000,)})
    assert reason(dataset=neither) == "generator mlp needs points or images, sounds has sounds"


def test_a_power_of_two_is_looked_for_in_the_parameter_that_the_shape_names():
    assert reason(dataset=pictures(resolution=32), generator=DCGAN) is None
    assert reason(dataset=pictures(resolution=28), generator=DCGAN) == (
        "generator dcgan needs square images whose side is a power of two, mnist(resolution=28) is 28×28"
    )


def test_sides_that_are_powers_of_two_but_not_equal_are_refused():
    wide = part("wide", {}, {"data": "images", "shape": (3, 16, 32)})
    assert reason(dataset=wide, generator=DCGAN) == (
        "generator dcgan needs square images whose side is a power of two, wide is 16×32"
    )


def test_images_that_are_too_small_are_refused():
    assert reason(dataset=pictures(resolution=8), generator=DCGAN) is None
    assert reason(dataset=pictures(resolution=4), generator=DCGAN) == (
        "generator dcgan needs images of at least 8×8, mnist(resolution=4) is 4×4"
    )


def test_a_gradient_penalty_refuses_a_critic_that_mixes_the_batch_and_names_the_setting():
    conv = part("conv", {}, CONV, norm="batch")
    expected = "needs a discriminator that does not mix the batch, conv(norm=batch) does with norm=batch"
    assert reason(discriminator=conv, objective=(WGAN_GP,)) == f"loss wgan-gp(weight=10.0) {expected}"
    assert reason(discriminator=conv, objective=(HINGE, R1)) == f"penalty r1(gamma=0.1) {expected}"


def test_a_gradient_penalty_takes_a_critic_whose_setting_does_not_mix_the_batch():
    assert reason(discriminator=part("conv", {}, CONV, norm="layer"), objective=(WGAN_GP, R1)) is None
    assert reason(discriminator=part("conv", {}, CONV, norm="batch"), objective=(HINGE,)) is None


def test_a_critic_that_always_mixes_the_batch_is_refused_without_a_setting():
    always = part("minibatch", {}, {"mixes_batch": True})
    assert reason(discriminator=always, objective=(R1,)) == (
        "loss r1(gamma=0.1) needs a discriminator that does not mix the batch, minibatch does"
    )


def test_a_loss_on_scalar_logits_refuses_vectors_and_the_other_way_round():
    vector = part("embedding", {}, {"logits": "vector"})
    assert reason(discriminator=vector, objective=(part("hinge", {"logits": "scalar"}),)) == (
        "loss hinge needs scalar logits, discriminator embedding gives vector logits"
    )
    assert reason(objective=(part("mmd", {"logits": "vector"}),)) == (
        "loss mmd needs vector logits, discriminator critic gives scalar logits"
    )


def test_packing_must_divide_the_batch():
    assert reason(discriminator=part("critic", {}, {}, packing=2), batch_size=64) is None
    assert reason(discriminator=part("critic", {}, {}, packing=3), batch_size=64) == (
        "discriminator critic(packing=3) packs 3 samples, which does not divide batch_size 64"
    )


def test_only_images_can_be_mirrored():
    assert reason(dataset=pictures(), flips=True) is None
    assert reason(flips=True) == "training with flips needs images, ring8 has points"


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_any_data_and_networks_train_in_any_precision(precision):
    assert reason(precision=precision) is None
    assert reason(dataset=pictures(), generator=DCGAN, precision=precision) is None


def refusals(generator=MLP, discriminator=CRITIC, objective=(HINGE,), augmentation=None, method=None):
    return refused_drivers(Combination(RING, generator, discriminator, objective, augmentation, method))


def test_what_says_nothing_of_drivers_has_them_all():
    assert refusals() == {}
    assert refusals(generator=part("mlp", {"driver": ("eager", "vectorised", "graph")})) == {}


def test_a_driver_that_a_part_leaves_out_is_refused_with_the_parts_name():
    assert refusals(generator=part("wide", {"driver": ("eager", "graph")})) == {
        "vectorised": "generator wide needs the driver eager or graph"
    }
    assert refusals(discriminator=part("noisy", {"driver": ["eager", "vectorised"]}, {}, deviation=0.1)) == {
        "graph": "discriminator noisy(deviation=0.1) needs the driver eager or vectorised"
    }
    assert refusals(objective=(part("counting", {"driver": "eager"}),)) == {
        "vectorised": "loss counting needs the driver eager",
        "graph": "loss counting needs the driver eager",
    }


def test_each_driver_is_refused_for_the_first_part_that_leaves_it_out():
    penalty = part("adaptive", {"driver": "eager"})
    assert refusals(generator=part("wide", {"driver": ("eager", "graph")}), objective=(HINGE, penalty)) == {
        "vectorised": "generator wide needs the driver eager or graph",
        "graph": "penalty adaptive needs the driver eager",
    }


def test_a_parameter_may_say_which_drivers_a_part_can_have():
    for driver, expected in (("vectorised", {"graph"}), ("eager", {"vectorised", "graph"})):
        generator = part("wide", {"driver": ("eager", "{faster}")}, {}, faster=driver)
        check_part("generator", generator)
        assert refusals(generator=generator).keys() == expected


# --- labels


@pytest.mark.parametrize(
    ("role", "told", "setting"),
    [
        ("generator", part("mlp", CONDITIONAL, {}, conditional=True), "conditional=True"),
        ("discriminator", part("mlp", CONDITIONING, {}, conditioning="concat"), "conditioning=concat"),
        ("discriminator", part("mlp", CONDITIONING, {}, conditioning="auxiliary"), "conditioning=auxiliary"),
    ],
)
def test_a_network_that_is_told_labels_needs_data_with_classes_and_the_setting_is_named(role, told, setting):
    assert reason(dataset=DIGITS, **{role: told}) is None
    assert reason(**{role: told}) == f"{role} {told} needs data with classes for {setting}, ring8 has none"
    assert reason(dataset=pictures("faces", classes=0), **{role: told}) is not None


def test_a_network_that_could_be_told_labels_and_is_not_goes_with_any_data():
    unconditional = part("mlp", CONDITIONAL, {}, conditional=False)
    assert reason(generator=unconditional, discriminator=part("mlp", CONDITIONING, {}, conditioning="none")) is None


def test_a_network_that_always_needs_labels_and_a_loss_that_does_name_no_setting():
    always = part("told", {"labels": True})
    assert reason(generator=always) == "generator told needs data with classes, ring8 has none"
    assert reason(objective=(always,)) == "loss told needs data with classes, ring8 has none"
    assert reason(objective=(HINGE, always)) == "penalty told needs data with classes, ring8 has none"
    assert reason(dataset=DIGITS, generator=always, objective=(always,)) is None


def test_samples_that_are_packed_have_no_one_label_for_the_critic():
    told = part("mlp", CONDITIONING, {}, conditioning="concat", packing=2)
    assert reason(dataset=DIGITS, discriminator=told) == (
        f"discriminator {told} packs 2 samples, which have a label each; it can be told one"
    )
    assert reason(dataset=DIGITS, discriminator=part("mlp", CONDITIONING, {}, conditioning="concat", packing=1)) is None
    blind = part("mlp", CONDITIONING, {}, conditioning="none", packing=2)
    assert reason(dataset=DIGITS, discriminator=blind) is None


def test_a_generator_that_is_told_labels_may_be_judged_in_packs():
    told = part("mlp", CONDITIONAL, {}, conditional=True)
    assert reason(dataset=DIGITS, generator=told, discriminator=part("critic", {}, {}, packing=2)) is None


@pytest.mark.parametrize("needs", [{"labels": True}, {"codes": (0, 0)}])
def test_a_loss_about_labels_or_codes_judges_one_sample_at_a_time(needs):
    about, packed = part("about", needs), part("critic", {}, {}, packing=2)
    assert reason(dataset=DIGITS, discriminator=packed, objective=(about,)) == (
        "loss about judges one sample at a time, discriminator critic(packing=2) packs 2"
    )
    assert reason(dataset=DIGITS, objective=(about,)) is None


# --- what a critic says beside a logit


def test_a_head_that_a_critic_lacks_is_named_with_the_settings_that_give_it():
    acgan, critic = part("acgan", {"heads": ("classes",)}), part("mlp", {}, {"heads": HEADS}, conditioning="none")
    expected = f"loss acgan needs a discriminator with the head 'classes', {critic} has none"
    ways = "conditioning=auxiliary or conditioning=both or classifier=True"
    assert reason(discriminator=critic, objective=(acgan,)) == f"{expected}; it has with {ways}"
    for setting in ({"conditioning": "auxiliary"}, {"conditioning": "both"}, {"classifier": True}):
        assert reason(discriminator=part("mlp", {}, {"heads": HEADS}, **setting), objective=(acgan,)) is None


@pytest.mark.parametrize("critic", [part("mlp", {}, {"heads": HEADS}), part("critic")])
def test_a_head_that_no_setting_gives_comes_without_advice(critic):
    reading = part("reading", {"heads": "code"})
    assert reason(discriminator=critic, objective=(HINGE, reading)) == (
        f"penalty reading needs a discriminator with the head 'code', {critic} has none"
    )


def test_each_head_that_is_asked_for_must_be_there():
    both = part("both", {"heads": ("features", "classes")})
    assert "with the head 'classes'" in reason(discriminator=part("mlp", {}, {"heads": HEADS}), objective=(both,))
    assert "with the head 'features'" in reason(objective=(both,))


def test_a_method_may_ask_for_a_head_too():
    method = part("vae-gan", {"heads": ("features",)}, {"alone": True})
    assert reason(objective=(), method=method) == (
        "method vae-gan needs a discriminator with the head 'features', critic has none"
    )


@pytest.mark.parametrize(
    ("gives", "parameters", "kind"),
    [
        ({}, {}, "scalar"),
        ({"logits": "energy"}, {}, "energy"),
        ({"logits": "scalar", "outputs": "{outputs}"}, {"outputs": 1}, "scalar"),
        ({"logits": "scalar", "outputs": "{outputs}"}, {"outputs": 2}, "vector"),
        ({"logits": "energy", "outputs": "{outputs}"}, {"outputs": 16}, "vector"),
    ],
)
def test_logits_are_scalars_energies_or_vectors_where_there_is_more_than_one_output(gives, parameters, kind):
    critic = part("critic", {}, gives, **parameters)
    assert logits_of(critic) == kind
    for wanted in ("scalar", "energy", "vector"):
        refusal = f"loss any needs {wanted} logits, discriminator {critic} gives {kind} logits"
        hint = "; write critic(outputs=16) for vectors of 16" if wanted == "vector" and "outputs" in gives else ""
        expected = None if wanted == kind else refusal + hint
        assert reason(discriminator=critic, objective=(part("any", {"logits": wanted}),)) == expected


def test_each_part_of_an_objective_may_need_its_own_kind_of_logits():
    penalty = part("lecam", {"logits": "scalar"})
    vector = part("critic", {}, {"outputs": 4})
    assert reason(discriminator=vector, objective=(HINGE, penalty)) == (
        "penalty lecam needs scalar logits, discriminator critic gives vector logits"
    )
    assert reason(discriminator=vector, method=part("top-k", {"logits": "scalar"})) == (
        "method top-k needs scalar logits, discriminator critic gives vector logits"
    )


# --- latent codes


def coded(name, categories, continuous):
    return part(name, {}, CODES, categories=categories, continuous=continuous)


INFOGAN = part("infogan", CODES, {}, categories=10, continuous=2)


def test_both_networks_must_have_the_codes_that_the_loss_is_about():
    fitting, other = coded("mlp", 10, 2), coded("mlp", 10, 3)
    assert reason(generator=fitting, discriminator=fitting, objective=(INFOGAN,)) is None
    expected = "loss infogan(categories=10, continuous=2) needs a {} with categories=10 and continuous=2, {} has"
    assert reason(generator=other, discriminator=fitting, objective=(INFOGAN,)) == (
        expected.format("generator", other) + " categories=10 and continuous=3"
    )
    assert reason(generator=fitting, discriminator=coded("mlp", 0, 2), objective=(INFOGAN,)) == (
        expected.format("discriminator", coded("mlp", 0, 2)) + " categories=0 and continuous=2"
    )


def test_a_network_that_knows_no_codes_has_none():
    assert reason(discriminator=coded("mlp", 10, 2), objective=(INFOGAN,)).endswith(
        "mlp has categories=0 and continuous=0"
    )
    assert reason(objective=(part("infogan", {"codes": (0, 0)}),)) is None


# --- what is added to a loss


def test_an_augmentation_of_images_does_not_go_with_points():
    ada = part("ada", {"data": "images"})
    assert reason(augmentation=ada) == "augmentation ada needs images, ring8 has points"
    assert reason(dataset=DIGITS, augmentation=ada) is None


def test_an_augmentation_or_a_method_may_leave_drivers_out():
    assert refusals(augmentation=part("slow", {"driver": ("eager", "graph")})) == {
        "vectorised": "augmentation slow needs the driver eager or graph"
    }
    assert refusals(method=part("unrolled", {"driver": "eager"})).keys() == {"vectorised", "graph"}


ALONE = part("vae", {"encoder": True}, {"alone": True})
BESIDE = part("unrolled", {}, {}, steps=5)
ENCODER = part("mlp", {}, {"outputs": "{outputs}"}, outputs=1)


def test_a_method_that_stands_alone_takes_nothing_beside_it():
    assert reason(discriminator=ENCODER, objective=(), method=ALONE) is None
    expected = "method vae has an objective of its own, and takes nothing beside it: {}"
    assert reason(discriminator=ENCODER, method=ALONE) == expected.format("hinge")
    assert reason(discriminator=ENCODER, objective=(HINGE, R1), method=ALONE) == (
        expected.format("hinge, r1(gamma=0.1)")
    )
    noise = part("instance-noise")
    assert reason(discriminator=ENCODER, objective=(), augmentation=noise, method=ALONE) == (
        expected.format("instance-noise")
    )
    assert reason(discriminator=ENCODER, objective=(HINGE,), augmentation=noise, method=ALONE) == (
        expected.format("hinge, instance-noise")
    )


def test_a_method_that_does_not_stand_alone_needs_a_loss_and_the_way_to_write_it_is_shown():
    assert reason(objective=(), method=BESIDE) == (
        "method unrolled(steps=5) needs a loss: write it behind one, as 'nonsaturating + unrolled(steps=5)'"
    )
    assert reason(objective=(HINGE,), method=BESIDE) is None


def test_a_method_beside_a_loss_leaves_an_augmentation_no_place():
    assert reason(augmentation=part("instance-noise"), method=BESIDE) == (
        "method unrolled(steps=5) calls the discriminator itself, so augmentation instance-noise has no place"
    )


def test_a_method_judges_one_sample_at_a_time():
    packed = part("critic", {}, {}, packing=2)
    assert reason(discriminator=packed, method=BESIDE) == (
        "method unrolled(steps=5) judges one sample at a time, discriminator critic(packing=2) packs several"
    )


def test_an_encoder_is_a_discriminator_that_states_outputs():
    assert reason(discriminator=part("plain"), objective=(), method=ALONE) == (
        "method vae needs a discriminator that can serve as an encoder, plain has no `outputs`"
    )


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("generator", part("mlp", CONDITIONAL, {}, conditional=True)),
        ("discriminator", part("mlp", CONDITIONING, {}, conditioning="concat")),
    ],
)
def test_a_method_tells_no_network_labels(role, told):
    assert reason(dataset=DIGITS, method=BESIDE, **{role: told}) == (
        f"method unrolled(steps=5) knows no labels, {role} {told} needs them"
    )


def test_a_combination_knows_its_variant_and_the_role_of_every_part():
    noise = part("instance-noise")
    combination = Combination(RING, MLP, CRITIC, (HINGE, R1), noise, BESIDE)
    assert str(combination.variant) == "mlp / critic / hinge + r1(gamma=0.1) + instance-noise + unrolled(steps=5)"
    assert combination.variant.parts == tuple((role, each.choice) for role, each in combination.roles)
    alone = Combination(RING, MLP, CRITIC, (), None, ALONE)
    assert (alone.variant.loss, str(alone.variant)) == (None, "mlp / critic / vae")
    assert [role for role, _ in alone.roles] == ["generator", "discriminator", "method"]
