package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// addNginx puts nginx before all servers; it goes to the next one when one is
// gone.
func (r *rig) addNginx() error {
	var upstream strings.Builder
	for _, s := range r.servers {
		fmt.Fprintf(&upstream, "server %s max_fails=1 fail_timeout=1s;\n", s.door.address)
	}
	var err error
	if r.door, err = freeAddress(); err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "nginx")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	conf := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events { worker_connections 1000; }
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream servers { %[2]s }
  server {
    listen %[3]s;
    location / {
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_connect_timeout 2s;
      proxy_read_timeout 60s;
    }
  }
}
`, dir, upstream.String(), r.door)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return err
	}
	r.nginx = &process{name: "nginx", log: r.logOf("nginx"), bin: "nginx", args: []string{"-c", path, "-p", dir}, env: []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin"}}
	if _, err := os.Stat("/usr/sbin/nginx"); err == nil {
		r.nginx.bin = "/usr/sbin/nginx" // where a user's path may not lead
	}
	if err := r.nginx.start(); err != nil {
		return err
	}
	if !until(patience, func() bool { return healthy("http://" + r.door + "/readyz") }) {
		return fmt.Errorf("nginx does not lead to a server; see %s", r.nginx.log)
	}
	return nil
}
