#!/bin/sh
# The programs of the boot test: `tools.sh check` says what is missing and how to get it, `tools.sh install` gets it.
set -eu
packages='qemu-system-x86 qemu-utils mmdebstrap genisoimage grub-pc-bin grub-common fdisk e2fsprogs'
programs='qemu-system-x86_64 qemu-img mmdebstrap genisoimage grub-mkimage sfdisk mke2fs'

missing=''
PATH="$PATH:/usr/sbin:/sbin"
for program in $programs; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -e /usr/lib/grub/i386-pc/boot.img ] || missing="$missing /usr/lib/grub/i386-pc/boot.img"
[ -n "$missing" ] || exit 0

case "${1:-check}" in
install)
    command -v apt-get >/dev/null ||
        { echo "The boot test makes a Debian machine and needs Debian's tools; missing:$missing" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "Installing needs root: sudo make boot-tools" >&2; exit 1; }
    echo "Installing for the boot test (missing:$missing): $packages"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    ;;
*)
    echo "The boot test cannot run, missing:$missing" >&2
    echo "Run 'make boot-tools' (as root), or on Debian or Ubuntu: apt-get install $packages" >&2
    exit 1
    ;;
esac
