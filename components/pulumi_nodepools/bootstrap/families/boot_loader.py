"""How kernel arguments get into the boot loader: shell text that several families share."""

GRUBBY = r"""
grubby --update-kernel=ALL --args="$missing" || fail "grubby --update-kernel=ALL --args='$missing' failed"
# grubby edits the kernels that are here; kernels installed later take theirs from this file.
mark="# nodepools: $missing"
# shellcheck disable=SC2016  # the variable is expanded by whoever reads the file
grep -qxF "$mark" "$root/etc/default/grub" 2>/dev/null ||
    printf '%s\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX %s"\n' "$mark" "$missing" >>"$root/etc/default/grub" ||
    fail "cannot append to /etc/default/grub"
"""

# grub2-mkconfig of newer EL no longer hands /etc/default/grub to boot entries; entries of kernels that are installed
# later take their arguments from this file where it exists.
CMDLINE_FILE = r"""
if [ -e "$root/etc/kernel/cmdline" ]; then
    line=$(cat "$root/etc/kernel/cmdline") || fail "cannot read /etc/kernel/cmdline"
    for argument in $missing; do
        case " $line " in *" $argument "*) ;; *) line="$line $argument" ;; esac
    done
    { printf '%s\n' "$line" >"$root/etc/kernel/cmdline.new" &&
        mv -f "$root/etc/kernel/cmdline.new" "$root/etc/kernel/cmdline"; } || fail "cannot write /etc/kernel/cmdline"
fi
"""

UPDATE_GRUB = r"""
# Cloud images reset GRUB_CMDLINE_LINUX_DEFAULT in a file of this folder: hence a late file, and the other variable.
file="$root/etc/default/grub.d/99-nodepools.cfg"
mark="# nodepools: $missing"
# shellcheck disable=SC2016  # the variable is expanded by whoever reads the file
grep -qxF "$mark" "$file" 2>/dev/null || {
    mkdir -p "${file%/*}" &&
        printf '%s\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX %s"\n' "$mark" "$missing" >>"$file"
} || fail "cannot append to /etc/default/grub.d/99-nodepools.cfg"
update-grub || fail "update-grub failed with status $?"
"""
