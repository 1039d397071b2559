#!/bin/sh
# The guest's side of tools/guest/boot.py: sh inside.sh RESULTS, as root, right after boot.
RESULTS=$1
export RESULTS
exec >>"$RESULTS/log" 2>&1
fail() {
    echo "guest set-up: $*"
    sync
    exit 1
}
PATH=$PATH:/usr/sbin:/sbin

modprobe -a virtio_blk ext4 || fail "cannot load the drivers of its disks"
for disk in vda vdb; do
    mkdir -p "/run/$disk"
    mount -t ext4 -o ro "/dev/$disk" "/run/$disk" || fail "cannot mount $disk"
    # What is on the disk is used at its own path, in place of the same files behind the slow root.
    while read -r path; do
        mount --bind "/run/$disk$path" "$path" || fail "cannot put $path in place"
    done <"/run/$disk/binds"
done

[ "$(cat /sys/devices/system/node/online)" = 0-1 ] || fail "it has not two memory nodes"
[ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ] || fail "AppArmor is off"
[ "$(awk '$3 ~ /^cgroup/ { print $3 }' /proc/self/mounts)" = cgroup2 ] || fail "cgroup2 is not mounted alone"

# For tests of disks, of swap and of networks: a disk with partitions, proportional weights, a swap that costs no disk.
modprobe -a bfq zram sd_mod veth || fail "cannot load bfq, zram, sd_mod and veth"
# For the driver devmapper: a pool on two loop files.
modprobe -a loop dm_mod dm_thin_pool || fail "cannot load device mapper"
modprobe scsi_debug dev_size_mb=64 num_parts=2 || fail "cannot load scsi_debug"
mke2fs -q -t ext4 /dev/sda1 && mount /dev/sda1 /var/tmp || fail "cannot use the disk with partitions"
echo 256M >/sys/block/zram0/disksize
mkswap /dev/zram0 >/dev/null && swapon /dev/zram0 || fail "cannot swap to zram"

mkdir -p /run/tmp/tests
export TMPDIR=/run/tmp/tests HOME=/run/tmp/tests PYTHONDONTWRITEBYTECODE=1 CGWARDEN_IN_GUEST=1
export HYPOTHESIS_STORAGE_DIRECTORY=/run/tmp/hypothesis
sh "$RESULTS/command"
echo $? >"$RESULTS/status"
sync
