"""Relabelling as Prometheus does it: rule configuration, its regular expressions, and the compiled engine. Pure."""

from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler, RuleStep
from promscout.relabel.regex import Regex

__all__ = ["Action", "Regex", "RelabelConfig", "Relabeler", "RuleStep"]
