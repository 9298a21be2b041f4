#!/bin/sh
# After the files of a package are in place, at the first installation and at each upgrade.
set -e
if command -v systemd-sysusers >/dev/null; then
  systemd-sysusers stripchart.conf
elif ! getent passwd stripchart >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/stripchart --no-create-home --shell /usr/sbin/nologin stripchart
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  # What runs goes on as the new version; what does not is left alone. Nobody waits here until a server has read its
  # history, or until its Redis is back.
  systemctl --no-block try-restart stripchart.service stripchart-serve.service stripchart-collect.service
fi
# dpkg and rpm say differently that nothing was installed before.
case "$1 $2" in
  'configure ' | '1 ')
    echo 'stripchart: "systemctl enable --now stripchart" starts it: http://127.0.0.1:5000'
    ;;
esac
