import torch
from diffusers import Flux2KleinPipeline

from hdrgen.flux.sampling import prompt_tokens, sample_code8
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
    loaded = Flux2KleinPipeline.from_pretrained(saved, local_files_only=True)
    sampled = {"height": 32, "width": 48, "steps": 2, "guidance": 2.0}
    picture = sample_code8(klein, ["sea at sunset"], [5], **sampled)
    assert picture.shape == (1, 32, 48, 3)
    assert picture.std() > 0
    assert (sample_code8(loaded, ["sea at sunset"], [5], **sampled) == picture).all()


def test_a_seed_decides_its_picture_whatever_else_is_in_the_batch(klein):
    sampled = {"height": 32, "width": 32, "steps": 2, "guidance": 1.0}
    alone = sample_code8(klein, ["night street"], [6], **sampled)[0]
    both = sample_code8(klein, ["sea at sunset", "night street"], [5, 6], **sampled)
    assert abs(both[1].astype(int) - alone).max() <= 1
    assert abs(both[0].astype(int) - alone).max() > 1


def test_any_text_survives_the_tokenizer_and_known_words_are_short(klein):
    unheard = "Ünheard-of words, 雪 and 12 lamps"
    assert klein.tokenizer.decode(klein.tokenizer(unheard).input_ids) == unheard
    assert len(klein.tokenizer("night street").input_ids) == 2


def test_prompts_are_padded_to_what_the_tokenizer_was_made_for(klein):
    assert prompt_tokens(klein) == 32
    embedded, _ = klein.encode_prompt(prompt=["night", "sea"], max_sequence_length=prompt_tokens(klein))
    assert embedded.shape == (2, 32, 96)
    assert (embedded[0] - embedded[1]).std() > 0.1
