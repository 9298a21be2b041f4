package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What is written of CycloneDX 1.6 in JSON.
type (
	bom struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type     string        `json:"type"`
		Ref      string        `json:"bom-ref"`
		Name     string        `json:"name"`
		Version  string        `json:"version"`
		Hashes   []hash        `json:"hashes,omitempty"`
		Licenses []licenseLine `json:"licenses,omitempty"`
		PURL     string        `json:"purl,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"` // hexadecimal
	}
	licenseLine struct {
		Expression string `json:"expression"`
	}
)

// writeBOM writes of what the program of a target was made: the Go modules that the compiler has written into it, and
// the npm packages that are bundled into its page. Tools that only built or tested it are not in it.
func (r *release) writeBOM(path, program string) error {
	components, err := goComponents(program)
	if err != nil {
		return err
	}
	npm, err := npmComponents(filepath.Join(r.root, "web", "package-lock.json"))
	if err != nil {
		return err
	}
	components = append(components, npm...)
	slices.SortFunc(components, func(a, b component) int { return cmp.Compare(a.PURL, b.PURL) })
	text, err := json.MarshalIndent(bom{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{r.time.Format("2006-01-02T15:04:05Z"), component{
			Type: "application", Ref: "stripchart", Name: "stripchart", Version: r.version, Licenses: []licenseLine{{"MIT"}},
		}},
		Components: components,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// goComponents returns the modules in a program, and Go's own library.
func goComponents(program string) (list []component, err error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	list = append(list, library("golang", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		list = append(list, library("golang", m.Path, m.Version))
	}
	return list, nil
}

// npmComponents returns the packages of a lock file without those that only build and test.
func npmComponents(lock string) (list []component, err error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var locked struct {
		Packages map[string]struct {
			Version   string `json:"version"`
			Integrity string `json:"integrity"`
			License   string `json:"license"`
			Dev       bool   `json:"dev"`
			DevAlso   bool   `json:"devOptional"`
			Optional  bool   `json:"optional"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &locked); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	const folder = "node_modules/"
	for path, p := range locked.Packages {
		if path == "" || p.Dev || p.DevAlso || p.Optional {
			continue
		}
		c := library("npm", path[strings.LastIndex(path, folder)+len(folder):], p.Version)
		if p.License != "" {
			c.Licenses = []licenseLine{{p.License}}
		}
		if encoded, is := strings.CutPrefix(p.Integrity, "sha512-"); is {
			sum, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", lock, path, err)
			}
			c.Hashes = []hash{{"SHA-512", hex.EncodeToString(sum)}}
		}
		list = append(list, c)
	}
	return list, nil
}

// library is a component with its package URL. The parts of the name are escaped; the slashes between them are not.
func library(kind, name, version string) component {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(parts[i]), "@", "%40")
	}
	purl := "pkg:" + kind + "/" + strings.Join(parts, "/") + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
	return component{Type: "library", Ref: purl, Name: name, Version: version, PURL: purl}
}
