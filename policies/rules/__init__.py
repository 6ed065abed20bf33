"""The rules of the pack, one small module for each question; `RULES` is the list that is enforced.

A rule is pure and imports nothing but the standard library and its neighbours, so it can be tested in any environment.
Only `rules.pack` knows pulumi_policy. The pack stands alone: it never imports the library whose programs it judges.
A new rule is a new entry in a module's `RULES`, or a new module with one, added here.
"""

from . import (
    canary,
    drain_hook,
    evidence,
    exposure,
    group_template,
    image,
    kernel,
    kernel_arguments,
    labels,
    lifecycle_hooks,
    metadata,
    node_role,
    reboots,
    replacement,
    secrets,
    tags,
    user_data_form,
    volumes,
    zones,
)
from .rule import ResourceRule, StackRule

RULES: tuple[ResourceRule | StackRule, ...] = (
    *metadata.RULES,
    *volumes.RULES,
    *exposure.RULES,
    *image.RULES,
    *secrets.RULES,
    *user_data_form.RULES,
    *kernel.RULES,
    *kernel_arguments.RULES,
    *reboots.RULES,
    *group_template.RULES,
    *lifecycle_hooks.RULES,
    *zones.RULES,
    *tags.RULES,
    *labels.RULES,
    *canary.RULES,
    *node_role.RULES,
    *drain_hook.RULES,
    *replacement.RULES,
    *evidence.RULES,
)
