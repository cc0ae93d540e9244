"""Random expressions, templates, relabel rules and static targets, in every shape that Prometheus's syntax allows.

Names and values are few, and expressions are made from values that there are, so that rules meet what they are about.
"""

from __future__ import annotations

import random
import re

from differential import relabel_words as w


class RelabelCases:
    """What comes is decided by the seed alone."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.rng.random() < chance

    def pick(self, *pools):
        """One of the entries of one of the pools, every pool with the same chance."""
        return self.rng.choice(self.rng.choice(pools))

    # Names and values.

    def name(self) -> str:
        return self.pick(
            w.PLAIN_NAMES, w.PLAIN_NAMES, w.PLAIN_NAMES, w.META_NAMES, w.META_NAMES, w.URL_NAMES, w.ODD_NAMES
        )

    def value(self, name: str = "") -> str:
        if name in w.TIME_NAMES and self.maybe(0.8):
            return self.pick(w.INTERVALS if name == w.TIME_NAMES[0] else w.TIMEOUTS)
        if self.maybe(0.2):
            return "".join(self.pick(w.VALUES)[:40] for _ in range(self.rng.randint(2, 4)))
        if self.maybe(0.2):
            return "".join(self.rng.choices(w.ALPHABET, k=self.rng.randint(1, 12)))
        return self.pick(w.VALUES)

    def labels(self) -> dict[str, str]:
        names = {self.name() for _ in range(self.rng.randint(1, 9))}
        names |= {name for name in (*w.URL_NAMES, *w.TIME_NAMES) if self.maybe(0.08)}
        return {name: self.value(name) for name in sorted(names)}

    # Expressions.

    def regex(self, values=w.VALUES) -> str:
        """An expression that is usually well-formed."""
        way = self.rng.random()
        if way < 0.15:
            return self.pick(w.WHOLE)
        if way < 0.3:
            return self._simple_regex(values)
        if way < 0.65:
            return self._regex_for(self.rng.choice(values))
        return self._alternation(self.rng.randint(1, 3))

    def broken_regex(self) -> str:
        """An expression with something in it that is rare, often wrong."""
        text = self.regex()
        for _ in range(self.rng.randint(1, 2)):
            at = self.rng.randint(0, len(text))
            flags = f"(?{self.rng.choice(w.BAD_FLAGS)})"
            odd = self.pick(w.BAD_ESCAPES, w.BAD_CLASSES, w.BAD_QUANTIFIERS, [flags], w.BAD_OPENINGS)
            text = text[:at] + odd + text[at + self.rng.randint(0, 2) :]
        if self.maybe(0.3):
            text = "".join(self.rng.choices(w.SOUP, k=self.rng.randint(1, 10)))
        return text

    def _simple_regex(self, values) -> str:
        """The shapes that need no engine: literals, choices of literals, one wildcard between literals."""
        pieces = [self._quoted(self.rng.choice(values)[:20]) for _ in range(self.rng.randint(1, 3))]
        if self.maybe(0.5):
            return self.rng.choice(("{}", "({})", "(?:{})")).replace("{}", "|".join(pieces))
        value = self.rng.choice(values)[:40]
        start, end = sorted(self.rng.randint(0, len(value)) for _ in range(2))
        wildcard = self.rng.choice(("(.*)", "(.+)", ".*", ".+"))
        return self._quoted(value[:start]) + wildcard + self._quoted(value[end:])

    def _quoted(self, text: str) -> str:
        way = self.rng.random()
        if way < 0.1 and "\\E" not in text:
            return rf"\Q{text}\E"
        if way < 0.2:
            return "".join(f"\\x{{{ord(char):x}}}" for char in text)
        if way < 0.5:
            return re.sub(r"[^\w\s]", lambda found: "\\" + found[0] if found[0].isascii() else found[0], text)
        return re.sub(r"[.+*?()|\[\]{}^$\\]", r"\\\g<0>", text)

    def _regex_for(self, value: str) -> str:
        """An expression that has a chance to match ``value``: parts of it as they are, others in more general terms."""
        parts = []
        while value:
            size = self.rng.randint(1, max(1, len(value) // 2))
            part, value = value[:size], value[size:]
            way = self.rng.random()
            if way < 0.35:
                parts.append(self._quoted(part[:50]) if len(part) < 50 else ".*")
            elif way < 0.7:
                general = (".*", ".+", ".*?", r"\w*", r"[^;]*", r"\pL*", "(?s:.*)")
                inside = self.rng.choice((*general, "(?i)" + self._quoted(part[:50])))
                parts.append(self.rng.choice(("({})", "(?P<name>{})", "(?:{})", "(?<n>{})")).replace("{}", inside))
            else:
                parts.append(self.rng.choice(w.CLASSES) + self.rng.choice(("*", "+", "?", "{1,9}", "*?")))
        flags = f"(?{self.rng.choice(w.FLAGS)})" if self.maybe(0.2) else ""
        return _names_once(flags + "".join(parts))

    def _alternation(self, depth: int) -> str:
        choices = [self._sequence(depth) for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]
        if self.maybe(0.1):
            choices.insert(self.rng.randint(0, len(choices)), "")
        return _names_once("|".join(choices))

    def _sequence(self, depth: int) -> str:
        return "".join(self._atom(depth) for _ in range(self.rng.randint(1, 4)))

    def _atom(self, depth: int) -> str:
        way = self.rng.random()
        if way < 0.1:
            return self.pick(w.ASSERTIONS)
        if way < 0.15:
            return f"(?{self.rng.choice(w.FLAGS)})"
        if way < 0.35 and depth:
            atom = f"{self.rng.choice(w.OPENINGS)}{self._alternation(depth - 1)})"
        elif way < 0.55:
            atom = self.pick(w.CLASSES)
        elif way < 0.7:
            atom = "."
        elif way < 0.78:
            atom = self.pick(w.ESCAPES, w.CODES)
        else:
            atom = self.pick(w.LITERALS)
        return atom + (self.rng.choice(w.QUANTIFIERS) if self.maybe(0.45) else "")

    def match(self) -> tuple[str, str]:
        """A value, and an expression that has a chance to match it."""
        value = self.value() or "a"
        return value, self._regex_for(value) if self.maybe() else self.regex([value])

    # Rules.

    def template(self) -> str:
        if self.maybe(0.4):
            return self.rng.choice(w.REFERENCES)
        pieces = (self.pick(w.REFERENCES, w.REFERENCES, w.FILLING) for _ in range(self.rng.randint(1, 4)))
        return "".join(pieces)

    def target_label(self) -> str:
        if self.maybe(0.2):
            return self.template()
        return self.pick(w.TIME_NAMES) if self.maybe(0.05) else self.name()

    def rule(self, targets=()) -> dict[str, object]:
        """A rule that is usually valid, about the labels of ``targets``."""
        names = sorted({name for labels in targets for name in labels} | {"a"})
        values = sorted({value for labels in targets for value in labels.values()} | {"a"})
        action = self.rng.choices(list(w.ACTIONS), list(w.ACTIONS.values()))[0]
        fields: dict[str, object] = {} if action == "replace" and self.maybe(0.8) else {"action": self._case(action)}
        about_names = action in ("labelmap", "labeldrop", "labelkeep")
        if not about_names and self.maybe(0.9):
            fields["source_labels"] = self._source_labels(names)
        if not about_names and "equal" not in action and self.maybe(0.3):
            fields["separator"] = self.rng.choice(("", ";", ":", "\n", "ß", "--", " "))
        if about_names:
            fields["regex"] = self._name_regex(names, keeps=action == "labelkeep")
        elif action in ("replace", "keep", "drop") and self.maybe(0.75):
            fields["regex"] = self.regex(self._joined(fields, targets) or values)
        if (action == "replace" and self.maybe(0.8)) or (action == "labelmap" and self.maybe(0.6)):
            fields["replacement"] = "" if action == "replace" and self.maybe(0.1) else self.template()
        if action == "labelmap" and self.maybe(0.3):  # one label onto another
            fields |= {"regex": self._quoted(self.rng.choice(names)), "replacement": self.rng.choice(names)}
        if not about_names and action not in ("keep", "drop"):
            fields["target_label"] = self.target_label()
        if action == "hashmod":
            fields["modulus"] = self.rng.choice((1, 2, 3, 10, 1 << 32, (1 << 64) - 1))
        return fields

    def odd_rule(self) -> dict[str, object]:
        """A rule that is often refused."""
        rule = self.rule()
        for name in self.rng.sample(list(w.ODD_FIELDS), self.rng.randint(0, 2)):
            if self.maybe(0.2):
                rule.pop(name, None)
            else:
                rule[name] = self.rng.choice(w.ODD_FIELDS[name])
        if self.maybe(0.3):
            rule["regex"] = self.broken_regex() if self.maybe(0.7) else self.regex()
        return rule

    def _case(self, action: str) -> str:
        return self.rng.choice((action, action, action.upper(), action.title()))

    def _source_labels(self, names) -> list[str]:
        count = self.rng.choices((0, 1, 2, 3), (1, 20, 8, 6))[0]
        return [self.rng.choice(names) if self.maybe(0.8) else self.name() for _ in range(count)]

    def _joined(self, fields, targets) -> list[str]:
        """The values that the rule's expression would meet before any other rule."""
        separator = str(fields.get("separator", ";"))
        return [separator.join(labels.get(name, "") for name in fields.get("source_labels", ())) for labels in targets]

    def _name_regex(self, names, *, keeps: bool) -> str:
        way = self.rng.random()
        if keeps and way < 0.8:
            return (
                "__address__|job|" + self._regex_for(self.rng.choice(names)) + "|__(?:scheme|metrics_path|param_.*)_*"
            )
        if way < 0.4:
            return self.rng.choice(w.NAME_REGEXES)
        return self.regex(names)

    # Jobs.

    def _labels_of_one_layout(self, targets: int) -> list[dict[str, str]]:
        """The labels of targets that all have the same names; values come again, and some are empty."""
        values = {name: [self.value(name) for _ in range(self.rng.randint(1, 12))] for name in self.labels()}
        values = {name: some + [""] * self.rng.randint(0, 2) for name, some in values.items()}
        return [{name: self.rng.choice(some) for name, some in values.items()} for _ in range(targets)]

    def job(self, name: str, targets: int, *, one_layout: bool = False) -> dict[str, object]:
        """A scrape config with static targets that nobody scrapes: the last rules see to loopback and a year's pause.

        With ``one_layout`` all targets have labels of the same names, as the pods of a workload have.
        """
        labels = self._labels_of_one_layout(targets) if one_layout else [self.labels() for _ in range(targets)]
        seen = [each | {"__address__": "127.0.0.1:1", "job": name} for each in labels]
        job: dict[str, object] = {"job_name": name, "scrape_interval": "1y"}
        job |= {name: self.rng.choice(some) for name, some in w.JOB_OPTIONS.items() if self.maybe(0.2)}
        addresses = [self.rng.choice(w.ADDRESSES) if self.maybe(0.4) else "127.0.0.1:1" for _ in labels]
        job["static_configs"] = [{"targets": [at], "labels": each} for at, each in zip(addresses, labels, strict=True)]
        rules = [self.rule(seen) for _ in range(self.rng.randint(1, 5))]
        job["relabel_configs"] = rules + (quiet_rules() if self.maybe(0.75) else lenient_rules())
        return job


def matching_job(name: str, matches) -> dict[str, object]:
    """A scrape config with one target, of whose rules each tells what an expression captures of a value."""
    captured = "0<$0>1<$1>2<$2>3<$3>4<$4>name<$name>n<$n>"
    rules = [
        {"source_labels": [f"value{number}"], "regex": regex, "target_label": f"match{number}", "replacement": captured}
        for number, (_, regex) in enumerate(matches)
    ]
    labels = {f"value{number}": value for number, (value, _) in enumerate(matches)}
    return {
        "job_name": name,
        "scrape_interval": "1y",
        "static_configs": [{"targets": ["127.0.0.1:1"], "labels": labels}],
        "relabel_configs": rules + quiet_rules(),
    }


def _names_once(regex: str) -> str:
    """``regex`` with each group name used once, as the syntax demands; further groups go without."""
    seen: set[str] = set()

    def keep_first(found: re.Match[str]) -> str:
        if found[1] in seen:
            return "("
        seen.add(found[1])
        return found[0]

    return re.sub(r"\(\?P?<(\w+)>", keep_first, regex)


def quiet_rules() -> list[dict[str, object]]:
    """Rules after which an address is on loopback where nothing listens, and the next scrape is within a year."""
    forced = {"__address__": "127.0.0.1:1", "__scrape_interval__": "1y", "__scrape_timeout__": "10s"}
    return [{"target_label": name, "replacement": value} for name, value in forced.items()]


def lenient_rules() -> list[dict[str, object]]:
    """The same, but addresses and intervals that are known to be as harmless, or refused, stay what they are."""
    rules: list[dict[str, object]] = [{"action": "labeldrop", "regex": "__safe_.*"}]
    for name, harmless, instead in (
        ("__address__", (*w.ADDRESSES, ""), "127.0.0.1:1"),
        ("__scrape_interval__", w.INTERVALS, "1y"),
    ):
        choice = "|".join(re.escape(value) for value in harmless)
        safe = f"__safe_{name}"
        rules.append({"source_labels": [name], "regex": choice, "target_label": safe, "replacement": "y"})
        rules.append({"source_labels": [safe], "regex": "", "target_label": name, "replacement": instead})
    return rules
