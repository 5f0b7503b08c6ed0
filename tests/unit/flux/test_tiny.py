import torch
from diffusers import Flux2KleinPipeline

from hdrgen.flux.family import Klein
from hdrgen.flux.tiny import tiny_klein


def weights(pipeline):
    parts = (pipeline.vae, pipeline.text_encoder, pipeline.transformer)
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


def test_the_seed_decides_the_weights_and_nothing_else_is_touched(klein, klein_recipe):
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    again = tiny_klein(*klein_recipe, seed=3)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(weights(again), weights(klein))
    assert not torch.equal(weights(tiny_klein(*klein_recipe, seed=4)), weights(klein))


def test_saved_and_loaded_it_makes_the_same_picture(klein, saved):
    loaded = Klein(Flux2KleinPipeline.from_pretrained(saved, local_files_only=True))
    sampled = {"height": 32, "width": 48, "steps": 2, "guidance": 2.0}
    with torch.no_grad():
        made = Klein(klein).sample(["sea at sunset"], [5], **sampled)
        assert made.std() > 0
        assert torch.equal(loaded.sample(["sea at sunset"], [5], **sampled), made)
        assert loaded.picture(made, 32, 48).shape == (1, 3, 32, 48)


def test_a_seed_decides_its_picture_whatever_else_is_in_the_batch(klein):
    flux = Klein(klein)
    sampled = {"height": 32, "width": 32, "steps": 2, "guidance": 1.0}
    alone = flux.sample(["night street"], [6], **sampled)[0]
    both = flux.sample(["sea at sunset", "night street"], [5, 6], **sampled)
    torch.testing.assert_close(both[1], alone, rtol=0, atol=1e-4)
    assert abs(both[0] - alone).max() > 0.1


def test_before_training_the_velocity_is_0(klein):
    flux = Klein(klein)
    transformer = flux.pipeline.transformer
    told = flux.embedded(["night street"])
    tokens, time = torch.randn(1, 4, 128), torch.tensor([0.5])
    assert (flux.velocity(transformer, tokens, time, told, (2, 2)) == 0).all()


def test_any_text_survives_the_tokenizer_and_known_words_are_short(klein):
    unheard = "Ünheard-of words, 雪 and 12 lamps"
    assert klein.tokenizer.decode(klein.tokenizer(unheard).input_ids) == unheard
    assert len(klein.tokenizer("night street").input_ids) == 2


def test_prompts_are_padded_to_what_the_tokenizer_was_made_for(klein):
    flux = Klein(klein)
    assert flux.prompt_tokens == 32
    embedded = flux.embedded(["night", "sea"])["encoder_hidden_states"]
    assert embedded.shape == (2, 32, 96)


def test_every_position_after_the_first_words_tells_prompts_apart(klein):
    night, sea = Klein(klein).embedded(["night street", "sea at sunset"])["encoder_hidden_states"]
    distance = 1 - torch.cosine_similarity(night, sea, dim=-1)
    assert distance[8:].min() > 0.02
