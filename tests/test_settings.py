from __future__ import annotations

from ganbench.settings import TABLES, Limits, OptimiserSettings, TrainingSettings, keys_of
from ganbench.terms import Budget, Optimiser, Training


def test_settings_that_are_left_alone_change_nothing():
    training = Training(batch_size=7, clip=0.5, generator=Optimiser("sgd", 0.1))
    assert TrainingSettings().applied_to(training) == training
    assert OptimiserSettings().applied_to(training.generator) == training.generator


def test_settings_change_what_they_name_and_nothing_else():
    settings = TrainingSettings(latent_dim=3, generator=OptimiserSettings(betas=(0.0, 0.9)))
    changed = settings.applied_to(Training(batch_size=7, generator=Optimiser("rmsprop", 0.1)))
    assert changed == Training(batch_size=7, latent_dim=3, generator=Optimiser("rmsprop", 0.1, (0.0, 0.9)))


def test_one_players_settings_leave_the_other_alone():
    settings = TrainingSettings(discriminator=OptimiserSettings(learning_rate=0.5))
    changed = settings.applied_to(Training())
    assert (changed.generator.learning_rate, changed.discriminator.learning_rate) == (2e-4, 0.5)


def test_nought_turns_clipping_and_averaging_off():
    settings = TrainingSettings(clip=0, ema_half_life_kimg=0, ema_rampup=0)
    changed = settings.applied_to(Training(clip=0.01, ema_half_life_kimg=5.0))
    assert (changed.clip, changed.ema_half_life_kimg, changed.ema_rampup) == (None, None, 0)


def test_limits_are_the_budget_that_they_state():
    assert Limits(kimg=3.0, petaflops=0.5).budget == Budget(kimg=3.0, petaflops=0.5)
    assert Limits(steps=3).budget == Budget(steps=3)


def test_every_table_tells_its_keys():
    assert keys_of("matrix") == ["generator", "discriminator", "loss"]
    assert all(keys_of(table) for table in TABLES)
