"""The rules of the pack, one small module each; `RULES` is the list that is enforced.

A rule is pure and imports nothing but the standard library and its neighbours, so it can be tested in any environment.
Only `rules.pack` knows pulumi_policy. The pack stands alone: it never imports the library whose programs it judges.
A new rule is a new module with a `RULE`, added here.
"""

from . import drain_hook, kernel_arguments
from .rule import ResourceRule, StackRule

RULES: tuple[ResourceRule | StackRule, ...] = (kernel_arguments.RULE, drain_hook.RULE)
