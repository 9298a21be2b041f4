#!/bin/sh
# After the files of a package have gone. The data stays until a purge, which only dpkg has.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ "$1" = purge ]; then
  rm -rf /var/lib/stripchart /var/lib/stripchart-serve /var/lib/stripchart-collect /etc/stripchart
  if getent passwd stripchart >/dev/null && command -v userdel >/dev/null; then
    userdel stripchart # and with it, as some systems are set up, the group
    if getent group stripchart >/dev/null; then
      groupdel stripchart
    fi
  fi
fi
