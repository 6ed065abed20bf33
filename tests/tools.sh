#!/bin/sh
# Debian's programs that tests use. `tools.sh check TIER` says what is missing, `tools.sh install TIER` gets it.
# The default tiers ask cloud-init for its schema only; where it finds no cloud, Debian's package stays disabled at boot.
set -eu
case "${2:-}" in
default)
    target=test-tools
    packages='cloud-init shellcheck systemd openssh-server openssh-client chromium'
    wanted='cloud-init shellcheck systemd-analyze sshd ssh-keygen ssh chromium'
    ;;
boot)
    target=boot-tools
    packages='qemu-system-x86 qemu-utils mmdebstrap genisoimage grub-pc-bin grub-common fdisk e2fsprogs'
    wanted='qemu-system-x86_64 qemu-img mmdebstrap genisoimage grub-mkimage sfdisk mke2fs /usr/lib/grub/i386-pc/boot.img'
    ;;
*)
    echo "usage: tools.sh check|install default|boot" >&2
    exit 2
    ;;
esac

missing=''
PATH="$PATH:/usr/sbin:/sbin"
for one in $wanted; do
    command -v "$one" >/dev/null || [ -e "$one" ] || missing="$missing $one"
done
[ -n "$missing" ] || exit 0

if [ "$1" = install ]; then
    command -v apt-get >/dev/null || { echo "These are Debian's packages; install by hand, missing:$missing" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "Installing needs root: sudo make $target" >&2; exit 1; }
    echo "Installing (missing:$missing): $packages"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
    echo "Missing:$missing" >&2
    echo "Run 'make $target' (as root), or on Debian or Ubuntu: apt-get install $packages" >&2
    exit 1
fi
