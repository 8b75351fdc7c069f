package api_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/api"
	"github.com/gabion/gabion/internal/server"
)

// page is docs/api.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks are the fenced blocks in that language of one of the page's sections.
func blocks(t *testing.T, section, language string) []string {
	t.Helper()
	_, rest, _ := strings.Cut(page(t), "\n## "+section+"\n")
	part, _, _ := strings.Cut(rest, "\n## ")
	found := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(part, -1)
	if len(found) == 0 {
		t.Fatalf("section %q has no block in %s", section, language)
	}
	var texts []string
	for _, block := range found {
		texts = append(texts, block[1])
	}
	return texts
}

// reader is somebody who follows the page.
type reader struct {
	*running
	dir string // in which gabion-data is
}

// readers follow the page on fresh servers: straight, and with each answer held
// against the contract on its way.
func readers(t *testing.T, follow func(t *testing.T, r reader)) {
	for name, prepare := range map[string]func(*testing.T, reader){
		"straight": func(*testing.T, reader) {}, "observed": observe,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := reader{startAs(t, func(c *server.Config) { c.DataDir = filepath.Join(dir, "gabion-data") }), dir}
			prepare(t, r)
			follow(t, r)
		})
	}
}

// observe lets the reader's admin.env lead over a relay.
func observe(t *testing.T, r reader) {
	way := httptest.NewTLSServer(r.relay(t))
	t.Cleanup(way.Close)
	ca := filepath.Join(r.dir, "relay.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: way.Certificate().Raw})
	env := fmt.Sprintf("\nexport EXOSCALE_API_ENDPOINT='%s/v2' SSL_CERT_FILE='%s'\n", way.URL, ca)
	file, err := os.OpenFile(filepath.Join(r.dir, "gabion-data", "admin.env"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(env)
		file.Close()
	}
	if err != nil || os.WriteFile(ca, text, 0o600) != nil {
		t.Fatal("can't write the relay's certificate", err)
	}
}

// shell runs commands, after those with which the page begins.
func (r reader) shell(t *testing.T, commands ...string) string {
	t.Helper()
	script := strings.Join(append(blocks(t, "A fresh server", "sh"), commands...), "\n")
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = r.dir
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, &problem)
	}
	return string(out)
}

func TestPageCurl(t *testing.T) {
	readers(t, func(t *testing.T, r reader) {
		commands := blocks(t, "curl", "sh")
		out := r.shell(t, commands...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		var group struct {
			Name  string
			Rules []map[string]any
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &group); err != nil {
			t.Fatalf("the last answer: %v in %s", err, out)
		}
		if len(lines) != 4 || group.Name != "web" || len(group.Rules) != 1 || group.Rules[0]["end-port"] != 443.0 {
			t.Errorf("the page's commands answer %s", out)
		}
		if text := r.shell(t, commands[0], "v2 GET '/instance?labels=a:b&ip-address=10.0.0.7'"); text != "{\"instances\":[]}\n" {
			t.Errorf("two query arguments: got %s", text)
		}
	})
}

func TestPageGo(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	readers(t, func(t *testing.T, r reader) {
		program := filepath.Join(r.dir, "main.go")
		if err := os.WriteFile(program, []byte(blocks(t, "Go, with egoscale", "go")[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		// In this module, which has the SDK already.
		out := r.shell(t, "cd '"+root+"' && go run '"+program+"'")
		if !strings.Contains(page(t), "\n$ go run .\n"+out+"```\n") {
			t.Errorf("the page's program says %q", out)
		}
		if version := "github.com/exoscale/egoscale/v3@" + sdkVersion(t); !strings.Contains(page(t), version) {
			t.Errorf("the page doesn't get %s", version)
		}
	})
}

func sdkVersion(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", "github.com/exoscale/egoscale/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestPageShowsARealError(t *testing.T) {
	r := start(t)
	a := r.say(t, "POST", "/security-group/"+r.defaultGroup(t)+"/rules", ingress(`"protocol":"tcp","start-port":22,"network":"0.0.0.0/0"`))
	var shown map[string]any
	if err := json.Unmarshal([]byte(blocks(t, "Errors", "json")[0]), &shown); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.body, shown); diff != "" {
		t.Errorf("the page's error (-answered +page):\n%s", diff)
	}
}

// Each call of the contract has its place in the page's table, and no other.
func TestPageListsEveryCall(t *testing.T) {
	contract, err := openapi3.NewLoader().LoadFromData(api.Contract)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for path, item := range contract.Paths.Map() {
		for method, call := range item.Operations() {
			if slices.Contains(call.Tags, "extension") {
				method = "*" + method + "*"
			}
			want = append(want, path+" "+method)
		}
	}
	var got []string
	_, table, _ := strings.Cut(page(t), "\n## Calls\n")
	for _, row := range regexp.MustCompile("(?m)^\\| `(.*)` \\| (.*) \\|$").FindAllStringSubmatch(table, -1) {
		for method := range strings.FieldsSeq(row[2]) {
			got = append(got, row[1]+" "+method)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page's calls (-contract +page):\n%s", diff)
	}
}
