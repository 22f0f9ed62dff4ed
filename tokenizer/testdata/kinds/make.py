"""Makes the files of this directory: NAME.json, a tokenizer, and NAME.jsonl, what Hugging Face's library gives for texts.

python make.py train    with tokenizers 0.23.3: writes NAME.json
python make.py ids      with tokenizers 0.19.1: writes NAME.jsonl
python make.py ids      with tokenizers 0.23.3: must write the same, but for "back" in lower.jsonl and nfc.jsonl: 0.23 decodes an
                        added token that is looked for in normalized text to its normalized literal, 0.19 to its literal"""

import json, random, sys
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

WORDS = """the The THE of and whale Captain Ahab's DON'T we'll it'ſ Straße naïve e\u0301 A\u030a Å 漢字 漢字かな жук 1 22 333 55555 १२ ½ ² !? ...
_x_ "b" 😀 👩‍👩‍👧 <s> </s> [PAD] <mask> <a>b b<c> <a>bb<c> <think> \u200b aaaaaaa ﬁn İstanbul camelCase HTTPServer ÉCOLEété 中A a/b // ▁ <0x0A> 각""".split()
SPACES = [" ", " ", " ", "  ", "   ", "     ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u00a0", "\u3000", "\u0085", "", "\n  \n"]
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
CASED = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
S = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = CASED % (S, S) + r"|\p{N}{1,3}|" + REST
TEKKEN = CASED % ("", "") + r"|\p{N}|" + REST


def texts(n, seed):
    r = random.Random(seed)
    return [r.choice(["", "", " ", "\n"]) + "".join(r.choice(WORDS) + r.choice(SPACES) for _ in range(r.randrange(9))) for _ in range(n)]


def level(prefix=False, regex=True):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def split(pattern, prefix=False):
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, level(prefix, False)]}


def added(content, special=False, **flags):
    return dict({"id": None, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": not special, "special": special}, **flags)


def template(before, after):
    token = lambda name, n: {"SpecialToken": {"id": name, "type_id": n}}
    part = lambda name, n: [token(b, n) for b in before] + [{"Sequence": {"id": name, "type_id": n}}] + [token(a, n) for a in after]
    ids = {name: {"id": name, "ids": [name], "tokens": [name]} for name in before + after}
    return {"type": "TemplateProcessing", "single": part("A", 0), "pair": part("A", 0) + part("B", 1), "special_tokens": ids}


LEGACY = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
FALLBACK = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
BOS, EOS = added("<s>", True), added("</s>", True)
KINDS = {  # pre-tokenizer, added tokens before and behind the vocabulary, other parts
    "special0": (level(), [BOS, EOS, added("[PAD]", True)], [], {}),
    "spaces": (level(), [BOS], [added(" " * n) for n in range(2, 6)] + [added("\t\t")], {}),
    "overlap": (level(), [BOS], [added("<a>b"), added("b<c>", normalized=False), added("<a>bb")], {}),
    "strip": (level(), [BOS], [added("<mask>", True, lstrip=True), added("<think>", rstrip=True, normalized=False), added("the", single_word=True)], {}),
    "none": (level(), [BOS, EOS], [], {"post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}}),
    "eos": (level(), [BOS, EOS], [], {"post_processor": template([], ["</s>"])}),
    "both": (level(), [BOS, EOS], [], {"post_processor": {"type": "Sequence", "processors": [level(True), template(["<s>"], ["</s>"])]}}),
    "roberta": (level(), [BOS, EOS], [], {"post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False}}),
    "prefix": (level(True), [BOS], [added("<mask>")], {}),
    "nfc": (split(GPT2), [BOS], [added("naïve"), added("e\u0301")], {"normalizer": {"type": "NFC"}}),
    "lower": (level(), [BOS], [added("<Think>")], {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}}),
    "digits": ({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level()]}, [BOS], [], {}),
    "cl100k": (split(CL100K), [BOS], [], {}),
    "o200k": (split(O200K), [BOS], [], {}),
    "tekken": (split(TEKKEN), [BOS], [], {}),
    "llama2": (None, [added("<unk>", True, normalized=True), BOS, EOS], [added("<mask>", normalized=False)],
               {"normalizer": LEGACY, "decoder": {"type": "Sequence", "decoders": FALLBACK + [STRIP]}, "post_processor": template(["<s>"], [])}),
    "metaspace": ({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}, [added("<unk>", True), BOS, EOS], [],
                  {"decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, "post_processor": template(["<s>"], [])}),
    "words": ({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}, [added("<unk>", True), BOS, EOS], [],
              {"decoder": {"type": "Sequence", "decoders": FALLBACK}}),
}


def train(pre, first, last, parts):
    t = Tokenizer(models.BPE())
    plain = [w for w in texts(800, 1)]
    for literal in ("<s>", "</s>", "[PAD]", "<mask>", "<think>", "<a>", "<c>"):
        plain = [p.replace(literal, "") for p in plain]
    pieces = pre is None or pre["type"] == "Metaspace"
    t.pre_tokenizer = pre_tokenizers.Metaspace() if pieces else pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = [] if pieces else pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(plain, trainers.BpeTrainer(vocab_size=200 if pieces else 380, limit_alphabet=60 if pieces else 300, initial_alphabet=alphabet, show_progress=False))
    file = json.loads(t.to_str())
    model = file["model"]
    keys = [a["content"] for a in first] + (["<0x%02X>" % b for b in range(256)] if pieces else [])
    keys += [k for k in sorted(model["vocab"], key=model["vocab"].get) if k not in keys]
    model["vocab"] = {k: i for i, k in enumerate(keys)}
    model["merges"] = [" ".join(m) for m in model["merges"]]  # as 0.19 wants them
    if pieces:
        model.update(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    n = len(keys)
    for a in first + last:
        if a["content"] not in model["vocab"]:
            a, n = dict(a, id=n), n + 1
        file["added_tokens"].append(dict(a, id=model["vocab"].get(a["content"], a["id"])))
    file.update(dict({"pre_tokenizer": pre, "decoder": level(True)}, **parts))
    text = json.dumps(file, ensure_ascii=False)
    for a in file["added_tokens"]:
        text = text.replace('"ids": ["%s"]' % a["content"], '"ids": [%d]' % a["id"])
    return text


for name, kind in KINDS.items():
    if sys.argv[1] == "train":
        with open(name + ".json", "w") as f:
            f.write(train(*kind) + "\n")
        continue
    t = Tokenizer.from_file(name + ".json")
    with open(name + ".jsonl", "w") as f:
        for text in texts(60, 2):
            t.encode_special_tokens = False
            ids, full = t.encode(text, add_special_tokens=False).ids, t.encode(text).ids
            t.encode_special_tokens = True  # literals of special tokens are ordinary text
            plain = t.encode(text, add_special_tokens=False).ids
            case = {"text": text, "ids": ids, "full": full, "back": t.decode(ids)}
            if plain != ids:
                case["plain"] = plain
            f.write(json.dumps(case, ensure_ascii=False) + "\n")
