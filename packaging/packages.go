package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// formats are the kinds of packages, with the places that differ between them.
var formats = []struct{ name, zsh, license string }{
	{"deb", "/usr/share/zsh/vendor-completions/_stripchart", "/usr/share/doc/stripchart/copyright"},
	{"rpm", "/usr/share/zsh/site-functions/_stripchart", "/usr/share/licenses/stripchart/LICENSE"},
}

// writePackages makes a .deb and a .rpm from what was laid in folder, and returns their paths.
func (r *release) writePackages(t target, folder string) (paths []string, err error) {
	for _, format := range formats {
		contents, err := r.packageFiles(folder, format.zsh, format.license)
		if err != nil {
			return nil, err
		}
		packager, err := nfpm.Get(format.name)
		if err != nil {
			return nil, err
		}
		info := nfpm.WithDefaults(r.packageInfo(t, contents))
		if err := nfpm.PrepareForPackager(info, format.name); err != nil {
			return nil, err
		}
		name := filepath.Join(r.out, r.stem(t)+"."+format.name)
		out, err := os.Create(name)
		if err != nil {
			return nil, err
		}
		if err := packager.Package(info, out); err != nil {
			out.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := out.Close(); err != nil {
			return nil, err
		}
		paths = append(paths, name)
	}
	return paths, nil
}

// packageInfo is all that a package says beside its files.
func (r *release) packageInfo(t target, contents files.Contents) *nfpm.Info {
	const summary = "Live time series in a browser"
	script := func(name string) string { return filepath.Join(r.root, "packaging", "scripts", name) }
	info := &nfpm.Info{
		Name: "stripchart", Arch: t.arch, Platform: "linux", VersionSchema: "none", Version: packageVersion(r.version, r.time),
		Release: "1", Section: "net", Priority: "optional", License: "MIT", Maintainer: "Stripchart",
		Description: summary + "\nWhat a machine and your programs measure, while they measure it and with its history.",
		MTime:       r.time, DisableGlobbing: true,
	}
	info.Contents = contents
	info.Scripts = nfpm.Scripts{
		PostInstall: script("postinstall.sh"), PreRemove: script("preremove.sh"), PostRemove: script("postremove.sh"),
	}
	info.RPM.Summary, info.RPM.BuildHost = summary, "localhost"
	return info
}

// packageFiles lists the files of a package. Those that differ from what was laid in folder are written to r.work.
func (r *release) packageFiles(folder, zsh, license string) (list files.Contents, err error) {
	add := func(kind, from, to string, mode os.FileMode) {
		list = append(list, &files.Content{
			Source: from, Destination: to, Type: kind,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.time},
		})
	}
	changed := func(from string, change func([]byte) ([]byte, error)) (string, error) {
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if text, err = change(text); err != nil {
			return "", fmt.Errorf("%s: %w", from, err)
		}
		to := filepath.Join(r.work, filepath.Base(from))
		return to, os.WriteFile(to, text, 0o644)
	}
	of := func(parts ...string) string { return filepath.Join(append([]string{folder}, parts...)...) }

	// rpm removes no folder that no package has named.
	for _, folder := range slices.Compact([]string{"/etc/stripchart", "/usr/share/doc/stripchart", path.Dir(license)}) {
		add(files.TypeDir, "", folder, 0o755)
	}
	add(files.TypeFile, of("stripchart"), "/usr/bin/stripchart", 0o755)
	add(files.TypeFile, filepath.Join(r.root, "packaging", "sysusers.conf"), "/usr/lib/sysusers.d/stripchart.conf", 0o644)
	add(files.TypeFile, of("LICENSE"), license, 0o644)
	add(files.TypeFile, of("share", "zsh", "_stripchart"), zsh, 0o644)
	add(files.TypeFile, of("share", "bash", "stripchart"), "/usr/share/bash-completion/completions/stripchart", 0o644)
	add(files.TypeFile, of("share", "fish", "stripchart.fish"), "/usr/share/fish/vendor_completions.d/stripchart.fish", 0o644)
	manual, err := changed(of("share", "man", "stripchart.1"), compressed)
	if err != nil {
		return nil, err
	}
	add(files.TypeFile, manual, "/usr/share/man/man1/stripchart.1.gz", 0o644)
	units, err := filepath.Glob(of("deploy", "systemd", "*.service"))
	if err != nil {
		return nil, err
	}
	for _, name := range units {
		unit, err := changed(name, packagedUnit)
		if err != nil {
			return nil, err
		}
		add(files.TypeFile, unit, "/usr/lib/systemd/system/"+filepath.Base(name), 0o644)
	}
	for from, to := range map[string]string{"docs/*": "/usr/share/doc/stripchart/", "deploy/systemd/*.env": "/etc/stripchart/"} {
		names, err := filepath.Glob(of(filepath.FromSlash(from)))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			info, err := os.Stat(name)
			switch {
			case err != nil:
				return nil, err
			case info.IsDir():
			case strings.HasPrefix(to, "/etc/"):
				add(files.TypeConfigNoReplace, name, to+filepath.Base(name), 0o600) // may get a password
			default:
				add(files.TypeFile, name, to+filepath.Base(name), 0o644)
			}
		}
	}
	return list, nil
}

// inUnits are the lines in which the units of a package differ from those of deploy/.
var inUnits = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/`), "ExecStart=/usr/bin/"},
	{regexp.MustCompile(`file:///usr/local/share/doc/`), "file:///usr/share/doc/"},
	// The package has a user of its own: keys and tokens that the service reads anew while it runs can be given to it.
	{regexp.MustCompile(`(?m)^# A user that exists while the service runs(.*\n#)*.*\nDynamicUser=yes$`), "# The package makes this user.\nUser=stripchart"},
	{regexp.MustCompile(`(?m)^(# .*NoNewPrivileges, RestrictSUIDSGID and RemoveIPC) come with DynamicUser;\n# they are .*$`), "$1 would come with\n# DynamicUser=yes."},
}

// packagedUnit is a unit of deploy/ as the packages have it.
func packagedUnit(unit []byte) ([]byte, error) {
	for _, c := range inUnits {
		if n := len(c.from.FindAllIndex(unit, -1)); n != 1 {
			return nil, fmt.Errorf("%v is there %d times instead of once", c.from, n)
		}
		unit = c.from.ReplaceAll(unit, []byte(c.to))
	}
	return unit, nil
}

func compressed(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// tagged is a version that starts with a tag: 1.2.3, 1.3.0-rc1, 1.2.3-14-gabc1234 (14 commits later), each with -dirty.
var tagged = regexp.MustCompile(`^(\d+\.\d+\.\d+)(?:-((?:alpha|beta|rc)[.\d]*))?(?:-(.*))?$`)

// packageVersion is a version in the order of dpkg and rpm: ~ comes before the version, + after it. A program that was
// built before there was a tag is older than every release, and ordered by the time of its commit.
func packageVersion(version string, commit time.Time) string {
	found := tagged.FindStringSubmatch(version)
	if found == nil {
		return "0.0.0+" + commit.Format("20060102150405") + "." + strings.ReplaceAll(version, "-", ".")
	}
	v := found[1]
	if found[2] != "" {
		v += "~" + found[2]
	}
	if found[3] != "" {
		v += "+" + strings.ReplaceAll(found[3], "-", ".")
	}
	return v
}
