"""The gate: what keeps a family's join units from starting, as shell text.

A single unit is named in the text; several are looped over. Both say the same to systemd.
"""

from collections.abc import Sequence

_ONE_GATE = r"""
# The gate comes first, at every boot: whatever goes wrong below, kubelet does not start without the arguments.
gate="$root/etc/systemd/system/@UNIT@.d/05-nodepools-gate.conf"
mkdir -p "${gate%/*}" "$state" || fail "cannot make ${gate%/*} or $state"
{
    echo '[Unit]'
    for argument in "$@"; do
        printf 'ConditionKernelCommandLine=%s\n' "$argument"
    done
} >"$gate.new" || fail "cannot write $gate"
mv -f "$gate.new" "$gate" || fail "cannot write $gate"
systemctl daemon-reload || fail "systemctl daemon-reload failed, the gate of @UNIT@ may not be in force"
"""

_GATES = r"""
# The gate comes first, at every boot: whatever goes wrong below, nothing joins without the arguments.
mkdir -p "$state" || fail "cannot make $state"
for unit in @UNITS@; do
    gate="$root/etc/systemd/system/$unit.d/05-nodepools-gate.conf"
    mkdir -p "${gate%/*}" || fail "cannot make ${gate%/*}"
    {
        echo '[Unit]'
        for argument in "$@"; do
            printf 'ConditionKernelCommandLine=%s\n' "$argument"
        done
    } >"$gate.new" || fail "cannot write $gate"
    mv -f "$gate.new" "$gate" || fail "cannot write $gate"
done
systemctl daemon-reload || fail "systemctl daemon-reload failed, the gate of @UNITS@ may not be in force"
"""

_ONE_REFUSAL = r"""
# An always false condition: kubelet stays down however it is started, and for whatever reason we gave up.
refuse_kubelet() {
    refused="$root/etc/systemd/system/@UNIT@.d/06-nodepools-refused.conf"
    { mkdir -p "${refused%/*}" && printf '[Unit]\nConditionPathExists=!/\n' >"$refused"; } ||
        say "cannot write $refused"
    systemctl daemon-reload || :
    systemctl stop @UNIT@ || :
}
"""

_REFUSALS = r"""
# An always false condition: nothing joins however it is started, and for whatever reason we gave up.
refuse_kubelet() {
    for unit in @UNITS@; do
        refused="$root/etc/systemd/system/$unit.d/06-nodepools-refused.conf"
        { mkdir -p "${refused%/*}" && printf '[Unit]\nConditionPathExists=!/\n' >"$refused"; } ||
            say "cannot write $refused"
    done
    systemctl daemon-reload || :
    for unit in @UNITS@; do
        systemctl stop "$unit" || :
    done
}
"""


def gate(units: Sequence[str]) -> str:
    """Shell that lets `units` start only when every one of $1, $2 … is on the kernel's command line."""
    return _filled(_ONE_GATE, _GATES, units)


def refusal(units: Sequence[str]) -> str:
    """Shell: the function `refuse_kubelet`, which keeps `units` down for good."""
    return _filled(_ONE_REFUSAL, _REFUSALS, units)


def _filled(one: str, several: str, units: Sequence[str]) -> str:
    text = one if len(units) == 1 else several
    return text.replace("@UNIT@", units[0]).replace("@UNITS@", " ".join(units))
