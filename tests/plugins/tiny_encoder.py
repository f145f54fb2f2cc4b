"""A tokenizer of a dozen words and the sizes of a BERT to go with it, and packages that carry such things."""

from __future__ import annotations

import tokenizers
from safetensors.torch import save_file

from seedbed.plugins.architectures.text.bert import BertConfig

SMALL = BertConfig(
    vocab_size=20, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=40,
)  # fmt: skip
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "the", "end", "[", "]", "sep")
TEXTS = ["a good film", "", "the end the end the end", "bad"]


def tokenizer():
    """Return a `tokenizer.json`."""
    found = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    found.normalizer = tokenizers.normalizers.BertNormalizer()
    found.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    found.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    found.add_special_tokens(list(WORDS[:4]))
    return found.to_str().encode()


def write_package(folder, **files):
    """Write an importable package of files, bytes or tensors by name, that nobody need import."""
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('it need not be imported')")
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            save_file(content, target)
        else:
            target.write_bytes(content)
    return folder
