#!/bin/sh
# Before the files of a package go. dpkg says "remove", rpm how many versions will be left; an upgrade leaves what runs.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now stripchart.service stripchart-serve.service stripchart-collect.service
    fi
    ;;
esac
