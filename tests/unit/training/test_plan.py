import pytest
import torch

from hdrgen.flux.tiny import TinyNetwork, tiny_transformer
from hdrgen.training import plan
from hdrgen.training.fit import Recipe
from hdrgen.training.flux_lora import TrainFluxLora, add_lora
from hdrgen.training.plan import Workload, build, duration, gigabytes, plan_training

NETWORK = TinyNetwork(vae_widths=(8, 8, 8), text_width=32, double_blocks=2, single_blocks=3, heads=2)
WORK = Workload(
    batch=2,
    batches_per_step=1,
    steps=100,
    precision="fp32",
    device="cpu",
    gradient_checkpointing=False,
    averaged=True,
)


@pytest.fixture(autouse=True)
def known_machine(monkeypatch):
    monkeypatch.setattr(plan, "matmul_rate", lambda *_: 1e12)


def planned(size, work=WORK):
    return plan_training(size, build(size, NETWORK, 64), work)


def test_published_sizes_have_as_many_parameters_as_published():
    assert planned("klein-4b").parameters == pytest.approx(3.88e9, rel=0.01)
    assert planned("flux1-dev").parameters == pytest.approx(11.9e9, rel=0.01)


def test_memory_by_part_is_that_of_the_tiny_one():
    plan = planned("tiny")
    parameters = sum(p.numel() for p in tiny_transformer(NETWORK).parameters())
    assert plan.parameters == plan.learning == parameters
    assert (
        plan.memory["weights"]
        == plan.memory["gradients"]
        == plan.memory["averaged weights"]
        == 4 * parameters
    )
    assert plan.memory["optimizer"] == 8 * parameters
    assert plan.memory["their copies in bf16"] == 0
    assert plan.activations["with it"] < plan.activations["without gradient checkpointing"] / 2


def test_activations_and_operations_grow_with_the_batch():
    one, four = (planned("tiny", Workload(**{**vars(WORK), "batch": batch})) for batch in (1, 4))
    assert four.flop_per_step == pytest.approx(4 * one.flop_per_step, rel=0.05)
    assert four.memory["activations"] == pytest.approx(4 * one.memory["activations"], rel=0.05)


def test_operations_are_those_of_the_weights_and_tokens():
    plan = planned("klein-4b")
    tokens = sum(plan.tokens) * WORK.batch
    assert plan.flop_per_step == pytest.approx(
        6 * plan.parameters * tokens, rel=0.3
    )  # double blocks split tokens


def test_bf16_makes_activations_smaller_and_copies_weights():
    exact, half = planned("tiny"), planned("tiny", Workload(**{**vars(WORK), "precision": "bf16"}))
    assert 0.5 <= half.memory["activations"] / exact.memory["activations"] < 0.75  # norms stay fp32
    assert half.memory["their copies in bf16"] == 2 * half.parameters


def test_a_lora_needs_gradients_for_itself_alone():
    transformer = build("tiny", NETWORK, 64)
    settings = TrainFluxLora.model_validate(
        {
            "crops": {"seed": 1},
            "rank": 4,
            "flow": {"seed": 1, "steps": 1},
            "samples": {"prompts": ["a"], "seed": 1},
        }
    )
    add_lora(transformer.model, "klein", settings)
    plan = plan_training("tiny", transformer, WORK)
    assert 0 < plan.learning < plan.parameters / 10
    assert plan.memory["gradients"] == 4 * plan.learning
    assert plan.flop_per_step < planned("tiny").flop_per_step


def test_the_table_says_all_of_it_for_people():
    recipe = Recipe(seed=1, steps=1200, batch_crops=2, accumulated_batches=3, ema_decay=0.9)
    plan = planned("tiny", Workload.of(recipe, gradient_checkpointing=True))
    table = plan.table()
    for said in (
        "2 x 3, bf16, on cpu",
        "averaged weights",
        "64 x 64, 64 tokens",
        "1,200",
        "TFLOP/s",
        "time at least",
    ):
        assert said in table
    assert (duration(30), duration(7300), duration(10 * 86400)) == ("30.0 s", "2.0 h", "10.0 days")
    assert (gigabytes(15_500_000_000), gigabytes(2_000_000)) == ("15.5 GB", "2.0 MB")


def test_time_is_that_of_a_matrix_product_on_this_machine(monkeypatch):
    plan = planned("tiny")
    assert plan.seconds_per_step == plan.flop_per_step / 1e12
    monkeypatch.undo()
    assert 1e8 < plan.matmul_rate("fp32", "cpu") < 1e15


def test_counting_leaves_no_numbers_behind():
    transformer = build("flux1-dev", NETWORK, 64)
    plan_training("flux1-dev", transformer, WORK)
    assert {p.device for p in transformer.model.parameters()} == {torch.device("meta")}
