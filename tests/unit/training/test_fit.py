import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hdrgen.models.weights import save_weights
from hdrgen.runtime.errors import HdrgenError
from hdrgen.training.fit import Batch, Recipe, fit, one_cycle, pairs_digest, turned
from hdrgen.training.guards import TrainingDiverged

RECIPE = Recipe(seed=3, steps=23, batch_crops=4, steps_per_validation=5, precision="fp32", learning_rate=1e-2)


class Interrupted(Exception):  # noqa: N818 - not an error
    """What a person's Ctrl-C would be."""


class BlurTask:
    """Learn a small convolution from noise."""

    curves = ("val",)

    def __init__(self, poisoned_step=None):
        torch.manual_seed(1)
        self._truth = torch.nn.Conv2d(3, 3, 3, padding=1).requires_grad_(requires_grad=False)
        self._poisoned_step = poisoned_step
        self.steps = 0

    def batch(self, rng):
        self.steps += 1
        picture = torch.from_numpy(rng.normal(size=(4, 3, 8, 8)).astype(np.float32))
        if self.steps == self._poisoned_step:
            picture[0, 0, 0, 0] = torch.nan
        return Batch((picture,), ["street crop 3", "harbour crop 1"])

    def loss(self, net, batch):
        (picture,) = batch.tensors
        return (net(picture) - self._truth(picture)).square().mean()

    def validation(self, net):
        assert not net.training
        return {"val": float(self.loss(net, BlurTask().batch(np.random.default_rng(0))))}

    def score(self, figures):
        return figures["val"]

    def save(self, path, net):
        save_weights(path, net, model="blur", settings={})


def new_net(width=8):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, width, 3, padding=1), torch.nn.Conv2d(width, 3, 1))


def interrupt_after(steps):
    def on_progress(done, _):
        if done == steps:
            raise Interrupted

    return on_progress


class Run:
    """A training with its files in one folder."""

    def __init__(self, folder):
        self.weights, self.curve = folder / "w.safetensors", folder / "loss.tsv"
        self.checkpoint = folder / "w.checkpoint.safetensors"
        self.task = BlurTask()

    def fit(self, recipe=RECIPE, on_progress=None, data_digest="d", task=None, net=None):
        self.task = task or BlurTask()
        files = self.weights, self.curve
        return fit(net or new_net(), self.task, recipe, *files, on_progress, data_digest=data_digest)

    def interrupt(self, steps, **changed):
        with pytest.raises(Interrupted):
            self.fit(on_progress=interrupt_after(steps), **changed)

    @property
    def made(self):
        return self.weights.read_bytes(), self.curve.read_bytes()


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def whole(tmp_path_factory):
    """Train without an interruption: figures and what was made."""
    run = Run(tmp_path_factory.mktemp("whole"))
    return run.fit(), run.made


def test_the_same_seed_makes_the_same_bytes_and_another_does_not(run, whole):
    assert (run.fit(), run.made) == whole
    run.fit(RECIPE.model_copy(update={"seed": 4}))
    assert run.made[0] != whole[1][0]


@pytest.mark.parametrize("stops", [[3], [5], [7], [10, 16], [22], [6, 6, 11]])
def test_an_interrupted_run_goes_on_to_the_same_bytes(run, whole, stops):
    for steps in stops:
        run.interrupt(steps)
    assert (run.fit(), run.made) == whole
    continued_from = stops[-1] - 1 if stops[-1] % 5 == 0 else stops[-1]
    assert run.task.steps == RECIPE.steps - continued_from // 5 * 5, "only what was left to do"


def test_an_interrupted_run_with_muon_goes_on_to_the_same_bytes(tmp_path, run):
    muon = RECIPE.model_copy(update={"optimizer": "muon"})
    whole = Run(tmp_path / "whole")
    whole.weights.parent.mkdir()
    whole.fit(muon)
    run.interrupt(12, recipe=muon)
    run.fit(muon)
    assert run.task.steps == 23 - 10, "only what was left to do"
    assert run.made == whole.made


def test_progress_goes_on_where_it_was(run):
    run.interrupt(8)
    seen = []
    run.fit(on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(step, 23) for step in range(6, 24)]


def test_every_step_draws_a_batch_of_its_own(run):
    class Recording(BlurTask):
        drawn = ()

        def batch(self, rng):
            batch = super().batch(rng)
            self.drawn += (float(batch.tensors[0].sum()),)
            return batch

    run.fit(task=Recording())
    assert len(set(run.task.drawn)) == RECIPE.steps


def test_the_checkpoint_is_gone_at_the_end_and_there_while_training_runs(run):
    run.interrupt(8)
    assert run.checkpoint.is_file()
    run.fit()
    assert sorted(p.name for p in run.weights.parent.iterdir()) == ["loss.tsv", "w.safetensors"]


@pytest.mark.parametrize(
    "changed",
    [
        {"recipe": RECIPE.model_copy(update={"learning_rate": 2e-2})},
        {"recipe": RECIPE.model_copy(update={"seed": 4})},
        {"recipe": RECIPE.model_copy(update={"steps": 40})},
        {"data_digest": "of other samples"},
        {"net": new_net(width=9)},
    ],
)
def test_a_checkpoint_of_another_recipe_network_or_samples_is_not_continued(run, whole, changed):
    run.interrupt(12, **changed)
    assert run.checkpoint.is_file()
    assert (run.fit(), run.made) == whole
    assert run.task.steps == RECIPE.steps


@pytest.mark.parametrize(
    "changed", [{"ema_decay": 0.9}, {"accumulated_batches": 3}, {"ema_decay": 0.9, "accumulated_batches": 2}]
)
def test_averages_and_accumulated_batches_go_on_to_the_same_bytes(run, whole, tmp_path_factory, changed):
    recipe = RECIPE.model_copy(update=changed)
    uninterrupted = Run(tmp_path_factory.mktemp("uninterrupted"))
    expected = uninterrupted.fit(recipe)
    assert uninterrupted.made[0] != whole[1][0]
    run.interrupt(12, recipe=recipe)
    assert (run.fit(recipe), run.made) == (expected, uninterrupted.made)


def test_what_is_validated_and_kept_is_the_average_of_the_weights(run):
    decay = 0.5  # below the decay of the first steps from the eighth on
    net, seen, kept = new_net(), [], []

    class Watching(BlurTask):
        def validation(self, net):
            kept.append(net[0].weight.detach().clone())
            return super().validation(net)

    recipe = RECIPE.model_copy(update={"ema_decay": decay, "steps_per_validation": 23})
    start = net[0].weight.detach().clone()
    run.fit(
        recipe, on_progress=lambda *_: seen.append(net[0].weight.detach().clone()), task=Watching(), net=net
    )
    expected = start
    for step, weight in enumerate(seen, start=1):
        share = min(decay, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * weight
    torch.testing.assert_close(kept[0], expected)
    torch.testing.assert_close(load_file(run.weights)["0.weight"], expected)
    assert torch.equal(net[0].weight, seen[-1])  # training itself goes on with the weights


def test_gradients_of_accumulated_batches_are_those_of_one_large_batch(run, monkeypatch):
    gradients = []

    def seen(self):
        gradients.append([p.grad.clone() for p in self.param_groups[0]["params"]])

    monkeypatch.setattr(torch.optim.AdamW, "step", seen)

    class Large(BlurTask):
        def batch(self, rng):
            batches = [super(Large, self).batch(rng) for _ in range(3)]
            return Batch((torch.cat([b.tensors[0] for b in batches]),), [])

    one_step = RECIPE.model_copy(update={"steps": 1, "gradient_norm": 1e6})
    run.fit(one_step.model_copy(update={"accumulated_batches": 3}))
    run.fit(one_step, task=Large())
    for several, one in zip(*gradients, strict=True):
        torch.testing.assert_close(several, one)


def test_only_weights_that_require_gradients_learn_and_are_kept_to_go_on(run, tmp_path_factory):
    def half_frozen():
        net = new_net()
        net[0].requires_grad_(requires_grad=False)
        return net

    net = half_frozen()
    figures = run.fit(net=net)
    assert figures["parameters"] == 8 * 3 + 3
    assert torch.equal(net[0].weight, new_net()[0].weight)
    assert not torch.equal(net[1].weight, new_net()[1].weight)
    again = Run(tmp_path_factory.mktemp("again"))
    again.interrupt(12, net=half_frozen())
    assert not [name for name in load_file(again.checkpoint) if name.startswith("net.0")]
    assert (again.fit(net=half_frozen()), again.made) == (figures, run.made)


def test_the_network_as_it_was_validated_is_shown(run):
    shown = []
    files = run.weights, run.curve
    fit(
        new_net(),
        BlurTask(),
        RECIPE,
        *files,
        on_validated=lambda step, net: shown.append((step, net.training)),
    )
    assert shown == [(5, False), (10, False), (15, False), (20, False), (23, False)]


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path):
    path.write_bytes(b"")


def garbled(path):
    path.write_bytes(b"\xff" * 1000)


@pytest.mark.parametrize("damage", [truncated, emptied, garbled])
def test_a_damaged_checkpoint_is_ignored(run, whole, damage):
    run.interrupt(12)
    damage(run.checkpoint)
    assert (run.fit(), run.made) == whole
    assert run.task.steps == RECIPE.steps


def test_without_the_best_weights_there_is_nothing_to_continue(run, whole):
    run.interrupt(12)
    run.weights.unlink()
    assert (run.fit(), run.made) == whole


def test_the_best_weights_are_kept_and_not_the_last(run):
    class Worse(BlurTask):
        def validation(self, net):
            super().validation(net)
            return {"val": 1.0 if self.steps == 10 else float(self.steps)}

        def save(self, path, net):
            self.saved_at = [*getattr(self, "saved_at", []), self.steps]
            super().save(path, net)

    figures = run.fit(task=Worse())
    assert figures["best_step"] == 10
    assert figures["val_loss"] == 1.0
    assert run.task.saved_at == [5, 10]
    rows = np.genfromtxt(run.curve, names=True)
    assert rows["step"].tolist() == [5, 10, 15, 20, 23]
    assert rows["val"].tolist() == [5, 1, 15, 20, 23]


def test_figures_are_of_the_whole_run(whole):
    figures, _ = whole
    assert figures["parameters"] == 3 * 8 * 9 + 8 + 8 * 3 + 3
    assert figures["steps"] == 23
    assert figures["best_step"] in {5, 10, 15, 20, 23}
    assert figures["val_loss"] < 0.5


def test_a_loss_that_is_not_a_number_names_the_samples_and_no_step_is_taken(run, monkeypatch):
    steps = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: (steps.append(1), step(self)))
    with pytest.raises(
        TrainingDiverged, match="loss is nan at step 7; the batch held street crop 3, harbour crop 1"
    ):
        run.fit(task=BlurTask(poisoned_step=7))
    assert len(steps) == 6
    assert not run.curve.exists()


def test_a_validation_that_is_not_a_number_is_no_best_one(run):
    class Lost(BlurTask):
        def score(self, figures):
            return figures["val"] * float("nan")

    with pytest.raises(HdrgenError, match="validation at step 5 is nan; lower the learning rate"):
        run.fit(task=Lost())
    assert not run.weights.exists()


def test_gradients_are_scaled_down_to_the_norm(run, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def seen(self):
        norms.append(float(torch.cat([p.grad.flatten() for p in self.param_groups[0]["params"]]).norm()))
        return step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", seen)
    run.fit(RECIPE.model_copy(update={"gradient_norm": 1e-3}))
    np.testing.assert_allclose(norms, 1e-3, rtol=1e-3)


@pytest.mark.parametrize("steps", [1, 2, 9, 400])
def test_the_schedule_rises_over_a_tenth_and_ends_at_zero(steps):
    shares = [one_cycle(step, steps) for step in range(1, steps + 1)]
    warm = max(1, steps // 10)
    assert shares[warm - 1] == max(shares) == 1
    assert min(shares) >= 0
    assert shares[warm - 1 :] == sorted(shares[warm - 1 :], reverse=True)
    assert shares[-1] == pytest.approx(0, abs=1e-12) or steps == 1


def test_a_square_has_eight_positions_and_pictures_turn_together():
    picture = torch.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    stack = picture[:, None].repeat(1, 5, 1, 1, 1)
    positions = set()
    for quarter_turns in range(4):
        for mirrored in range(2):
            (one,) = turned((picture,), quarter_turns, mirrored)
            (other,) = turned((stack,), quarter_turns, mirrored, axes=(2, 3))
            assert torch.equal(other[:, 3], one)
            positions.add(tuple(one[0, ..., 0].flatten().tolist()))
    assert len(positions) == 8


def test_the_digest_of_pairs_is_that_of_their_index(tmp_path):
    digests = []
    for content in (b"one", b"one", b"other"):
        (tmp_path / "index.parquet").write_bytes(content)
        digests.append(pairs_digest(tmp_path))
    assert digests[0] == digests[1] != digests[2]


def test_pairs_without_an_index_get_one_clear_line(tmp_path):
    with pytest.raises(HdrgenError, match=r"index\.parquet: cannot be read .*; run make_pairs"):
        pairs_digest(tmp_path)
