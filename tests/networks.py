"""Networks of other libraries, drawn at random and small."""

import functools
import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "imagenet_sat.py"


@functools.cache
def importable():
    """Let torchvision, timm and transformers be imported: with the example's loader."""
    spec = importlib.util.spec_from_file_location("imagenet_sat", EXAMPLE)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def resnet(library):
    """A residual network of blocks with ReLU behind each sum: two blocks a stage, four stages."""
    importable()
    import timm
    import torchvision

    if library == "timm":
        sizes = {"channels": (64, 12, 16, 20)}
        return timm.models.resnet.ResNet(
            timm.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=3, **sizes
        )
    block = torchvision.models.resnet.BasicBlock
    return torchvision.models.ResNet(block, [2, 2, 2, 2], num_classes=3)


def tiny(name):
    """A model of transformers, and its activation."""
    importable()
    import transformers as t

    small = {"vocab_size": 20, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8}
    end = {"bos_token_id": 1, "eos_token_id": 1}
    return {
        "bert": lambda: (t.BertModel(t.BertConfig(intermediate_size=16, **small)), "gelu"),
        "llama": lambda: (t.LlamaModel(t.LlamaConfig(intermediate_size=16, **small)), "silu"),
        "gpt2": lambda: (
            t.GPT2Model(t.GPT2Config(vocab_size=20, n_embd=8, n_layer=2, n_head=2, **end)),
            "gelu_tanh",
        ),
        "distilbert": lambda: (
            t.DistilBertModel(
                t.DistilBertConfig(vocab_size=20, dim=8, n_layers=2, n_heads=2, hidden_dim=16)
            ),
            "gelu",
        ),
    }[name]()
