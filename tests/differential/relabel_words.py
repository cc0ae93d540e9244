"""What random relabel rules and targets are made of."""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of ``text``: what has no spaces in it."""
    return text.split()


ACTIONS = {
    "replace": 14,
    "keep": 1,
    "drop": 2,
    "keepequal": 0.3,
    "dropequal": 1,
    "hashmod": 2,
    "labelmap": 6,
    "labeldrop": 3,
    "labelkeep": 0.7,
    "lowercase": 3,
    "uppercase": 3,
}
"""Actions with how often they are drawn; few rules may drop, or little would be left to compare."""

PLAIN_NAMES = words("a b ab app instance job team __name__")
META_NAMES = words("__meta_a __meta_b __meta_kubernetes_pod_label_app __meta_kubernetes_pod_label_app_x __meta_")
TIME_NAMES = words("__scrape_interval__ __scrape_timeout__")
URL_NAMES = ["__param_é &", *words("__scheme__ __metrics_path__ __param_module __param_target __param_")]
ODD_NAMES = ["with space", "line\nfeed", "a" * 200, *words("größe x.y 0 日本 $1 __tmp_x _ A é"), "e\u0301"]

VALUES = words(r"""
    a b ab aab foo foo-bar foo.bar:8080 Some_Value true TRUE 0 1 80 a;b ; `\' \ a\nb $1 ${1} {a} k1=v1,k2=v2
    ß ẞ İI ı Größe Σίσυφος ς 日本 😀x ǆǅǄ ŉ ᾳᾼ ﬀ é ა Ꮿ /metrics metrics //a /%2F%zz * /* ? . 2001:db8::1
    /!$&'()*+,;=:@~[]|"<>^`{} http https HTTP one,two,three
""")
VALUES += ["", "", " ", "a b", "x\ny", "\n", "\r\n", "\t", 'it\'s "q"', "/a b/ü?x=1&y#z", "x" * 3000, "aß" * 1500]
VALUES += ["\x00", "\x7f", "\u0085", "\u2028", "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "ſK\u212a", "e\u0301"]
ALPHABET = "aAbB01_-.:;/ \nßsſkK\u212aσςİıǆ日😀"
INTERVALS = words("1y 2y 400d 60w 8760h 31536000s 1y1ms 0 0s 5 1x 1ms1y -1y 292y 293y 300y 99999999999y 1.5y 1Y ٣y")
INTERVALS += ["", " 1y", "1y "]
TIMEOUTS = ["", *words("10s 1ms 1m30s 365d 366d 1y 0 abc 30m1h 1.5s 10 10S 0ms")]
ADDRESSES = words("""
    127.0.0.1:1 127.0.0.1 127.0.0.2:1 localhost:1 [::1]:1 ::1 127.0.0.1: 127.0.0.1:1/x 127.0.0.1:99999 :1
    127.0.0.1:1?x 127.0.0.1:1#x 127.0.0.1:1@ 127.0.0.1:1% 127.0.0.1:1"<> 127.0.0.1:1é 127.0.0.1:1[]
    127.0.0.1:1!$&'()*+ 127.0.0.1:1@127.0.0.1:2
""")
ADDRESSES += ["127.0.0.1:1 ", "127.0.0.1:1\n", "127.0.0.1:1\\"]

LITERALS = [" ", *words("a b ab foo x 1 80 _ - : / ; ß K s é 日 $ é I \u212a e\u0301")]
ESCAPES = [r"\ ", *words(r"\. \- \/ \+ \* \? \( \) \| \[ \] \{ \} \^ \$ \\ \_ \: \; \, \' \" \@ \~ \n \t \r \f \v \a")]
CODES = words(r"\x41 \x{df} \x{1F600} \x{10ffff} \x{0} \012 \0 \x7F \x{00000061}")
BAD_ESCAPES = words(r"""
    \é \1 \8 \C \e \Z \G \K \X \R \h \u0041 \x \x{} \x4 \x{110000} \x{zz} \E \N \cA \g1 \k<n> \pX \p{ \p{} \p{Klingon}
""")
CLASSES = words(r"""
    \d \w \s \D \W \S \pL \PL \p{Lu} \p{^Lu} \P{^Lu} \p{Greek} \pN \p{Latin} \P{Han} \p{Any}
    [[:alpha:]] [[:^alpha:]] [^[:space:]] [[:word:]-] [ab] [^a] [a-z] [^;] []a] [^]a] [a-] [-a] [\d\-x] [^\n] [\w.]
    [ß-ü] [\pL0-9] [^\x00-\x{10FFFF}] [\x00-\x{10FFFF}] [\Qa\E] [^:] [a&&b] [.] [$^] [\x{4e00}-\x{9fff}]
""")
BAD_CLASSES = words(r"[z-a] [a [] [[:foo:]] [[:alpha:] [\b] [[.a.]] [[=a=]] [a-\d] [\d-z] [^]")
QUANTIFIERS = words("* + ? {2} {1,} {0,2} {0} {1,3} *? +? ?? {1,2}? {0,}?")
BAD_QUANTIFIERS = words("** +* {2,1} {1001} {,2} { {a} {1 *+ ++ ?+ ??? {2}{3} {2}* {1000}")
FLAGS = words("i s m U -s i-s is mi sU -i im-sU ii")
BAD_FLAGS = ["", *words("x - i- P L a u ^i i-i -i-s --i")]
OPENINGS = words("( ( ( (?: (?P<n> (?<n> (?P<name> (?<_1> (?i: (?s: (?-s: (?m: (?U:")
BAD_OPENINGS = words("(?= (?! (?<= (?<! (?> (?P=n)( (?'n' (?P<> (?P<1a> (?P<a-b> (?<ö> (?# (?|")
ASSERTIONS = words(r"^ $ \A \z \b \B (?:) () (|)")
WHOLE = words(r"""
    (.*) .* (.+) .+ a|b (a|b) (?:a|b) (?:a|) |a a| (|a) ^(.*)$ ^a|b$ (?s).* (?-s).* (?m)^(.*)$(.*) (?i)TRUE
    ([^:]+)(?::\d+)?;(\d+) (.*)(.*) (.*?)(.*) (a*)* (a|b*)* (a*)+ (|a)* (|a)+ (a?)*? (?U)(a*)(.*) ((a)|b)* ((a)|(b))*.*
    (?:(a)|(b)|(c))+.* (a|ab)(c|bcd)?(.*) (?:.*_)?(.+) (.*)\n(.*)
""")
WHOLE += [""]
NAME_REGEXES = words(r"__meta_(.+) __meta_kubernetes_pod_label_(.+) (a)(.*) ([ab]+) __param_(.*) (?i)A.*")

REFERENCES = words("""
    $1 ${1} $1 $0 $2 $3 $name ${name} $n ${n} $$ $1x ${1}x $name_x $_1 $10 ${10} $01 ${ ${} $ ${1 $- $größe ${é}
    $9999999999 $$1 ${-1} $1$2
""")
REFERENCES += ["$ ", "${1 }"]
FILLING = [" ", "\n", *words("a b - _ x ß } __meta_ __param_ 日本 :")]
SOUP = r"ab01()[]{}?*+|^$.\-<>:,PQEnpdwsxzLi"

JOB_OPTIONS = {
    "scrape_timeout": ["10s", "1y", "300d", "90s"],
    "metrics_path": ["/m", "m", "", "/ü b?c", "/a/../b"],
    "scheme": ["http", "https"],
    "params": [
        {"module": ["http"]},
        {"module": ["a b", "c&d"], "é &": ["ü"]},
        {"target": []},
        {"": ["x"]},
        {"module": [""]},
    ],
}
ODD_FIELDS = {
    "source_labels": [[], ["a"], [""], ["a", ""], None, "a", [1], ["größe"], [None]],
    "separator": [";", ",", "", None, 5],
    "regex": ["(.*)", "", None, 5, ".*", True, "x", 1.5],
    "modulus": [0, 1, -1, 1 << 64, (1 << 64) - 1, "5", None, 1.5, 2.0, "0x10"],
    "replacement": ["$1", "", None, 5, "x", "${1}", "$"],
    "target_label": ["a", "", None, 5, "ä ö", "$1", "${1}_x", "$", "__meta_x", "\ufffd"],
    "action": [*ACTIONS, "Keep", "LABELMAP", "", None, "nothing", "replace ", 5],
}
