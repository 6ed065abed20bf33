#!/bin/sh
# Makes a bootable Debian disk out of Debian's packages: build.sh FOLDER. Needs root, but neither loop devices nor KVM.
# The boot loader is written into the gap before the first partition by hand, so nothing has to be mounted.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
mirror="${BOOT_TEST_MIRROR:-http://deb.debian.org/debian}"
work=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root="$work/root"

[ "$(id -u)" = 0 ] || { echo "building the image needs root" >&2; exit 1; }

mmdebstrap --quiet --mode=root --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,grub-pc-bin,grub2-common,cloud-init,curl,iproute2,procps,kmod \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --customize-hook="cp -r --no-preserve=ownership '$here/overlay/.' \"\$1\"" \
    --customize-hook='chmod 755 "$1"/usr/local/bin/* "$1"/usr/local/lib/boot-test-*' \
    --customize-hook='mkdir -p "$1/boot/grub" "$1/usr/local/sbin"' \
    --customize-hook='chroot "$1" systemctl enable -q systemd-networkd kubelet boot-test-fault boot-test-end' \
    --customize-hook='chroot "$1" systemctl mask -q apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer' \
    --customize-hook='echo "/dev/vda1 / ext4 rw 0 1" >"$1/etc/fstab"' \
    --customize-hook='ln -sf "$(basename "$(ls "$1"/boot/vmlinuz-*)")" "$1/boot/vmlinuz"' \
    --customize-hook='ln -sf "$(basename "$(ls "$1"/boot/initrd.img-*)")" "$1/boot/initrd"' \
    bookworm "$root" "$mirror"
cp "$here/grub.cfg" "$root/boot/grub/grub.cfg"
cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
cp "$root"/boot/initrd.img-* "$work/initrd"

disk="$work/disk.raw"
megabytes=1600
truncate -s "${megabytes}M" "$disk"
printf 'label: dos\n2048,,83,*\n' | sfdisk --quiet "$disk"
mke2fs -q -t ext4 -O '^metadata_csum_seed,^orphan_file' -d "$root" -E offset=1048576 "$disk" "$((megabytes - 1))m"

modules=/usr/lib/grub/i386-pc
grub-mkimage -O i386-pc -o "$work/core.img" -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 normal linux \
    configfile echo test search serial terminal
# boot.img loads sector 1; the partition table at 446 stays.
dd if="$modules/boot.img" of="$disk" bs=1 count=440 conv=notrunc status=none
dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none

mv "$work/vmlinuz" "$work/initrd" "$out/"
mv "$disk" "$out/disk.raw"
