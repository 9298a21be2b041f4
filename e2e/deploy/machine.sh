#!/bin/bash
# Becomes process 1 of a machine of its own: systemd, with the programs of this machine and none of its units. machine.js
# starts it in namespaces of its own, so that all that is mounted and started here ends with it.
#
#   machine.sh FOLDER dpkg?  an empty folder for the machine's root, in which `give` is what the machine finds in
#                            /repository; with "dpkg", packages can be installed
set -euo pipefail
root=$1 installs=${2:-}
PATH=$PATH:/usr/sbin:/sbin

give=$(mktemp -d) # the folder will be hidden
mount --rbind "$root/give" "$give"
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc/systemd/system proc sys dev run tmp home root repository var/lib var/tmp boot
chmod 1777 tmp var/tmp
mount --move "$give" repository
rmdir "$give"

units=/etc/systemd/system:/run/systemd/system
if [[ $installs == dpkg ]]; then
  mkdir -p changed work var/lib/dpkg/info var/lib/dpkg/updates
  touch var/lib/dpkg/status
  mount -t overlay -o "lowerdir=/usr,upperdir=$root/changed,workdir=$root/work" overlay usr
  # Of this machine's units none are seen, and those of a package are.
  mount -t tmpfs tmpfs usr/lib/systemd/system
  units=$units:/usr/lib/systemd/system
else
  mount --rbind /usr usr
  mount -o remount,bind,ro usr
fi
mount -t tmpfs tmpfs usr/local # what is installed in the test
mkdir usr/local/bin
for folder in bin sbin lib lib32 lib64 libx32; do
  if [[ -L /$folder ]]; then
    cp -P "/$folder" .
  elif [[ -d /$folder ]]; then
    mkdir "$folder"
    mount --rbind "/$folder" "$folder"
  fi
done

# Two disks, of which the one is where a service of systemd's gets a folder of its own.
for place in home tmp; do
  truncate -s 16M "root/$place.img"
  mkfs.ext4 -q "root/$place.img"
  mount -o loop "root/$place.img" "$place"
done
chmod 1777 tmp

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
# What is set there would be set for the whole of this machine.
for set in proc/sys proc/sysrq-trigger sys; do
  [[ -e $set ]] || continue
  mount --bind "$set" "$set"
  mount -o remount,bind,ro "$set"
done
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
cp /etc/ld.so.cache etc/ 2>/dev/null || true
printf '%s\n' root:x:0:0::/root:/bin/sh nobody:x:65534:65534::/:/bin/false >etc/passwd
printf '%s\n' root:x:0: nogroup:x:65534: >etc/group
echo '127.0.0.1 localhost' >etc/hosts
ln -s ../usr/lib/os-release etc/os-release

# Nothing of this machine's own units, whatever it has: only what a service and the journal need.
lib=/usr/lib/systemd
[[ -d $lib/system ]] || lib=/lib/systemd
for unit in sysinit basic multi-user local-fs sockets timers paths slices network network-online shutdown umount final; do
  cp "$lib/system/$unit.target" etc/systemd/system/
done
cp "$lib"/system/systemd-journald{.service,.socket,-dev-log.socket} etc/systemd/system/
ln -s multi-user.target etc/systemd/system/default.target
mkdir etc/systemd/system/sysinit.target.wants
ln -s ../systemd-journald.service etc/systemd/system/sysinit.target.wants/

mkdir run/old
pivot_root . run/old
umount -l /run/old
rmdir /run/old
mount --make-rshared / # as systemd does where it is not in a container
exec env -i container=stripchart PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  SYSTEMD_UNIT_PATH="$units" \
  SYSTEMD_GENERATOR_PATH=/run/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/none \
  "$lib/systemd" --log-target=journal </dev/null
