#!/bin/sh
# The programs that the default tests ask for their opinion: `tools.sh check` says what is missing, `install` gets it.
# cloud-init is asked for its schema only; where it finds no cloud at boot, Debian's package keeps itself disabled.
set -eu
packages='cloud-init shellcheck systemd openssh-server openssh-client chromium'
programs='cloud-init shellcheck systemd-analyze sshd ssh-keygen ssh chromium'

missing=''
PATH="$PATH:/usr/sbin:/sbin"
for program in $programs; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0

case "${1:-check}" in
install)
    command -v apt-get >/dev/null ||
        { echo "The packages are Debian's; install by hand, missing:$missing" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "Installing needs root: sudo make test-tools" >&2; exit 1; }
    echo "Installing for the tests (missing:$missing): $packages"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    ;;
*)
    echo "Missing:$missing" >&2
    echo "Run 'make test-tools' (as root), or on Debian or Ubuntu: apt-get install $packages" >&2
    exit 1
    ;;
esac
