"""Extracts a model's answer from what it wrote: without thinking, chat-template marks and invented further turns."""

from __future__ import annotations

import re

_THINKING = r"(?:[\w-]{1,20}:)?(?:think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad)"
_MARK = re.compile(
    rf"(?P<end></{_THINKING}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>)|<{_THINKING}>|\[THINK\]|◁think▷"
    r"|<\|begin_of_thought\|>",
    re.IGNORECASE,
)
# gpt-oss's own format, if the server leaves it in
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w{1,20})[^<]{0,100}<\|message\|>")
_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>|</?s>|<(?:end|start)_of_turn>|<eos>|\[/?INST\]|\ufeff|\x00", re.IGNORECASE)
# where a model that does not stop begins the next turn
_TURN = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|endoftext|end_of_text|end|start_header_id|user|end_response)\|>|</s>"
    r"|<end_of_turn>|<eos>|(?<![\w\[])\[INST\]",
    re.IGNORECASE,
)
_MADE_UP_TURN = re.compile(
    r"[}\]`]\s*\n\s*(?:#+\s*)?(?:user|human|question|instruction|input|document(?: \d+)?|next document)\s*:",
    re.IGNORECASE,
)


def answer_in(text: str) -> str:
    """The model's text outside its thinking, without chat-template marks."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        text = text[channels[-1].end() :] if channels[-1][1].lower() == "final" else text[: channels[0].start()]
    kept: list[str] = []
    at, thinking = 0, False
    for mark in _MARK.finditer(text):
        if mark["end"] is None:
            kept += [] if thinking else [text[at : mark.start()]]
            thinking = True
        elif thinking:
            at, thinking = mark.end(), False
        else:  # the template put the beginning into the prompt
            kept.clear()
            at = mark.end()
    kept += [] if thinking else [text[at:]]
    return _TOKEN.sub("", _first_turn("".join(kept)))


def _is_whole(before: str) -> bool:
    """Whether a turn may end here: not before it has begun, and not inside a list or an object."""
    return bool(before) and (before[-1] in "}]`" or not re.search(r"[{\[]\s*[\"'{\[]", before))


def _first_turn(text: str) -> str:
    """The text up to the end of the answer, without an invented user turn and the reply to it."""
    ends = (mark.start() for mark in _TURN.finditer(text) if _is_whole(text[: mark.start()].strip()))
    text = text[: next(ends, len(text))]
    made_up = _MADE_UP_TURN.search(text)
    return text[: made_up.start() + 1] if made_up else text
