"""Makes the .jsonl files (and the huggingface-*.tokenizer.json) of this directory.

The other tokenizer.json files are what calm saves: go test -run TestHuggingFace -make
Run with tokenizers 0.19.1 (the ids) and with 0.22.1 --train (the files that the library trains)."""

import glob, json, random, sys
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
WORDS = """the The of and to a in that his it with whale Captain Ahab's don't we'll I'VE it'ſ Straße naïve e\u0301 漢字 漢字かな
жук ЖУК 1 22 333 4444 १२ ½ Ⅷ ² !? ... --- _x_ (a) "b" 😀 👩‍👩‍👧 <|begin_of_text|> <|end_of_text|> [PAD] <|eot_id|> \u200b \ufeff \ufffd \x00 aaaaaaaaa""".split()
SPACES = [" ", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u00a0", "\u3000", "\u2028", "\u0085", ""]
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "[PAD]"]


def texts(n, seed):
    r = random.Random(seed)
    return ["".join(r.choice(WORDS) + r.choice(SPACES) for _ in range(r.randrange(14))) for _ in range(n)]


def train(name, pre):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    t.train_from_iterator(texts(2000, 1), trainers.BpeTrainer(
        vocab_size=500, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.save(name)


if "--train" in sys.argv:
    train("huggingface-llama3.tokenizer.json", pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    train("huggingface-gpt2.tokenizer.json", pre_tokenizers.ByteLevel(add_prefix_space=False))
else:
    assert tokenizers.__version__ == "0.19.1"
for path in sorted(glob.glob("*.tokenizer.json")):
    if path.startswith("huggingface") != ("--train" in sys.argv):
        continue
    t = Tokenizer.from_file(path)
    with open(path.replace(".tokenizer.json", ".jsonl"), "w") as f:
        for text in texts(250, 2):
            f.write(json.dumps({"text": text, "ids": t.encode(text, add_special_tokens=False).ids}) + "\n")
