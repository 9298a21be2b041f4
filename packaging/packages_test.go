package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVersionsOfPackagesHaveTheOrderOfTheirCommits(t *testing.T) {
	var before string
	for i, version := range []string{"f00dabc", "0abc123-dirty", "1.0.0-rc1", "1.0.0-rc1-3-gabc1234", "1.0.0", "1.0.0-1-gabc1234", "1.0.0-12-gabc1234-dirty", "1.0.1"} {
		v := packageVersion(version, noon.Add(time.Duration(i)*time.Minute))
		if strings.ContainsAny(v, "-_ ") {
			t.Errorf("%s became %s, which rpm does not take", version, v)
		}
		if before != "" {
			if out, err := exec.Command("dpkg", "--compare-versions", before, "lt", v).CombinedOutput(); err != nil {
				t.Errorf("%s is not before %s (%s): %v %s", before, v, version, err, out)
			}
		}
		before = v
	}
}

func TestTheUnitsOfAPackageStartItsProgramAsItsUser(t *testing.T) {
	units, err := filepath.Glob("../deploy/systemd/*.service")
	if err != nil || len(units) < 3 {
		t.Fatalf("%v, %v", units, err)
	}
	for _, name := range units {
		unit, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := packagedUnit(unit)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for line, want := range map[string]int{"\nExecStart=/usr/bin/stripchart ": 1, "\nUser=stripchart\n": 1, "\nDynamicUser=": 0, "/usr/local": 0} {
			if n := strings.Count(string(text), line); n != want {
				t.Errorf("%s: %q is there %d times, want %d:\n%s", name, line, n, want, text)
			}
		}
		// What comes with DynamicUser is still asked for.
		for _, line := range []string{"ProtectSystem=strict", "PrivateTmp=yes", "NoNewPrivileges=yes", "RestrictSUIDSGID=yes", "RemoveIPC=yes"} {
			if !strings.Contains(string(text), "\n"+line+"\n") {
				t.Errorf("%s: %s is missing", name, line)
			}
		}
	}
	if _, err := packagedUnit([]byte("[Service]\nExecStart=/opt/stripchart\n")); err == nil {
		t.Error("a unit with other lines was taken")
	}
}

func TestAPackageNamesEveryFileAndTheFoldersThatAreItsOwn(t *testing.T) {
	folder := t.TempDir()
	r := release{root: "..", work: t.TempDir()}
	for _, name := range []string{"man/stripchart.1", "bash/stripchart", "zsh/_stripchart", "fish/stripchart.fish"} {
		write(t, filepath.Join(r.share(), name), "of "+name, 0o644)
	}
	if err := r.lay(target{"linux", "amd64"}, folder); err != nil {
		t.Fatal(err)
	}
	for _, format := range formats {
		list, err := r.packageFiles(folder, format.zsh, format.license)
		if err != nil {
			t.Fatal(err)
		}
		folders, sources := map[string]bool{}, map[string]string{}
		for _, f := range list {
			if f.Type == "dir" {
				folders[f.Destination] = true
			} else {
				sources[f.Destination] = f.Source
			}
		}
		for _, name := range []string{
			"/usr/bin/stripchart", "/usr/lib/systemd/system/stripchart.service", "/usr/lib/systemd/system/stripchart-serve.service",
			"/usr/lib/systemd/system/stripchart-collect.service", "/usr/lib/sysusers.d/stripchart.conf", "/etc/stripchart/stripchart.env",
			"/etc/stripchart/serve.env", "/etc/stripchart/collect.env", "/usr/share/man/man1/stripchart.1.gz", "/usr/share/doc/stripchart/OPERATIONS.md",
			"/usr/share/bash-completion/completions/stripchart", "/usr/share/fish/vendor_completions.d/stripchart.fish", format.zsh, format.license,
		} {
			if sources[name] == "" {
				t.Errorf("%s: %s is missing", format.name, name)
			}
		}
		for name := range sources {
			if d := filepath.Dir(name); filepath.Base(d) == "stripchart" && !folders[d] {
				t.Errorf("%s: %s would stay behind %s", format.name, d, name)
			}
		}
	}
}

func TestTheBillOfMaterialsNamesWhatIsInTheProgramAndInThePage(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "web", "package-lock.json")
	write(t, lock, `{"packages": {
		"": {"license": "MIT"},
		"node_modules/@preact/signals": {"version": "2.11.4", "license": "MIT", "integrity": "sha512-AAECAw=="},
		"node_modules/a/node_modules/b": {"version": "1.0.0"},
		"node_modules/vite": {"version": "8.3.8", "dev": true}
	}}`, 0o644)
	self, err := os.Executable() // a Go program
	if err != nil {
		t.Fatal(err)
	}
	r := release{root: filepath.Dir(filepath.Dir(lock)), version: "1.2.3", time: noon}
	path := filepath.Join(t.TempDir(), "bom.json")
	if err := r.writeBOM(path, self); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	if b.Format != "CycloneDX" || b.Metadata.Component.Version != "1.2.3" {
		t.Errorf("%s", text)
	}
	find := func(prefix string) *component {
		if i := slices.IndexFunc(b.Components, func(c component) bool { return strings.HasPrefix(c.PURL, prefix) }); i >= 0 {
			return &b.Components[i]
		}
		return nil
	}
	signals := find("pkg:npm/%40preact/signals@2.11.4")
	if signals == nil || len(signals.Hashes) != 1 || signals.Hashes[0].Content != "00010203" || len(signals.Licenses) != 1 {
		t.Errorf("a scoped package: %+v", signals)
	}
	for prefix, want := range map[string]bool{
		"pkg:npm/b@1.0.0": true, "pkg:npm/vite@": false, "pkg:golang/std@1.": true, "pkg:golang/github.com/goreleaser/nfpm/v2@v2.": true,
	} {
		if has := find(prefix) != nil; has != want {
			t.Errorf("%s: %v, want %v", prefix, has, want)
		}
	}
}
